"""The demo's mailing: made, watched to its end, while the sender turns bad half way and recovers."""

import time
from datetime import datetime, timedelta

from clarion.cli.demo import watching
from clarion.cli.demo.course import HALF, Course
from clarion.cli.demo.workers import StillRuns
from clarion.cli.output import now, out
from clarion.flows import accounts, mailings, previews
from clarion.flows.previews import Preview
from clarion.lib.segments import measure
from clarion.models import Customer, Mailing, Tenant
from clarion.models.outgoing import STATUS
from clarion.sandbox import RunningSender

TEXT = "Hello {{ attributes.name | default: 'you' }}, your parcel waits in {{ attributes.city | default: 'our shop' }}."
# At the rate the mailing asks for, its messages take so long, s: enough to watch. Few take less: so many go in a second.
LEAVES_IN = 25.0
LEAST_RATE = 200.0
# What has not left by then is too late, s: the time it takes, the bad times, a break, the slow start after it, and as
# much again for a machine that is busy.
WINDOW = 120.0
# Nobody who sleeps is sent to: the hours are open for whoever is at most so far west and east of Greenwich.
WEST, EAST = timedelta(hours=2), timedelta(hours=8)
# A healthy answer takes milliseconds; one that is waited for so long is none, s.
PATIENCE = 2.0
# Beyond the window a worker needs seconds to end everything; then something is broken, s.
GIVES_UP_AFTER = WINDOW + 30.0
LOOKS_EVERY = 0.2


def make(tenant: Tenant, sender: RunningSender, *, at: datetime) -> tuple[Preview, Mailing]:
    """Make the mailing, to start at once, through an account with this sender; show before what it will come to."""
    settings = {"base_url": sender.base_url, "token": "demo", "timeout": PATIENCE}
    accounts.add(tenant, name="sender", gateway="probe", settings=settings, now=at)
    people = Customer.objects.of(tenant).count()
    draft = mailings.Draft(
        text=TEXT,
        starts_at=at,
        ends_at=at + timedelta(seconds=WINDOW),
        local_from=(at - WEST).time().replace(second=0, microsecond=0),
        local_until=(at + EAST).time().replace(second=0, microsecond=0),
        rate_per_second=max(people / LEAVES_IN, LEAST_RATE),
    )
    told = previews.preview(tenant, draft, is_test=False, now=at)
    _show(draft, told)
    return told, mailings.create(tenant, draft, is_test=False, now=at)


def _show(draft: mailings.Draft, told: Preview) -> None:
    hours = f"{draft.local_from:%H:%M} to {draft.local_until:%H:%M}"
    out.print(
        f"\nA mailing to {told.overview.count} clients, while it is {hours} where they live; "
        f"at most {told.rate:.0f} a second, and {WINDOW:.0f} s for all of it."
    )
    fates = ", ".join(
        f"{count} {' '.join(filter(None, (STATUS[state], reason)))}"
        for (state, reason), count in sorted(told.counts.items(), key=lambda each: -each[1])
    )
    out.print(f"Its preview: {fates}; {told.seconds:.0f} s if nothing comes in between.")
    for sample in told.samples[:1]:
        size = measure(sample.text)
        out.print(f"  {sample.text!r}: {size.segments} of {size.encoding}", markup=False)


def watch(mailing: Mailing, sender: RunningSender, still_runs: StillRuns) -> None:
    """Show the mailing until it has finished, and lead the sender through its course."""
    people = Customer.objects.of(mailing.tenant).count()
    give_up = time.monotonic() + GIVES_UP_AFTER
    course = Course(sender, bad_from=int(people * HALF))
    with watching.screen() as screen:
        while mailing.finished_at is None and time.monotonic() < give_up:
            time.sleep(LOOKS_EVERY)
            still_runs()
            course.follow(time.monotonic())
            screen.show(watching.look(mailing, total=people, sender=course.mood.says, now=now()))
            mailing.refresh_from_db()
