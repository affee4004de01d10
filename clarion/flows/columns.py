"""What a row of a file says: the names that columns go by, and from cells or a JSON object to a wish."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from clarion.lib import strict_json
from clarion.lib.cells import unguard
from clarion.lib.comparable import complaint_of_text, fold
from clarion.models.attributes import LONGEST_NAME, errors_in
from clarion.models.profiles import ExternalId, Operator, Phone, Tag, Zone
from clarion.models.upserts import Wish, operator_of

# Other names of our columns. Case, blanks, dashes and underscores do not matter.
ALIASES: dict[str, tuple[str, ...]] = {
    "phone": (
        "phone",
        "phone number",
        "telephone",
        "telephone number",
        "tel",
        "msisdn",
        "mobile",
        "cell",
        "mobile phone",
        "mobile number",
        "cell phone",
        "телефон",
        "номер телефона",
        "мобильный",
    ),
    "operator_code": ("operator code", "operator", "оператор", "код оператора"),
    "tag": ("tag", "label", "segment", "тег", "метка", "сегмент"),
    "timezone": ("timezone", "tz", "zone", "часовой пояс"),
    "external_id": ("external id", "customer id", "client id", "customer ref", "ref", "reference"),
}
# Columns and members that are ours, for people to read; on the way in nobody looks at them.
OURS = "clarion_"
ID, LINE, REASON = f"{OURS}id", f"{OURS}line", f"{OURS}reason"
# Before the name of an attribute, so that none is taken for a column of ours.
ATTRIBUTE = "attributes."
# Those without a heading count as well. An export has no more.
MOST_COLUMNS = 1_000
# Of a reason, characters: a row may have as many mistakes as it has letters.
LONGEST_REASON = 1_000
# How many of a header's cells a sentence repeats, and how much of each.
NAMED, LETTERS = 20, 40

# Where the validator's own sentence speaks of patterns or of Python.
_SENTENCES = {
    "string_pattern_mismatch": "must be 7 and ten more digits",
    "extra_forbidden": "there is no such member",
    "string_unicode": "must be valid Unicode: there is half of a surrogate pair in it",
}
_BLANKS = re.compile(r"[\s_-]+")
# How people write a phone down, beside its digits.
_PUNCTUATION = dict.fromkeys(map(ord, " \t\u00a0\u202f+-.()\u2010\u2011\u2013"))

# A column's heading, and what it means: a field, `attributes.<name>`, or nothing.
Column = tuple[str, str]


class BadHeader(ValueError):
    """The columns cannot be understood, so no row can."""


class BadRow(ValueError):
    """The row is refused, for this reason."""


class _Fields(BaseModel):
    """The fields that a row may name. Values are checked, never changed."""

    model_config = ConfigDict(extra="forbid", strict=True)

    phone: Phone = ""
    operator_code: Operator = ""
    tag: Tag | None = None
    timezone: Zone = ""
    external_id: ExternalId = ""


def field_of(heading: str) -> str:
    """Return which field a column of this heading is; empty where it is none of them."""
    return _FIELD_OF.get(_plain(heading), "")


def read_header(cells: Sequence[str]) -> list[Column]:
    """Return what the columns of a CSV file mean.

    :raises BadHeader: no column says who a row is about, or two say the same, or there are too many
    """
    if len(cells) > MOST_COLUMNS:
        raise BadHeader(f"The first line has {len(cells)} columns; there may be {MOST_COLUMNS}.")
    is_exact = any(cell.strip() == ID for cell in cells)
    headings = [unguard(cell if is_exact else cell.strip()) for cell in cells]
    columns = [(heading, _meaning(heading)) for heading in headings]
    for heading, meaning in columns:
        if sentence := complaint_of_text(meaning.removeprefix(ATTRIBUTE) or heading, LONGEST_NAME):
            raise BadHeader(f"The heading {heading[:LETTERS]!r} {sentence}.")
    meanings = Counter(meaning for _, meaning in columns if meaning)
    if not {"phone", "external_id"} & meanings.keys():
        found = ", ".join(repr(heading[:LETTERS]) for heading in headings[:NAMED])
        more = " …" if len(headings) > NAMED else ""
        raise BadHeader(f"The first line names no column phone, and no external_id. It names: {found}{more}.")
    for meaning, count in meanings.items():
        if count > 1:
            same = " and ".join(repr(heading[:LETTERS]) for heading, its in columns if its == meaning)
            raise BadHeader(f"Two columns are the {meaning.removeprefix(ATTRIBUTE)[:LETTERS]}: {same}.")
    return columns


def heading_of(attribute: str) -> str:
    """Return the heading that means this attribute and nothing else."""
    is_plain = attribute == attribute.strip() and _meaning(attribute) == f"{ATTRIBUTE}{attribute}"
    return attribute if is_plain else f"{ATTRIBUTE}{attribute}"


class CellReader:
    """Reads the rows of one CSV file."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._width = len(columns)
        meanings = [meaning for _, meaning in columns]
        self._fields = [(at, each) for at, each in enumerate(meanings) if each in ALIASES]
        self._attributes = [
            (at, each.removeprefix(ATTRIBUTE))
            for at, each in enumerate(meanings)
            if each.startswith(ATTRIBUTE)
        ]
        # A file of our own: blanks around a value are the value's.
        self._is_exact = any(heading == ID for heading, _ in columns)

    def read(self, cells: Sequence[str]) -> Wish:
        """Return what the row asks for. A cell without a value clears what it is about, where that can be empty.

        :raises BadRow:
        """
        if len(cells) != self._width:
            raise BadRow(f"{len(cells)} cells, and the header has {self._width}")
        if not self._is_exact:
            cells = [cell.strip() for cell in cells]
        fields: dict[str, Any] = {name: unguard(cells[at]) for at, name in self._fields}
        attributes = {name: unguard(cells[at]) or None for at, name in self._attributes}
        for name in ("phone", "external_id"):
            if not fields.get(name):
                fields.pop(name, None)
        if fields.get("tag") == "":
            fields["tag"] = None
        if fields.get("operator_code") == "":
            del fields["operator_code"]
            return _checked(fields, attributes, derive=True)
        return _checked(fields, attributes)


