"""The usual way to forward: one Celery task for each delivery, which reads its row, signs the body, posts it, saves.

As in `celery_per_message`. The rival is spared what its database would not have: the body stands in the row, so that one
question brings everything, and what a subscription is set up with is opened once in each process.
"""

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache

from bench.installation import run
from bench.rivals.celery_per_message import app, session

MODULE = "bench.rivals.celery_per_delivery"


def fill(environment: dict[str, str], ids: Sequence[int]) -> None:
    """Put a task for each of these deliveries into the queue."""
    run(environment, "-m", MODULE, *map(str, ids))


@app.task
def forward(delivery_id: int) -> None:
    from clarion.lib.signatures import signed
    from clarion.models import Delivery

    delivery = Delivery.objects.get(pk=delivery_id)
    url, key = _way_out(delivery.subscription_id)
    body, now = delivery.body.encode(), datetime.now(UTC)
    headers = signed([key], message_id=f"dlv_{delivery.pk}", moment=int(now.timestamp()), body=body)
    headers["Content-Type"] = "application/json"
    answer = session.post(url, data=body, headers=headers, timeout=10, allow_redirects=False)
    if 200 <= answer.status_code < 300:
        delivery.state, delivery.finished_at = "accepted", datetime.now(UTC)
        delivery.save(update_fields=["state", "finished_at"])


@cache
def _way_out(subscription_id: int) -> tuple[str, bytes]:
    from clarion.lib.signatures import key_of
    from clarion.models import Subscription

    settings = Subscription.objects.get(pk=subscription_id).settings
    return settings["url"], key_of(settings["secret"])


if __name__ == "__main__":
    # Under its own name, not __main__'s: a task is known by the module it stands in.
    from bench.rivals.celery_per_delivery import forward as task

    for each in sys.argv[1:]:
        task.delay(int(each))
