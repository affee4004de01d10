"""What a filter may be, where it is wrong, and whom it means. That databases agree is tests/models/test_conditions.py."""

from typing import Any

import pytest

from clarion.lib.filters import EXACT, FOLDED, OPEN, BadFilter, read_filter

FIELDS = {"id": EXACT, "ref": EXACT, "tag": FOLDED, "more": OPEN}
PERSON = {
    "id": 7,
    "ref": "A-1",
    "tag": "Vip",
    "more": {"city": "Köln", "visits": 3, "member": True, "left": None, "a.b": 1},
}


def holds(raw: Any, values: Any = PERSON) -> bool:
    return read_filter(raw, FIELDS).holds(values)


TRUE: list[dict[str, Any]] = [
    {"field": "tag", "eq": "VIP"},
    {"field": "tag", "in": ["x", "vip"]},
    {"field": "tag", "prefix": "vI"},
    {"field": "tag", "prefix": ""},
    {"field": "tag", "gt": "vi"},
    {"field": "tag", "lt": "vipa"},
    {"field": "tag", "exists": True},
    {"field": "ref", "eq": "A-1"},
    {"field": "id", "eq": 7.0},
    {"field": "id", "gt": 6.5},
    {"field": "more.city", "eq": "KÖLN"},
    {"field": "more.visits", "eq": 3.0},
    {"field": "more.visits", "gt": 2},
    {"field": "more.visits", "lt": 10},
    {"field": "more.member", "eq": True},
    {"field": "more.a.b", "eq": 1},
    {"field": "more.left", "exists": False},
    {"field": "more.nothing", "exists": False},
    {"not": {"field": "more.nothing", "eq": 1}},
    {"not": {"not": {"field": "tag", "eq": "vip"}}},
    {"all": [{"field": "tag", "eq": "vip"}, {"field": "id", "eq": 7}]},
    {"any": [{"field": "tag", "eq": "x"}, {"field": "id", "eq": 7}]},
]
FALSE: list[dict[str, Any]] = [
    {"field": "ref", "eq": "a-1"},
    {"field": "ref", "prefix": "a"},
    {"field": "tag", "gt": "vip"},
    {"field": "tag", "lt": "vip"},
    {"field": "more.nothing", "eq": "x"},
    {"field": "more.nothing", "lt": 10},
    {"field": "more.left", "exists": True},
    # A number and a text have nothing in common.
    {"field": "more.visits", "eq": "3"},
    {"field": "more.visits", "gt": ""},
    {"field": "more.visits", "prefix": ""},
    {"field": "more.city", "gt": 0},
    {"field": "more.member", "eq": 1},
    {"field": "more.member", "gt": -1},
    {"field": "id", "eq": "7"},
    {"field": "more.A.B", "eq": 1},
    {"all": [{"field": "tag", "eq": "vip"}, {"field": "id", "eq": 8}]},
    {"any": [{"field": "tag", "eq": "x"}, {"field": "id", "eq": 8}]},
]


@pytest.mark.parametrize("raw", TRUE)
def test_it_means_whoever_meets_it(raw: dict[str, Any]) -> None:
    assert holds(raw)
    assert not holds({"not": raw})


@pytest.mark.parametrize("raw", FALSE)
def test_it_means_nobody_else(raw: dict[str, Any]) -> None:
    assert not holds(raw)
    assert holds({"not": raw})


def test_somebody_of_whom_nothing_is_known_meets_only_what_asks_for_nothing() -> None:
    nobody = {"id": 1, "ref": None, "tag": None, "more": {}}

    assert not holds({"field": "tag", "eq": ""}, nobody)
    assert holds({"field": "tag", "exists": False}, nobody)
    assert holds({"field": "more.city", "exists": False}, {**nobody, "more": None})


