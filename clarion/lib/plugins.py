"""Finds plug-ins: classes with a `kind`, in the files of a folder and behind the entry points of a group.

Knows nothing of what they plug into.
"""

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from importlib.metadata import entry_points
from types import ModuleType
from typing import ClassVar, Protocol, TypeVar


class HasKind(Protocol):
    """What is plugged in has a name that is unique in its group."""

    kind: ClassVar[str]


Plugin = TypeVar("Plugin", bound=HasKind)


class BadPlugin(Exception):
    """A plug-in that cannot be used; the text names where it comes from and what is wrong."""


def find_plugins(folder: ModuleType, base: type[Plugin], *, group: str) -> dict[str, type[Plugin]]:
    """Return every concrete subclass of `base`, by its kind, in the order of the kinds.

    Looked for in each file of `folder` (a package), then in the entry points of `group`.

    :raises BadPlugin: when an entry point cannot be loaded or is no such class, or a kind is taken twice
    """
    found: dict[str, type[Plugin]] = {}
    for source, plugin in (*_in_folder(folder, base), *_in_entry_points(group, base)):
        other = found.setdefault(plugin.kind, plugin)
        if other is not plugin:
            raise BadPlugin(f"{source}: the kind {plugin.kind!r} is already that of {other.__module__}")
    return dict(sorted(found.items()))


def _in_folder(folder: ModuleType, base: type[Plugin]) -> Iterator[tuple[str, type[Plugin]]]:
    for each in pkgutil.iter_modules(folder.__path__, prefix=f"{folder.__name__}."):
        module = importlib.import_module(each.name)
        for _, member in inspect.getmembers(module, inspect.isclass):
            # What a file imports belongs to another.
            if issubclass(member, base) and member.__module__ == each.name and not inspect.isabstract(member):
                yield each.name, member


def _in_entry_points(group: str, base: type[Plugin]) -> Iterator[tuple[str, type[Plugin]]]:
    for entry in entry_points(group=group):
        source = f"entry point {entry.name} = {entry.value}"
        try:
            plugin = entry.load()
        except Exception as error:
            raise BadPlugin(f"{source}: {type(error).__name__}: {error}") from error
        if not (inspect.isclass(plugin) and issubclass(plugin, base)) or inspect.isabstract(plugin):
            raise BadPlugin(f"{source}: not a {base.__name__} that can be used")
        yield source, plugin
