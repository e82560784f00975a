"""One quota for several processes: which one may hand over an attempt, and when. Pure: state and time in, slots out.

    opens            closes = opens + a quarter of a second
      |----------------|            one slot is one attempt, handed over in between; its moment is reported afterwards

A slot counts at the moment of its use if that is known, else at the last possible moment, `closes`. A new slot opens
only once the `count`-th newest of these is a whole window old. So no window holds more than `count` attempts, whatever
the holders do, even if they die. Proof: take the slot of a window that was granted last; all others were counted then.

Slots are granted ahead of time, in one order for all holders. This spreads them, it is fair without repeated requests,
and no time is lost between the moment that a slot becomes free and the moment that a holder learns of it.
"""

from __future__ import annotations

import math
import random
from bisect import insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from scalesync.model.targets import RequestClass
from scalesync.pacing.limiter import CREDIT_S, Rate, kept_window_s

LAYOUT = 1  # of the state; a state with another layout is replaced by an empty one
LIFE_S = 0.25  # how long a slot is open; enough for a new connection
COVER_S = 0.1  # a lease covers its holder's share for this long, so that many attempts need few calls
AHEAD_S = 1.0  # a slot opens at most this long after its grant
RECENT_S = 1.0  # a process that asked within this time has a share
LATE_S = 5.0  # if a use is not reported this long after its slot closed, it counts at `closes` for good
MOST = 10_000  # moments that a limit remembers; a larger count is kept as fewer in shorter windows


@dataclass(frozen=True, slots=True)
class Slot:
    """The right to hand over one attempt from `opens` to `closes`, seconds of the machine's monotonic clock."""

    number: int
    opens: float
    closes: float


@dataclass(slots=True)
class Report:
    """The fate of slots.

    used: number of the slot and moment of the hand-over.
    unused: numbers of returned slots.
    """

    used: list[tuple[int, float]] = field(default_factory=list)
    unused: list[int] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.used or self.unused)


@dataclass(frozen=True, slots=True)
class Grant:
    """Slots in the order in which they open. Without any, when to ask again."""

    slots: Sequence[Slot]
    again_at: float


@dataclass(frozen=True, slots=True)
class Wish:
    """A request for up to `n` slots for attempts of a class. With n=0 it only reports."""

    cls: RequestClass
    n: int
    report: Report


class SlotSource(Protocol):
    """The source of slots for several processes, or for machines with one clock. A shared service implements it."""

    async def lease(self, cls: RequestClass, n: int, report: Report) -> Grant:
        """Grant up to `n` slots for attempts of a class; n=0 only reports. Raises OSError without a common quota."""

    def close(self, reports: Iterable[tuple[RequestClass, Report]]) -> None:
        """Hand in the last reports. It waits only a moment and raises nothing, because unreported slots expire."""


