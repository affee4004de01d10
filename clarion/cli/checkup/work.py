"""The workers, and mailings that wait for somebody."""

from collections.abc import Iterator

from django.conf import settings
from django.db.models import Sum

from clarion.cli.output import now, program
from clarion.cli.remarks import Remark, ok, warning, wrong
from clarion.flows.audit import STUCK
from clarion.models import Import, Mailing, MailingCount, Message, State
from clarion.outbox import claims

# Rows named in a remark.
NAMED = 3
# A lease is renewed three times in its length: of one that is so far gone, two renewals are missing.
MISSED = 2 / 3


def workers() -> Iterator[Remark]:
    """A worker lives while its lease does."""
    alive = claims.living()
    lease, clock = settings.CLARION.lease_seconds, claims.lease_clock()
    oldest = max((clock - (worker.lease_until - lease) for worker in alive), default=0.0)
    names = ", ".join(f"{worker.pk} (pid {worker.pid} on {worker.host})" for worker in alive[:NAMED])
    if not alive:
        if _has_work():
            yield wrong("none is alive, and there is work for one", f"{program()} run")
        else:
            yield warning("none is alive: nothing will be sent", f"{program()} run")
    elif oldest > lease * MISSED:
        seen = f"two signs of life are missing from one of {names}: the last is {oldest:.0f} s old"
        yield warning(seen, f"{program()} run")
    else:
        yield ok(f"{len(alive)} alive: {names}, last sign of life {max(oldest, 0):.0f} s ago")


def _has_work() -> bool:
    mailings = Mailing.objects.alive().filter(finished_at=None, paused_at=None, starts_at__lte=now())
    return mailings.exists() or Import.objects.open().exists()


def mailings() -> Iterator[Remark]:
    """What nothing moves but a person."""
    remarks = [*_in_doubt(), *_overdue()]
    yield from remarks or [ok("none waits for somebody")]


def _in_doubt() -> Iterator[Remark]:
    held = MailingCount.objects.filter(state=State.UNKNOWN).aggregate(total=Sum("count"))["total"]
    if held:
        first = Message.objects.filter(state=State.UNKNOWN).order_by("id").values_list("id", flat=True)[:1]
        seen = f"{held} messages are held in doubt until their mailing's end: they may have arrived"
        yield warning(seen, f"{program()} messages settle {' '.join(map(str, first))} --arrived")


def _overdue() -> Iterator[Remark]:
    over = Mailing.objects.filter(finished_at=None, started_at__isnull=False, ends_at__lt=now() - STUCK)
    ids = list(over.order_by("id").values_list("id", flat=True)[:NAMED])
    if ids:
        names = ", ".join(map(str, ids))
        seen = f"{over.count()} are long over and have not finished: {names}"
        yield wrong(seen, f"{program()} audit; {program()} trace mailing:{ids[0]}")
