"""The usual way for many: `bulk_create`, a thousand at a time. `python -m bench.rivals.django_events.bulk SECONDS`."""

import sys
import time

import django

django.setup()

from bench.rivals.django_events.models import Event  # noqa: E402 - Django comes first
from bench.samples import BATCH, entity_event  # noqa: E402


def main(seconds: float) -> None:
    """Print how many rows a second it stores."""
    before = Event.objects.count()
    began, stored = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        many = [entity_event(f"bulk-{before + stored + n}", n) for n in range(BATCH)]
        Event.objects.bulk_create(Event(event_id=each.pop("id"), **each) for each in many)
        stored += BATCH
    print(stored / (time.perf_counter() - began))


if __name__ == "__main__":
    main(float(sys.argv[1]))