def read_object(text: str) -> Wish:
    """Return what one line of a JSON file asks for: the members of a client as POST takes them.

    :raises BadRow:
    """
    try:
        members = strict_json.read(text)
    except RecursionError as error:
        raise BadRow("nested too deeply") from error
    except ValueError as error:
        # Without the place: the number of a refused line is put in front of it.
        raise BadRow(f"not JSON: {getattr(error, 'msg', error)}") from error
    if not isinstance(members, dict):
        raise BadRow("not a JSON object")
    attributes = members.pop("attributes", {})
    # Read-only, and nothing to say by null: what was got can be sent.
    fields = {
        name: value
        for name, value in members.items()
        if name != "id" and not name.startswith(OURS) and (value is not None or name != "external_id")
    }
    if attributes is None or isinstance(attributes, dict):
        return _checked(fields, attributes or {})
    raise BadRow("attributes: must be an object")


def _checked(fields: dict[str, Any], attributes: Mapping[str, Any], *, derive: bool = False) -> Wish:
    phone = fields.get("phone")
    if isinstance(phone, str):
        fields["phone"] = phone = phone.translate(_PUNCTUATION)
    complaints = [] if fields.get("phone") or fields.get("external_id") else ["phone: missing"]
    try:
        _Fields.model_validate(fields)
    except ValidationError as wrong:
        complaints += [f"{error['loc'][0]}: {_sentence(error)}" for error in wrong.errors(include_url=False)]
    # What is taken away need not be what may be given; of many columns a client may have a few.
    given = {name: value for name, value in attributes.items() if value is not None}
    for wrong_one in errors_in(given):
        complaints.append(f"{'.'.join(['attributes', *map(str, wrong_one['loc'])])}: {wrong_one['msg']}")
    if complaints:
        # The name of a member may be anything, also what no database keeps.
        raise BadRow("; ".join(dict.fromkeys(complaints)).replace("\x00", "\\u0000")[:LONGEST_REASON])
    if derive and phone:
        fields["operator_code"] = operator_of(phone)
    return Wish(fields, attributes)


def _sentence(error: Any) -> str:
    return _SENTENCES.get(error["type"]) or str(error["msg"])


def _meaning(heading: str) -> str:
    if not heading or heading.startswith(OURS):
        return ""
    # What a field of ours is called may be an attribute too, when it says so.
    is_told = heading.startswith(ATTRIBUTE) and heading != ATTRIBUTE
    return heading if is_told else field_of(heading) or f"{ATTRIBUTE}{heading}"


def _plain(heading: str) -> str:
    return _BLANKS.sub("", fold(heading))


_FIELD_OF = {_plain(alias): name for name, aliases in ALIASES.items() for alias in aliases}
