"""One quota for several processes: who may hand over an attempt when. Pure: a state and a moment in, slots out.

    opens            closes = opens + a quarter of a second
      |----------------|            one slot is one attempt, handed over in between; its moment is reported afterwards

A slot counts at its moment if known, else at the last possible moment, `closes`. A new slot opens only when the
`count`-th newest of these is a whole window old. So whatever the holders do, even if they die, no window holds more
than `count` attempts: take the slot of a window that was given out last; all others in it were counted at that time.

Slots are given out ahead of time, in one line for all holders. That spreads them, is fair without repeated questions,
and loses no time between the moment that a slot becomes free and the moment that a holder hears of it.
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

LAYOUT = 1  # of the state; another one is begun anew
LIFE_S = 0.25  # a slot may be used so long: a new connection is made meanwhile
COVER_S = 0.1  # a lease covers so much of its holder's share, so that calls are few where attempts are many
AHEAD_S = 1.0  # a slot opens at most so long after it is given out
RECENT_S = 1.0  # who asked so recently has a share
LATE_S = 5.0  # a use that is not told so long after its slot closed counts there for good
MOST = 10_000  # moments that a limit looks back on; above that, shorter windows hold fewer


@dataclass(frozen=True, slots=True)
class Slot:
    """The right to hand over one attempt from `opens` to `closes`, seconds of the machine's monotonic clock."""

    number: int
    opens: float
    closes: float


@dataclass(slots=True)
class Report:
    """What happened to slots.

    used: number and moment of the hand-over.
    unused: numbers given back.
    """

    used: list[tuple[int, float]] = field(default_factory=list)
    unused: list[int] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.used or self.unused)


@dataclass(frozen=True, slots=True)
class Grant:
    """Slots in the order in which they open; if there are none, when to ask again."""

    slots: Sequence[Slot]
    again_at: float


@dataclass(frozen=True, slots=True)
class Wish:
    """What a process asks for: up to `n` slots for attempts of a class. With n=0 it only reports."""

    cls: RequestClass
    n: int
    report: Report


class SlotSource(Protocol):
    """Where several processes, or machines with one clock, get their slots. A shared service implements this."""

    async def lease(self, cls: RequestClass, n: int, report: Report) -> Grant:
        """Up to `n` slots for attempts of a class; n=0 only reports. Raises OSError when there is no common quota."""

    def close(self, reports: Iterable[tuple[RequestClass, Report]]) -> None:
        """Hand in what is left. Waits a moment at most and raises nothing: slots that are not reported run out."""


@dataclass(frozen=True, slots=True)
class Limit:
    """A rate as the state counts it: a count in any `window_s`, one every `gap_s` on average."""

    count: int
    window_s: float
    gap_s: float
    period_s: float

    @classmethod
    def of(cls, rate: Rate) -> Limit:
        """Large counts are kept in parts of the period: that is stricter, and bounds what the state holds."""
        count, period_s = rate.window
        parts = -(-count // MOST)
        count, period_s = count // parts, period_s / parts
        return cls(count, kept_window_s(period_s), period_s / count, period_s)

    @property
    def ahead_s(self) -> float:
        """How long before it opens a slot is given out. Half a period, so uses are reported by then."""
        return min(AHEAD_S, self.period_s / 2)

    @property
    def life_s(self) -> float:
        """How long a slot may be used."""
        return min(LIFE_S, self.period_s / 4)

    @property
    def credit_s(self) -> float:
        """So much lateness is caught up."""
        return max(self.gap_s, CREDIT_S)


class Lane(msgspec.Struct, array_like=True):
    """One class in the state: moments of uses, slots that are out, when the next is due, who asked when.

    forgotten: nothing is known of the time before; a limit that looks back further takes its window as full there.
    """

    used: list[float] = []
    forgotten: float = -math.inf
    out: dict[int, float] = {}
    due: float = 0.0
    seen: dict[str, float] = {}


class QuotaState(msgspec.Struct, array_like=True):
    """All that is known of one target.

    depth: the largest count asked for.
    due: of all classes together.
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
    """A limit with the moments that it counts, sorted, and the place that keeps its due time."""

    limit: Limit
    moments: list[float]
    forgotten: float
    place: Lane | QuotaState
    clients: int

    @property
    def share(self) -> int:
        """Slots in one lease: what falls to one of the clients in COVER_S."""
        return max(1, math.ceil(COVER_S / (self.limit.gap_s * max(1, self.clients))))

    def opens(self) -> float:
        """When one more may be handed over, by this limit."""
        full = self.moments[-self.limit.count] if len(self.moments) >= self.limit.count else -math.inf
        return max(self.place.due - self.limit.credit_s, max(full, self.forgotten) + self.limit.window_s)

    def add(self, slot: Slot, now: float) -> None:
        """Count a slot at its end, the latest that it can be; the next is due a gap after what this limit allowed."""
        self.place.due = max(self.place.due, self.opens(), now) + self.limit.gap_s
        insort(self.moments, slot.closes)


@dataclass(frozen=True, slots=True)
class SlotClient:
    """One process and the limits that it states: for each class that has one, and over everything."""

    name: str
    limits: dict[RequestClass, Limit]
    common: Limit | None = None

    def applies(self, cls: RequestClass) -> bool:
        """Whether attempts of this class need slots."""
        return self.common is not None or cls in self.limits


def allocate(state: QuotaState, now: float, client: SlotClient, wish: Wish, rng: random.Random) -> Grant:
    """Note the report, then give out slots; the state is changed in place.

    Slots are granted within the client's own limits, over the attempts that all holders have counted.
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
    # Who comes away with nothing comes back when there is something to have, and not all at the same moment.
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
    """Slots that nobody reported count at their end for good; of the moments, those that can matter are kept."""
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
