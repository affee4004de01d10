"""`clarion doctor`: look at everything that Clarion stands on, and name the command that mends what is not well.

It makes nothing: no folder, no key, no database, no row.
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from functools import partial
from typing import Annotated

import structlog
import typer

from clarion.cli.checkup import accounts, clock, database, egress, folder, keys, machine, port, readers, work
from clarion.cli.output import FAILED, program
from clarion.cli.remarks import WRONG, Line, Remark, show
from clarion.lib.logs import mistake

log = structlog.get_logger()

Look = Callable[[], Iterable[Remark]]
# Lines as they come, and at last whether nothing was wrong.
Lines = Generator[Line, None, bool]

OF_THE_MACHINE: Mapping[str, Look] = {
    "python": machine.python,
    "packages": machine.packages,
    "zones": machine.zones,
    "settings": machine.settings,
    "folder": folder.look,
    "port": port.look,
    "egress": egress.look,
}
# Asked where there is a database that answers.
OF_THE_DATABASE: Mapping[str, Look] = {
    "durability": database.durability,
    "migrations": database.migrations,
}
# Asked where its tables are ours.
OF_THE_ROWS: Mapping[str, Look] = {
    "accounts": accounts.look,
    "lanes": accounts.lanes,
    "workers": work.workers,
    "mailings": work.mailings,
    "readers": readers.look,
}


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    deep: Annotated[
        bool, typer.Option("--deep", help="Also read a whole SQLite file for damage: seconds for each GB.")
    ] = False,
) -> None:
    """Look whether everything is well here, and say what mends what is not."""
    if not show(_examine(deep=deep), as_json=as_json):
        raise typer.Exit(FAILED)


def _examine(*, deep: bool) -> Iterator[Line]:
    yield from _ask_all(OF_THE_MACHINE)
    answers = yield from _ask("database", database.reachable)
    has_tables = False
    if answers:
        yield from _ask("file", partial(database.file, deep=deep))
        has_tables = yield from _ask_all(OF_THE_DATABASE)
    yield from _ask("keys", partial(keys.look, with_rows=has_tables))
    yield from _ask("clock", partial(clock.look, with_server=answers, with_rows=has_tables))
    if has_tables:
        yield from _ask_all(OF_THE_ROWS)


def _ask_all(looks: Mapping[str, Look]) -> Lines:
    is_well = True
    for check, look in looks.items():
        is_well = (yield from _ask(check, look)) and is_well
    return is_well


def _ask(check: str, look: Look) -> Lines:
    """Ask one check; one that breaks is a line like the others, and says of its error the kind alone."""
    is_well = True
    try:
        for remark in look():
            yield Line(check, *remark)
            is_well = is_well and remark.state != WRONG
    except Exception as error:
        log.debug("check_failed", check=check, **mistake(error))
        seen = f"This could not be looked at: {type(error).__name__}."
        yield Line(check, WRONG, seen, f"CLARION_LOG_LEVEL=debug {program()} doctor shows where")
        is_well = False
    return is_well
