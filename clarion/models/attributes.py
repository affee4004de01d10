"""What a shop says of its customers beyond Clarion's own columns: what it may say, and the form that filters compare.

A customer has the attributes as they were sent, and beside them their facts: one comparable text for each.
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from django.db import models

from clarion.lib.comparable import LONGEST_NAME as LONGEST_NAME
from clarion.lib.comparable import Scalar, comparable, complaint, complaint_of_text
from clarion.lib.problems import FieldError

# A shop's profile of somebody has a dozen; a row of fifty long ones is still read in one page of the database.
MOST_ATTRIBUTES = 50


def errors_in(attributes: object) -> list[FieldError]:
    """Return all that is wrong with attributes from outside; `loc` begins below them. None wrong: an empty list."""
    if not isinstance(attributes, Mapping):
        return [{"loc": [], "msg": "must be an object"}]
    errors: list[FieldError] = []
    if len(attributes) > MOST_ATTRIBUTES:
        errors.append({"loc": [], "msg": f"must have at most {MOST_ATTRIBUTES} members"})
    for name, value in attributes.items():
        errors += [{"loc": [name], "msg": sentence} for sentence in _complaints(name, value)]
    return errors


def facts_of(attributes: Mapping[str, Scalar]) -> dict[str, str]:
    """Return the facts: what the database compares. An attribute that is null is none."""
    compared = {name: comparable(value) for name, value in attributes.items()}
    return {_key(name): text for name, text in compared.items() if text is not None}


class Fact(models.Func):
    """One attribute in its comparable form, compared by code points; NULL where a customer has none."""

    output_field = models.TextField()

    def __init__(self, name: str) -> None:
        super().__init__(models.F("facts"))
        self._key = _key(name)

    def as_sqlite(self, compiler: Any, connection: Any, **_: Any) -> Any:
        return self._taken(compiler, "JSON_EXTRACT({}, %s)", self._path)

    def as_postgresql(self, compiler: Any, connection: Any, **_: Any) -> Any:
        return self._taken(compiler, '(({} ->> %s::text) COLLATE "C")', self._key)

    def as_mysql(self, compiler: Any, connection: Any, **_: Any) -> Any:
        bytewise = "utf8mb4_nopad_bin" if connection.mysql_is_mariadb else "utf8mb4_0900_bin"
        return self._taken(compiler, f"(JSON_UNQUOTE(JSON_EXTRACT({{}}, %s)) COLLATE {bytewise})", self._path)

    def _taken(self, compiler: Any, take: str, what: str) -> Any:
        facts, params = compiler.compile(self.source_expressions[0])
        return take.format(facts), [*params, what]

    @property
    def _path(self) -> str:
        # In quotes, so that a name of digits is no place in a list.
        return f'$."{self._key}"'


def _complaints(name: str, value: object) -> Iterator[str]:
    sentence = complaint_of_text(name, LONGEST_NAME) if name else "must have a name"
    if sentence:
        yield f"the name {sentence}"
    if sentence := complaint(value):
        yield sentence


@lru_cache(maxsize=4096)
def _key(name: str) -> str:
    """Return the name as it stands in the facts: databases disagree about quotes, blanks and digits in a path.

    MariaDB 10.11 finds no member whose name begins with a hyphen, quoted or not.
    """
    return quote(name, safe="").replace("-", "%2D")
