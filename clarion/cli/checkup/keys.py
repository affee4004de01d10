"""The keys that seal what accounts and subscriptions are set up with: there, their owner's alone, and the right ones."""

import shlex
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from django.conf import settings

from clarion.cli.checkup.folder import quoted
from clarion.cli.output import program
from clarion.cli.remarks import Remark, ok, warning, wrong
from clarion.lib.secrets import BadKeyFile, read_keys
from clarion.models import GatewayAccount, Subscription

NAMED = 5


def look(*, with_rows: bool) -> Iterator[Remark]:
    """Look at the key file, and whether it opens what was sealed if that can be asked."""
    path = settings.CLARION.keys_path.resolve()
    restore = f"cp BACKUP/{path.name} {quoted(path)}"
    accounts = list(GatewayAccount.objects.select_related("tenant").order_by("id")) if with_rows else []
    subscriptions = list(Subscription.objects.select_related("tenant").order_by("id")) if with_rows else []
    sealed = _counted(len(accounts), len(subscriptions))
    if not path.exists():
        if sealed:
            yield wrong(f"{path} is gone, and with it the settings of {sealed}", restore)
        else:
            yield wrong(f"{path} is not there yet", f"{program()} migrate")
        return
    yield from _mode(path)
    try:
        found = read_keys(path)
    except BadKeyFile as error:
        yield wrong(f"{error}", restore)
        return
    shut = [each for each in accounts if not each.opens_with(found)]
    if shut:
        words = shlex.join([shut[0].tenant.name, shut[0].name])
        yield _shut(_names(shut), f"{program()} accounts change {words} --settings -")
    unheard = [each for each in subscriptions if not each.opens_with(found)]
    if unheard:
        yield _shut(f"subscriptions {_names(unheard)}", restore)
    if not shut and not unheard:
        opened = f", opens all {sealed}" if sealed else ""
        yield ok(f"{path}, {len(found)} key{'s'[: len(found) > 1]}{opened}")


def _mode(path: Path) -> Iterator[Remark]:
    mode = stat.S_IMODE(path.stat().st_mode)
    mend = f"chmod 600 {quoted(path)}"
    if mode & stat.S_IRWXO:
        yield wrong(f"every user of this machine may use {path} (mode {mode:04o})", mend)
    elif mode & stat.S_IRWXG:
        yield warning(f"a whole group may use {path} (mode {mode:04o})", mend)


def _counted(accounts: int, subscriptions: int) -> str:
    counted = {"accounts": accounts, "subscriptions": subscriptions}
    return " and ".join(f"{number} {what}" for what, number in counted.items() if number)


def _names(closed: Sequence[GatewayAccount] | Sequence[Subscription]) -> str:
    names = ", ".join(f"{each.tenant.name}/{each.name}" for each in closed[:NAMED])
    return names + (f" and {len(closed) - NAMED} more" if len(closed) > NAMED else "")


def _shut(whose: str, mend: str) -> Remark:
    return wrong(f"the settings of {whose} were sealed with another key: restore it, or give them anew", mend)
