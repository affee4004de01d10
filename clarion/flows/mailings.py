"""A mailing from its creation to its accounts: changed while it waits, started by time, paused, cancelled, closed."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import structlog
from django.db import transaction

from clarion.flows import outcomes
from clarion.flows.drafts import Draft as Draft
from clarion.flows.drafts import draft_of, fields_of
from clarion.flows.rounds import each
from clarion.lib.crashpoints import crashpoint
from clarion.models import Customer, Lane, Mailing, Message, State, Tenant
from clarion.models.materialising import materialise_slice
from clarion.models.moves import Move, move
from clarion.models.outgoing import Reason
from clarion.models.transactions import again_on_deadlock
from clarion.outbox import plan

log = structlog.get_logger()

# Waiting messages released, cancelled or expired in one transaction: as many as SQLite moves in about 25 ms.
SWEEP = 1_000


class AlreadyStarted(Exception):
    """What was asked is possible only before the mailing starts."""


class LiveMailing(Exception):
    """A test caller asked to change a mailing that reaches people."""


class AlreadyOver(Exception):
    """What was asked is possible only until the mailing has ended."""


def create(tenant: Tenant, draft: Draft, *, is_test: bool, now: datetime) -> Mailing:
    """Store a mailing; the worker starts it when its time comes, at once if that is now.

    :raises EndsBeforeStart, NoLocalHours, NoSuchAccount, BadText, BadFilter: nothing is stored then
    """
    fields = fields_of(tenant, draft, is_test=is_test)
    with transaction.atomic():
        mailing = Mailing.objects.create(tenant=tenant, created_at=now, **fields)
        crashpoint("mailing.created_before_commit")
    crashpoint("mailing.created_after_commit")
    log.info("mailing_created", mailing_id=mailing.pk, tenant=tenant.name)
    return mailing


def change(mailing: Mailing, changes: Mapping[str, Any], *, now: datetime) -> Mailing:
    """Change these fields of the mailing's Draft, as long as it has not started. A test mailing stays one.

    :raises AlreadyStarted, EndsBeforeStart, NoLocalHours, NoSuchAccount, BadText, BadFilter: nothing is changed then
    """

    def edit(locked: Mailing) -> None:
        if locked.has_started(now):
            raise AlreadyStarted("The mailing has started; it can be paused or cancelled, no longer changed.")
        # Read under the lock: of two changes at once neither is lost.
        draft = replace(draft_of(locked), **changes)
        for name, value in fields_of(locked.tenant, draft, is_test=locked.account.is_test).items():
            setattr(locked, name, value)

    return _locked(mailing, edit, "mailing_changed")


def pause(mailing: Mailing, *, now: datetime) -> Mailing:
    """Let nothing more of it leave until it is resumed; what is under way ends. Pausing twice is pausing once."""

    def edit(locked: Mailing) -> None:
        _refuse_if_over(locked)
        locked.paused_at = locked.paused_at or now

    return _locked(mailing, edit, "mailing_paused")


def resume(mailing: Mailing, *, now: datetime) -> Mailing:
    """Let it go on. Held messages are set free by the worker."""

    def edit(locked: Mailing) -> None:
        _refuse_if_over(locked)
        if locked.paused_at is not None:
            locked.paused_at, locked.sweep_cursor = None, 0

    return _locked(mailing, edit, "mailing_resumed")


def cancel(mailing: Mailing, *, now: datetime) -> Mailing:
    """End it now: what waits becomes CANCELLED, what is under way ends. Cancelling twice is cancelling once."""

    def edit(locked: Mailing) -> None:
        if locked.state != Mailing.CANCELLED:
            _refuse_if_over(locked)
            locked.state, locked.sweep_cursor = Mailing.CANCELLED, 0

    return _locked(mailing, edit, "mailing_cancelled")


def delete(mailing: Mailing, *, now: datetime) -> None:
    """Take it out of sight. What waits is cancelled; its messages go on counting."""

    def edit(locked: Mailing) -> None:
        locked.deleted_at = now
        if locked.finished_at is None:
            locked.state, locked.sweep_cursor = Mailing.CANCELLED, 0

    _locked(mailing, edit, "mailing_deleted")


def start_due(now: datetime) -> int:
    """Start the mailings whose time has come; return how many. The audience is fixed by the highest customer id."""
    return sum(each(Mailing.objects.to_start(now).order_by("starts_at", "id"), _start, now))


def materialise_due(now: datetime) -> int:
    """Turn the next slice of every running mailing's audience into messages; return how many mailings had one."""
    slices = 0
    for done in each(Mailing.objects.to_materialise().order_by("starts_at", "id"), _materialise, now):
        slices += done
        crashpoint("materialise.after_slice_commit")
    return slices


def close_due(now: datetime) -> int:
    """Begin to expire what waits in mailings whose end has come; return how many.

    Also where a mailing has ended and was swept, and something came back to wait that was under way then: behind a
    closed lane nothing else would look at it.
    """
    closed = sum(each(Mailing.objects.to_close(now).order_by("ends_at", "id"), _close, now))
    return closed + sum(each(Mailing.objects.to_sweep_again().order_by("id"), _sweep_again, now))


