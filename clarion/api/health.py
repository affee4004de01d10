"""Alive, ready, and the figures that monitoring reads."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.db import DatabaseError, InterfaceError, connection
from django.db.migrations.executor import MigrationExecutor
from django.db.models import OuterRef, Subquery, Sum
from django.http import HttpRequest, HttpResponse
from ninja import Router
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from clarion import __version__
from clarion.api.clock import now
from clarion.api.problems import problem_response
from clarion.models import Lane, MailingCount, State, Worker
from clarion.models.outgoing import STATUS, SUSPECT, Outgoing
from clarion.outbox.claims import KINDS

# Open to anybody who reaches the port: they carry no tenant's data.
router = Router(auth=None, tags=["operation"])


@router.get("/api", tags=["index"])
def index(request: HttpRequest) -> dict[str, Any]:
    """Where the resources are."""
    names = ("client", "mailing", "message")
    return {name: request.build_absolute_uri(f"/api/{name}/") for name in names}


@router.get("/healthz")
def alive(request: HttpRequest) -> dict[str, Any]:
    """The process answers."""
    return {"status": "alive", "version": __version__}


@router.get("/readyz")
def ready(request: HttpRequest) -> Any:
    """The database answers, is migrated, and can be asked for what the API needs."""
    try:
        executor = MigrationExecutor(connection)
        missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
        workers = Worker.objects.filter(ended_at=None).count()
    except (DatabaseError, InterfaceError):
        return problem_response(request, 503, "database_unavailable", "The database does not answer.")
    if missing:
        return problem_response(request, 503, "not_migrated", "Run clarion migrate: the database is older.")
    return {"status": "ready", "workers": workers}


@router.get("/metrics")
def metrics(request: HttpRequest) -> HttpResponse:
    """What monitoring reads, in the text format of Prometheus."""
    return HttpResponse(generate_latest(REGISTRY), content_type=CONTENT_TYPE_LATEST)


class Backlog(Collector):
    """What the database knows, read when it is asked for: any web process gives the same answer."""

    def describe(self) -> list[Metric]:
        # Without this the registry would collect, and so ask the database, while the module is imported.
        return []

    def collect(self) -> Iterator[Metric]:
        messages = GaugeMetricFamily("clarion_messages", "Messages by status.", labels=["status"])
        totals: dict[str, int] = {}
        for state, total in MailingCount.objects.values_list("state").annotate(n=Sum("count")):
            totals[STATUS[state]] = totals.get(STATUS[state], 0) + total
        for status, total in sorted(totals.items()):
            messages.add_metric([status], total)
        yield messages
        age = GaugeMetricFamily("clarion_oldest_due_seconds", "How long the oldest due message has been due.")
        moment = now()
        age.add_metric([], max((moment - oldest_due(moment)).total_seconds(), 0))
        yield age
        workers = GaugeMetricFamily("clarion_workers", "Worker processes that have not ended.")
        workers.add_metric([], Worker.objects.filter(ended_at=None).count())
        yield workers


def oldest_due(moment: datetime) -> datetime:
    """Return since when the message or delivery that is due longest has been due; `moment` itself where none is."""
    found = [at for model in KINDS for at in _first_due(model)]
    return min(found, default=moment)


def _first_due(model: type[Outgoing]) -> list[datetime]:
    waiting = model._default_manager.filter(state=State.WAITING, lane_id=OuterRef("pk")).order_by("due_at")
    # The first of each lane and priority, as the index has them: the least of all would be a scan of all that wait.
    firsts = {
        f"due_{priority}": Subquery(waiting.filter(priority=priority).values("due_at")[:1])
        for priority in (*model.PRIORITIES, SUSPECT)
    }
    rows = Lane.objects.filter(ended_at=None).annotate(**firsts).values_list(*firsts)
    return [at for row in rows for at in row if at is not None]


REGISTRY.register(Backlog())
