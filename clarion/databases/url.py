"""From one database address to Django's settings, with what each database makes us do. Nothing else knows these options."""

from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

# A lock is waited for this long, then the transaction is begun anew or answered 409: nobody hangs.
LOCK_SECONDS = 1


class BadDatabaseUrl(ValueError):
    """The address names no database that Clarion runs on."""


def database_from_url(url: str, data: Path) -> dict[str, Any]:
    """Return Django's settings for `url`; an empty one is the SQLite file in `data`.

    :raises BadDatabaseUrl: without repeating the address, which may hold a password
    """
    if not url or url.startswith("sqlite:"):
        return _sqlite(Path(url.removeprefix("sqlite://")) if url else data / "clarion.sqlite3")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise BadDatabaseUrl("CLARION_DATABASE_URL cannot be read: is the port a number?") from error
    options = dict(parse_qsl(parts.query))
    server = {
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": unquote(parts.hostname or ""),
        "PORT": str(port or ""),
        # Connections are kept; a dead one is noticed before it is used for a request.
        "CONN_MAX_AGE": None,
        "CONN_HEALTH_CHECKS": True,
    }
    if not server["NAME"]:
        raise BadDatabaseUrl(
            "CLARION_DATABASE_URL names no database: postgres://user:password@host:port/name"
        )
    if parts.scheme in ("postgres", "postgresql"):
        return {**server, **_postgres(options)}
    if parts.scheme in ("mysql", "mariadb"):
        return {**server, **_mysql(options)}
    raise BadDatabaseUrl(f"CLARION_DATABASE_URL begins with {parts.scheme!r}: use postgres, mysql or sqlite.")


def _sqlite(path: Path) -> dict[str, Any]:
    return {
        "ENGINE": "clarion.databases.sqlite",
        "NAME": str(path),
        "CONN_MAX_AGE": None,
        # Tests use a file as well: worker and web are two processes there, too.
        "TEST": {"NAME": f"{path}.test"},
    }


def _postgres(options: dict[str, str]) -> dict[str, Any]:
    return {
        "ENGINE": "django.db.backends.postgresql",
        "OPTIONS": {**options, "options": f"-c lock_timeout={LOCK_SECONDS * 1000}"},
    }


def _mysql(options: dict[str, str]) -> dict[str, Any]:
    return {
        "ENGINE": "django.db.backends.mysql",
        "OPTIONS": {
            **options,
            "charset": "utf8mb4",
            "isolation_level": "read committed",
            "init_command": (
                "SET SESSION sql_mode='STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION', "
                f"innodb_lock_wait_timeout={LOCK_SECONDS}"
            ),
        },
        # The usual collations join `Ab` with `aB`, and `a` with `a `: two ids of a shop would become one.
        "TEST": {"CHARSET": "utf8mb4", "COLLATION": "utf8mb4_nopad_bin"},
    }
