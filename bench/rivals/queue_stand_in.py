"""Answers as SQS does, and keeps nothing, to ours and to the rival: `python -m bench.rivals.queue_stand_in PORT`."""

import asyncio
import hashlib
import sys
from typing import Any

import httptools
import msgspec
import uvloop

HEAD = (
    "HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.0\r\nx-amzn-RequestId: r\r\nContent-Length: "
)
ID = "00000000-0000-4000-8000-000000000000"


class Queue(asyncio.Protocol):
    """One connection. Tells the MD5 of each body, which AWS's own clients look at."""

    def connection_made(self, transport: Any) -> None:
        self.transport, self.body = transport, b""
        self.parser = httptools.HttpRequestParser(self)

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_body(self, data: bytes) -> None:
        self.body += data

    def on_message_complete(self) -> None:
        asked, self.body = msgspec.json.decode(self.body), b""
        if "Entries" in asked:
            told: dict[str, Any] = {
                "Successful": [{"Id": each["Id"], **taken(each)} for each in asked["Entries"]],
                "Failed": [],
            }
        else:
            told = taken(asked)
        content = msgspec.json.encode(told)
        self.transport.write(f"{HEAD}{len(content)}\r\n\r\n".encode() + content)


def taken(entry: dict[str, Any]) -> dict[str, str]:
    digest = hashlib.md5(entry["MessageBody"].encode(), usedforsecurity=False).hexdigest()
    return {"MessageId": ID, "MD5OfMessageBody": digest}


async def main(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Queue, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
