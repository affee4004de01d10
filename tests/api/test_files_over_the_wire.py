"""Files over a real connection, to real processes: longer than any body in memory, slow, broken off, not allowed."""

import http.client
import json
import socket
import time

import pytest

from tests.hub import BODY_SECONDS, PATIENCE, Hub, Shop, wait_until

LINE = b"POST /api/v1/clients/import/ HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/csv\r\n"
# The settings' defaults; the hub of the tests has no others.
MOST_IN_MEMORY, MOST_OF_FILE = 1024 * 1024, 1024**3
TABLE = b"phone;city\n70000000001;Berlin\n8000;Berlin\n"


def hear(connection: socket.socket) -> tuple[int, dict[str, object]]:
    response = http.client.HTTPResponse(connection)
    response.begin()
    return response.status, dict(json.loads(response.read()))


def head(shop: Shop, *more: bytes) -> bytes:
    tenant = f"X-TWC-Tenant: {shop.headers['X-TWC-Tenant']}".encode()
    return LINE + b"\r\n".join([tenant, *more]) + b"\r\n\r\n"


def imports_of(shop: Shop) -> list[dict[str, object]]:
    return list(shop.get("/api/v1/imports").json()["data"])


def test_a_file_longer_than_any_body_in_memory_is_read_by_the_worker(shop: Shop) -> None:
    file = TABLE + b"x" * (2 * MOST_IN_MEMORY) + b"\n70000000002;Berlin\n"

    taken = shop.post("/api/v1/clients/import", file.decode(), Content_Type="text/csv")
    ended = wait_until(lambda: [row for row in imports_of(shop) if row["finished"]])

    assert (taken.status, taken.json()["bytes"]) == (202, len(file))
    assert [(row["status"], row["created"], row["refused"]) for row in ended] == [("DONE", 2, 2)]
    assert b"8000" in shop.get(f"/api/v1/imports/{ended[0]['id']}/refused").body


def test_an_export_is_written_by_the_worker(shop: Shop) -> None:
    shop.post("/api/v1/clients", {"phone": "70000000001", "operator_code": "900", "timezone": "UTC"})

    place = shop.post("/api/v1/clients/export", {"format": "ndjson"}).headers["Location"]

    assert wait_until(lambda: shop.get(place).json()["status"] == "DONE")
    assert json.loads(shop.get(f"{place}/file").body)["phone"] == "70000000001"


@pytest.mark.thorough
def test_a_file_in_chunks_may_take_longer_than_a_body(shop: Shop) -> None:
    """What counts is the time between two pieces."""
    pieces = [TABLE[:5], TABLE[5:20], TABLE[20:]]
    with socket.create_connection(("127.0.0.1", shop.port), timeout=PATIENCE) as connection:
        connection.sendall(head(shop, b"Transfer-Encoding: chunked"))
        for piece in pieces:
            time.sleep(BODY_SECONDS / 2)
            connection.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
        connection.sendall(b"0\r\n\r\n")

        assert hear(connection)[0] == 202


@pytest.mark.slow
def test_a_file_that_stands_still_is_given_up(shop: Shop) -> None:
    with socket.create_connection(("127.0.0.1", shop.port), timeout=PATIENCE) as connection:
        connection.sendall(head(shop, b"Content-Length: 1000") + TABLE)

        status, problem = hear(connection)

    assert (status, problem["code"]) == (408, "body_too_slow")
    assert imports_of(shop) == []


def test_a_client_that_hangs_up_leaves_no_import(hub: Hub, shop: Shop) -> None:
    with socket.create_connection(("127.0.0.1", hub.port)) as connection:
        connection.sendall(head(shop, b"Content-Length: 1000") + TABLE)

    # Asked on a later connection, which the hub hears after the end of the first.
    assert shop.get("/api/v1/imports").json()["data"] == []


def test_a_file_that_says_it_is_too_long_is_refused_before_it_is_sent(shop: Shop) -> None:
    with socket.create_connection(("127.0.0.1", shop.port), timeout=PATIENCE) as connection:
        connection.sendall(head(shop, b"Content-Length: %d" % (MOST_OF_FILE + 1)))

        status, problem = hear(connection)

    assert (status, problem["code"]) == (413, "body_too_long")
    assert str(MOST_OF_FILE) in str(problem["detail"])


def test_who_may_not_send_files_is_told_before_the_file_is_sent(hub: Hub) -> None:
    """However much is announced, none of it is waited for or kept."""
    began = time.monotonic()
    with socket.create_connection(("127.0.0.1", hub.port), timeout=PATIENCE) as connection:
        connection.sendall(
            LINE + b"Authorization: Bearer ck_live_x\r\nContent-Length: %d\r\n\r\n" % MOST_OF_FILE
        )
        connection.sendall(b"x" * MOST_IN_MEMORY)

        status, problem = hear(connection)

    assert (status, problem["code"]) == (401, "not_identified")
    assert time.monotonic() - began < PATIENCE / 2


def test_who_may_not_send_events_is_told_before_a_long_body_of_them_is_sent(hub: Hub) -> None:
    """As much of it as any body may have is read; who asks is looked up before the rest."""
    with socket.create_connection(("127.0.0.1", hub.port), timeout=PATIENCE) as connection:
        connection.sendall(
            b"POST /api/v1/events HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Authorization: Bearer ck_live_x\r\nContent-Length: %d\r\n\r\n" % (8 * MOST_IN_MEMORY)
        )
        connection.sendall(b"[" + b" " * MOST_IN_MEMORY)

        status, problem = hear(connection)

    assert (status, problem["code"]) == (401, "not_identified")
