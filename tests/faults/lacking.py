"""`python -m tests.faults.lacking NAME VERB …`: run a verb of Clarion's with one protection switched off, or none."""

import sys

import django

if __name__ == "__main__":
    django.setup()

from clarion.cli import app
from tests.faults import without

if __name__ == "__main__":
    if sys.argv[1]:
        without.switch_off(sys.argv[1])
    del sys.argv[1]
    app()
