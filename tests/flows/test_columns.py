"""What a row says: headings by their many names, cells as people type them, and the rules of the API over all of it."""

import json
from typing import Any

import pytest

from clarion.flows.columns import BadHeader, BadRow, CellReader, heading_of, read_header, read_object
from clarion.models.upserts import Wish

PHONE = "70000000001"


def read(header: list[str], cells: list[str]) -> Wish:
    return CellReader(read_header(header)).read(cells)


def reasons(header: list[str], cells: list[str]) -> list[str]:
    with pytest.raises(BadRow) as refused:
        read(header, cells)
    return str(refused.value).split("; ")


@pytest.mark.parametrize(
    ("heading", "meaning"),
    [
        ("phone", "phone"),
        ("Phone Number", "phone"),
        ("PHONE_NUMBER", "phone"),
        (" mobile-phone ", "phone"),
        ("MSISDN", "phone"),
        ("Телефон", "phone"),
    ],
)
def test_a_phone_goes_by_many_names(heading: str, meaning: str) -> None:
    assert read_header([heading])[0][1] == meaning


def test_other_headings_are_ours_or_attributes() -> None:
    header = ["tel", "Operator", "SEGMENT", "time zone", "customer_id", "City of birth", "", "clarion_line"]

    assert [meaning for _, meaning in read_header(header)] == [
        "phone",
        "operator_code",
        "tag",
        "timezone",
        "external_id",
        "attributes.City of birth",
        "",
        "",
    ]


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (["name", "city"], "no column phone, and no external_id. It names: 'name', 'city'."),
        (["70000000001"], "It names: '70000000001'."),
        (["phone", "Phone Number"], "Two columns are the phone: 'phone' and 'Phone Number'."),
        (["phone", "city", "city"], "Two columns are the city"),
        (["phone", "x" * 65], "must have at most 64 characters"),
        (["phone", "a\x00"], "must not contain the NUL character"),
        (["phone", "clarion_\x00"], "must not contain the NUL character"),
        (["phone", *[""] * 1_000], "1001 columns; there may be 1000"),
    ],
)
def test_a_header_that_cannot_be_understood_says_why(header: list[str], said: str) -> None:
    with pytest.raises(BadHeader) as bad:
        read_header(header)

    assert said in str(bad.value)


@pytest.mark.parametrize(
    "name", ["city", "phone", "Tag", "clarion_id", "attributes.x", " x", "=x", "attributes."]
)
def test_every_attribute_has_a_heading_of_its_own(name: str) -> None:
    header = ["clarion_id", "phone", heading_of(name)]

    assert read_header(header)[2][1] == f"attributes.{name}"


def test_a_row_names_fields_and_attributes() -> None:
    wish = read(
        ["phone", "operator", "tag", "tz", "ref", "city"], [PHONE, "900", "vip", "UTC", "c-1", "Köln"]
    )

    assert wish.fields == {
        "phone": PHONE,
        "operator_code": "900",
        "tag": "vip",
        "timezone": "UTC",
        "external_id": "c-1",
    }
    assert wish.attributes == {"city": "Köln"}


@pytest.mark.parametrize(
    "written",
    [
        "+7 (000) 000-00-01",
        " 70000000001 ",
        "7.000.000.00.01",
        "+7\u00a0000\u00a0000\u201300\u201301",
        "'+70000000001",
    ],
)
def test_a_phone_is_read_as_people_write_it(written: str) -> None:
    assert read(["phone"], [written]).fields == {"phone": PHONE}


def test_an_empty_cell_clears_what_can_be_empty() -> None:
    wish = read(["phone", "operator", "tag", "tz", "ref", "city"], [PHONE, " ", " ", "", "", ""])

    # The operator is in the number, and no reference is none given.
    assert wish.fields == {"phone": PHONE, "operator_code": "000", "tag": None, "timezone": ""}
    assert wish.attributes == {"city": None}


def test_of_many_columns_a_client_may_have_as_many_as_it_may_have_attributes() -> None:
    header = ["phone", *map(str, range(60))]

    assert len(read(header, [PHONE, *["x"] * 50, *[""] * 10]).attributes) == 60
    assert reasons(header, [PHONE, *["x"] * 51, *[""] * 9]) == ["attributes: must have at most 50 members"]


