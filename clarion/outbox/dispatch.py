"""The one place where anything leaves.

A thread with an event loop of its own sends what the cycle hands it and keeps the answers until the cycle asks.
It sees no database: whatever it sends was committed as `sending` before. Nothing elsewhere calls `send`.
"""

import asyncio
import threading
from collections import Counter, deque
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, timedelta

import structlog
import uvloop

from clarion import gateways
from clarion.gateways import Gateway, MessageContent
from clarion.lib.crashpoints import crashpoint
from clarion.lib.http import UNWRITTEN, HttpClient
from clarion.lib.logs import mistake
from clarion.lib.sending import InDoubt, Misconfigured, NotSent, Receipt, SendError
from clarion.models import GatewayAccount
from clarion.outbox.gate import LEAST_TIME
from clarion.outbox.landing import Departure, Landing, Recalled, TooLate
from clarion.outbox.pacer import Pacer

# Tells a send aborted at its deadline from one abandoned at the end of the process.
_DEADLINE = "deadline"

log = structlog.get_logger()


class Dispatch:
    """The sends under way. `start` and `take_landings` are called by the cycle's thread only."""

    def __init__(self, *, slots: int, clock: Callable[[], datetime]) -> None:
        self.slots = slots
        self.landed = threading.Event()
        self._clock = clock
        self._landings: deque[Landing] = deque()
        # Sends whose landing was not taken yet, by their account's lane and their own.
        self.under_way: Counter[tuple[int, int]] = Counter()
        self._pacers: dict[int, Pacer] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_closing = False
        self._ways_out: dict[int, tuple[str, Gateway]] = {}
        self._loop = uvloop.new_event_loop()
        self._http = HttpClient(connections=slots)
        self._thread = threading.Thread(target=self._run, name="dispatch", daemon=True)
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
        for departure in departures:
            if departure.gap:
                pacer = self._pacers.get(departure.paced_by)
                if pacer is None:
                    pacer = self._pacers[departure.paced_by] = Pacer(self._loop, self._take_off)
                pacer.add(departure)
            else:
                self._take_off(departure)

    def _recall(self, root_ids: Sequence[int]) -> None:
        now = self._clock()
        back = [
            each for pacer in self._pacers.values() for root_id in root_ids for each in pacer.recall(root_id)
        ]
        self._landings.extend(Landing(each, Recalled(), started_at=now, ended_at=now) for each in back)
        self.landed.set()

    def _take_off(self, departure: Departure) -> None:
        if self._is_closing:
            return
        task = self._loop.create_task(self._fly(departure))
        # The loop itself holds its tasks weakly.
        self._tasks.add(task)
        task.add_done_callback(self._forget)

    async def _fly(self, departure: Departure) -> None:
        started_at = self._clock()
        try:
            result: Receipt | SendError | TooLate = await self._send(departure, started_at)
        except (SendError, TooLate) as error:
            result = error
        landing = Landing(departure, result, started_at, ended_at=self._clock())
        self._landings.append(landing)
        self.landed.set()

    async def _send(self, departure: Departure, now: datetime) -> Receipt:
        time_left = departure.until - now
        if time_left < LEAST_TIME:
            raise TooLate
        gateway = self._way_out(departure.account)
        content = MessageContent(id=departure.id, to=departure.address, text=departure.text)
        crashpoint("send.before_request")
        alarm = self._ring_at_deadline(time_left)
        try:
            receipt = await gateway.send(content)
        except asyncio.CancelledError as error:
            if _DEADLINE in error.args and UNWRITTEN in error.args:
                raise NotSent("The deadline came before the first byte left.", code="deadline") from error
            if _DEADLINE in error.args:
                raise InDoubt("The deadline came before the answer.", code="deadline") from error
            if self._is_closing:
                raise
            # Cancelled by the adapter itself: without an answer the slot would never be free again.
            raise _failed(departure, error) from error
        except SendError:
            raise
        except Exception as error:
            # A mistake in an adapter must not stop the others; what it did before is not known.
            raise _failed(departure, error) from error
        finally:
            alarm.cancel()
        crashpoint("send.after_answer")
        return receipt

    def _ring_at_deadline(self, time_left: timedelta) -> asyncio.TimerHandle:
        """Abort the current task then. A bare timer: asyncio.timeout cost 6 % of a whole send."""
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("only tasks send")
        return self._loop.call_later(time_left.total_seconds(), task.cancel, _DEADLINE)

    def _way_out(self, account: GatewayAccount) -> Gateway:
        """Return the gateway with this account's settings; made anew when they changed."""
        sealed, gateway = self._ways_out.get(account.pk, ("", None))
        if gateway is None or sealed != account.sealed_settings:
            try:
                kind = gateways.find(account.gateway)
                gateway = kind(kind.Config(**account.settings), self._http)
            except Exception as error:
                # Unknown gateway, settings that do not open or do not fit, a mistake in its constructor: whatever
                # it is, nothing was sent, and without an answer the slot would never be free again.
                sentence = f"The settings of account {account.name!r} do not fit gateway {account.gateway!r}"
                raise Misconfigured(f"{sentence} ({type(error).__name__}).", code="bad_settings") from error
            self._ways_out[account.pk] = (account.sealed_settings, gateway)
        return gateway

    def _forget(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            log.error("dispatch_failed", **mistake(error))


def _lanes(departure: Departure) -> tuple[int, int]:
    return departure.account.lane_id, departure.lane_id


def _failed(departure: Departure, error: BaseException) -> InDoubt:
    log.error("adapter_failed", gateway=departure.account.gateway, message_id=departure.id, **mistake(error))
    return InDoubt(f"The gateway's code failed: {type(error).__name__}.", code="adapter_failed")
