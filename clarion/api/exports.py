"""Clients as a file: `POST /api/v1/clients/export`, how far it is, and the file."""

from typing import Any, Literal

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from ninja import Query, Router, Status

from clarion.api.auth import Requires
from clarion.api.clock import now
from clarion.api.imports import file_response
from clarion.api.mailing_bodies import Conditions
from clarion.api.problems import Unreadable
from clarion.api.streams import SCOPE
from clarion.api.wire import Body, Operator, Page, Tag, find, page_of, tenant_of
from clarion.flows import exports
from clarion.lib.times import wire_time
from clarion.models import Export

router = Router(auth=Requires(SCOPE), tags=["files"])


class ExportBody(Body):
    """In which format, and whom; without conditions everybody."""

    format: Literal["csv", "ndjson"] = "csv"
    operator_code: Operator | None = None
    tag: Tag | None = None
    filter: Conditions | None = None


EVERYBODY = ExportBody()


@router.post("/api/v1/clients/export", response={202: dict[str, Any]})
def export_clients(request: HttpRequest, response: HttpResponse, payload: ExportBody = EVERYBODY) -> Any:
    """Ask for a file of the clients there are now. The worker writes it; no cell of it is a formula."""
    row = exports.create(tenant_of(request), exports.Wanted(**payload.model_dump()), now=now())
    response.headers["Location"] = f"/api/v1/exports/{row.pk}"
    return Status(202, shown(row))


@router.get("/api/v1/exports")
def list_exports(request: HttpRequest, page: Query[Page]) -> dict[str, Any]:
    data, following = page_of(Export.objects.of(tenant_of(request)).select_related("file"), page, shown)
    return {"data": data, "next": following}


@router.get("/api/v1/exports/{int:export_id}")
def get_export(request: HttpRequest, export_id: int) -> dict[str, Any]:
    """How far it is."""
    return shown(_find(request, export_id))


@router.get("/api/v1/exports/{int:export_id}/file", response={200: None})
def get_exported_file(request: HttpRequest, export_id: int) -> StreamingHttpResponse:
    """The file, once it is whole."""
    row = _find(request, export_id)
    if row.file is None:
        raise Unreadable(410, "file_gone", "The file was kept for a week.")
    if row.state != Export.DONE:
        raise Unreadable(
            409, "not_ready", f"The export is {row.state.upper()}; there is a file once it is DONE."
        )
    response = file_response(row.file.pieces(), row.file.name, row.file.media_type)
    response.headers["Content-Length"] = str(row.file.size)
    return response


def shown(row: Export) -> dict[str, Any]:
    """Present an export."""
    return {
        "id": row.pk,
        "status": row.state.upper(),
        "why": row.why or None,
        "format": row.format,
        "operator_code": row.operator_code_filter,
        "tag": row.tag_filter,
        "filter": row.filter,
        "progress": round(row.progress, 4),
        "rows": row.rows,
        "bytes": row.file.size if row.file else None,
        "requested": wire_time(row.created_at),
        "started": row.started_at and wire_time(row.started_at),
        "finished": row.finished_at and wire_time(row.finished_at),
    }


def _find(request: HttpRequest, export_id: int) -> Export:
    return find(Export.objects.of(tenant_of(request)).select_related("file"), export_id)
