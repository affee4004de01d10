"""The one place where anything leaves.

A thread with an event loop of its own sends what the cycle hands it and keeps the answers until the cycle asks.
It sees no database: whatever it sends was committed as `sending` before. Nothing elsewhere calls `send`.
"""

import asyncio
import threading
from collections import Counter, defaultdict, deque
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar, cast

import structlog
import uvloop

from clarion.lib.crashpoints import crashpoint
from clarion.lib.http import UNWRITTEN
from clarion.lib.logs import mistake
from clarion.lib.sending import InDoubt, Misconfigured, NotSent, Receipt, Refused, SendError
from clarion.outbox.gate import LEAST_TIME
from clarion.outbox.landing import Departure, Landing, Recalled, TooLate
from clarion.outbox.messages import MESSAGES
from clarion.outbox.pacer import Pacer
from clarion.outbox.traffic import Account, BatchExit, Exit, Traffic

# Exits that are kept ready; with more accounts in use than that, they are made anew.
MOST_EXITS = 4096

# How a send ended.
Result = Receipt | SendError | TooLate
# What an exit gives for one, or for some.
Sent = TypeVar("Sent")

# Tells a send aborted at its deadline from one abandoned at the end of the process.
_DEADLINE = "deadline"

log = structlog.get_logger()


