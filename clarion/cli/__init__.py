"""DOOR for the terminal: one file per verb. Answers go to standard output, everything else to standard error.

Exit codes: 0 done, 1 failed, 2 wrong use, 3 not found, 4 refused.
"""

import os
import re
import sys

import django
from pydantic import ValidationError
from pydantic_settings import SettingsError

from clarion.cli.remarks import broken_setting, show
from clarion.databases.url import BadDatabaseUrl


def wrong_settings(error: Exception) -> list[str]:
    """Return a sentence for each setting that is wrong, without its value: it may be a secret."""
    if isinstance(error, SettingsError):
        # It names the field between quotes, and nothing else that is of use.
        names = re.findall(r'field "(\w+)"', str(error))
        return [f"CLARION_{name.upper()} is wrong: it is read as JSON." for name in names] or [str(error)]
    if not isinstance(error, ValidationError):
        return [str(error)]
    told = []
    for one in error.errors(include_url=False, include_input=False, include_context=False):
        name = str(one["loc"][0]).upper().removeprefix("CLARION_")
        told.append(f"CLARION_{name} is wrong: {one['msg']}.")
    return told


os.environ.setdefault("DJANGO_SETTINGS_MODULE", "clarion.settings")
try:
    django.setup()
except (ValidationError, SettingsError, BadDatabaseUrl) as wrong:
    told = wrong_settings(wrong)
    if sys.argv[1:2] == ["doctor"]:
        # Its whole answer: all other checks need settings.
        show((broken_setting(sentence) for sentence in told), as_json="--json" in sys.argv)
        raise SystemExit(1) from None
    print(*told, sep="\n", file=sys.stderr)
    raise SystemExit(2) from None

import typer  # noqa: E402 - the verbs import models, so Django comes first

from clarion.cli import (  # noqa: E402
    accounts,
    audit,
    demo,
    doctor,
    files,
    keys,
    listen,
    messages,
    migrate,
    readers,
    run,
    sandbox,
    secrets,
    tenants,
    trace,
    trigger,
)
from clarion.cli import worker as worker_verb  # noqa: E402
from clarion.cli.door import Door  # noqa: E402
from clarion.cli.output import start_logs  # noqa: E402

app = typer.Typer(
    cls=Door,
    help="Clarion: events kept, messages sent, every one accounted for.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)
app.callback()(start_logs)
app.command()(run.run)
app.command()(run.web)
app.command("worker")(worker_verb.work)
app.command()(migrate.migrate)
app.command()(doctor.doctor)
app.command("import")(files.import_clients)
app.command("export")(files.export_clients)
app.command()(audit.audit)
app.command()(trace.trace)
app.command()(listen.listen)
app.command()(trigger.trigger)
app.command()(sandbox.sandbox)
app.command()(demo.demo)
for verb in (tenants, keys, accounts, messages, readers, secrets):
    app.add_typer(verb.app, name=verb.__name__.rpartition(".")[2])
