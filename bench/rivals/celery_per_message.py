"""The usual way: one Celery task for each message, which reads its row, posts it with requests and saves what came of it.

As the documentation of both advises: small tasks that take an id, no results kept (`ignore_result`), early acknowledgement
and prefetching as they ship, one `requests.Session` for each worker process, so that connections are kept alive, and one
database connection for each, opened after the fork.
"""

import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime

import django
import requests
from celery import Celery

from bench.installation import run

# Before the fork, so that no process begins with it; none has opened a connection yet.
django.setup()
app = Celery("rival", broker=os.environ.get("RIVAL_BROKER"))
app.conf.task_ignore_result = True
# As it ships, Celery ends each database connection after one task; that many tasks no run has.
app.conf["CELERY_DB_REUSE_MAX"] = 1_000_000
session = requests.Session()


def environment(sender: str, broker: str) -> dict[str, str]:
    """Return what the rival's processes read from theirs."""
    return {"RIVAL_SENDER": sender, "RIVAL_BROKER": broker}


def command(processes: int, module: str = "bench.rivals.celery_per_message") -> list[str]:
    """Return the arguments of a worker with so many processes for a module's tasks.

    The options are the usual ones for a single worker.
    """
    lonely = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    worker = ["worker", "--pool", "prefork", "--concurrency", str(processes), "--loglevel", "error"]
    return ["-m", "celery", "-A", module, *worker, *lonely]


def fill(environment: dict[str, str], ids: Sequence[int]) -> None:
    """Put a task for each of these messages into the queue."""
    run(environment, "-m", "bench.rivals.celery_per_message", *map(str, ids))


@app.task
def send(message_id: int) -> None:
    from clarion.models import Message

    message = Message.objects.get(pk=message_id)
    answer = session.post(
        f"{os.environ['RIVAL_SENDER']}/v1/send/{message.pk}",
        json={"id": message.pk, "phone": int(message.address or 0), "text": "hello"},
        headers={"Authorization": "Bearer bench"},
        timeout=10,
    )
    if answer.status_code == 200 and answer.json() == {"code": 0, "message": "OK"}:
        message.state, message.finished_at = "accepted", datetime.now(UTC)
        message.save(update_fields=["state", "finished_at"])


if __name__ == "__main__":
    # Under its own name, not __main__'s: a task is known by the module it stands in.
    from bench.rivals.celery_per_message import send as task

    for each in sys.argv[1:]:
        task.delay(int(each))
