"""Filters and documents at random: they mean what a plainer reading says, and where they do not, somebody is to blame."""

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from clarion.lib.payload_filters import compile

# Few names and values, so that conditions are met often enough.
NAMES = st.sampled_from(["a", "b", "c.d"])
SCALARS = st.sampled_from([None, True, False, 0, 1, 12, -3, 1.0, 2.5, "1", "12", "2.50", "x", "xy", ""])
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3)
)
DOCUMENTS = st.dictionaries(NAMES, VALUES, max_size=3)
OPERANDS = SCALARS.filter(lambda value: value is not None)
RANGES = st.sampled_from([{"gt": 0}, {"gte": "1", "lt": 12}, {"lte": 2.5}, {"gt": "-3.0", "lte": "12.00"}])
CONDITIONS = st.fixed_dictionaries({"path": st.lists(NAMES, min_size=1, max_size=3)}).flatmap(
    lambda about: st.one_of(
        *(
            st.builds(lambda value, name=name: {**about, name: value}, values)
            for name, values in (
                ("equals", OPERANDS),
                ("in", st.lists(OPERANDS, min_size=1, max_size=3)),
                ("prefix", st.sampled_from(["", "x", "1"])),
                ("range", RANGES),
                ("exists", st.booleans()),
            )
        )
    )
)
SPECS = st.recursive(
    CONDITIONS,
    lambda inner: (
        st.builds(lambda part: {"not": part}, inner)
        | st.builds(
            lambda name, parts: {name: parts},
            st.sampled_from(["all", "any"]),
            st.lists(inner, min_size=1, max_size=3),
        )
    ),
    max_leaves=5,
)


# So many take half a second; a busy machine is no fault.
@settings(deadline=None, max_examples=30)
@given(SPECS.filter(lambda spec: json.dumps(spec).count("{") < 8), DOCUMENTS)
def test_it_means_what_the_page_says_and_there_is_somebody_to_blame_where_it_does_not(
    spec: dict[str, Any], document: dict[str, Any]
) -> None:
    filter = compile(spec)

    assert filter.matches(document) is plainly(spec, document)
    assert (filter.explain(document) == []) is filter.matches(document)


def plainly(spec: dict[str, Any], document: Any) -> bool:
    """What a filter means, once more, as plainly as can be."""
    if "not" in spec:
        return not plainly(spec["not"], document)
    for name, joined in (("all", all), ("any", any)):
        if name in spec:
            return joined([plainly(part, document) for part in spec[name]])
    found = list(leaves(document, spec["path"]))
    if "exists" in spec:
        return bool(found) is spec["exists"]
    return any(passes(spec, value) for value in found)


def leaves(value: Any, path: list[str]) -> Iterator[Any]:
    if isinstance(value, list):
        for each in value:
            yield from leaves(each, path)
    elif path and isinstance(value, dict):
        yield from leaves(value.get(path[0]), path[1:])
    elif not path and value is not None:
        yield value


def passes(spec: dict[str, Any], value: Any) -> bool:
    if "range" in spec:
        number = decimal(value)
        signs = {"gt": "__gt__", "gte": "__ge__", "lt": "__lt__", "lte": "__le__"}
        return number is not None and all(
            getattr(number, signs[name])(decimal(bound)) for name, bound in spec["range"].items()
        )
    if "prefix" in spec:
        return written(value)[0] == "text" and written(value)[1].startswith(spec["prefix"])
    return written(value) in [written(each) for each in spec.get("in", [spec.get("equals")])]


def decimal(value: Any) -> Decimal | None:
    is_number = type(value) in (int, float) or (
        isinstance(value, str) and re.fullmatch(r"-?\d+(\.\d+)?", value)
    )
    return Decimal(str(value)) if is_number else None


def written(value: Any) -> tuple[str, str]:
    if type(value) in (int, float) and value == int(value):
        return "text", str(int(value))
    return ("text" if isinstance(value, str) else type(value).__name__), str(value)
