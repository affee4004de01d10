"""`clarion migrate`: bring the database up to date, after the checks that `clarion run` makes."""

from clarion.cli.output import out
from clarion.cli.run import prepare_database


def migrate() -> None:
    """Check the database and bring its tables up to date."""
    prepare_database()
    out.print("The database is up to date.")
