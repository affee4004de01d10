"""How long a mailing takes until all its rows are there, and how much memory the process holds that makes them.

`python -m bench.measures.materialise CUSTOMERS`. Leaves the mailing where it is, for `questions`.
"""

import sys
import time
from datetime import timedelta

import django

django.setup()

from bench import audience  # noqa: E402 - Django comes first
from bench.audience import now  # noqa: E402
from bench.figures import Figure, peak_mb, say  # noqa: E402
from clarion.flows import mailings, tenants  # noqa: E402
from clarion.models import Mailing  # noqa: E402

GOAL_SECONDS = {"sqlite": 4.0, "postgres": 8.0}
GOAL_MB = 250.0


def main(database: str, customers: int) -> None:
    tenant = tenants.create("bench", now=now())
    audience.make(tenant, customers)
    draft = mailings.Draft(text="hello", starts_at=now(), ends_at=now() + timedelta(hours=2))
    # Nothing is sent: no worker runs.
    mailing = mailings.create(tenant, draft, is_test=False, now=now())
    seconds = materialise(mailing)
    size = f"{customers:,} messages"
    say(
        [
            Figure("materialise a mailing", seconds, "s", size, GOAL_SECONDS[database], is_most=True),
            Figure("… memory of the process", peak_mb(), "MB", size, GOAL_MB, is_most=True),
        ]
    )


def materialise(mailing: Mailing) -> float:
    """Do what the worker does until every row is there; return how long it took, s."""
    began = time.perf_counter()
    mailings.start_due(now())
    while mailing.materialised_at is None:
        mailings.materialise_due(now())
        mailing.refresh_from_db()
    return time.perf_counter() - began


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
