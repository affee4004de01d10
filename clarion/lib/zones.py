"""Time zones as people and shops write them: an IANA name, or a distance from UTC. Has no default zone."""

import re
from datetime import UTC, timedelta, timezone, tzinfo
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

# The longest IANA name, America/Argentina/ComodRivadavia, has 32 characters.
LONGEST_ZONE = 40
# Kiribati is 14 hours ahead, the furthest distance in use on either side; more is a mistake.
FURTHEST = timedelta(hours=14)

_DISTANCE = re.compile(r"(?:UTC|GMT)?([+-])(?:([0-9]{1,2})(?::([0-9]{2}))?|([0-9]{2})([0-9]{2}))")
# Files of a zone database that are no place: this machine's own setting, and a placeholder.
_NO_PLACES = {"localtime", "posixrules", "Factory"}


def find_zone(text: str) -> tzinfo | None:
    """Return the zone that `text` names, or None. Never raises, whatever the text.

    A name is matched as a whole and in its own case (`Europe/Berlin`). A distance is `+03:00`, `-0330`, `+3`,
    `UTC+3`; plus is east of Greenwich, also after UTC and GMT (`Etc/GMT+3`, an IANA name, is the other way).
    """
    if len(text) > LONGEST_ZONE:
        return None
    distance = _DISTANCE.fullmatch(text)
    if distance is not None:
        return _at_distance(distance)
    # Asked of the list of names, not of the file system: no path, no folder, no case that a disk forgives.
    return ZoneInfo(text) if text in _names() else None


def _at_distance(distance: re.Match[str]) -> tzinfo | None:
    sign, hours, minutes, two_hours, two_minutes = distance.groups()
    if int(minutes or two_minutes or 0) > 59:
        return None
    away = timedelta(hours=int(hours or two_hours), minutes=int(minutes or two_minutes or 0))
    if away > FURTHEST:
        return None
    return timezone(-away if sign == "-" else away) if away else UTC


@cache
def _names() -> frozenset[str]:
    # Reads every file of the zone database (45 ms), so once for a process.
    return frozenset(available_timezones() - _NO_PLACES)
