"""How long a million clients and their messages take to ask about: previews and statistics.

`python -m bench.measures.questions PORT WEB_PID ASKS`. Over HTTP, one kept connection to a running web process, as a caller
has it; what `materialise` left is what is asked about.
"""

import http.client
import json
import sys
import time
from datetime import timedelta
from typing import Any

import django

django.setup()

from bench.audience import CITIES, now  # noqa: E402 - Django comes first
from bench.figures import Figure, cpu_seconds, percentile, say  # noqa: E402
from clarion.flows import callers  # noqa: E402
from clarion.models import Customer, Mailing, Message, Tenant  # noqa: E402

GOAL_PREVIEW = 2.0
GOAL_STATISTICS = 10.0
# The first asks of a fresh process for modules and plans; a preview takes a second, so few have to do.
PREVIEWS = 5
WARM = 20


class Caller:
    """One connection with one key."""

    def __init__(self, port: int, key: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    def ask(self, method: str, path: str, body: object = None) -> tuple[float, Any]:
        """Return how long the answer took, s, and the answer.

        :raises RuntimeError: for anything but a 200
        """
        content = None if body is None else json.dumps(body)
        began = time.perf_counter()
        self._connection.request(method, path, content, self._headers)
        answer = self._connection.getresponse()
        read = answer.read()
        seconds = time.perf_counter() - began
        if answer.status != 200:
            raise RuntimeError(f"{method} {path}: {answer.status} {read[:500]!r}")
        return seconds, json.loads(read)


def main(port: int, web: int, asks: int) -> None:
    tenant = Tenant.objects.get(name="bench")
    _, key = callers.create_key(tenant, name="bench", scopes=["mailings"], is_test=False, now=now())
    caller = Caller(port, key)
    clients, messages = Customer.objects.of(tenant).count(), Message.objects.of(tenant).count()
    say(
        [
            *_previews(caller, f"{clients:,} clients"),
            *_statistics(caller, tenant, web, asks, f"{messages:,} messages"),
        ]
    )


def _previews(caller: Caller, size: str) -> list[Figure]:
    window = {"start_time": now().isoformat(), "end_time": (now() + timedelta(hours=2)).isoformat()}
    everybody = {"text": "hello {{ phone }}", **window}
    some = {**everybody, "filter": {"field": "attributes.city", "eq": CITIES[0]}}
    figures = []
    for what, body in (("preview of everybody", everybody), ("preview with a filter", some)):
        times, answers = zip(
            *[caller.ask("POST", "/api/v1/mailings/preview", body) for _ in range(PREVIEWS)], strict=True
        )
        if not answers[0]["audience"]:
            raise RuntimeError(f"the {what} finds nobody")
        figures.append(Figure(f"{what}, slowest", max(times), "s", size, GOAL_PREVIEW, is_most=True))
    return figures


def _statistics(caller: Caller, tenant: Tenant, web: int, asks: int, size: str) -> list[Figure]:
    one = Mailing.objects.of(tenant).latest("id")
    figures = []
    for what, path in (("all mailings", "/api/v1/mailings/"), ("one mailing", f"/api/v1/mailings/{one.pk}")):
        for _ in range(WARM):
            caller.ask("GET", path)
        used = cpu_seconds(web)
        times = [caller.ask("GET", path)[0] * 1_000 for _ in range(asks)]
        used = (cpu_seconds(web) - used) / asks * 1_000
        figures.append(Figure(f"statistics of {what}, p50", percentile(times, 0.5), "ms", size))
        worst = percentile(times, 0.99)
        figures.append(Figure("… p99", worst, "ms", size, GOAL_STATISTICS, is_most=True))
        figures.append(Figure("… processor time of the web process", used, "ms/request", size))
    return figures


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
