"""Clients from a file: `POST /api/v1/clients/import`, how far it is, and what was refused."""

import threading
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.utils.http import content_disposition_header
from ninja import Query, Router, Schema, Status

from clarion.api.auth import Requires
from clarion.api.clock import now
from clarion.api.customers import refuse_test_key
from clarion.api.problems import INVALID, Unreadable
from clarion.api.streams import IMPORT, SCOPE
from clarion.api.wire import Page, Search, find, page_of, tenant_of
from clarion.flows import imports, refusals, uploads
from clarion.lib.records import CSV
from clarion.lib.times import wire_time
from clarion.models import Import, Refusal

router = Router(auth=Requires(SCOPE), tags=["files"])

# Taken from the body at once.
PIECE = 256 * 1024
# Refusals in the resource itself; all of them are in the file.
SHOWN = 1_000
MEDIA_TYPES = {CSV: "text/csv", "ndjson": "application/x-ndjson"}
# Half of the threads stay for everybody else, however slowly files are read.
_DOWNLOADS = threading.BoundedSemaphore(max(1, settings.CLARION.web_threads // 2))
_FILE = {"schema": {"type": "string", "format": "binary"}}


class FileHints(Schema):
    """What the caller knows of the file; the rest is guessed."""

    name: Search = ""
    format: Search = ""
    encoding: Search = ""
    delimiter: Search = ""


@router.post(
    IMPORT,
    response={202: dict[str, Any]},
    openapi_extra={"requestBody": {"content": dict.fromkeys(MEDIA_TYPES.values(), _FILE)}},
)
def import_clients(request: HttpRequest, hints: Query[FileHints], response: HttpResponse) -> Any:
    """Take a file of clients: CSV with a header, or one JSON object a line. The worker reads it.

    A row changes the client with its `external_id`, else the oldest with its `phone`, else makes one. Rows that are
    wrong are refused one by one; the others count.
    """
    refuse_test_key(request)
    media_type = request.content_type or ""
    packed = request.headers.get("Content-Encoding", "identity").strip().lower()
    if media_type.startswith("multipart/"):
        raise Unreadable(415, "not_a_table", "Send the file itself as the body, not a form that holds it.")
    if packed != "identity":
        raise Unreadable(415, "not_a_table", f"Send the file unpacked, not as {packed[:20]}.")
    try:
        charset = (request.content_params or {}).get("charset", "")
        given = {**hints.dict(), "encoding": hints.encoding or charset}
        known = uploads.Hints(media_type=media_type, **given)
    except uploads.BadHint as error:
        raise Unreadable(400, INVALID, str(error), error.name) from error
    row = uploads.receive(tenant_of(request), _pieces(request), known, now=now())
    response.headers["Location"] = f"/api/v1/imports/{row.pk}"
    return Status(202, shown(row))


@router.get("/api/v1/imports")
def list_imports(request: HttpRequest, page: Query[Page]) -> dict[str, Any]:
    data, following = page_of(Import.objects.of(tenant_of(request)), page, shown)
    return {"data": data, "next": following}


@router.get("/api/v1/imports/{int:import_id}")
def get_import(request: HttpRequest, import_id: int) -> dict[str, Any]:
    """How far it is, and the first refusals."""
    row = _find(request, import_id)
    first = Refusal.objects.filter(origin=row).order_by("line").values("line", "reason")[:SHOWN]
    return {**shown(row), "refusals": list(first)}


@router.get("/api/v1/imports/{int:import_id}/refused", response={200: None})
def get_refused_rows(request: HttpRequest, import_id: int) -> StreamingHttpResponse:
    """All refused rows as a file like the one that was sent. Mended, it can be sent again as it is."""
    row = _find(request, import_id)
    if row.file is None:
        raise Unreadable(410, "file_gone", "The file and its refused rows were kept for a week.")
    return file_response(refusals.pieces(row), refusals.name_of(row), MEDIA_TYPES[row.format])


@router.post("/api/v1/imports/{int:import_id}/cancel")
def cancel_import(request: HttpRequest, import_id: int) -> dict[str, Any]:
    """Read no further. The rows that were read stay."""
    row = _find(request, import_id)
    refuse_test_key(request)
    return shown(imports.cancel(row, now=now()))


def file_response(pieces: Iterator[bytes], name: str, media_type: str) -> StreamingHttpResponse:
    """Answer with a file that is read while it is sent.

    Each holds a thread for as long as its reader takes, so only some of the threads may be held that way.

    :raises Unreadable: too many files are being read
    """
    if not _DOWNLOADS.acquire(blocking=False):
        raise Unreadable(503, "busy", "Too many files are being read; try again in a moment.")
    response = _Download(pieces, content_type=media_type)
    response.headers["Content-Disposition"] = content_disposition_header(True, name)
    return response


class _Download(StreamingHttpResponse):
    """Gives its place back when it is over, however it ended."""

    _is_open = True

    def close(self) -> None:
        super().close()
        if self._is_open:
            self._is_open = False
            _DOWNLOADS.release()


def shown(row: Import) -> dict[str, Any]:
    """Present an import, without its refusals."""
    return {
        "id": row.pk,
        "name": row.name or None,
        "status": row.state.upper(),
        "why": row.why or None,
        "format": row.format,
        "encoding": row.encoding,
        "delimiter": row.delimiter if row.format == CSV else None,
        "columns": {heading: meaning or None for heading, meaning in row.columns},
        "bytes": row.size,
        "progress": round(row.progress, 4),
        "read": row.rows,
        "created": row.created,
        "updated": row.updated,
        "unchanged": row.unchanged,
        "refused": row.refused,
        "uploaded": wire_time(row.created_at),
        "started": row.started_at and wire_time(row.started_at),
        "finished": row.finished_at and wire_time(row.finished_at),
    }


def _find(request: HttpRequest, import_id: int) -> Import:
    return find(Import.objects.of(tenant_of(request)).select_related("file", "tenant"), import_id)


def _pieces(request: HttpRequest) -> Iterator[bytes]:
    while piece := request.read(PIECE):
        yield piece
