"""The one question to the ledger: may this person get this class of message on this channel now?

It is a part of every message's way out. So whoever reads customers anyway is told with them whom the ledger mentions
(`MENTIONED`), and asks about these alone: all of a round at once, in a statement for each kind of row.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from django.db import connection, models

from clarion.models.bulk import Values, moment, numbers, read, spread
from clarion.models.consents import Consent, MessageClass, Said, Say, Suppression, standing
from clarion.models.customers import Customer
from clarion.models.outgoing import Reason


class Asked(NamedTuple):
    """One who is to get something. Not `is_for_them`: somebody else's address is asked for, and only that one."""

    tenant_id: int
    customer_id: int
    external_id: str | None
    address: str
    channel: str
    message_class: str
    is_for_them: bool = True


class _Line(NamedTuple):
    """A row of either kind, as it is read here."""

    tenant_id: int
    customer_id: int | None
    ref: str
    address: str
    said: Said


def _mentions(model: type[models.Model], always: str, *conditions: str) -> list[str]:
    table = model._meta.db_table
    return [f"EXISTS (SELECT 1 FROM {table} l WHERE {each} AND {always})" for each in conditions]


# Whether a row of the ledger may keep something from a customer, or from the address that they have now: 1 or 0. Each
# is one look into an index.
_OUT, _IN_FORCE = f"l.verdict = '{Say.OPT_OUT}'", "l.lifted_at IS NULL"
_OF_ID = "l.customer_id = clarion_customer.id"
_OF_REF = "l.ref = clarion_customer.external_id AND l.tenant_id = clarion_customer.tenant_id"
_OF_ADDRESS = "l.address = clarion_customer.phone AND l.tenant_id = clarion_customer.tenant_id"
_MENTIONS = [
    *_mentions(Consent, _OUT, _OF_ID, _OF_REF),
    *_mentions(Suppression, _IN_FORCE, _OF_ID, _OF_REF, _OF_ADDRESS),
]
MENTIONED = f"CASE WHEN {' OR '.join(_MENTIONS)} THEN 1 ELSE 0 END"


def refusals(asked: Sequence[Asked]) -> list[str]:
    """Return for each why it may not go (a `Reason`), or an empty text: two queries, however many they are.

    They ask across tenants, because a round's messages are of many; whose line it is decides when they are told apart.
    """
    ids = {each.customer_id for each in asked if each.is_for_them}
    refs = {each.external_id for each in asked if each.is_for_them and each.external_id}
    # An empty one would find every suppression without an address, of all tenants.
    addresses = {each.address for each in asked if each.address}
    said = _consents(ids, refs)
    stopped = _suppressions(ids, refs, addresses)
    if not said and not stopped:
        return [""] * len(asked)
    ours = _Ledger(asked, said), _Ledger(asked, stopped)
    return [_reason(each, *ours) for each in asked]


def _reason(asked: Asked, said: "_Ledger", stopped: "_Ledger") -> str:
    if any(line.channel == asked.channel for line in stopped.about(asked)):
        return Reason.SUPPRESSED
    classes = (asked.message_class, MessageClass.ALL)
    last = standing(
        line for line in said.about(asked) if line.channel == asked.channel and line.message_class in classes
    )
    return Reason.OPTED_OUT if last is not None and last.verdict == Say.OPT_OUT else ""


class _Ledger:
    """Rows of one kind, by whom or what they are about."""

    def __init__(self, asked: Sequence[Asked], lines: Iterable[_Line]) -> None:
        self._of: defaultdict[tuple[Any, ...], list[_Line]] = defaultdict(list)
        for line in lines:
            keys: list[tuple[Any, ...]] = [("address", line.address)]
            if not line.address:
                keys = [("ref", line.ref), ("id", line.customer_id)]
            for key in keys:
                self._of[line.tenant_id, *key].append(line)
        self._taken = _taken(asked, self._of)

    def about(self, asked: Asked) -> list[Said]:
        """Return what is said about one: about their address, their reference, their id."""
        tenant = asked.tenant_id
        lines = list(self._of.get((tenant, "address", asked.address), ()))
        if asked.is_for_them:
            lines += self._of.get((tenant, "ref", asked.external_id or None), ())
            number = (tenant, str(asked.customer_id))
            lines += [
                line
                for line in self._of.get((tenant, "id", asked.customer_id), ())
                if line.ref != number[1] or number not in self._taken
            ]
        return [line.said for line in lines]


def _taken(asked: Sequence[Asked], found: Mapping[tuple[Any, ...], Sequence[_Line]]) -> set[tuple[int, str]]:
    """Return which of these numbers that were told as references are somebody else's own: tenant and number.

    Asked for those alone where it makes a difference, which are few.
    """
    unsure = set()
    for each in asked:
        number = str(each.customer_id)
        lines = found.get((each.tenant_id, "id", each.customer_id), ())
        if each.external_id != number and any(line.ref == number for line in lines):
            unsure.add((each.tenant_id, number))
    if not unsure:
        return set()
    holders = Customer.objects.filter(
        tenant_id__in={tenant for tenant, _ in unsure}, external_id__in={number for _, number in unsure}
    )
    return unsure & set(holders.values_list("tenant_id", "external_id"))


def _consents(ids: Collection[int], refs: Collection[str]) -> list[_Line]:
    pieces = _by_person(Consent, ("message_class", "verdict"), ids, refs)
    return [_line(row, "", row[4], row[5]) for row in _read_together(pieces)]


def _suppressions(ids: Collection[int], refs: Collection[str], addresses: Collection[str]) -> list[_Line]:
    columns = ("address", "reason")
    pieces = _by_person(Suppression, columns, ids, refs, "address = '' AND lifted_at IS NULL")
    if addresses:
        of_address = _select(Suppression, columns, "lifted_at IS NULL AND address IN (…)")
        pieces.append(spread(of_address, list(addresses)))
    return [_line(row, row[4], "", "") for row in _read_together(pieces)]


def _line(row: Values, address: str, message_class: str, verdict: str) -> _Line:
    return _Line(row[0], row[1], row[2], address, Said(row[3], message_class, verdict, moment(row[6])))


def _by_person(
    model: type[models.Model],
    columns: Sequence[str],
    ids: Collection[int],
    refs: Collection[str],
    besides: str = "1 = 1",
) -> list[tuple[str, list[Any]]]:
    pieces: list[tuple[str, list[Any]]] = []
    if ids:
        pieces.append((_select(model, columns, f"{besides} AND customer_id IN ({numbers(ids)})"), []))
    if refs:
        pieces.append(spread(_select(model, columns, f"{besides} AND ref IN (…)"), list(refs)))
    return pieces


def _select(model: type[models.Model], columns: Sequence[str], where: str) -> str:
    quote = connection.ops.quote_name
    named = ", ".join(map(quote, ("tenant_id", "customer_id", "ref", "channel", *columns, "at")))
    return f"SELECT {named} FROM {quote(model._meta.db_table)} WHERE {where}"


def _read_together(pieces: Sequence[tuple[str, list[Any]]]) -> list[Values]:
    """Return the rows of several SELECTs in one go."""
    if not pieces:
        return []
    return read(" UNION ALL ".join(sql for sql, _ in pieces), [each for _, given in pieces for each in given])
