"""Secrets in settings: hidden where settings are shown, put back where what was shown is sent again.

What is a secret is told by a pydantic model that was made of the settings: whatever in it is a SecretStr.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from pydantic import AliasChoices, BaseModel, SecretStr
from pydantic.fields import FieldInfo

MASK = "********"

Place = tuple[str | int, ...]


def hidden(config: BaseModel, settings: Mapping[str, Any], *, but: Collection[str] = ()) -> dict[str, Any]:
    """Return the settings that `config` was made of, with MASK in place of each secret.

    `but`: members that are left as they are.
    """
    shown = dict(settings)
    for names, value in _members(config):
        for name in set(names) & shown.keys() - set(but):
            shown[name] = _hidden(value, shown[name])
    return shown


def hidden_all(settings: Any) -> Any:
    """Return settings of which nobody knows what is secret, with MASK in place of every text."""
    if isinstance(settings, Mapping):
        return {name: hidden_all(value) for name, value in settings.items()}
    if isinstance(settings, list):
        return [hidden_all(value) for value in settings]
    return MASK if isinstance(settings, str) else settings


def restored(sent: Any, config: Any, stored: Any) -> Any:
    """Return what was sent, with the stored secret in place of each MASK; `config` was made of `stored`.

    A MASK where nothing secret is stored stays.
    """
    if isinstance(config, SecretStr):
        return stored if sent == MASK else sent
    if isinstance(sent, dict) and isinstance(stored, Mapping):
        back = dict(sent)
        for names, value in _members(config):
            kept = next((name for name in names if name in stored), None)
            for name in set(names) & back.keys() if kept is not None else ():
                back[name] = restored(back[name], value, stored[kept])
        return back
    if isinstance(sent, list) and isinstance(stored, list) and isinstance(config, list | tuple):
        known = [restored(*each) for each in zip(sent, config, stored, strict=False)]
        return known + sent[len(known) :]
    return sent


def masks_in(config: Any, settings: Any) -> Iterator[Place]:
    """Give where these settings, of which `config` was made, still have a MASK in place of a secret."""
    if isinstance(config, SecretStr):
        if settings == MASK:
            yield ()
        return
    for names, value in _members(config):
        for name in names:
            is_there = name in settings if isinstance(settings, Mapping) else isinstance(settings, list)
            if is_there:
                yield from ((name, *rest) for rest in masks_in(value, settings[name]))


def wire_names(name: str, field: FieldInfo) -> tuple[str, ...]:
    """Return every name under which a field may be sent."""
    aliases: list[Any] = [field.alias, field.validation_alias]
    if isinstance(field.validation_alias, AliasChoices):
        aliases += field.validation_alias.choices
    return tuple(dict.fromkeys([name, *(alias for alias in aliases if isinstance(alias, str))]))


def _hidden(value: Any, raw: Any) -> Any:
    if isinstance(value, SecretStr):
        return MASK
    if isinstance(raw, dict):
        shown = dict(raw)
        for names, member in _members(value):
            for name in set(names) & shown.keys():
                shown[name] = _hidden(member, shown[name])
        return shown
    if isinstance(raw, list):
        # Of a set nobody knows which is which.
        is_listed = isinstance(value, list | tuple) and len(value) == len(raw)
        pairs = zip(value, raw, strict=True) if is_listed else ()
        return [_hidden(*pair) for pair in pairs] if is_listed else hidden_all(raw)
    return raw


def _members(value: Any) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Give what is in a value, each with the names it may have where the value was made of."""
    if isinstance(value, BaseModel):
        for name, field in type(value).model_fields.items():
            yield wire_names(name, field), getattr(value, name)
    elif isinstance(value, Mapping):
        yield from (((name,), member) for name, member in value.items())
    elif isinstance(value, list | tuple):
        yield from (((number,), member) for number, member in enumerate(value))
