"""Field types for the Config of an exit: what an address and a secret must look like before they are used."""

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, get_args

import yarl
from pydantic import BaseModel, SecretStr, WithJsonSchema
from pydantic.fields import FieldInfo

from clarion.lib.validators import after

PRINTABLE = re.compile(r"[!-~]+")
# Stands in the type of whatever is called, so that others find it: pydantic lets it be.
CALLED = object()


def addresses(value: Any, *, is_called: bool = False) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Give each text in a value that is of a type below that is called, with the way to it."""
    members: Any = ()
    if isinstance(value, BaseModel):
        fields = type(value).model_fields.items()
        members = [(name, getattr(value, name), _is_called(field)) for name, field in fields]
    elif isinstance(value, Mapping):
        members = [(name, member, is_called) for name, member in value.items()]
    elif isinstance(value, list | tuple):
        members = [(number, member, is_called) for number, member in enumerate(value)]
    elif isinstance(value, str) and is_called:
        yield (), value
    for step, member, is_one in members:
        yield from (((step, *way), text) for way, text in addresses(member, is_called=is_one))


def origin(url: str) -> str:
    """Return scheme, host and port of what is called: who gets what is sent there."""
    parts = yarl.URL(url)
    return f"{parts.scheme}://{(parts.raw_host or '').lower()}:{parts.port}"


def _is_called(field: FieldInfo) -> bool:
    return CALLED in field.metadata or _names(field.annotation)


def _names(annotation: Any) -> bool:
    return annotation is CALLED or any(map(_names, get_args(annotation)))


def _base_url(value: str) -> str:
    url = _url(value)
    if url.raw_query_string or url.raw_fragment:
        raise ValueError("must not hold a query or fragment")
    return str(url).rstrip("/")


def _whole_url(value: str) -> str:
    if "#" in value or "\\" in value:
        raise ValueError("must not hold a fragment or a backslash")
    _url(value)
    return value


def _url(value: str) -> yarl.URL:
    """Return an http(s) URL; what is wrong is said without repeating any of it."""
    if not PRINTABLE.fullmatch(value):
        raise ValueError("must be a URL without spaces or letters outside ASCII")
    try:
        url = yarl.URL(value)
        has_place = url.scheme in ("http", "https") and bool(url.raw_host) and bool(url.port)
    except ValueError:
        has_place = False
    if not has_place:
        raise ValueError("must be an http or https URL")
    if url.raw_user is not None or url.raw_password is not None:
        raise ValueError("must not hold a user or password")
    return url


def _header_secret(value: SecretStr) -> SecretStr:
    if not PRINTABLE.fullmatch(value.get_secret_value()):
        raise ValueError("must be printable ASCII without spaces, not empty")
    return value


# The beginning of an http(s) URL, without a slash at its end; a path is appended with one.
BaseUrl = Annotated[str, CALLED, after(_base_url), WithJsonSchema({"type": "string", "format": "uri"})]

# An http(s) URL that is called as it stands, perhaps with a query.
WholeUrl = Annotated[str, CALLED, after(_whole_url), WithJsonSchema({"type": "string", "format": "uri"})]

# A secret that travels in a header, so it must not be able to end one.
HeaderSecret = Annotated[SecretStr, after(_header_secret)]
