"""A mailing from its creation to its accounts: changed while it waits, started by time, paused, cancelled, closed."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from django.db import transaction

from clarion.lib.crashpoints import crashpoint
from clarion.lib.texts import compile_text
from clarion.models import Customer, GatewayAccount, Mailing, Message, State, Tenant
from clarion.models.materialising import materialise_slice
from clarion.models.moves import Move, move
from clarion.models.outgoing import Reason
from clarion.models.transactions import again_on_deadlock
from clarion.outbox.gate import is_too_late

log = structlog.get_logger()

# Waiting messages released, cancelled or expired in one transaction: as many as SQLite moves in about 25 ms.
SWEEP = 1_000


class EndsBeforeStart(ValueError):
    """The window has no inside."""


class NoSuchAccount(ValueError):
    """The tenant has no gateway account of this name."""


class AlreadyStarted(Exception):
    """What was asked is possible only before the mailing starts."""


class AlreadyOver(Exception):
    """What was asked is possible only until the mailing has ended."""


@dataclass(frozen=True, slots=True)
class Draft:
    """What somebody wants a mailing to be. Text and labels as they were sent, times in UTC."""

    text: str
    starts_at: datetime
    ends_at: datetime
    operator_code_filter: str | None = None
    tag_filter: str | None = None
    name: str = ""
    account: str = ""


def create(tenant: Tenant, draft: Draft, *, is_test: bool, now: datetime) -> Mailing:
    """Store a mailing; the worker starts it when its time comes, at once if that is now.

    :raises EndsBeforeStart, NoSuchAccount, BadText: nothing is stored then
    """
    fields = _fields(tenant, draft, is_test=is_test)
    with transaction.atomic():
        mailing = Mailing.objects.create(tenant=tenant, created_at=now, **fields)
        crashpoint("mailing.created_before_commit")
    crashpoint("mailing.created_after_commit")
    log.info("mailing_created", mailing_id=mailing.pk, tenant=tenant.name)
    return mailing


def change(mailing: Mailing, draft: Draft, *, is_test: bool, now: datetime) -> Mailing:
    """Replace what the mailing is, as long as it has not started.

    :raises AlreadyStarted, EndsBeforeStart, NoSuchAccount, BadText: nothing is changed then
    """
    fields = _fields(mailing.tenant, draft, is_test=is_test)

    def edit(locked: Mailing) -> None:
        if locked.has_started(now):
            raise AlreadyStarted("The mailing has started; it can be paused or cancelled, no longer changed.")
        for name, value in fields.items():
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
    started = 0
    for mailing in Mailing.objects.to_start(now).order_by("starts_at", "id")[:100]:
        started += _if_locked(mailing, lambda row: _start(row, now))
    return started


def materialise_due(now: datetime) -> int:
    """Turn the next slice of every running mailing's audience into messages; return how many mailings had one."""
    slices = 0
    for mailing in Mailing.objects.to_materialise().order_by("starts_at", "id")[:100]:
        slices += _if_locked(mailing, lambda row: _materialise(row, now))
        crashpoint("materialise.after_slice_commit")
    return slices


def close_due(now: datetime) -> int:
    """Begin to expire what waits in mailings whose end has come; return how many."""
    closed = 0
    for mailing in Mailing.objects.to_close(now).order_by("ends_at", "id")[:100]:
        closed += _if_locked(mailing, lambda row: _close(row, now))
    return closed


def sweep_due(now: datetime) -> int:
    """Release, cancel or expire the next waiting messages where that is due; return how many were looked at."""
    swept = 0
    for mailing in Mailing.objects.to_sweep().order_by("id")[:100]:
        swept += _if_locked(mailing, lambda row: _sweep(row, now))
    return swept


def finish_due(now: datetime) -> int:
    """Close the accounts of mailings of which nothing is on its way any more; return how many."""
    finished = 0
    for mailing in Mailing.objects.to_finish().order_by("id")[:100]:
        finished += _if_locked(mailing, lambda row: _finish(row, now))
    return finished


def _fields(tenant: Tenant, draft: Draft, *, is_test: bool) -> dict[str, Any]:
    if draft.ends_at <= draft.starts_at:
        raise EndsBeforeStart("end_time must come after start_time")
    compile_text(draft.text)
    accounts = GatewayAccount.objects.of(tenant)
    if is_test:
        account = accounts.filter(is_test=True).first()
    elif draft.account:
        account = accounts.filter(name=draft.account, is_test=False).first()
    else:
        account = accounts.default()
    if account is None:
        raise NoSuchAccount(f"There is no gateway account {draft.account!r}.")
    return {
        "account": account,
        "name": draft.name,
        "text": draft.text,
        "starts_at": draft.starts_at,
        "ends_at": draft.ends_at,
        "operator_code_filter": draft.operator_code_filter,
        "tag_filter": draft.tag_filter,
    }


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


def _if_locked(mailing: Mailing, step: Callable[[Mailing], int]) -> int:
    """Run a step of the worker on the locked row; 0 when another worker has it in hands."""

    def once() -> int:
        with transaction.atomic():
            locked = Mailing.objects.filter(pk=mailing.pk).select_for_update(skip_locked=True).first()
            if locked is None:
                return 0
            done = step(locked)
            if done:
                locked.save()
        return done

    return again_on_deadlock(once)


def _refuse_if_over(mailing: Mailing) -> None:
    if mailing.finished_at is not None or mailing.state == Mailing.CANCELLED:
        raise AlreadyOver("The mailing is over.")


def _start(mailing: Mailing, now: datetime) -> int:
    if mailing.state != Mailing.SCHEDULED or mailing.paused_at or mailing.starts_at > now:
        return 0
    newest = Customer.objects.of(mailing.tenant).order_by("-id").values_list("id", flat=True).first()
    mailing.state, mailing.started_at = Mailing.RUNNING, now
    mailing.last_customer_id = newest or 0
    log.info("mailing_started", mailing_id=mailing.pk, tenant=mailing.tenant.name)
    return 1


def _materialise(mailing: Mailing, now: datetime) -> int:
    if mailing.state != Mailing.RUNNING or mailing.materialised_at is not None:
        return 0
    is_last = materialise_slice(mailing, now=now, too_late=is_too_late(mailing.ends_at, now))
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
    move(Message, [Move(row, to, reason, columns) for row in held])
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
    mailing.finished_at = now
    log.info("mailing_finished", mailing_id=mailing.pk, tenant=mailing.tenant.name)
    return 1