def test_a_known_client_needs_no_phone() -> None:
    assert read(["ref", "phone", "operator"], ["c-1", "", ""]).fields == {"external_id": "c-1"}


def test_blanks_around_cells_are_dropped_but_for_files_of_our_own() -> None:
    assert read(["phone", "city"], [PHONE, " Köln "]).attributes == {"city": "Köln"}
    assert read(["clarion_id", "phone", "city"], ["7", PHONE, " Köln "]).attributes == {"city": " Köln "}


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (["80000000001", "x", ""], ["phone: must be 7 and ten more digits"]),
        (["7000000000", "x", ""], ["phone: must be 7 and ten more digits"]),
        (["", "x", ""], ["phone: missing"]),
        ([PHONE, "x" * 256, ""], ["tag: String should have at most 255 characters"]),
        ([PHONE, "x", "x" * 256], ["attributes.city: must have at most 255 characters"]),
        ([PHONE, "a\x00", "b\x00"], ["tag: must not contain", "attributes.city: must not contain"]),
        ([PHONE, "x"], ["2 cells, and the header has 3"]),
        ([PHONE, "x", "", ""], ["4 cells, and the header has 3"]),
    ],
)
def test_a_wrong_row_is_refused_with_all_that_is_wrong(cells: list[str], said: list[str]) -> None:
    found = reasons(["phone", "tag", "city"], cells)

    assert [known in reason for known, reason in zip(said, found, strict=True)] == [True] * len(said)


def test_an_object_has_the_members_of_a_client() -> None:
    members = {"id": 3, "phone": "+7 000 0000001", "tag": None, "external_id": None, "clarion_line": 5}

    wish = read_object(json.dumps({**members, "attributes": {"orders": 5, "vip": True, "city": None}}))

    assert wish.fields == {"phone": PHONE, "tag": None}
    assert wish.attributes == {"orders": 5, "vip": True, "city": None}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('{"phone": "70000000001", "colour": "red"}', "colour: there is no such member"),
        ('{"phone": 70000000001}', "phone: Input should be a valid string"),
        ('{"phone": null}', "phone: "),
        ('{"tag": "vip"}', "phone: missing"),
        ('{"phone": "70000000001", "attributes": []}', "attributes: must be an object"),
        ('{"phone": "70000000001", "attributes": {"a": {}}}', "attributes.a: must be a text"),
        ('{"phone": "70000000001", "phone": "70000000002"}', "stands in it twice"),
        ('{"phone": "70000000001"', "not JSON"),
        ("[1]", "not a JSON object"),
        ("[" * 100_000, "nested too deeply"),
        ('{"tag": "\\ud800"}', "surrogate pair"),
    ],
)
def test_a_wrong_object_is_refused_with_the_reason(line: str, said: str) -> None:
    with pytest.raises(BadRow) as refused:
        read_object(line)

    assert said in str(refused.value)


def test_rows_are_held_to_the_rules_of_the_api(api: Any) -> None:
    """Whatever the one refuses the other refuses, in the same words, but for what is said of the phone."""
    for wrong in (
        {"operator_code": "x" * 65},
        {"operator_code": ""},
        {"operator_code": "ß" * 40},
        {"tag": "ΐ" * 100},
        {"tag": "\x00"},
        {"timezone": "x" * 65},
        {"external_id": ""},
        {"external_id": "x" * 256},
        {"attributes": {"": 1}},
        {"attributes": {"a": 1e300}},
        {"attributes": {str(number): 1 for number in range(51)}},
        {"colour": "red"},
    ):
        body = {"phone": PHONE, "operator_code": "900", "timezone": "UTC", **wrong}
        answer = api.post("/api/v1/clients", json.dumps(body), content_type="application/json")
        errors = answer.json()["errors"]
        said = {f"{'.'.join(map(str, error['loc']))}: {error['msg']}" for error in errors}

        with pytest.raises(BadRow) as refused:
            read_object(json.dumps(body))

        assert {reason.lower().rstrip(".") for reason in said} == {str(refused.value).lower()}
