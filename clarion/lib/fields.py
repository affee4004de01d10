"""Field types for the Config of an exit: what an address and a secret must look like before they are used."""

import re
from typing import Annotated

import yarl
from pydantic import SecretStr, WithJsonSchema

from clarion.lib.validators import after

PRINTABLE = re.compile(r"[!-~]+")


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
BaseUrl = Annotated[str, after(_base_url), WithJsonSchema({"type": "string", "format": "uri"})]

# An http(s) URL that is called as it stands, perhaps with a query.
WholeUrl = Annotated[str, after(_whole_url), WithJsonSchema({"type": "string", "format": "uri"})]

# A secret that travels in a header, so it must not be able to end one.
HeaderSecret = Annotated[SecretStr, after(_header_secret)]
