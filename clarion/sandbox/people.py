"""Made-up people in a CSV file, as dirty as the files that shops send; the same seed gives the same bytes.

Every phone is in 70000000000-70009999999, a range nobody owns. What each row is meant to lead to is known, so an
import of the file can be proved against it.
"""

import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

# The numbers that may be used: 7000 and seven digits.
MOST_PEOPLE = 10_000_000
# A prime that does not divide the range: neighbours in the file are no neighbours in the range, and none comes twice.
STRIDE = 7_919

HEADER = "Phone Number;operator;Segment;Time-Zone;Client ID;name;city;orders;note"

# What becomes of a row: a client that was not there before, one that is in the file again, or a refusal.
NEW, AGAIN, REFUSED = "new", "again", "refused"

# How many of a thousand rows are so, and what they lead to.
SHARES = {
    "plain": (875, NEW),
    "phone_written_out": (40, NEW),  # +7 (000) 012-34-56
    "blanks_around": (20, NEW),
    "note_of_two_lines": (15, NEW),  # in quotes, with quotes and a delimiter inside
    "cells_empty": (10, NEW),
    "no_such_zone": (5, NEW),  # taken, with the tenant's zone
    "phone_of_another": (5, NEW),  # under a client id of its own
    "same_client_id": (8, AGAIN),
    "same_phone": (7, AGAIN),  # without a client id
    "phone_too_short": (5, REFUSED),
    "phone_with_letters": (4, REFUSED),
    "phone_begins_with_8": (3, REFUSED),
    "cells_missing": (3, REFUSED),
}

_OPERATORS = ("900", "903", "911", "926")
_SEGMENTS = ("gold", "silver", "new")
_ZONES = ("Europe/Berlin", "Europe/Moscow", "Asia/Kathmandu", "America/St_Johns", "+03:00", "UTC")
_NAMES = ("Anna", "Pavel", "Ирина", "Пётр", "Li Wei", "O'Neill", "Ольга")
_CITIES = ("Berlin", "Самара", "Kathmandu", "St. John's", "Тверь")


class Row(NamedTuple):
    """One record of the file with its line end, and what it leads to."""

    text: str
    fate: str


def rows(count: int, *, seed: int = 1) -> Iterator[Row]:
    """Give `count` records, without the header.

    :raises ValueError: for more people than there are numbers
    """
    if not 0 <= count <= MOST_PEOPLE:
        raise ValueError(f"there are numbers for {MOST_PEOPLE} people")
    rng = random.Random(seed)  # noqa: S311 - a file to be repeated, no secret
    kinds, shares = list(SHARES), [share for share, _ in SHARES.values()]
    made: list[int] = []
    for number in range(count):
        kind = rng.choices(kinds, shares)[0]
        fate = SHARES[kind][1]
        if not made and (fate == AGAIN or kind == "phone_of_another"):
            kind, fate = "plain", NEW
        person = rng.choice(made) if fate == AGAIN else number
        owner = rng.choice(made) if kind == "phone_of_another" else person
        if fate == NEW and owner == number:
            made.append(number)
        yield Row(_record(kind, person, phone_of(owner, seed=seed), rng), fate)


def write(path: Path, count: int, *, seed: int = 1, encoding: str = "utf-8") -> Counter[str]:
    """Write the file, header included; return how many of its rows are `new`, `again` and `refused`.

    utf-8, cp1251 and koi8-r can write every name.
    """
    fates: Counter[str] = Counter()
    with path.open("w", encoding=encoding, newline="") as file:
        file.write(f"{HEADER}\r\n")
        for row in rows(count, seed=seed):
            file.write(row.text)
            fates[row.fate] += 1
    return fates


def phone_of(number: int, *, seed: int = 1) -> str:
    """Return the phone of the `number`-th person."""
    return f"7000{(number * STRIDE + seed) % MOST_PEOPLE:07}"


def _record(kind: str, person: int, phone: str, rng: random.Random) -> str:
    cells = {
        "phone": phone,
        "operator": rng.choice(_OPERATORS),
        "segment": rng.choice(_SEGMENTS),
        "zone": rng.choice(_ZONES),
        "client": f"c-{person}",
        "name": rng.choice(_NAMES),
        "city": rng.choice(_CITIES),
        "orders": str(rng.randrange(40)),
        "note": "",
    }
    cells |= _oddities(kind, phone)
    values = [f"  {value} " for value in cells.values()] if kind == "blanks_around" else list(cells.values())
    return ";".join(values[:4] if kind == "cells_missing" else values) + "\r\n"


def _oddities(kind: str, phone: str) -> dict[str, str]:
    """What makes a row of this kind other than plain."""
    if kind == "phone_written_out":
        return {"phone": f"+7 ({phone[1:4]}) {phone[4:7]}-{phone[7:9]}-{phone[9:]}"}
    if kind == "note_of_two_lines":
        return {"note": '"says ""call later"";\r\nafter six"'}
    if kind == "cells_empty":
        return {"operator": "", "segment": "", "zone": "", "city": ""}
    return {
        "no_such_zone": {"zone": "Mars/Olympus"},
        "same_phone": {"client": ""},
        "phone_too_short": {"phone": phone[:-2]},
        "phone_with_letters": {"phone": f"{phone[:6]}OOPS{phone[10:]}"},
        "phone_begins_with_8": {"phone": f"8{phone[1:]}"},
    }.get(kind, {})
