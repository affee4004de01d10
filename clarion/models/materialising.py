"""From customers to messages, by the database alone: one slice of a mailing is one INSERT … SELECT."""

from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import Count

from clarion.models.customers import Customer
from clarion.models.mailings import Mailing, MailingCount
from clarion.models.messages import Message
from clarion.models.outgoing import FIRST_TRY, Reason, State

# On SQLite a slice keeps the other process from writing: 5,000 rows stay below the 25 ms it may take.
# A server lets others write meanwhile; there the slice only bounds what a crash repeats.
SLICE = {"sqlite": 5_000}
SERVER_SLICE = 50_000


def materialise_slice(mailing: Mailing, *, now: datetime, too_late: bool) -> bool:
    """Turn the next customers of a locked, running mailing into messages; True when that was the last slice.

    One message per address: of two customers with the same one the second becomes SKIPPED. Rows, counters and the
    mailing's cursor are written in the caller's transaction, so a slice happens whole or not at all.
    `too_late` makes every row TIMEOUT: the window is over.
    """
    audience = mailing.audience(Customer.objects.all()).filter(
        id__gt=mailing.cursor, id__lte=mailing.last_customer_id
    )
    size = SLICE.get(connection.vendor, SERVER_SLICE)
    upper = audience.order_by("id").values_list("id", flat=True)[size - 1 : size].first()
    is_last = upper is None
    upper = (mailing.last_customer_id or 0) if upper is None else upper
    _insert(mailing, audience.filter(id__lte=upper), now=now, too_late=too_late)
    made = Message.objects.filter(mailing=mailing, customer_id__gt=mailing.cursor, customer_id__lte=upper)
    counted = made.values_list("state", "reason").annotate(n=Count("id")).order_by()
    MailingCount.objects.shift(
        {(mailing.pk, state, reason, mailing.tenant_id): n for state, reason, n in counted}
    )
    mailing.cursor = upper
    return is_last


def _insert(mailing: Mailing, audience: "object", *, now: datetime, too_late: bool) -> None:
    fresh = (State.EXPIRED, Reason.WINDOW_OVER) if too_late else (State.WAITING, "")
    constants = {
        "tenant_id": mailing.tenant_id,
        "mailing_id": mailing.pk,
        "lane_id": mailing.account.lane_id,
        "priority": FIRST_TRY,
        "due_at": now,
        "deadline_at": mailing.ends_at,
        "tries": 0,
        "counted_tries": 0,
        "worker_deaths": 0,
        "provider_id": "",
        "code": "",
        "text": "",
        "created_at": now,
    }
    names = [*constants, "customer_id", "address", "state", "reason", "finished_at"]
    fields: Any = Message._meta
    prepared = [
        fields.get_field(name).get_db_prep_save(value, connection) for name, value in constants.items()
    ]
    ids, id_params = audience.order_by().values("id", "phone").query.sql_with_params()  # type: ignore[attr-defined]
    quote = connection.ops.quote_name
    table = quote(Message._meta.db_table)
    done = fields.get_field("finished_at").get_db_prep_save(now, connection)
    # `is_first` is decided over the slice and over what the mailing already has.
    sql = f"""
        INSERT INTO {table} ({", ".join(map(quote, names))})
        SELECT {", ".join(["%s"] * len(constants))}, c.id,
               CASE WHEN c.is_first = 1 THEN c.phone END,
               CASE WHEN c.is_first = 1 THEN %s ELSE %s END,
               CASE WHEN c.is_first = 1 THEN %s ELSE %s END,
               CASE WHEN c.is_first = 1 THEN %s ELSE %s END
        FROM (
            SELECT a.id, a.phone,
                   CASE WHEN ROW_NUMBER() OVER (PARTITION BY a.phone ORDER BY a.id) = 1
                        AND NOT EXISTS (SELECT 1 FROM {table} m
                                        WHERE m.mailing_id = %s AND m.address = a.phone)
                   THEN 1 ELSE 0 END AS is_first
            FROM ({ids}) a
        ) c ORDER BY c.id"""
    params = [
        *prepared,
        *(fresh[0], State.SKIPPED, fresh[1], Reason.SAME_ADDRESS),
        *(done if too_late else None, done, mailing.pk, *id_params),
    ]
    with connection.cursor() as cursor:
        cursor.execute(sql, params)
