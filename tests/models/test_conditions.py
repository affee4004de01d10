"""A filter means the same everywhere: what Python says of a customer is what every database says."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clarion.models import Customer, Tenant
from clarion.models.conditions import filter_of
from clarion.models.customers import TEXT_NAMES
from tests.factories import make_customer

pytestmark = pytest.mark.django_db

# Few of each, so that conditions meet customers; odd in every way that databases are known to trip over.
ODD = [
    *(
        "",
        " ",
        "a",
        "A",
        "a ",
        "ab",
        "AB",
        "b",
        "Z",
        "z",
        "_",
        "%",
        "a%",
        "a_b",
        "\\",
        "\\a",
        "'",
        '"',
        "''",
        "`",
    ),
    *(
        "ß",
        "SS",
        "ss",
        "İ",
        "i",
        "ı",
        "Σ",
        "ς",
        "É",
        "é",
        "e\u0301",
        "ё",
        "Ё",
        "я",
        "Я",
        "ÿ",
        "\u00a0",
        "\u200d",
    ),
    *(
        "👩",
        "👩‍👩‍👧",
        "\U0010ffff",
        "\U0010ffffa",
        "\ue000",
        "\ufffd",
        "\uffff",
        "\ud7ff",
        "\x01",
        "\t",
        "\n",
        "\x7f",
    ),
    *(
        "1",
        "01",
        "1.0",
        "-1",
        "1e3",
        "null",
        "true",
        "NaN",
        "t:",
        "t:a",
        "n:",
        "{}",
        "[]",
        "$",
        "{{ tag }}",
        "%s",
    ),
    *("Europe/Berlin", "europe/berlin", "70000000001", "7000000", "x" * 255, "ΐ" * 85),
]
NAMES = [
    "a",
    "A",
    "a.b",
    "1",
    "0",
    "-1",
    " ",
    "é",
    "e\u0301",
    "👩",
    '"',
    "'",
    "\\",
    "$",
    "%s",
    "a\tb",
    "[0]",
    "*",
    "t:",
    "key",
    "x" * 64,
]
NUMBERS = [
    0,
    -0.0,
    1,
    1.0,
    -1,
    0.1,
    0.3,
    0.1 + 0.2,
    1.5,
    2,
    9,
    10,
    11,
    100,
    -2,
    -10,
    5e-324,
    -5e-324,
    1e-7,
    2**53,
    -(2**53),
    2**53 - 1,
    2.0**52 + 0.5,
]

texts = st.sampled_from(ODD) | st.text(
    st.characters(exclude_characters="\x00", exclude_categories=("Cs",)), max_size=4
)
numbers = (
    st.sampled_from(NUMBERS)
    | st.integers(-(2**53), 2**53)
    | st.floats(-(2.0**53), 2.0**53, allow_nan=False, allow_infinity=False)
)
values = texts | numbers | st.booleans()
people = st.fixed_dictionaries(
    {
        "phone": st.sampled_from(["70000000001", "70000000002", "70100000000"]),
        "operator_code": texts.filter(lambda text: text and len(text.casefold()) <= 64),
        "tag": st.none() | texts,
        "timezone": texts.filter(lambda text: len(text) <= 64),
        "attributes": st.dictionaries(st.sampled_from(NAMES), st.none() | values, max_size=4),
    }
)
FIELDS = [
    *("phone", "operator_code", "tag", "timezone", "external_id", "id"),
    *(f"attributes.{name}" for name in NAMES),
]


def conditions(known: list[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Conditions on any field that ask for any value, often for one that somebody has: two of so many hardly meet."""
    known_texts = [value for value in known if isinstance(value, str)]
    some = st.sampled_from(known) | values
    some_text = st.sampled_from([*known_texts, *(text[:-1] for text in known_texts)]) | texts
    in_order = some.filter(lambda value: not isinstance(value, bool))
    tests = st.one_of(
        some.map(lambda value: {"eq": value}),
        st.lists(some, min_size=1, max_size=4).map(lambda several: {"in": several}),
        some_text.map(lambda text: {"prefix": text}),
        st.booleans().map(lambda truth: {"exists": truth}),
        in_order.map(lambda value: {"gt": value}),
        in_order.map(lambda value: {"lt": value}),
    )
    return st.builds(lambda field, test: {"field": field, **test}, st.sampled_from(FIELDS), tests)


