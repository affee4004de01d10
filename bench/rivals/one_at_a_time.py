"""The plain loop most senders begin with: read a row, send it over a kept connection, write the row, commit.

Eight of them at once, each with its own connections to the database and to the sender.
"""

import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

# As many as a small deployment runs; more only queue for the interpreter.
THREADS = 8


def run(
    rows: Iterator[tuple[int, str]], base_url: str, write: Callable[[int], None], close: Callable[[], None]
) -> float:
    """Send all rows and return how long that took, s. `write` records one as sent, in a transaction of its own."""
    reading = threading.Lock()

    def loop() -> None:
        sender = http.client.HTTPConnection(urlsplit(base_url).netloc)
        while True:
            with reading:
                row = next(rows, None)
            if row is None:
                break
            number, phone = row
            body = json.dumps({"id": number, "phone": int(phone), "text": "hello"})
            headers = {"Authorization": "Bearer bench", "Content-Type": "application/json"}
            sender.request("POST", f"/v1/send/{number}", body, headers)
            answer = sender.getresponse()
            if answer.status == 200 and json.loads(answer.read()) == {"code": 0, "message": "OK"}:
                write(number)
        sender.close()
        close()

    threads = [threading.Thread(target=loop) for _ in range(THREADS)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - began
