"""One line of log per thing that happened: JSON for machines, text for a terminal. No bodies, no addresses, no secrets."""

import logging
import sys
import traceback
from collections.abc import Iterable, Mapping
from typing import Any, BinaryIO, TextIO, cast

import msgspec
import structlog

_STAMP = structlog.processors.TimeStamper(fmt="iso", utc=True)
_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}

# Whether this process writes lines of level info as JSON; `set_up` decides.
_is_json = False


def set_up(*, level: str, form: str) -> None:
    """Send every log line of this process to standard error.

    `form` is json, text, or auto: text when standard error is a terminal. Values are encoded as JSON, so that no
    line break or control sequence from outside can pretend to be a line of ours.
    """
    global _is_json
    as_text = form == "text" or (form == "auto" and sys.stderr.isatty())
    _is_json = not as_text and _LEVELS[level] <= _LEVELS["info"]
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        _STAMP,
    ]
    if as_text:
        # The pretty tracebacks show local variables, and so secrets.
        plain = structlog.dev.plain_traceback
        last: list[Any] = [
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)
        ]
        factory: Any = structlog.PrintLoggerFactory(cast("TextIO", _StandardError()))
    else:
        last = [structlog.processors.format_exc_info, _as_json]
        factory = structlog.BytesLoggerFactory(cast("BinaryIO", _StandardError()))
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=factory,
        cache_logger_on_first_use=True,
    )
    # What libraries log (uvicorn, Django) is rare and goes the plain way.
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_FramesOnly(logging.BASIC_FORMAT))
    logging.basicConfig(level=max(_LEVELS[level], logging.WARNING), handlers=[handler], force=True)


def info_lines(event: str, lines: Iterable[Mapping[str, Any]]) -> None:
    """Write a line of level info for each of `lines`.

    JSON in one piece: line by line, what goes through structlog took a tenth of the time of a whole send.
    """
    if not _is_json:
        log = structlog.get_logger()
        for line in lines:
            log.info(event, **line)
        return
    same = _STAMP(None, "", {**structlog.contextvars.get_contextvars(), "event": event, "level": "info"})
    if text := b"".join(_as_json(None, "", {**line, **same}) + b"\n" for line in lines):
        _StandardError().write(text)
        _StandardError().flush()


def mistake(error: BaseException) -> dict[str, str]:
    """Return what a line of log may say of an error: what kind, and where.

    Never its sentence: a database repeats the row's values in it, an adapter its token. Frames show the source only.
    """
    where = "".join(traceback.format_tb(error.__traceback__))
    return {"error": type(error).__name__, "code": code_of(error), "where": where}


def code_of(error: BaseException) -> str:
    """Return what the database calls its error: the SQLSTATE, SQLite's name or MySQL's number; else an empty text."""
    cause = error.__cause__
    number = error.args[0] if error.args and isinstance(error.args[0], int) else ""
    return str(getattr(cause, "sqlstate", None) or getattr(cause, "sqlite_errorname", None) or number)


class _FramesOnly(logging.Formatter):
    """Says of an error what `mistake` says: Django logs those that no handler of ours has seen, with their values."""

    def formatException(self, ei: Any) -> str:
        error = ei[1]
        return "\n".join(filter(None, mistake(error).values())) if error else ""


class _StandardError:
    """Standard error as it is when a line is written, not as it was when the logs were set up."""

    def write(self, line: str | bytes) -> None:
        if isinstance(line, str):
            sys.stderr.write(line)
        else:
            sys.stderr.buffer.write(line)

    def flush(self) -> None:
        sys.stderr.flush()


def _as_json(_logger: Any, _method: str, event: dict[str, Any]) -> bytes:
    return msgspec.json.encode(event, enc_hook=str)
