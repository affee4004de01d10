"""From one database address to Django's settings, with what each database makes us do. Nothing else knows these options."""

from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

# A lock is waited for this long, then the transaction is begun anew or answered 409: nobody hangs.
LOCK_SECONDS = 1
# A frozen or cut-off worker must not hold the rows that its rescue needs: the server ends a transaction in which
# nothing happened for this long. Ours last milliseconds, and a lease (CLARION_LEASE_SECONDS) is four times longer.
IDLE_SECONDS = 15
# A server that does not take a connection, or whose machine went silent, is given up after this long.
CONNECT_SECONDS = 10
GONE_AFTER = {"connect_timeout": CONNECT_SECONDS, "tcp_user_timeout": CONNECT_SECONDS * 1000}


class BadDatabaseUrl(ValueError):
    """The address names no database that Clarion runs on."""


def database_from_url(url: str, data: Path) -> dict[str, Any]:
    """Return Django's settings for `url`; an empty one is the SQLite file in `data`.

    :raises BadDatabaseUrl: without repeating the address, which may hold a password
    """
    if not url:
        return _sqlite(data / "clarion.sqlite3")
    if url.startswith("sqlite:"):
        path = url.removeprefix("sqlite:").removeprefix("//")
        if not path:
            raise BadDatabaseUrl("CLARION_DATABASE_URL names no file: sqlite:clarion.sqlite3")
        return _sqlite(Path(path))
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        # Without its cause: that one repeats what it took for the port, often a part of the password.
        raise BadDatabaseUrl(
            "CLARION_DATABASE_URL cannot be read: is the port a number, and are / # ? @ in the password "
            "written %2F %23 %3F %40?"
        ) from None
    options = _options(parts.query)
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


def _options(query: str) -> dict[str, Any]:
    options: dict[str, Any] = dict(parse_qsl(query))
    # PyMySQL compares these with numbers. Others stay texts: a name or a password may look like a number.
    for name in options:
        if name.endswith("_timeout"):
            if not (options[name].isascii() and options[name].isdigit()):
                raise BadDatabaseUrl(f"CLARION_DATABASE_URL: {name} is no whole number of seconds.")
            options[name] = int(options[name])
    return options


def _sqlite(path: Path) -> dict[str, Any]:
    return {
        "ENGINE": "clarion.databases.sqlite",
        "NAME": str(path),
        "CONN_MAX_AGE": None,
        # Tests use a file as well: worker and web are two processes there, too.
        "TEST": {"NAME": f"{path}.test"},
    }


def _postgres(options: dict[str, Any]) -> dict[str, Any]:
    ours = (
        f"-c lock_timeout={LOCK_SECONDS * 1000}",
        f"-c idle_in_transaction_session_timeout={IDLE_SECONDS * 1000}",
        # `moment` reads ISO dates; a server may be set to write others.
        "-c datestyle=ISO",
    )
    # Of a name given twice the last counts: an operator's own options stay, and cannot undo ours.
    theirs = str(options.get("options", ""))
    return {
        "ENGINE": "clarion.databases.postgres",
        "OPTIONS": {**GONE_AFTER, **options, "options": " ".join((theirs, *ours)).strip()},
    }


def _mysql(options: dict[str, Any]) -> dict[str, Any]:
    return {
        "ENGINE": "django.db.backends.mysql",
        "OPTIONS": {
            "connect_timeout": CONNECT_SECONDS,
            **options,
            "charset": "utf8mb4",
            "isolation_level": "read committed",
            # One statement is all that may stand here. MySQL, which has no such timeout, skips the comment.
            "init_command": (
                "SET SESSION sql_mode='STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION', "
                f"innodb_lock_wait_timeout={LOCK_SECONDS} /*M! , idle_transaction_timeout={IDLE_SECONDS} */"
            ),
        },
        # The usual collations join `Ab` with `aB`, and `a` with `a `: two ids of a shop would become one.
        "TEST": {"CHARSET": "utf8mb4", "COLLATION": "utf8mb4_nopad_bin"},
    }
