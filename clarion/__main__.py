"""`python -m clarion` is `clarion`."""

from clarion.cli import app

app()
