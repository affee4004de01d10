"""DOOR for the terminal: one file per verb. Answers go to standard output, everything else to standard error.

Exit codes: 0 done, 1 failed, 2 wrong use, 3 not found, 4 refused.
"""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "clarion.settings")
django.setup()

import typer  # noqa: E402 - the verbs import models, so Django comes first

from clarion.cli import (  # noqa: E402
    accounts,
    audit,
    demo,
    keys,
    messages,
    migrate,
    run,
    sandbox,
    tenants,
    trace,
)
from clarion.cli import worker as worker_verb  # noqa: E402
from clarion.cli.output import start_logs  # noqa: E402

app = typer.Typer(
    help="Clarion: events kept, messages sent, every one accounted for.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)
app.callback()(start_logs)
app.command()(run.run)
app.command(hidden=True)(run.web)
app.command("worker")(worker_verb.work)
app.command()(migrate.migrate)
app.command()(audit.audit)
app.command()(trace.trace)
app.command()(sandbox.sandbox)
app.command()(demo.demo)
for verb in (tenants, keys, accounts, messages):
    app.add_typer(verb.app, name=verb.__name__.rpartition(".")[2])