LEAF = {"field": "tag", "eq": "vip"}
WRONG: list[tuple[Any, list[Any]]] = [
    (None, []),
    ([], []),
    ("vip", []),
    ({}, ["field"]),
    ({"field": "tag"}, []),
    ({"eq": "vip"}, ["field"]),
    ({"field": "tag", "eq": 1, "lt": 2}, []),
    ({"field": "tag", "equals": 1}, ["equals"]),
    ({"field": "colour", "eq": 1}, ["field"]),
    ({"field": 5, "eq": 1}, ["field"]),
    ({"field": "more", "eq": 1}, ["field"]),
    ({"field": "more.", "eq": 1}, ["field"]),
    ({"field": "more." + "x" * 65, "eq": 1}, ["field"]),
    ({"field": "tag.x", "eq": 1}, ["field"]),
    ({"field": "tag", "eq": None}, ["eq"]),
    ({"field": "tag", "eq": []}, ["eq"]),
    ({"field": "tag", "eq": "x" * 256}, ["eq"]),
    ({"field": "tag", "eq": "\x00"}, ["eq"]),
    ({"field": "tag", "eq": "\ud800"}, ["eq"]),
    ({"field": "more.n", "gt": True}, ["gt"]),
    ({"field": "more.n", "gt": 2**53 + 1}, ["gt"]),
    ({"field": "more.n", "lt": float("inf")}, ["lt"]),
    ({"field": "tag", "prefix": 1}, ["prefix"]),
    ({"field": "tag", "exists": 1}, ["exists"]),
    ({"field": "tag", "in": []}, ["in"]),
    ({"field": "tag", "in": "vip"}, ["in"]),
    ({"field": "tag", "in": ["a"] * 1001}, ["in"]),
    ({"field": "tag", "in": ["a", None]}, ["in", 1]),
    ({"all": []}, ["all"]),
    ({"any": []}, ["any"]),
    ({"all": LEAF}, ["all"]),
    ({"not": [LEAF]}, ["not"]),
    ({"all": [LEAF], "any": [LEAF]}, ["any"]),
    ({"not": LEAF, "field": "tag"}, ["field"]),
    ({"all": [LEAF, {"any": [{"not": {"field": "tag", "gt": []}}]}]}, ["all", 1, "any", 0, "not", "gt"]),
]


@pytest.mark.parametrize(("raw", "place"), WRONG)
def test_what_is_no_filter_is_refused_by_its_place(raw: Any, place: list[Any]) -> None:
    with pytest.raises(BadFilter) as refused:
        read_filter(raw, FIELDS)

    assert place in [list(error["loc"]) for error in refused.value.errors]


def test_everything_that_is_wrong_is_said_at_once() -> None:
    raw = {"all": [{"field": "colour", "gt": []}, {"any": []}, LEAF, 5]}

    with pytest.raises(BadFilter) as refused:
        read_filter(raw, FIELDS)

    places = [list(error["loc"]) for error in refused.value.errors]
    assert places == [["all", 0, "gt"], ["all", 0, "field"], ["all", 1, "any"], ["all", 3]]
    assert "all.0.field: must be one of id, ref, tag, more.<name>" in str(refused.value)


def nested(depth: int) -> dict[str, Any]:
    raw = LEAF
    for _ in range(depth - 1):
        raw = {"not": raw}
    return raw


def test_it_is_ten_deep_and_no_deeper() -> None:
    assert read_filter(nested(10), FIELDS)
    with pytest.raises(BadFilter, match="deeper than 10"):
        read_filter(nested(11), FIELDS)
    with pytest.raises(BadFilter, match="deeper than 10"):
        read_filter(nested(900), FIELDS)


def test_it_has_a_hundred_conditions_and_no_more() -> None:
    assert read_filter({"all": [LEAF] * 100}, FIELDS)
    with pytest.raises(BadFilter, match="at most 100"):
        read_filter({"all": [LEAF] * 101}, FIELDS)
    with pytest.raises(BadFilter, match="more than 100") as refused:
        read_filter({"all": [{"any": [LEAF] * 60}, {"any": [LEAF] * 60}]}, FIELDS)
    assert len(refused.value.errors) == 1


def test_its_lists_have_ten_thousand_values_and_no_more() -> None:
    full = {"field": "tag", "in": ["a"] * 1000}

    assert read_filter({"all": [full] * 10}, FIELDS)
    with pytest.raises(BadFilter, match="more than 10000"):
        read_filter({"all": [full] * 10 + [{"field": "tag", "in": ["a"]}]}, FIELDS)