class Dispatch:
    """The sends under way. `start` and `take_landings` are called by the cycle's thread only.

    `landed` is set when an answer came; several may share it, and whoever waits for it clears it then.
    """

    def __init__(
        self,
        *,
        slots: int,
        clock: Callable[[], datetime],
        traffic: Traffic = MESSAGES,
        landed: threading.Event | None = None,
    ) -> None:
        self.slots = slots
        self.traffic = traffic
        self.landed = landed or threading.Event()
        # Who shares it clears it before all of them are asked.
        self._is_shared = landed is not None
        self._clock = clock
        self._landings: deque[Landing] = deque()
        # Sends whose landing was not taken yet, by their account's lane and their own.
        self.under_way: Counter[tuple[int, int]] = Counter()
        self._pacers: dict[int, Pacer] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_closing = False
        self._ways_out: dict[int, tuple[str, Exit]] = {}
        self._loop = uvloop.new_event_loop()
        self._http = traffic.client(slots)
        self._thread = threading.Thread(target=self._run, name=f"{traffic.name} dispatch", daemon=True)
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._http.open(), self._loop).result()

    @property
    def free(self) -> int:
        """How many more sends may begin. A send counts until its landing was taken."""
        return self.slots - self.under_way.total()

    def start(self, departures: Sequence[Departure]) -> None:
        """Begin these sends. Returns at once."""
        if departures:
            self.under_way.update(map(_lanes, departures))
            self._loop.call_soon_threadsafe(self._depart, departures)

    def recall(self, root_ids: Collection[int]) -> None:
        """Take back what has not left yet and leads to the accounts of these lanes; it lands as `Recalled`."""
        if root_ids:
            self._loop.call_soon_threadsafe(self._recall, list(root_ids))

    def take_landings(self) -> list[Landing]:
        """Return the answers that came since the last call; each is handed out once."""
        if not self._is_shared:
            self.landed.clear()
        landings = [self._landings.popleft() for _ in range(len(self._landings))]
        self.under_way.subtract(_lanes(landing.departure) for landing in landings)
        return landings

    def close(self) -> None:
        """Stop the thread; sends still under way are abandoned, and treated as after a crash."""
        asyncio.run_coroutine_threadsafe(self._shut(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    async def _shut(self) -> None:
        self._is_closing = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._http.close()

    def _depart(self, departures: Sequence[Departure]) -> None:
        together: defaultdict[int, list[Departure]] = defaultdict(list)
        for departure in departures:
            if departure.gap:
                pacer = self._pacers.get(departure.paced_by)
                if pacer is None:
                    pacer = self._pacers[departure.paced_by] = Pacer(self._loop, self._take_off)
                pacer.add(departure)
            elif self.traffic.batch_size(departure.account) > 1:
                together[departure.account.pk].append(departure)
            else:
                self._take_off(departure)
        for group in together.values():
            size = self.traffic.batch_size(group[0].account)
            for start in range(0, len(group), size):
                self._take_off(*group[start : start + size])

    def _recall(self, root_ids: Sequence[int]) -> None:
        now = self._clock()
        back = [
            each for pacer in self._pacers.values() for root_id in root_ids for each in pacer.recall(root_id)
        ]
        self._landings.extend(Landing(each, Recalled(), started_at=now, ended_at=now) for each in back)
        self.landed.set()

    def _take_off(self, *departures: Departure) -> None:
        if self._is_closing:
            return
        fly = self._fly(departures[0]) if len(departures) == 1 else self._fly_together(departures)
        task = self._loop.create_task(fly)
        # The loop itself holds its tasks weakly.
        self._tasks.add(task)
        task.add_done_callback(self._forget)

    async def _fly(self, departure: Departure) -> None:
        started_at = self._clock()
        try:
            result: Result = await self._send(departure, started_at)
        except (SendError, TooLate) as error:
            result = error
        self._land([Landing(departure, result, started_at, ended_at=self._clock())])

    async def _fly_together(self, departures: Sequence[Departure]) -> None:
        started_at = self._clock()
        late = [each for each in departures if each.until - started_at < LEAST_TIME]
        going = [each for each in departures if each.until - started_at >= LEAST_TIME]
        results: Sequence[Result] = await self._send_together(going, started_at) if going else ()
        ended_at = self._clock()
        self._land(Landing(each, TooLate(), started_at, ended_at) for each in late)
        pairs = zip(going, results, strict=True)
        self._land(Landing(each, result, started_at, ended_at) for each, result in pairs)

    def _land(self, landings: Iterable[Landing]) -> None:
        self._landings.extend(landings)
        self.landed.set()

    async def _send(self, departure: Departure, now: datetime) -> Receipt:
        time_left = departure.until - now
        if time_left < LEAST_TIME:
            raise TooLate
        way_out = self._way_out(departure.account)
        crashpoint("send.before_request")
        receipt = await self._guarded([departure], way_out.send(departure.content), time_left)
        crashpoint("send.after_answer")
        if not isinstance(receipt, Receipt):
            raise _failed(departure, TypeError(f"gave {type(receipt).__name__}"))
        return receipt

    async def _send_together(self, departures: Sequence[Departure], now: datetime) -> list[Result]:
        """Send these in one call; one that is refused as a whole goes again in halves, to find whom it is about."""
        time_left = min(each.until for each in departures) - now
        try:
            way_out = self._way_out(departures[0].account)
            crashpoint("send.before_request")
            batch = cast(BatchExit, way_out).send_batch([each.content for each in departures])
            # An adapter may give anything.
            results: Any = await self._guarded(departures, batch, time_left)
            outcomes: list[Result] = [each for each in results or () if isinstance(each, Receipt | SendError)]
            if len(outcomes) != len(departures):
                raise _failed(departures[0], TypeError("one outcome for each is wanted"))
        except Refused as error:
            if len(departures) == 1:
                return [error]
            half = len(departures) // 2
            halves = [departures[:half], departures[half:]]
            return [each for part in halves for each in await self._send_together(part, self._clock())]
        except SendError as error:
            return [error] * len(departures)
        crashpoint("send.after_answer")
        return outcomes

    async def _guarded(
        self, departures: Sequence[Departure], send: Awaitable[Sent], time_left: timedelta
    ) -> Sent:
        """Wait for what an exit does, until the time is over; whatever goes wrong in it is one of the five errors."""
        alarm = self._ring_at_deadline(time_left)
        try:
            return await send
        except asyncio.CancelledError as error:
            if _DEADLINE in error.args and UNWRITTEN in error.args:
                raise NotSent("The deadline came before the first byte left.", code="deadline") from error
            if _DEADLINE in error.args:
                raise InDoubt("The deadline came before the answer.", code="deadline") from error
            if self._is_closing:
                raise
            # Cancelled by the adapter itself: without an answer the slot would never be free again.
            raise _failed(departures[0], error) from error
        except SendError:
            raise
        except Exception as error:
            # A mistake in an adapter must not stop the others; what it did before is not known.
            raise _failed(departures[0], error) from error
        finally:
            alarm.cancel()

    def _ring_at_deadline(self, time_left: timedelta) -> asyncio.TimerHandle:
        """Abort the current task then. A bare timer: asyncio.timeout cost 6 % of a whole send."""
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("only tasks send")
        return self._loop.call_later(time_left.total_seconds(), task.cancel, _DEADLINE)

    def _way_out(self, account: Account) -> Exit:
        """Return the exit with this account's settings; made anew when they changed."""
        sealed, way_out = self._ways_out.get(account.pk, ("", None))
        if way_out is None or sealed != account.sealed_settings:
            try:
                way_out = self.traffic.exit(account, self._http)
            except Exception as error:
                # Unknown kind, settings that do not open or do not fit, a mistake in its constructor: whatever
                # it is, nothing was sent, and without an answer the slot would never be free again.
                sentence = f"{self.traffic.misfit(account)} ({type(error).__name__})."
                raise Misconfigured(sentence, code="bad_settings") from error
            if len(self._ways_out) >= MOST_EXITS:
                self._ways_out.clear()
            self._ways_out[account.pk] = (account.sealed_settings, way_out)
        return way_out

    def _forget(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            log.error("dispatch_failed", **mistake(error))


def _lanes(departure: Departure) -> tuple[int, int]:
    return departure.account.lane_id, departure.lane_id


def _failed(departure: Departure, error: BaseException) -> InDoubt:
    log.error("adapter_failed", exit=str(departure.account), row_id=departure.id, **mistake(error))
    return InDoubt(f"The adapter's code failed: {type(error).__name__}.", code="adapter_failed")
