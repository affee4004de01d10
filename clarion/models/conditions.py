"""From a filter to what a database is asked about customers: the meaning of `lib/filters.py`, on all three of them.

SQL knows a third truth value, and around it a NOT is no NOT. So every condition here answers yes or no, also about
those who have no value.
"""

from functools import reduce
from math import ceil, floor
from operator import and_, or_
from typing import Any

from django.db import models
from django.db.models import F, Q, Value
from django.db.models.functions import Coalesce
from django.db.models.lookups import Exact, GreaterThan, GreaterThanOrEqual, In, IsNull, LessThan

from clarion.lib.comparable import TEXT, after
from clarion.lib.filters import (
    EXACT,
    FOLDED,
    OPEN,
    Condition,
    Every,
    Fields,
    Filter,
    Not,
    Some,
    Span,
    read_filter,
)
from clarion.models.attributes import Fact

# What a filter may name. An identifier is compared as it stands, like everywhere where one row is meant.
FIELDS: Fields = {
    "id": EXACT,
    "phone": EXACT,
    "operator_code": FOLDED,
    "tag": FOLDED,
    "timezone": EXACT,
    "external_id": EXACT,
    "attributes": OPEN,
}
# The columns that hold the compared form, and the one that is null where there is no value.
_COLUMNS = {"operator_code": "operator_key", "tag": "tag_key"}
_NULLABLE = {"tag", "external_id"}

_EVERYBODY, _NOBODY = Q(Exact(Value(1), Value(1))), Q(Exact(Value(1), Value(0)))


def filter_of(raw: object) -> Filter:
    """Return what a JSON value asks of customers.

    :raises BadFilter:
    """
    return read_filter(raw, FIELDS)


def meets(asked: Filter) -> Q:
    """Return the condition on rows of customers that says the same."""
    match asked:
        case Not(part):
            return ~meets(part)
        case Every(parts):
            return reduce(and_, map(meets, parts))
        case Some(parts):
            return reduce(or_, map(meets, parts))
        case Condition():
            return _met(asked)


class ByCodePoint(models.Func):
    """A column of texts in the order of their code points. Only PostgreSQL has another, unless it is told.

    Not by an index: SQLite takes every range for a narrow one, and of a wide one it would look up row by row.
    """

    template = "%(expressions)s"

    def as_sqlite(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_sql(compiler, connection, template="+%(expressions)s", **context)

    def as_postgresql(self, compiler: Any, connection: Any, **context: Any) -> Any:
        return self.as_sql(compiler, connection, template='(%(expressions)s COLLATE "C")', **context)


def _met(condition: Condition) -> Q:
    if condition.operator == "exists":
        return _is_there(condition) if condition.value else ~_is_there(condition)
    if condition.field == "id":
        return _numbered(condition)
    if condition.kind == OPEN:
        fact = Fact(condition.member)
        found = _within(fact, fact, condition.points, condition.spans)
        # Where nothing is known about a column, as about each fact, PostgreSQL takes `=` to be true of 0.5 % and
        # plans for that. Of this it believes one half, and reads a million in half the time.
        return Q(Coalesce(found, False, output_field=models.BooleanField()))
    column = F(_COLUMNS.get(condition.field, condition.field))
    points = [point.removeprefix(TEXT) for point in condition.points if point.startswith(TEXT)]
    spans = [_of_text(span) for span in condition.spans if span.low.startswith(TEXT)]
    return _is_there(condition) & _within(column, ByCodePoint(column), points, spans)


def _is_there(condition: Condition) -> Q:
    if condition.kind == OPEN:
        return Q(IsNull(Fact(condition.member), False))
    return Q(IsNull(F(condition.field), False)) if condition.field in _NULLABLE else _EVERYBODY


def _of_text(span: Span) -> Span:
    """Take away what says that these are texts: a column has nothing else."""
    high = None if span.high in (None, after(TEXT)) else str(span.high).removeprefix(TEXT)
    return Span(span.low.removeprefix(TEXT), high, span.includes_low)


def _within(value: Any, ordered: Any, points: Any, spans: Any) -> Q:
    """Compare for equality by the plain column, which may have an index, and in order by code points."""
    if len(points) == 1:
        return Q(Exact(value, points[0]))
    if points:
        return Q(In(value, points))
    if not spans:
        return _NOBODY
    (span,) = spans
    above = Q((GreaterThanOrEqual if span.includes_low else GreaterThan)(ordered, span.low))
    return above if span.high is None else above & Q(LessThan(ordered, span.high))


def _numbered(condition: Condition) -> Q:
    """Compare an id, which is a whole number, with numbers of any kind; with others it has nothing in common."""
    asked = condition.value if condition.operator == "in" else [condition.value]
    numbers = [each for each in asked if isinstance(each, int | float) and not isinstance(each, bool)]
    if condition.operator == "gt" and numbers:
        return Q(id__gt=floor(numbers[0]))
    if condition.operator == "lt" and numbers:
        return Q(id__lt=ceil(numbers[0]))
    whole = [int(each) for each in numbers if each == int(each)]
    return Q(id__in=whole) if whole else _NOBODY
