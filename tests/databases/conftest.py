"""Connections to SQLite files of a test's own, whatever database the other tests run on."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from django.db.utils import ConnectionHandler

from clarion.databases.sqlite.base import DatabaseWrapper
from tests.databases.turns import ALIAS, ENGINE, run


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "clarion.sqlite3"


@pytest.fixture
def connect(django_db_blocker: Any) -> Iterator[Callable[..., DatabaseWrapper]]:
    """Return the connection to a file, under an alias that `transaction.atomic` knows too."""

    def opened(name: Path | str, **options: Any) -> DatabaseWrapper:
        given = {"ENGINE": ENGINE, "NAME": name, "OPTIONS": options}
        connections.settings[ALIAS] = ConnectionHandler({"default": {}, ALIAS: given}).settings[ALIAS]
        wrapper = connections[ALIAS]
        assert isinstance(wrapper, DatabaseWrapper)
        return wrapper

    with django_db_blocker.unblock():
        yield opened
        if ALIAS in connections.settings:
            connections[ALIAS].close()
            del connections[ALIAS]
            del connections.settings[ALIAS]


@pytest.fixture
def db_file(connect: Callable[..., DatabaseWrapper], path: Path) -> DatabaseWrapper:
    wrapper = connect(path, turn_timeout=0.05)
    run(wrapper, "CREATE TABLE note (id INTEGER PRIMARY KEY, text TEXT UNIQUE)")
    return wrapper
