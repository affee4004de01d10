"""Many customers made or changed at once: who a row means, and what of them it changes, in a few statements a batch."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec

from clarion.lib.cells import cell_of
from clarion.lib.comparable import Scalar
from clarion.models.attributes import MOST_ATTRIBUTES
from clarion.models.bulk import insert_rows, lock_rows, read_among, spread, update_rows
from clarion.models.customers import Customer
from clarion.models.tenants import Tenant

CREATED, UPDATED, UNCHANGED, REFUSED = "created", "updated", "unchanged", "refused"
# What is written of a customer whenever one of them changes.
COLUMNS = (
    "phone",
    "operator_code",
    "operator_key",
    "tag",
    "tag_key",
    "timezone",
    "zone",
    "external_id",
    "attributes",
    "facts",
)

_labels = attrgetter(*COLUMNS[:-2])

BY_REF = "SELECT external_id, id FROM clarion_customer WHERE tenant_id = %s AND external_id IN (…)"
# The oldest with a phone, and the oldest of those without an external id.
BY_PHONE = (
    "SELECT MIN(id), MIN(CASE WHEN external_id IS NULL THEN id END) FROM clarion_customer "
    "WHERE tenant_id = %s AND phone IN (…) GROUP BY phone"
)


class Wish(NamedTuple):
    """What one row asks for: the fields it names, and the attributes it sets (None takes one away)."""

    fields: Mapping[str, Any]
    attributes: Mapping[str, Scalar]


class Outcome(NamedTuple):
    """What became of a wish: CREATED, UPDATED, UNCHANGED, or REFUSED and why."""

    what: str
    why: str = ""


def upsert(tenant: Tenant, wishes: Sequence[Wish], *, as_text: bool, now: datetime) -> list[Outcome]:
    """Fulfil wishes one after the other, in the caller's transaction; return what became of each.

    A wish is about the customer with its `external_id`; without one, or where it is not known, about the oldest
    customer with its `phone`, unless that one goes by another `external_id`; else about a new one. `as_text`: the
    values come from a file of texts, and "5" over the number 5 changes nothing.
    """
    outcomes: list[Outcome] = []
    while len(outcomes) < len(wishes):
        outcomes += _pass(tenant, wishes[len(outcomes) :], as_text, now)
    return outcomes


def _pass(tenant: Tenant, wishes: Sequence[Wish], as_text: bool, now: datetime) -> list[Outcome]:
    """Fulfil the first wishes; the rest needs another look at the database, because they changed who is who."""
    people = _People(tenant, wishes)
    outcomes = []
    for wish in wishes:
        person = people.find(wish)
        if person is None and not people.knows(wish):
            break
        outcomes.append(_fulfil(people, person, wish, as_text))
    _write(tenant, people, now)
    return outcomes


@dataclass(slots=True)
class _Person:
    """A customer as far as files know one. `id` is 0 until there is a row."""

    id: int
    phone: str
    operator_code: str
    tag: str | None
    timezone: str
    external_id: str | None
    attributes: dict[str, Scalar]
    is_changed: bool = False


_READ = tuple(each.name for each in fields(_Person) if each.name != "is_changed")


class _People:
    """Everybody whom the wishes may mean, and those made on the way."""

    def __init__(self, tenant: Tenant, wishes: Sequence[Wish]) -> None:
        self.known: list[_Person] = []
        self.new: list[_Person] = []
        self.by_ref: dict[str, _Person] = {}
        # Of those with a phone the oldest, and the oldest without an external id.
        self._oldest: dict[str, _Person] = {}
        self._nameless: dict[str, _Person] = {}
        # Phones of which these two may not hold any more.
        self._unsettled: set[str] = set()
        for row in _locked(tenant, wishes):
            person = _Person(**dict(zip(_READ, row, strict=True)))
            person.attributes = msgspec.json.decode(row[-1])
            self.known.append(person)
            self._add(person)

    def find(self, wish: Wish) -> _Person | None:
        ref = wish.fields.get("external_id")
        if ref in self.by_ref:
            return self.by_ref[ref]
        phone = wish.fields.get("phone", "")
        if phone in self._unsettled:
            return None
        return (self._nameless if ref else self._oldest).get(phone)

    def knows(self, wish: Wish) -> bool:
        """Whether nobody found means that there is nobody."""
        return wish.fields.get("phone") not in self._unsettled

    def make(self, wish: Wish) -> None:
        phone = wish.fields["phone"]
        person = _Person(0, phone, operator_of(phone), None, "", None, {})
        _change(person, wish, as_text=False)
        self.new.append(person)
        self._add(person)

    def move(self, person: _Person, phone: str, ref: str | None) -> None:
        """Note that somebody has had another phone or external id until now."""
        if phone != person.phone:
            self._unsettled |= {phone, person.phone}
        if ref != person.external_id:
            self._unsettled.add(phone)
            self.by_ref[person.external_id or ""] = person

    def _add(self, person: _Person) -> None:
        self._oldest.setdefault(person.phone, person)
        if person.external_id is None:
            self._nameless.setdefault(person.phone, person)
        else:
            self.by_ref[person.external_id] = person


def operator_of(phone: str) -> str:
    """Return the operator code in a number: the three digits behind the 7 of the country."""
    return phone[1:4]


def _locked(tenant: Tenant, wishes: Sequence[Wish]) -> list[tuple[Any, ...]]:
    """Lock the rows that the wishes may be about, in the order of their ids, and return them."""
    refs = {wish.fields["external_id"] for wish in wishes if "external_id" in wish.fields}
    known: dict[str, int] = dict(read_among(BY_REF, [tenant.pk], sorted(refs)) if refs else ())
    phones = {
        wish.fields["phone"]
        for wish in wishes
        if "phone" in wish.fields and wish.fields.get("external_id") not in known
    }
    pairs = read_among(BY_PHONE, [tenant.pk], sorted(phones)) if phones else []
    ids = {*known.values(), *(pk for pair in pairs for pk in pair if pk)}
    if not ids:
        return []
    where, values = spread("id IN (…) ORDER BY id", sorted(ids))
    return lock_rows(Customer, _READ, where, values)


def _fulfil(people: _People, person: _Person | None, wish: Wish, as_text: bool) -> Outcome:
    if person is None and "phone" not in wish.fields:
        return Outcome(REFUSED, "there is no client with this external_id, and no phone to make one")
    if person is None:
        people.make(wish)
        return Outcome(CREATED)
    kept = person.attributes.keys() - wish.attributes.keys()
    merged = kept | {name for name, value in wish.attributes.items() if value is not None}
    if len(merged) > MOST_ATTRIBUTES:
        return Outcome(
            REFUSED, f"attributes: a client has at most {MOST_ATTRIBUTES}, with those it has already"
        )
    phone, ref = person.phone, person.external_id
    if not _change(person, wish, as_text=as_text):
        return Outcome(UNCHANGED)
    people.move(person, phone, ref)
    person.is_changed = True
    return Outcome(UPDATED)


def _change(person: _Person, wish: Wish, *, as_text: bool) -> bool:
    """Let a person be as the wish says; True when that changed something."""
    is_changed = False
    for name, value in wish.fields.items():
        old = getattr(person, name)
        # An empty cell says both: no tag, and an empty one.
        if old != value and not (as_text and not old and not value):
            setattr(person, name, value)
            is_changed = True
    for name, value in wish.attributes.items():
        old = person.attributes.get(name)
        if (type(old) is type(value) and old == value) or (as_text and cell_of(old) == cell_of(value)):
            continue
        is_changed = True
        if value is None:
            del person.attributes[name]
        else:
            person.attributes[name] = value
    return is_changed


def _write(tenant: Tenant, people: _People, now: datetime) -> None:
    changed = [person for person in people.known if person.is_changed]
    if changed:
        ids = (person.id for person in changed)
        update_rows(Customer, COLUMNS, [(pk, *row) for pk, row in zip(ids, _rows(changed), strict=True)])
    if people.new:
        columns = ("tenant", "created_at", *COLUMNS)
        insert_rows(Customer, columns, [(tenant.pk, now, *row) for row in _rows(people.new)])


def _rows(people: Iterable[_Person]) -> Iterator[tuple[Any, ...]]:
    """Give the values of COLUMNS for each; one row object derives for all what belongs together."""
    row = Customer()
    for person in people:
        row.phone, row.external_id = person.phone, person.external_id
        row.relabel(operator_code=person.operator_code, tag=person.tag)
        row.locate(person.timezone)
        row.describe(person.attributes)
        # Ten times faster than the encoder of Python, within a transaction that others wait for.
        documents = (msgspec.json.encode(each).decode() for each in (row.attributes, row.facts))
        yield (*_labels(row), *documents)
