"""Field types for the Config of an exit: what an address and a secret must look like before they are used."""

import re
from typing import Annotated

import yarl
from pydantic import SecretStr, WithJsonSchema

from clarion.lib.validators import after

PRINTABLE = re.compile(r"[!-~]+")


def _base_url(value: str) -> str:
    if not PRINTABLE.fullmatch(value):
        raise ValueError("must be a URL without spaces or letters outside ASCII")
    url = yarl.URL(value)
    if url.scheme not in ("http", "https") or not url.raw_host:
        raise ValueError("must be an http or https URL")
    if url.raw_user is not None or url.raw_password is not None:
        raise ValueError("must not hold a user or password")
    if url.raw_query_string or url.raw_fragment:
        raise ValueError("must not hold a query or fragment")
    return str(url).rstrip("/")


def _header_secret(value: SecretStr) -> SecretStr:
    if not PRINTABLE.fullmatch(value.get_secret_value()):
        raise ValueError("must be printable ASCII without spaces, not empty")
    return value


# The beginning of an http(s) URL, without a slash at its end; a path is appended with one.
BaseUrl = Annotated[str, after(_base_url), WithJsonSchema({"type": "string", "format": "uri"})]

# A secret that travels in a header, so it must not be able to end one.
HeaderSecret = Annotated[SecretStr, after(_header_secret)]
