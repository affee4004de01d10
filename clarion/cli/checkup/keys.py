"""The keys that seal the gateway accounts' settings: there, readable by their owner alone, and the right ones."""

import shlex
import stat
from collections.abc import Iterator

from django.conf import settings

from clarion.cli.checkup.folder import quoted
from clarion.cli.output import program
from clarion.cli.remarks import Remark, ok, warning, wrong
from clarion.lib.secrets import BadKeyFile, read_keys
from clarion.models import GatewayAccount

NAMED = 5


def look(*, with_accounts: bool) -> Iterator[Remark]:
    """Look at the key file, and whether it opens what the accounts have sealed if those can be asked."""
    path = settings.CLARION.keys_path.resolve()
    sealed = list(GatewayAccount.objects.select_related("tenant").order_by("id")) if with_accounts else []
    if not path.exists():
        if sealed:
            seen = f"{path} is gone, and with it the settings of {len(sealed)} gateway accounts"
            yield wrong(seen, f"cp BACKUP/{path.name} {quoted(path)}")
        else:
            yield wrong(f"{path} is not there yet", f"{program()} migrate")
        return
    mode = stat.S_IMODE(path.stat().st_mode)
    mend = f"chmod 600 {quoted(path)}"
    if mode & stat.S_IRWXO:
        yield wrong(f"every user of this machine may use {path} (mode {mode:04o})", mend)
    elif mode & stat.S_IRWXG:
        yield warning(f"a whole group may use {path} (mode {mode:04o})", mend)
    try:
        found = read_keys(path)
    except BadKeyFile as error:
        yield wrong(f"{error}", f"cp BACKUP/{path.name} {quoted(path)}")
        return
    closed = [account for account in sealed if not account.opens_with(found)]
    if closed:
        yield _shut(closed)
    else:
        opened = f", opens all {len(sealed)} accounts" if sealed else ""
        yield ok(f"{path}, {len(found)} key{'s'[: len(found) > 1]}{opened}")


def _shut(closed: list[GatewayAccount]) -> Remark:
    names = ", ".join(f"{account.tenant.name}/{account.name}" for account in closed[:NAMED])
    more = f" and {len(closed) - NAMED} more" if len(closed) > NAMED else ""
    words = shlex.join([closed[0].tenant.name, closed[0].name])
    return wrong(
        f"the settings of {names}{more} were sealed with another key: restore it, or give them anew",
        f"{program()} accounts change {words} --settings -",
    )