def sweep_due(now: datetime) -> int:
    """Release, cancel or expire the next waiting messages where that is due; return how many were looked at."""
    return sum(each(Mailing.objects.to_sweep().order_by("id"), _sweep, now))


def finish_due(now: datetime) -> int:
    """Close the accounts of mailings of which nothing is on its way any more; return how many."""
    return sum(each(Mailing.objects.to_finish().order_by("id"), _finish, now))


def check_may_change(mailing: Mailing, *, is_test: bool) -> None:
    """Let a test caller touch only what another test caller made: else its words could reach people.

    :raises LiveMailing:
    """
    if is_test and not mailing.account.is_test:
        raise LiveMailing("A test key changes only mailings that were made with a test key.")


def _locked(mailing: Mailing, edit: Callable[[Mailing], None], event: str) -> Mailing:
    """Edit the row while it is locked, so that the worker starts either the old or the new mailing."""

    def once() -> Mailing:
        with transaction.atomic():
            locked = Mailing.objects.of(mailing.tenant).select_for_update().get(pk=mailing.pk)
            edit(locked)
            locked.save()
        return locked

    changed = again_on_deadlock(once)
    log.info(event, mailing_id=mailing.pk, tenant=mailing.tenant.name)
    return changed


def _refuse_if_over(mailing: Mailing) -> None:
    if mailing.finished_at is not None or mailing.state == Mailing.CANCELLED:
        raise AlreadyOver("The mailing is over.")


def _start(mailing: Mailing, now: datetime) -> int:
    if mailing.state != Mailing.SCHEDULED or mailing.paused_at or mailing.starts_at > now:
        return 0
    newest = Customer.objects.of(mailing.tenant).order_by("-id").values_list("id", flat=True).first()
    mailing.state, mailing.started_at = Mailing.RUNNING, now
    mailing.last_customer_id = newest or 0
    account_lane = mailing.account.lane
    rate = plan.slower(mailing.rate_per_second, account_lane.rate_per_second)
    openings = plan.openings(
        mailing.audience(Customer.objects.of(mailing.tenant)).zones() if mailing.hours and rate else (),
        hours=mailing.hours,
        home=mailing.tenant.zone,
        begin=now,
        end=mailing.ends_at,
    )
    mailing.capacity = openings.capacity(rate)
    if mailing.rate_per_second:
        mailing.lane = Lane.objects.create(parent=account_lane, rate_per_second=mailing.rate_per_second)
    log.info("mailing_started", mailing_id=mailing.pk, tenant=mailing.tenant.name)
    return 1


def _materialise(mailing: Mailing, now: datetime) -> int:
    if mailing.state != Mailing.RUNNING or mailing.materialised_at is not None:
        return 0
    is_last = materialise_slice(mailing, fates=lambda zones: plan.fates(mailing, zones, now), now=now)
    if is_last:
        mailing.materialised_at = now
        log.info("mailing_materialised", mailing_id=mailing.pk, tenant=mailing.tenant.name)
    crashpoint("materialise.before_slice_commit")
    return 1


def _close(mailing: Mailing, now: datetime) -> int:
    if mailing.closed_at is not None or mailing.state != Mailing.RUNNING:
        return 0
    mailing.closed_at, mailing.sweep_cursor = now, 0
    return 1


def _sweep_again(mailing: Mailing, now: datetime) -> int:
    # Asked of the rows: a wrong counter must not begin sweeps without end.
    if mailing.sweep_cursor is not None or not mailing.message_set.filter(state=State.WAITING).exists():
        return 0
    mailing.sweep_cursor = 0
    return 1


def _sweep(mailing: Mailing, now: datetime) -> int:
    if mailing.sweep_cursor is None:
        return 0
    to, reason = _swept_to(mailing)
    if not to:
        # Paused again before all were released: the next resume begins a sweep of its own.
        mailing.sweep_cursor = None
        return 1
    rows = Message.objects.waiting_after(mailing, mailing.sweep_cursor)[:SWEEP]
    found = list(rows.values_list("id", "customer_id"))
    held = [row for row in Message.objects.lock([pk for pk, _ in found]) if row.state == State.WAITING]
    if to == State.WAITING:
        held = [row for row in held if row.reason == Reason.PAUSED]
        columns: dict[str, Any] = {"due_at": now}
    else:
        columns = {"finished_at": now}
    move(Message, [Move(row, to, reason, columns) for row in held], now)
    log.info("mailing_swept", mailing_id=mailing.pk, tenant=mailing.tenant.name, to=to, count=len(held))
    mailing.sweep_cursor = found[-1][1] if len(found) == SWEEP else None
    return 1


def _swept_to(mailing: Mailing) -> tuple[str, str]:
    if mailing.state == Mailing.CANCELLED:
        return State.CANCELLED, Reason.MAILING_CANCELLED
    if mailing.closed_at is not None:
        return State.EXPIRED, Reason.WINDOW_OVER
    if mailing.paused_at is None:
        return State.WAITING, ""
    return "", ""


def _finish(mailing: Mailing, now: datetime) -> int:
    if mailing.finished_at is not None:
        return 0
    mailing.finished_at = now
    Lane.objects.filter(mailing=mailing).update(ended_at=now)
    outcomes.tell_of_mailing(mailing, now)
    log.info("mailing_finished", mailing_id=mailing.pk, tenant=mailing.tenant.name)
    return 1
