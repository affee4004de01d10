"""A worker dies over a slice of a replay: the next one goes on from there, and each event is sent once more, and once."""

from datetime import UTC, datetime

from clarion.flows import redeliveries, tenants
from clarion.flows.destination_settings import Chosen
from clarion.lib.crashpoints import KILLED
from clarion.models import Delivery, EventHead, Redelivery
from clarion.outbox import claims
from tests.faults.plans import Figures
from tests.faults.rig import PROCESS_PATIENCE, Rig, Stuck, figures_of
from tests.flows.recording import fill
from tests.subscribers import make_subscription

# Three slices of SQLite's.
EVENTS = 1_200
# Nobody can be sent to there: what is looked at is what is put on its way.
NOWHERE = {"accessKey": "string", "accessSecret": "string", "queueUrl": "string", "region": "string"}


def in_redelivery(rig: Rig, point: str) -> Figures:
    """Ask for all of a log once more, and let the worker die over it."""
    figures = figures_of(rig.plan, kills=1, bound=0, messages=EVENTS)
    # Not the rig's: its mailings count on their own audience.
    tenant, now = tenants.find_or_create("subscribers", now=datetime.now(UTC)), datetime.now(UTC)
    before = EventHead.objects.of(tenant).values_list("seq", flat=True).first() or 0
    fill(tenant, EVENTS, now)
    subscription = make_subscription(
        tenant, now, ref=point, entity_type="PRODUCT", destination=Chosen("sqs", "sqs", NOWHERE)
    )
    span = redeliveries.replay_span(tenant, after_seq=before)
    asked = redeliveries.ask(subscription, span, redeliveries.count(subscription, span), by="x", now=now)
    victim = rig.start_worker(crash_at=point)
    code = victim.wait(PROCESS_PATIENCE)
    if code != KILLED:
        figures.breaches.append(f"the process did not die at the point but ended with {code}")
    claims.rescue_process(victim.pid, now=datetime.now(UTC))
    worker = rig.start_worker()
    try:
        done = Redelivery.objects.of(tenant).filter(pk=asked.pk, finished_at__isnull=False)
        rig.wait(done.exists, "the replay never came to its end")
    except Stuck as reason:
        figures.breaches.append(f"stuck: {reason}")
    if rig.end(worker) != 0:
        figures.breaches.append("the worker that finished did not end well")
    rows = Delivery.objects.of(tenant).filter(redelivery_id=asked.pk)
    found = list(rows.values_list("seq", flat=True))
    asked.refresh_from_db()
    figures.lost = EVENTS - len(set(found))
    figures.duplicates = len(found) - len(set(found))
    if figures.lost or figures.duplicates or asked.done != EVENTS:
        figures.breaches.append(f"{len(found)} deliveries of {EVENTS} events, {asked.done} counted")
    return figures
