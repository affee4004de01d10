"""Test databases in WAL mode, where the log beside the file is part of it; Django knows the file only."""

import contextlib
import os

from django.db.backends.sqlite3 import creation


class DatabaseCreation(creation.DatabaseCreation):
    """Test databases in WAL mode: what lies beside the file counts too."""

    def _clone_test_db(self, suffix: str, verbosity: int, keepdb: bool = False) -> None:
        if not self.is_in_memory_db(self.connection.settings_dict["NAME"]):
            # Django copies the main file only; this moves everything there.
            with self.connection.cursor() as cursor:
                cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            target = self.get_test_db_clone_settings(suffix)["NAME"]
            if not keepdb:
                # A log left there by a killed run would be replayed into the copy.
                _remove_beside(target, "-wal", "-shm")
        super()._clone_test_db(suffix, verbosity, keepdb)  # type: ignore[misc]

    def _destroy_test_db(self, test_database_name: str, verbosity: int) -> None:
        super()._destroy_test_db(test_database_name, verbosity)  # type: ignore[misc]
        if not self.is_in_memory_db(test_database_name):
            locks = [f".turn-{lock}{bell}" for lock in ("next", "run") for bell in ("", ".bell")]
            _remove_beside(test_database_name, "-wal", "-shm", *locks)


def _remove_beside(path: str, *endings: str) -> None:
    for ending in endings:
        with contextlib.suppress(FileNotFoundError):
            os.remove(f"{path}{ending}")
