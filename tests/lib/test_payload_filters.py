"""What a filter over a document may be, where it is wrong, which documents it means, and which condition is to blame."""

import json
from typing import Any

import pytest

from clarion.lib.payload_filters import BadFilter, Failed, compile

DOCUMENT = {
    "event_type": "ORDER",
    "entity_id": 1112,
    "payload": {
        "total": "12.50",
        "count": 3,
        "rate": 0.1,
        "whole": 7.0,
        "gift": True,
        "note": None,
        "a.b": "dotted",
        "lines": [{"sku": "SKU-1", "tags": ["new", "sale"]}, {"sku": "SKU-2", "tags": []}, {"qty": 5}],
        "empty": [],
        "nested": [[["deep"]]],
    },
}


def matches(spec: Any, document: dict[str, Any] = DOCUMENT) -> bool:
    return compile(spec).matches(document)


TRUE: list[dict[str, Any]] = [
    {"path": "event_type", "equals": "ORDER"},
    {"path": ["event_type"], "equals": "ORDER"},
    {"path": ["payload", "a.b"], "equals": "dotted"},
    # A whole number and its text are one.
    {"path": "entity_id", "equals": 1112},
    {"path": "entity_id", "equals": "1112"},
    {"path": "entity_id", "equals": 1112.0},
    {"path": "entity_id", "in": ["7", "1112"]},
    {"path": "entity_id", "prefix": "11"},
    {"path": "payload.whole", "equals": "7"},
    {"path": "payload.gift", "equals": True},
    {"path": "payload.rate", "equals": 0.1},
    {"path": "payload.total", "equals": "12.50"},
    # As decimals: 0.1 is 0.1.
    {"path": "payload.rate", "range": {"lte": "0.1", "gte": 0.1}},
    {"path": "payload.total", "range": {"gt": 12, "lt": "12.51"}},
    {"path": "payload.total", "range": {"gte": 12.5}},
    {"path": "payload.count", "range": {"gt": 2, "lte": 3}},
    # Of a list, any element.
    {"path": "payload.lines.sku", "equals": "SKU-2"},
    {"path": "payload.lines.tags", "equals": "sale"},
    {"path": "payload.lines.tags", "prefix": "sa"},
    {"path": "payload.lines.qty", "range": {"gte": 5}},
    {"path": "payload.nested", "equals": "deep"},
    {"path": "payload.lines", "exists": True},
    {"path": "payload", "exists": True},
    {"path": "payload.note", "exists": False},
    {"path": "payload.empty", "exists": False},
    {"path": "payload.count.more", "exists": False},
    {"path": "nothing", "exists": False},
    {"not": {"path": "nothing", "equals": 1}},
    {"any": [{"path": "nothing", "equals": 1}, {"path": "payload.count", "equals": 3}]},
]
FALSE: list[dict[str, Any]] = [
    {"path": "event_type", "equals": "order"},
    {"path": "event_type", "prefix": "O-"},
    {"path": "payload.gift", "equals": 1},
    {"path": "payload.gift", "equals": "true"},
    {"path": "payload.gift", "prefix": ""},
    {"path": "payload.gift", "range": {"gte": 0}},
    {"path": "payload.count", "equals": True},
    {"path": "payload.count", "equals": "03"},
    {"path": "payload.total", "equals": 12.5},
    {"path": "payload.rate", "range": {"lt": "0.1"}},
    {"path": "event_type", "range": {"gt": 0}},
    {"path": "payload", "equals": "x"},
    {"path": "payload.a.b", "exists": True},
    {"path": "payload.lines.0.sku", "exists": True},
    {"path": "payload.note", "equals": "null"},
    {"path": "payload.count", "exists": False},
    {"all": [{"path": "payload.count", "equals": 3}, {"path": "nothing", "equals": 1}]},
]


@pytest.mark.parametrize("spec", TRUE)
def test_it_means_what_meets_it(spec: dict[str, Any]) -> None:
    assert matches(spec)
    assert not matches({"not": spec})


@pytest.mark.parametrize("spec", FALSE)
def test_it_means_nothing_else(spec: dict[str, Any]) -> None:
    assert not matches(spec)
    assert matches({"not": spec})


LEAF = {"path": "a", "equals": 1}


def nested(depth: int) -> Any:
    return LEAF if depth == 1 else {"not": nested(depth - 1)}


