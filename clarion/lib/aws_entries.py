"""What goes into a queue or topic of AWS: what AWS allows of it, and how many fit into one call.

The same for SQS and SNS. Which call it is, the caller says.
"""

import abc
import asyncio
import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from clarion.lib.sending import InDoubt, NotSent, Receipt, Refused, SendError

# Entries in one call of SendMessageBatch or PublishBatch.
MOST_ENTRIES = 10
# Bytes of one entry, and of all in one call, at most (both API references).
MOST_BYTES = 1024 * 1024
# Bytes that are put into one call. Each topic, and each queue made before 2025, takes 256 KiB unless it is told more.
BYTES_IN_CALL = 256 * 1024
# SQS refuses more; SNS hands no more on to SQS.
MOST_ATTRIBUTES = 10

# SQS developer guide, "message metadata": a name; `AWS.` and `Amazon.` are its own.
ATTRIBUTE = re.compile(r"(?!(?i:aws|amazon)\.)[\w-]+(\.[\w-]+)*", re.ASCII)
# What XML 1.0 has no place for; AWS takes none of it.
UNSENDABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
# A group or deduplication id: 128 letters, digits and signs of ASCII.
ID = re.compile(r"[!-~]{1,128}")


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing to send. `group` and `key` (who goes in order; which are the same) are empty unless it is FIFO."""

    body: str = field(repr=False)
    attributes: tuple[tuple[str, str], ...] = field(repr=False)
    group: str
    key: str

    def size(self) -> int:
        """Return its bytes as AWS counts them: names, types and values of attributes, too."""
        of_attributes = sum(len(f"{name}String{value}".encode()) for name, value in self.attributes)
        return len(self.body.encode()) + of_attributes


Outcome = Receipt | SendError
One = Callable[[Entry], Awaitable[Receipt]]
Several = Callable[[Sequence[Entry]], Awaitable[list[Outcome]]]


class Sendable(Protocol):
    """What an entry is made of: `id` is the same in every try, what has one `group` goes in order."""

    @property
    def id(self) -> str: ...
    @property
    def body(self) -> str: ...
    @property
    def attributes(self) -> Mapping[str, str]: ...
    @property
    def group(self) -> str: ...


class ByEntries(abc.ABC):
    """One queue or topic. A subclass says whether it is FIFO, whether anything can be there, and makes the calls."""

    _is_fifo: bool

    async def send(self, parcel: Sendable) -> Receipt:
        """Send one parcel as one entry.

        :raises SendError: one of the five kinds
        """
        self._check()
        return await self._send_one(self._entry(parcel))

    async def send_batch(self, parcels: Sequence[Sendable]) -> list[Outcome]:
        """Send up to ten parcels, in more than one call where they are large.

        :raises SendError: of one kind for all of them
        """
        self._check()
        entries: list[Entry | Refused] = []
        for parcel in parcels:
            try:
                entries.append(self._entry(parcel))
            except Refused as refused:
                entries.append(refused)
        return await deliver(entries, one=self._send_one, several=self._send_several)

    def _entry(self, parcel: Sendable) -> Entry:
        return entry_of(
            parcel.body, parcel.attributes, group=parcel.group, key=parcel.id, is_fifo=self._is_fifo
        )

    @abc.abstractmethod
    def _check(self) -> None:
        """:raises Misconfigured: the settings name no queue or topic"""

    @abc.abstractmethod
    async def _send_one(self, entry: Entry) -> Receipt:
        """:raises SendError:"""

    @abc.abstractmethod
    async def _send_several(self, entries: Sequence[Entry]) -> list[Outcome]:
        """:raises SendError: of one kind for all of them"""


def entry_of(body: str, attributes: Mapping[str, str], *, group: str, key: str, is_fifo: bool) -> Entry:
    """Return what can be sent of it; attributes that AWS would refuse are left out.

    :raises Refused: the body is too long, or holds what AWS takes from nobody
    """
    if UNSENDABLE.search(body):
        raise Refused("it holds characters that AWS does not take", code="InvalidMessageContents")
    legal = tuple((name, value) for name, value in attributes.items() if _is_legal(name, value))
    ids = (_id(group), _id(key)) if is_fifo else ("", "")
    entry = Entry(body, legal[:MOST_ATTRIBUTES], *ids)
    if entry.size() > MOST_BYTES:
        raise Refused(f"it has more than {MOST_BYTES:,} bytes", code="size")
    return entry


async def deliver(entries: Sequence[Entry | Refused], *, one: One, several: Several) -> list[Outcome]:
    """Send them in as few calls as they fit into; return what came of each, in their order.

    FIFO goes call by call, and stops at a call that fails, so that nothing overtakes; others go at once.

    :raises SendError: of one kind for all of them, where all went in one call
    """
    calls = _calls([each for each in entries if isinstance(each, Entry)])
    if len(calls) == 1 and len(calls[0]) == len(entries):
        return await several(calls[0])
    sent: list[Outcome] = []
    if any(entry.group for call in calls for entry in call):
        for call in calls:
            # What is refused for good holds nobody up.
            is_stopped = any(isinstance(each, SendError) and not isinstance(each, Refused) for each in sent)
            sent += [_held_back() for _ in call] if is_stopped else await _called(call, one, several)
    else:
        answers = await asyncio.gather(*(_called(call, one, several) for call in calls))
        sent = [outcome for answer in answers for outcome in answer]
    outcomes = iter(sent)
    return [each if isinstance(each, Refused) else next(outcomes) for each in entries]


def missing() -> InDoubt:
    """Return (as an outcome) that AWS's answer to a batch leaves an entry out."""
    return InDoubt("AWS's answer does not name it", code="unnamed")


def _calls(entries: Sequence[Entry]) -> list[list[Entry]]:
    """Return the entries in order, in as few calls as they fit into."""
    calls: list[list[Entry]] = []
    room = 0
    for entry in entries:
        size = entry.size()
        if not calls or len(calls[-1]) == MOST_ENTRIES or size > room:
            calls.append([])
            room = BYTES_IN_CALL
        calls[-1].append(entry)
        room -= size
    return calls


async def _called(call: Sequence[Entry], one: One, several: Several) -> list[Outcome]:
    """Send these in one call; where AWS refuses them as a whole, one by one."""
    try:
        return await several(call) if len(call) > 1 else [await one(call[0])]
    except Refused as refused:
        if len(call) == 1:
            return [refused]
    except SendError as error:
        return [error] * len(call)
    outcomes: list[Outcome] = []
    for entry in call:
        outcomes += await _called([entry], one, several)
    return outcomes


def _held_back() -> NotSent:
    return NotSent("what goes before it was not taken", code="order")


def _is_legal(name: str, value: str) -> bool:
    # 256 characters: SQS developer guide, as above. An empty value is refused.
    return (
        len(name) <= 256 and bool(ATTRIBUTE.fullmatch(name)) and bool(value) and not UNSENDABLE.search(value)
    )


def _id(text: str) -> str:
    """Return it as AWS takes it: as it is, or what stands for it and for nothing else."""
    return text if ID.fullmatch(text) else hashlib.sha256(text.encode()).hexdigest()
