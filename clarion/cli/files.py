"""`clarion import` and `clarion export`: files of clients, with a bar that shows how far they are."""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Annotated, Any, TypeVar

import typer
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from clarion.cli.output import FAILED, NOT_FOUND, REFUSED, WRONG_USE, err, find_tenant, now, out, stop
from clarion.flows import exports, imports, refusals, uploads
from clarion.lib.filters import BadFilter
from clarion.lib.guesses import NoTable
from clarion.lib.records import CSV, NDJSON
from clarion.models import Export, Import
from clarion.outbox import claims

PIECE = 256 * 1024
# Between two looks at what the worker does, s.
PAUSE = 0.2
STREAM = "-"

Row = TypeVar("Row", Import, Export)

Format = Annotated[str, typer.Option("--format", help="csv or ndjson; else what the file looks like.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object instead of words.")]


def import_clients(
    tenant: str,
    file: Annotated[str, typer.Argument(help="The file; - reads standard input.")],
    format_: Format = "",
    encoding: Annotated[str, typer.Option(help="As windows-1251; else it is guessed.")] = "",
    delimiter: Annotated[str, typer.Option(help="One character, or tab; else it is guessed.")] = "",
    refused: Annotated[
        Path | None, typer.Option(help="Where refused rows are written; else beside the file.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Import clients from a CSV or JSON lines file. Ends with 0 when it was read, also where rows were refused."""
    owner = find_tenant(tenant)
    try:
        # A name that is no text on this machine is shown as well as it can be.
        name = "" if file == STREAM else os.fsencode(Path(file).name).decode(errors="replace")
        hints = uploads.Hints(name=name, format=format_, encoding=encoding, delimiter=delimiter)
    except uploads.BadHint as error:
        stop(WRONG_USE, f"--{error.name} {error}.")
    try:
        row = uploads.receive(owner, _pieces(file), hints, now=now())
    except (uploads.EmptyFile, NoTable) as error:
        stop(REFUSED, str(error))
    except FileNotFoundError:
        stop(NOT_FOUND, f"There is no file {file}.")
    except OSError as error:
        stop(FAILED, f"{file} cannot be read: {error.strerror}.")
    row = _follow(row, imports.run_due, _progress_of_import, "Reading")
    written = _write_refused(row, refused, beside=None if file == STREAM else Path(file))
    _say_import(row, written, as_json=as_json)
    if row.state != Import.DONE:
        raise typer.Exit(FAILED)


def export_clients(
    tenant: str,
    file: Annotated[str, typer.Argument(help="The file; - writes to standard output.")],
    format_: Format = "",
    operator_code: Annotated[str | None, typer.Option(help="Only clients of this operator.")] = None,
    tag: Annotated[str | None, typer.Option(help="Only clients with this tag.")] = None,
    filter_: Annotated[str | None, typer.Option("--filter", help="JSON, as in mailings.")] = None,
    as_json: AsJson = False,
) -> None:
    """Export clients to a CSV or JSON lines file (.ndjson, .jsonl). A file that is there is replaced when it is done."""
    owner = find_tenant(tenant)
    by_name = NDJSON if file.endswith((".ndjson", ".jsonl")) else CSV
    if format_ not in ("", CSV, NDJSON):
        stop(WRONG_USE, f"--format must be {CSV} or {NDJSON}.")
    try:
        wanted = exports.Wanted(format_ or by_name, operator_code, tag, json.loads(filter_ or "null"))
        row = exports.create(owner, wanted, now=now())
    except BadFilter as error:
        stop(WRONG_USE, f"--filter: {error}.")
    except ValueError as error:
        stop(WRONG_USE, f"--filter is not JSON: {error}.")
    row = _follow(row, exports.run_due, _progress_of_export, "Writing")
    if row.state != Export.DONE or row.file is None:
        stop(FAILED, row.why)
    try:
        _write(row.file.pieces(), file)
    except OSError as error:
        stop(FAILED, f"{file} cannot be written: {error.strerror}.")
    if as_json:
        print(json.dumps({"id": row.pk, "rows": row.rows, "bytes": row.file.size}), file=_words(file))
    else:
        print(f"{row.rows} clients, {row.file.size} bytes.", file=_words(file))


def _follow(
    row: Row, run_due: Callable[[Any], int], progress_of: Callable[[Row], tuple[float, str]], what: str
) -> Row:
    """Wait until it has ended, and return it as it is then. Where no worker lives, do what one would."""
    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    is_told = False
    with Progress(
        *columns, TextColumn("{task.fields[counts]}"), console=err, disable=not err.is_terminal
    ) as bar:
        task = bar.add_task(what, total=1.0, counts="")
        try:
            while row.is_open:
                if claims.living():
                    time.sleep(PAUSE)
                else:
                    if not is_told:
                        err.print("No worker is running; this program does its work.")
                    is_told = True
                    run_due(now())
                row.refresh_from_db()
                share, counts = progress_of(row)
                bar.update(task, completed=share, counts=counts)
        except KeyboardInterrupt:
            stop(FAILED, "Not waited for; a worker goes on with it, now or when there is one.")
    return row


def _progress_of_import(row: Import) -> tuple[float, str]:
    refused = f", {row.refused:,} refused" if row.refused else ""
    return row.progress, f"{row.rows:,} rows{refused}"


def _progress_of_export(row: Export) -> tuple[float, str]:
    return row.cursor / max(
        row.last_customer_id, 1
    ), f"{row.rows:,} rows" if row.rows else "looking for columns"


def _write_refused(row: Import, asked: Path | None, *, beside: Path | None) -> Path | None:
    """Write the refused rows down; None where there is none, or nobody said where to."""
    if not row.refused or (asked is None and beside is None):
        return None
    path = asked or (beside or Path()).with_name(refusals.name_of(row))
    if asked is None and path.exists():
        # Somebody may be mending it.
        path = path.with_name(f"{path.stem}-{row.pk}{path.suffix}")
    try:
        _write(refusals.pieces(row), str(path))
    except OSError as error:
        stop(FAILED, f"The rows are imported, and {path} cannot be written: {error.strerror}.")
    return path


def _say_import(row: Import, written: Path | None, *, as_json: bool) -> None:
    counts = {name: getattr(row, name) for name in ("rows", "created", "updated", "unchanged", "refused")}
    if as_json:
        told = {"id": row.pk, "status": row.state.upper(), "why": row.why or None, "format": row.format}
        told |= {
            "encoding": row.encoding,
            "delimiter": row.delimiter if row.format == CSV else None,
            **counts,
        }
        print(json.dumps({**told, "refused_file": str(written) if written else None}))
        return
    if row.state != Import.DONE:
        err.print(f"{row.state.capitalize()}. {row.why}", markup=False)
    out.print(", ".join(f"{count:,} {name}" for name, count in counts.items()) + ".", markup=False)
    if row.refused:
        where = (
            f"in {written}, each with its line and what is wrong"
            if written
            else "not written: --refused says where"
        )
        out.print(f"The refused rows are {where}.", markup=False)


def _pieces(file: str) -> Iterator[bytes]:
    if file == STREAM:
        yield from iter(lambda: sys.stdin.buffer.read(PIECE), b"")
        return
    with open(file, "rb") as source:
        yield from iter(lambda: source.read(PIECE), b"")


def _write(pieces: Iterator[bytes], file: str) -> None:
    """Write a file whole or not at all."""
    if file == STREAM:
        sys.stdout.buffer.writelines(pieces)
        sys.stdout.buffer.flush()
        return
    part = f"{file}.part"
    with open(part, "wb") as target:
        target.writelines(pieces)
    os.replace(part, file)


def _words(file: str) -> IO[str]:
    """Where words go: not among what is written to standard output."""
    return sys.stderr if file == STREAM else sys.stdout
