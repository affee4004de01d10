"""Somebody who reads the logs over HTTP while they grow, page after page from the last number it saw."""

import http.client
import json
import time
from pathlib import Path

from tests.faults.posters import REST

# As many as a page has.
PAGE = 100
PATIENCE = 30.0


def read_on(ports: tuple[int, ...], keys: tuple[str, ...], seen: Path) -> None:
    """Read the log of each key's tenant and write down what is seen, until all are read to the ends that `end_at` told.

    It goes from one web process to the next with every page; one that is away is left out.
    """
    after, turn = [0] * len(keys), 0
    with seen.open("w", buffering=1) as written:
        while not _is_over(after, seen):
            news = 0
            for tenant, key in enumerate(keys):
                turn += 1
                page = _page(ports[turn % len(ports)], key, after[tenant])
                for entry in page:
                    after[tenant] = entry["seq"]
                    written.write(f"{tenant}\t{entry['seq']}\t{entry['event']['id']}\n")
                news += len(page)
            if not news:
                time.sleep(REST)


def end_at(seen: Path, heads: dict[int, int]) -> None:
    """Tell the reader where the logs end: nothing is written any more."""
    news = seen.with_suffix(".new")
    news.write_text(json.dumps(heads))
    news.rename(seen.with_suffix(".ends"))


def _is_over(after: list[int], seen: Path) -> bool:
    ends = seen.with_suffix(".ends")
    if not ends.exists():
        return False
    return all(after[int(tenant)] >= head for tenant, head in json.loads(ends.read_text()).items())


def _page(port: int, key: str, after: int) -> list[dict[str, object]]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        path = f"/api/v1/events?after_seq={after}&limit={PAGE}"
        connection.request("GET", path, headers={"Authorization": f"Bearer {key}"})
        answer = connection.getresponse()
        body = answer.read()
        return json.loads(body)["data"] if answer.status == 200 else []
    except (OSError, http.client.HTTPException):
        return []
    finally:
        connection.close()
