"""What every verb has in common: an installation to work on, and a sentence instead of a traceback when there is none."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage
from django.db import DatabaseError, InterfaceError, connection
from django.db.migrations.executor import MigrationExecutor
from typer.core import TyperGroup

from clarion.cli.output import FAILED, NOT_FOUND, REFUSED, WRONG_USE, stop
from clarion.lib.secrets import BadKeyFile

# These make an installation, or need none, or (web, doctor) have something to say first.
WITHOUT_INSTALLATION = ("run", "web", "migrate", "demo", "sandbox", "doctor", "listen", "trigger")
# `clarion run` has made one for its children; what becomes of it meanwhile, they outlive.
OF_A_CHILD = "--parent-fd"


class Door(TyperGroup):
    """The verbs of `clarion`. With CLARION_LOG_LEVEL=debug an error of the database keeps its traceback."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the verb and its words; a verb that works on an installation ends here where there is none."""
        resolved = super().resolve_command(ctx, args)
        verb, words = resolved[0], resolved[2]
        looks_only = ctx.resilient_parsing or "--help" in words or OF_A_CHILD in words
        if verb not in WITHOUT_INSTALLATION and not looks_only:
            require_installation()
        return resolved

    def invoke(self, ctx: Any) -> Any:
        """Run the verb."""
        try:
            return super().invoke(ctx)
        except BadKeyFile as error:
            stop(WRONG_USE, f"CLARION_KEYS_FILE is wrong: {error}.")
        except (DatabaseError, InterfaceError) as error:
            if settings.CLARION.log_level == "debug":
                raise
            stop(FAILED, _why(error))


def require_installation() -> None:
    """End here where nothing is installed."""
    # To connect would make the file. A server is asked by the verb itself.
    if connection.vendor == "sqlite" and not Path(connection.settings_dict["NAME"]).exists():
        folder = settings.CLARION.data.resolve()
        stop(NOT_FOUND, f"Nothing is installed in {folder}: clarion migrate (or make run) makes it.")


def refuse(problems: Sequence[CheckMessage]) -> None:
    """End here if there are any."""
    for problem in problems:
        stop(REFUSED, f"{problem.msg} {problem.hint}")


def _why(error: Exception) -> str:
    kind = type(error).__name__
    try:
        connection.close()
        executor = MigrationExecutor(connection)
        missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    except (DatabaseError, InterfaceError):
        return (
            f"The database cannot be reached ({kind}). Is the server up, and CLARION_DATABASE_URL right? "
            "clarion migrate checks both."
        )
    if missing:
        return "The database has not all tables yet: clarion migrate brings it up to date."
    return f"The database refused ({kind}). CLARION_LOG_LEVEL=debug shows where; clarion migrate checks its settings."