@dataclass(frozen=True, slots=True)
class Limit:
    """A rate in the form of the state: a count in any `window_s`, one every `gap_s` on average."""

    count: int
    window_s: float
    gap_s: float
    period_s: float

    @classmethod
    def of(cls, rate: Rate) -> Limit:
        """The limit of a rate. A large count is split over parts of the period, a stricter limit in less state."""
        count, period_s = rate.window
        parts = -(-count // MOST)
        count, period_s = count // parts, period_s / parts
        return cls(count, kept_window_s(period_s), period_s / count, period_s)

    @property
    def ahead_s(self) -> float:
        """How long before it opens a slot may be granted: half a period, so earlier uses are reported by then."""
        return min(AHEAD_S, self.period_s / 2)

    @property
    def life_s(self) -> float:
        """How long a slot is open."""
        return min(LIFE_S, self.period_s / 4)

    @property
    def credit_s(self) -> float:
        """The longest delay that later slots catch up on."""
        return max(self.gap_s, CREDIT_S)


class Lane(msgspec.Struct, array_like=True):
    """One class in the state: moments of uses, granted slots, when the next is due, and which process asked when.

    forgotten: nothing is known of the time before it. A limit that looks back further treats that time as full.
    """

    used: list[float] = []
    forgotten: float = -math.inf
    out: dict[int, float] = {}
    due: float = 0.0
    seen: dict[str, float] = {}


class QuotaState(msgspec.Struct, array_like=True):
    """The state of one target.

    depth: the largest count that a limit has had.
    due: when the next slot is due over all classes.
    """

    layout: int = LAYOUT
    boot: str = ""
    written: float = 0.0
    number: int = 0
    depth: int = 0
    due: float = 0.0
    lanes: dict[str, Lane] = {}


@dataclass(slots=True)
class _Scope:
    """A limit with its sorted moments, and the part of the state that holds its due time."""

    limit: Limit
    moments: list[float]
    forgotten: float
    place: Lane | QuotaState
    clients: int

    @property
    def share(self) -> int:
        """Slots in one lease: the share of one client in COVER_S."""
        return max(1, math.ceil(COVER_S / (self.limit.gap_s * max(1, self.clients))))

    def opens(self) -> float:
        """When this limit allows the next hand-over."""
        full = self.moments[-self.limit.count] if len(self.moments) >= self.limit.count else -math.inf
        return max(self.place.due - self.limit.credit_s, max(full, self.forgotten) + self.limit.window_s)

    def add(self, slot: Slot, now: float) -> None:
        """Count a slot at `closes`, its last possible moment. The next is due a gap after this limit allowed it."""
        self.place.due = max(self.place.due, self.opens(), now) + self.limit.gap_s
        insort(self.moments, slot.closes)


@dataclass(frozen=True, slots=True)
class SlotClient:
    """One process and the limits that it has set: for classes, and for all requests together."""

    name: str
    limits: dict[RequestClass, Limit]
    common: Limit | None = None

    def applies(self, cls: RequestClass) -> bool:
        """Whether attempts of this class need slots."""
        return self.common is not None or cls in self.limits


def allocate(state: QuotaState, now: float, client: SlotClient, wish: Wish, rng: random.Random) -> Grant:
    """Apply the report, then grant slots. It changes the state in place.

    The client's own limits apply, and they count the attempts of all holders.
    """
    lane = state.lanes.setdefault(str(wish.cls), Lane())
    _note(state, lane, client, wish)
    _tidy(state, lane, now, client)
    if wish.n <= 0:
        lane.seen.pop(client.name, None)
        return Grant((), now)
    lane.seen[client.name] = now
    scopes = _scopes(state, lane, client, wish.cls)
    ahead_s = min(scope.limit.ahead_s for scope in scopes)
    life_s = min(scope.limit.life_s for scope in scopes)
    slots: list[Slot] = []
    opens = now
    for _ in range(min(wish.n, *(scope.share for scope in scopes))):
        opens = max(now, *(scope.opens() for scope in scopes))
        if opens > now + ahead_s:
            break
        state.number += 1
        slot = Slot(state.number, opens, opens + life_s)
        slots.append(slot)
        lane.out[slot.number] = slot.closes
        for scope in scopes:
            scope.add(slot, now)
    if slots:
        return Grant(slots, now)
    # A client that gets no slot asks again once there are some; the random part spreads the clients.
    return Grant((), max(now + 0.002, opens - ahead_s * rng.uniform(0.25, 0.75)))


def _note(state: QuotaState, lane: Lane, client: SlotClient, wish: Wish) -> None:
    for number, moment in wish.report.used:
        if lane.out.pop(number, None) is not None:
            lane.used.append(moment)
    returned = sum(lane.out.pop(number, None) is not None for number in wish.report.unused)
    if wish.cls in client.limits:
        lane.due -= returned * client.limits[wish.cls].gap_s
    if client.common is not None:
        state.due -= returned * client.common.gap_s


def _tidy(state: QuotaState, lane: Lane, now: float, client: SlotClient) -> None:
    """Count unreported slots at `closes` for good, and drop moments that no limit looks back on."""
    for number in [number for number, closes in lane.out.items() if closes < now - LATE_S]:
        lane.used.append(lane.out.pop(number))
    lane.used.sort()
    stated = [*client.limits.values(), *([client.common] if client.common else [])]
    state.depth = max(state.depth, *(limit.count for limit in stated))
    if len(lane.used) > state.depth:
        lane.forgotten = lane.used[-state.depth - 1]
        del lane.used[: -state.depth]
    for name in [name for name, at in lane.seen.items() if at < now - RECENT_S]:
        del lane.seen[name]


def _scopes(state: QuotaState, lane: Lane, client: SlotClient, cls: RequestClass) -> list[_Scope]:
    scopes = []
    if cls in client.limits:
        moments = sorted([*lane.used, *lane.out.values()])
        scopes.append(_Scope(client.limits[cls], moments, lane.forgotten, lane, len(lane.seen)))
    if client.common is not None:
        lanes = state.lanes.values()
        moments = sorted(moment for one in lanes for moment in (*one.used, *one.out.values()))
        forgotten = max(one.forgotten for one in lanes)
        scopes.append(_Scope(client.common, moments, forgotten, state, sum(len(one.seen) for one in lanes)))
    return scopes
