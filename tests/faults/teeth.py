"""The fault runs can fail: for each protection the plan that has to miss it, and the words in which it says so."""

from typing import NamedTuple

from msgspec.structs import replace

from tests.faults.plans import Figures, Plan

KILLS = Plan(scene="kills", messages=300, kills=1, in_flight=32, forked=True, patience=1.0)
HELD = Plan(scene="kills", doubt="hold", messages=400, kills=3, in_flight=32, forked=True, patience=1.0)
FREEZE = Plan(
    scene="freezes",
    messages=150,
    kills=1,
    in_flight=16,
    delay=0.2,
    lease=1.5,
    forked=True,
    patience=3.0,
)
# The first of two meets messages that still wait; the last one, when nothing waits any more.
FREEZES = replace(FREEZE, messages=300, kills=2)
POISON = Plan(scene="poison", messages=40, in_flight=8, workers=1, forked=True, patience=1.5)
RESTARTS = Plan(scene="restarts", messages=600, kills=0, in_flight=16, forked=True, patience=1.5)
READING = Plan(scene="reading", messages=1, kills=4, forked=True, patience=10.0)

# A receiver that takes 0.1 s to answer has something under way at every kill.
FORWARDED = Plan(
    scene="forwarding kills",
    messages=0,
    events=600,
    kills=2,
    in_flight=32,
    delay=0.1,
    timeout=1.0,
    forked=True,
    patience=5.0,
)
# Whoever has to wait for the receiver that hangs waits longer than the busiest machine takes.
BESIDE = Plan(
    scene="forwarding hanging",
    messages=0,
    kills=0,
    workers=1,
    in_flight=16,
    delay=0.0,
    timeout=5.0,
    pairs=1,
    seconds=3.0,
    forked=True,
    alone=False,
    patience=10.0,
)
# It fails often enough for its breaker.
CALLED = replace(BESIDE, timeout=0.5, seconds=4.0)

OUTAGE = Plan(
    scene="outage",
    manner="busy",
    messages=1_200,
    kills=0,
    in_flight=64,
    rate=500,
    outage=2.0,
    haste=30.0,
    timeout=1.0,
    forked=True,
    alone=False,
    patience=20.0,
)
HANGING = Plan(
    scene="hanging", manner="hangs first", messages=2_000, kills=0, in_flight=64, forked=True, alone=False
)

NIGHT = Plan(
    scene="nights",
    manner="Berlin back",
    zones=("Europe/Berlin",),
    clock=True,
    messages=400,
    kills=0,
    rate=60,
    haste=8.0,
    forked=True,
    alone=False,
    patience=20.0,
)
LEAPS = Plan(
    scene="leaps",
    manner="inside its window",
    clock=True,
    messages=1_200,
    kills=0,
    delay=0.1,
    lease=6.0,
    haste=10.0,
    forked=True,
    alone=False,
    patience=10.0,
)


POSTS = Plan(scene="intake kills", events=600, kills=2, forked=True, patience=10.0)
SHARED = replace(POSTS, kills=1, overlapping=True)
READ = replace(POSTS, kills=0, webs=2, watched=True)
CUTS = Plan(scene="power cuts", events=300, cuts=40, kills=0, forked=True, patience=20.0)
# As much as the tables take, and a few pages.
DISK = Plan(scene="disk full", events=900, kills=0, room=8, forked=True, patience=6.0)
STOPS = Plan(scene="server stops", events=900, kills=0, forked=True, patience=15.0)


class Tooth(NamedTuple):
    """Without `protection` (see without.py) the plan has to end with `breach` among its breaches."""

    protection: str
    plan: Plan
    breach: str

    def bites(self, figures: Figures) -> bool:
        return any(self.breach in found for found in figures.breaches)


TEETH = [
    Tooth("rescue", KILLS, "still open"),
    Tooth("sending_first", HELD, "taken oftener than tried"),
    Tooth("hold", HELD, "although doubtful sends are held"),
    Tooth("fence", FREEZE, "own answer was refused"),
    Tooth("may_take", FREEZES, "taken by a worker that was declared dead"),
    Tooth("poison", POISON, "ended by themselves"),
    Tooth("suspects", POISON, "not the deadly one alone"),
    Tooth("parent", RESTARTS, "outlived their supervisor"),
]
READING_TEETH = [
    Tooth("one_with_position", READING, "were read twice"),
    Tooth("unmoved", READING, "were read twice"),
]
FORWARDING_TEETH = [
    Tooth("rescue", FORWARDED, "are sending"),
    Tooth("position_first", replace(FORWARDED, kills=8), "events have no delivery to"),
    Tooth("constant_id", FORWARDED, "which goes by webhook-id"),
]
BESIDE_TEETH = [
    Tooth("reserve", BESIDE, "rose by"),
    Tooth("breaker", CALLED, "calls went to a receiver that hangs"),
]

LANE_TEETH = [
    Tooth("breaker", OUTAGE, "requests went to a sender that was away"),
    Tooth("slow_start", OUTAGE, "of the slow start"),
    Tooth("rate", OUTAGE, "of the rate came in one second"),
    Tooth("reserve", HANGING, "beside one that hangs"),
]
CLOCK_TEETH = [
    Tooth("hours", NIGHT, "outside their local hours"),
    Tooth("summer", NIGHT, "nothing was sent in Europe/Berlin"),
    Tooth("steady_leases", LEAPS, "duplicates"),
    Tooth("window", replace(LEAPS, manner="over its end"), "outside the window"),
    Tooth("beginning", LEAPS, "outside the window"),
]
INTAKE_TEETH = [
    Tooth("commit_first", POSTS, "acknowledged events are not in the log"),
    Tooth("once", SHARED, "in the log twice"),
    Tooth("given_back", SHARED, "numbers of the log are missing"),
]
# On SQLite everybody waits for one turn, whatever is switched off.
ORDER_TEETH = [Tooth("numbers_in_order", READ, "a reader of")]
CUT_TEETH = [Tooth("full", CUTS, "lost acknowledged events")]
DISK_TEETH = [Tooth("outage", DISK, "were answered 500")]
# With a server of its own.
STOP_TEETH = [Tooth("outage", STOPS, "were answered 500")]
