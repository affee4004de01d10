"""Times on the wire: what a caller may send becomes one UTC moment, and one form goes back.

The accepted forms are the contract's, not a guess at what people write; nothing here reads a clock.
"""

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo

# The longest accepted form (fraction of nine digits, offset with colon) has 35 characters.
LONGEST_TIME = 40

_FORM = re.compile(
    r"""
    (?: (?P<year>[0-9]{4}) - (?P<month>[0-9]{2}) - (?P<day>[0-9]{2})
      | (?P<day_first>[0-9]{2}) - (?P<month_second>[0-9]{2}) - (?P<year_last>[0-9]{4}) )
    (?: [Tt ] (?P<hour>[0-9]{2}) : (?P<minute>[0-9]{2})
        (?: : (?P<second>[0-9]{2}) (?: \. (?P<fraction>[0-9]{1,9}) )? )?
        (?P<offset> [Zz] | [+-][0-9]{2} (?: :? [0-9]{2} )? )?
    )?
    """,
    re.VERBOSE,
)
# RFC 3339, appendix D: leap seconds were and will be put only at the end of these UTC days.
_LEAP_DAYS = ((6, 30), (12, 31))


class BadTime(ValueError):
    """The text is no time in an accepted form. The message is a sentence for the caller."""


def parse_time(text: str, zone: tzinfo) -> datetime:
    """Return the moment that `text` names, aware and in UTC; `zone` counts where the text names none.

    Accepted: RFC 3339 with `T` or a space, with or without seconds and zone; a bare date (its midnight); both
    with the day first (`25-10-2023T15:33:00`). Fractions are cut to microseconds. A local time that the
    clocks skip is moved forward by the skipped hour; one that comes twice is the first of the two. A leap
    second is the moment after it, as in Unix time.

    :raises BadTime: whatever else the text is
    """
    if len(text) > LONGEST_TIME:
        raise BadTime(f"A time has at most {LONGEST_TIME} characters; this one has {len(text)}.")
    form = _FORM.fullmatch(text)
    if form is None:
        raise BadTime(
            f"{text!a} is not a time. Send it as in 2023-10-25T15:33:00Z, 2023-10-25 15:33:00, "
            "25-10-2023T15:33:00 or 2023-10-25."
        )
    try:
        return _moment(form, zone)
    except BadTime:
        raise
    except (ValueError, OverflowError) as error:
        # Month 13, 30 February, hour 24, or a moment that its offset moves out of the years 1 to 9999.
        raise BadTime(f"{text!a} is not in the calendar.") from error


def wire_time(moment: datetime) -> str:
    """Return an aware moment as RFC 3339 in UTC with `Z`; a fraction (six digits) only when it is not zero.

    :raises ValueError: for a naive one, which would be a guess
    """
    if moment.tzinfo is None:
        raise ValueError("a time without zone cannot go on the wire")
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"


def _moment(form: re.Match[str], zone: tzinfo) -> datetime:
    second = int(form["second"] or 0)
    leap = second == 60
    local = datetime(
        int(form["year"] or form["year_last"]),
        int(form["month"] or form["month_second"]),
        int(form["day"] or form["day_first"]),
        int(form["hour"] or 0),
        int(form["minute"] or 0),
        59 if leap else second,
        # Digits beyond the sixth are cut, never rounded: rounding could move a moment past a deadline.
        0 if leap else int((form["fraction"] or "0")[:6].ljust(6, "0")),
        # fold stays 0, which is the documented choice for skipped and doubled local times (PEP 495).
        tzinfo=_offset(form["offset"]) or zone,
    )
    moment = local.astimezone(UTC)
    if not leap:
        return moment
    if (moment.month, moment.day) not in _LEAP_DAYS or (moment.hour, moment.minute) != (23, 59):
        raise BadTime("Second 60 exists only at 23:59:60 UTC on 30 June and 31 December.")
    return moment + timedelta(seconds=1)


def _offset(text: str | None) -> tzinfo | None:
    if text is None:
        return None
    if text in "Zz":
        return UTC
    hours, minutes = int(text[1:3]), int(text[3:].lstrip(":") or 0)
    if minutes > 59:
        raise ValueError("an hour has 60 minutes")
    return timezone((-1 if text[0] == "-" else 1) * timedelta(hours=hours, minutes=minutes))
