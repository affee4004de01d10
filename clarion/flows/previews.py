"""What would become of a mailing if it were made now: for how many, as which texts, until when. Stores nothing."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from clarion.flows.drafts import Draft, fields_of
from clarion.lib.texts import CannotRender, compile_text
from clarion.models import Customer, Mailing, State, Tenant
from clarion.models.audiences import Overview, look_over
from clarion.models.customers import TEXT_NAMES
from clarion.models.materialising import Fate
from clarion.models.outgoing import Reason
from clarion.outbox import plan


@dataclass(frozen=True, slots=True)
class Sample:
    """The text for one customer, or what is in its way: one of the two is empty."""

    customer_id: int
    text: str
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Preview:
    """A mailing told beforehand.

    `counts` are messages by state and reason; they add up to the audience. `closed_zones` are the zones in which
    its hours never open, "" for the tenant's, and how many customers live there. `rate` bounds the sends of a
    second, None: nothing does; `seconds` is what they take at it, `done_at` when the last leaves at the earliest (None:
    nobody can tell without a rate, there is none, or it is further away than `plan.FURTHEST`).
    """

    overview: Overview
    counts: dict[tuple[str, str], int]
    closed_zones: dict[str, int]
    samples: list[Sample]
    rate: float | None
    seconds: float | None
    begins_at: datetime
    done_at: datetime | None


def preview(tenant: Tenant, draft: Draft, *, is_test: bool, now: datetime) -> Preview:
    """Tell what the draft would come to.

    :raises EndsBeforeStart, NoLocalHours, NoSuchAccount, BadText, BadFilter:
    """
    mailing = Mailing(tenant=tenant, **fields_of(tenant, draft, is_test=is_test))
    begins_at = max(now, mailing.starts_at)
    everybody = Customer.objects.of(tenant)
    overview = look_over(everybody, mailing.audience(everybody), by_zone=mailing.hours is not None)
    rate = plan.slower(mailing.rate_per_second, mailing.account.lane.rate_per_second)
    fates = plan.fates(mailing, overview.zones, begins_at)
    openings = plan.openings(
        overview.zones,
        hours=mailing.hours,
        home=mailing.tenant.zone,
        begin=begins_at,
        end=mailing.ends_at,
    )
    counts = _counts(overview, fates, openings.capacity(rate))
    closed = [zone for zone, fate in fates.items() if fate.reason == Reason.NO_LOCAL_HOURS]
    sends = counts.get((State.WAITING, ""), 0)
    return Preview(
        overview=overview,
        counts=counts,
        closed_zones={zone: overview.zones[zone] for zone in closed},
        samples=[_sample(mailing.text, customer) for customer in overview.picked],
        rate=rate,
        seconds=max(sends - 1, 0) / rate if rate else None,
        begins_at=begins_at,
        done_at=openings.done_at(sends, rate) if rate and sends else None,
    )


def _counts(overview: Overview, fates: Mapping[str, Fate], room: int | None) -> dict[tuple[str, str], int]:
    """Count what materialising would make of the audience, by state and reason."""
    counts: Counter[tuple[str, str]] = Counter()
    for zone, count in overview.zones.items():
        twins = overview.twins.get(zone, 0)
        counts[State.SKIPPED, Reason.SAME_ADDRESS] += twins
        counts[fates[zone].state, fates[zone].reason] += count - twins
    beyond = 0 if room is None else max(counts[State.WAITING, ""] - room, 0)
    counts[State.WAITING, ""] -= beyond
    counts[State.EXPIRED, Reason.NO_TIME_AT_RATE] += beyond
    return {key: count for key, count in counts.items() if count}


def _sample(text: str, customer: Customer) -> Sample:
    try:
        made = compile_text(text).render({name: getattr(customer, name) for name in TEXT_NAMES})
    except CannotRender as error:
        return Sample(customer.pk, "", str(error))
    return Sample(customer.pk, made)