def filters(known: list[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.recursive(
        conditions(known),
        lambda inner: st.one_of(
            st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"all": parts}),
            st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"any": parts}),
            inner.map(lambda part: {"not": part}),
        ),
        max_leaves=5,
    )


@st.composite
def scenes(draw: Any) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Some people, and filters to look for them."""
    crowd = draw(st.lists(people, min_size=1, max_size=6))
    own = [value for person in crowd for name, value in person.items() if name != "attributes"]
    own += [value for person in crowd for value in person["attributes"].values()]
    known = [value for value in own if value is not None]
    return crowd, draw(st.lists(filters(known), min_size=1, max_size=12))


def compare(rows: list[dict[str, Any]], asked: list[dict[str, Any]]) -> None:
    """Check that the database finds, with each of these filters, whom Python finds among the rows it gave."""
    for raw in asked:
        read = filter_of(raw)
        found = set(Customer.objects.where(read).values_list("id", flat=True))

        assert found == {row["id"] for row in rows if read.holds(row)}, raw


@pytest.mark.slow
@pytest.mark.parametrize("field", ["tag", "timezone", "external_id", "attributes.a"])
def test_every_odd_text_is_compared_with_every_other(tenant: Tenant, field: str) -> None:
    name, _, member = field.partition(".")
    for text in ODD:
        if not (field == "timezone" and len(text) > 64):
            make_customer(tenant, **{name: {member: text} if member else text})
    rows = list(Customer.objects.values(*TEXT_NAMES))

    compare(
        rows, [{"field": field, operator: text} for operator in ("eq", "gt", "lt", "prefix") for text in ODD]
    )


def test_every_odd_number_is_compared_with_every_other(tenant: Tenant) -> None:
    for value in [*NUMBERS, "1", "n:", True, False, None]:
        make_customer(tenant, attributes={"a": value})
    rows = list(Customer.objects.values(*TEXT_NAMES))

    for field in ("attributes.a", "id"):
        near = [*NUMBERS, *(rows[3]["id"] + distance for distance in (-0.5, 0, 0.5, 1))]
        compare(
            rows, [{"field": field, operator: value} for operator in ("eq", "gt", "lt") for value in near]
        )


def test_every_odd_name_is_told_from_every_other(tenant: Tenant) -> None:
    for name in NAMES:
        make_customer(tenant, attributes={name: name})
    rows = list(Customer.objects.values(*TEXT_NAMES))

    compare(rows, [{"field": f"attributes.{name}", "exists": True} for name in NAMES])
    compare(rows, [{"not": {"field": f"attributes.{name}", "eq": name}} for name in NAMES])


@pytest.mark.slow
@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(scene=scenes())
def test_the_database_finds_whom_python_finds(tenant: Tenant, scene: Any) -> None:
    crowd, asked = scene
    Customer.objects.of(tenant).delete()
    for number, person in enumerate(crowd):
        external = f"{person['tag'][:250]}{number}" if person["tag"] else None
        make_customer(tenant, **person, external_id=external)

    compare(list(Customer.objects.values(*TEXT_NAMES)), asked)


def test_a_filter_finds_nobody_of_another_tenant(tenant: Tenant, other_tenant: Tenant) -> None:
    make_customer(other_tenant, tag="vip")
    mine = make_customer(tenant, tag="VIP")

    assert list(Customer.objects.of(tenant).where(filter_of({"field": "tag", "eq": "Vip"}))) == [mine]