WRONG: list[tuple[Any, list[Any]]] = [
    (None, []),
    ([], []),
    ({}, ["path"]),
    ({"path": "a"}, []),
    ({"equals": 1}, ["path"]),
    ({"path": "a", "equals": 1, "prefix": "x"}, []),
    ({"path": "a", "eq": 1}, ["eq"]),
    ({"path": "", "equals": 1}, ["path"]),
    ({"path": "a..b", "equals": 1}, ["path"]),
    ({"path": 5, "equals": 1}, ["path"]),
    ({"path": [], "equals": 1}, ["path"]),
    ({"path": ["a", 1], "equals": 1}, ["path"]),
    ({"path": ["a"] * 33, "equals": 1}, ["path"]),
    ({"path": "a" * 1001, "equals": 1}, ["path"]),
    ({"path": "a", "equals": None}, ["equals"]),
    ({"path": "a", "equals": {}}, ["equals"]),
    ({"path": "a", "equals": "x" * 1001}, ["equals"]),
    ({"path": "a", "equals": "\x00"}, ["equals"]),
    ({"path": "a", "equals": 2**53 + 1}, ["equals"]),
    ({"path": "a", "in": []}, ["in"]),
    ({"path": "a", "in": ["x"] * 201}, ["in"]),
    ({"path": "a", "in": ["x", None]}, ["in", 1]),
    ({"path": "a", "prefix": 1}, ["prefix"]),
    ({"path": "a", "exists": "yes"}, ["exists"]),
    ({"path": "a", "range": 5}, ["range"]),
    ({"path": "a", "range": {}}, ["range"]),
    ({"path": "a", "range": {"from": 5}}, ["range", "from"]),
    ({"path": "a", "range": {"gt": True}}, ["range", "gt"]),
    ({"path": "a", "range": {"gt": "1e5"}}, ["range", "gt"]),
    ({"path": "a", "range": {"gt": float("nan")}}, ["range", "gt"]),
    ({"path": "a", "range": {"gt": 1, "gte": 1}}, ["range", "gte"]),
    ({"path": "a", "range": {"gt": 5, "lt": "5.0"}}, ["range"]),
    ({"path": "a", "range": {"gte": 5, "lte": 4}}, ["range"]),
    ({"all": []}, ["all"]),
    ({"any": [LEAF] * 101}, ["any"]),
    ({"all": [{"any": [LEAF] * 60}, {"any": [LEAF] * 60}]}, []),
    ({"all": [LEAF], "path": "a"}, ["path"]),
    (nested(9), ["not"] * 8),
]


@pytest.mark.parametrize(("spec", "place"), WRONG)
def test_what_is_wrong_is_named_by_its_place(spec: Any, place: list[Any]) -> None:
    with pytest.raises(BadFilter) as caught:
        compile(spec)

    assert place in [list(error["loc"]) for error in caught.value.errors]


def test_all_that_is_wrong_is_named_at_once() -> None:
    spec = {
        "all": [
            {"path": "a", "equals": None},
            {"any": []},
            {"not": {"path": 1, "range": {"gt": "x", "lt": 2}}},
        ]
    }

    with pytest.raises(BadFilter) as caught:
        compile(spec)

    assert [list(error["loc"]) for error in caught.value.errors] == [
        ["all", 0, "equals"],
        ["all", 1, "any"],
        ["all", 2, "not", "range", "gt"],
        ["all", 2, "not", "path"],
    ]


def test_as_much_as_is_allowed_is_read() -> None:
    assert compile(nested(8)).matches({"a": 2})
    assert compile({"all": [LEAF] * 100}).matches({"a": 1})
    assert compile({"path": "a", "in": ["x" * 1000] * 200}).matches({"a": "x" * 1000})


def test_a_refusal_names_the_condition_and_what_was_found() -> None:
    spec = {
        "all": [
            {"path": "entity_id", "equals": 1112},
            {"path": "payload.lines.sku", "equals": "SKU-9"},
            {"not": {"path": "payload.gift", "exists": True}},
            {"any": [{"path": "nothing", "equals": 1}, {"path": "payload", "equals": "x"}]},
        ]
    }

    assert compile(spec).explain(DOCUMENT) == [
        Failed(("all", 1), ("payload", "lines", "sku"), "equals", ('"SKU-1"', '"SKU-2"'), is_denied=False),
        Failed(("all", 2, "not"), ("payload", "gift"), "exists", ("true",), is_denied=True),
        Failed(("all", 3, "any", 0), ("nothing",), "equals", (), is_denied=False),
        Failed(("all", 3, "any", 1), ("payload",), "equals", ("{…}",), is_denied=False),
    ]


def test_of_many_elements_the_one_that_met_a_denied_condition_is_named() -> None:
    (failed,) = compile({"not": {"path": "a", "equals": 7}}).explain({"a": [*range(100)]})

    assert failed.found == ("7",)


def test_what_was_found_is_cut() -> None:
    (failed,) = compile({"path": "a", "equals": "x"}).explain({"a": ["Ж" * 500] * 50})

    assert len(failed.found) == 5
    assert {len(text) for text in failed.found} == {100}
    assert failed.found[0].endswith("…")


def test_lists_in_lists_are_no_end_of_it() -> None:
    deep = json.loads("[" * 900 + "7" + "]" * 900)

    assert matches({"path": "a", "equals": 7}, {"a": deep})


def test_numbers_of_any_length_are_compared() -> None:
    huge = {"a": [10**4000, -(10**4000), 1e308, float("inf")]}

    assert not matches({"path": "a", "in": [1, "1"]}, huge)
    assert matches({"path": "a", "range": {"gt": "9" * 100}}, huge)
    assert compile({"path": "a", "equals": 1}).explain(huge)


def test_a_condition_looks_at_the_first_ten_thousand_elements() -> None:
    assert matches({"path": "a", "equals": 1}, {"a": [0] * 9_999 + [1]})
    assert not matches({"path": "a", "equals": 1}, {"a": [0] * 10_000 + [1]})
