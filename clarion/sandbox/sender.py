"""The stand-in for the outside sender: its route and its control routes. Sockets are in `wire`, `serving`."""

import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from clarion.sandbox.profiles import Act, Behaviour, Settings, http_answer
from clarion.sandbox.tally import Tally

SEND_PATH = b"/v1/send/"
UNAUTHORISED = Act(accepted=False, answer=http_answer("401 Unauthorized", b'{"message":"unknown token"}'))
NOT_FOUND = Act(accepted=False, answer=http_answer("404 Not Found", b'{"message":"no such path"}'))
NOT_SERVED = Act(
    accepted=False,
    answer=http_answer("405 Method Not Allowed", b'{"message":"not served"}', more="Allow: POST\r\n"),
)


class Message(msgspec.Struct, forbid_unknown_fields=True):
    """What the route takes."""

    id: int
    phone: int
    text: str


class Outage(msgspec.Struct, forbid_unknown_fields=True):
    """How long nobody is there, s."""

    seconds: float


class Sender:
    """The stand-in itself, without its sockets: one request in, one act out.

    `go_away` is asked to refuse all connections for so many seconds; whoever has the sockets sets it.
    """

    go_away: Callable[[float], None]

    def __init__(self, chosen: Settings, *, token: str | None = None, ledger: Path | None = None) -> None:
        self.tally = Tally(ledger)
        self.settle = self.tally.write_ledger
        self.behaviour = Behaviour(chosen, now=time.monotonic())
        self._expected = None if token is None else b"Bearer " + token.encode()
        self._decode = msgspec.json.Decoder(Message).decode

    def respond(self, method: bytes, path: bytes, authorization: bytes, body: bytes) -> Act:
        """Return what becomes of one request; what is malformed is refused whatever the profile."""
        if not path.startswith(SEND_PATH):
            return self._control(method, path, body)
        if method != b"POST":
            return NOT_SERVED
        if self._expected is not None and authorization != self._expected:
            self.tally.malformed += 1
            return UNAUTHORISED
        try:
            message = self._decode(body)
            if b"%d" % message.id != path[len(SEND_PATH) :]:
                raise ValueError("the id in the path is not the id in the body")
        except ValueError as error:  # msgspec's errors are ValueErrors
            self.tally.malformed += 1
            return _refusal(error)
        return self._send(message)

    def switch(self, chosen: Settings) -> None:
        """Put a profile in force from now on.

        :raises UnknownProfile: naming the known ones
        """
        self.behaviour.switch(chosen, now=time.monotonic())

    def _send(self, message: Message) -> Act:
        now = time.monotonic()
        before = self.tally.arrived(message.id, at=time.time(), steady_at=now)
        act = self.behaviour.next(message.id, before, now=now, phone=message.phone)
        self.tally.decided(message.id, self.behaviour.name, accepted=act.accepted)
        return act

    def _control(self, method: bytes, path: bytes, body: bytes) -> Act:
        if method == b"POST" and path == b"/_sandbox/profile":
            try:
                self.switch(msgspec.json.decode(body, type=Settings))
            except ValueError as error:  # UnknownProfile too
                return _refusal(error)
            return _json({"profile": self.behaviour.name})
        if method == b"POST" and path == b"/_sandbox/outage":
            try:
                outage = msgspec.json.decode(body, type=Outage)
            except ValueError as error:
                return _refusal(error)
            self.go_away(outage.seconds)
            return _json({"seconds": outage.seconds})
        if method == b"GET" and path == b"/_sandbox/counts":
            return _json({"profile": self.behaviour.name, **self.tally.counts()})
        if method == b"GET" and path == b"/_sandbox/accepted":
            return _json(dict(self.tally.accepted_times()))
        if method == b"GET" and path == b"/_sandbox/arrivals":
            return _json({message_id: (first, last) for message_id, first, last in self.tally.arrivals()})
        if method == b"GET" and path == b"/_sandbox/requests":
            return _json(list(self.tally.log()))
        return NOT_FOUND


def _refusal(error: ValueError) -> Act:
    return Act(
        accepted=False, answer=http_answer("400 Bad Request", msgspec.json.encode({"message": str(error)}))
    )


def _json(answer: object) -> Act:
    return Act(accepted=False, answer=http_answer("200 OK", msgspec.json.encode(answer)))
