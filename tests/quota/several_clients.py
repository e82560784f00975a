"""Several holders on one state, without processes: each step of each is a call, the time is a number."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from scalesync.model.targets import RequestClass
from scalesync.pacing.limiter import Rate
from scalesync.pacing.slots import Grant, Limit, QuotaState, Report, Slot, SlotClient, Wish, allocate

CREATE, LIST = RequestClass.CREATE, RequestClass.LIST
START = 1000.0


@dataclass(frozen=True)
class Use:
    """A hand-over: the slot, its moment, and who made it."""

    number: int
    cls: RequestClass
    at: float
    client: SlotClient


def client(name: str, rates: dict[RequestClass, Rate] | Rate, rate_all: Rate | None = None) -> SlotClient:
    """A plain rate is one for creates."""
    stated = {CREATE: rates} if isinstance(rates, Rate) else rates
    limits = {cls: Limit.of(rate) for cls, rate in stated.items()}
    return SlotClient(name, limits, None if rate_all is None else Limit.of(rate_all))


@dataclass
class Holder:
    """What one process knows."""

    who: SlotClient
    held: list[tuple[RequestClass, Slot]] = field(default_factory=list)
    reports: dict[RequestClass, Report] = field(default_factory=lambda: {cls: Report() for cls in RequestClass})


class Town:
    """The state, the holders and everything that was handed over."""

    def __init__(self, clients: Iterable[SlotClient], seed: int = 0) -> None:
        self.now = START
        self.rng = random.Random(seed)
        self.holders = [Holder(one) for one in clients]
        self.uses: list[Use] = []
        self._data = msgspec.msgpack.encode(QuotaState())

    def ask(self, place: int, cls: RequestClass, n: int) -> Grant:
        """Report, and lease `n`. The state goes through its bytes, as it does between processes."""
        holder = self.holders[place]
        state = msgspec.msgpack.decode(self._data, type=QuotaState)
        grant = allocate(state, self.now, holder.who, Wish(cls, n, holder.reports[cls]), self.rng)
        self._data = msgspec.msgpack.encode(state)
        holder.reports[cls] = Report()
        holder.held += [(cls, slot) for slot in grant.slots]
        return grant

    def use(self, place: int, cls: RequestClass) -> bool:
        """Hand an attempt over, if there is an open slot for it."""
        holder = self.holders[place]
        for entry in holder.held:
            kind, slot = entry
            if kind is cls and slot.opens <= self.now <= slot.closes:
                holder.held.remove(entry)
                holder.reports[cls].used.append((slot.number, self.now))
                self.uses.append(Use(slot.number, cls, self.now, holder.who))
                return True
        return False

    def give_back(self, place: int, *, closed_only: bool = False) -> None:
        """Report held slots as unused."""
        holder = self.holders[place]
        going = [entry for entry in holder.held if not closed_only or entry[1].closes < self.now]
        for entry in going:
            holder.held.remove(entry)
            holder.reports[entry[0]].unused.append(entry[1].number)

    def crash(self, place: int) -> None:
        """All that this process knew is gone; another one takes its place."""
        who = self.holders[place].who
        self.holders[place] = Holder(SlotClient(f"{who.name}'", who.limits, who.common))

    def broken(self) -> list[str]:
        """Windows that hold more than they may.

        For each window of a limit that somebody states: when the last of its slots was given out under that limit,
        the window holds no more than its count. Where all state the same, that is every window.
        """
        found = []
        for cls in (*RequestClass, None):
            uses = sorted((use for use in self.uses if cls in {use.cls, None}), key=lambda use: use.at)
            stated = {limit_of(use, cls) for use in uses} - {None}
            for limit in stated:
                assert limit is not None
                found += [f"{cls}: {text}" for text in too_full(uses, limit, cls)]
        return found


def limit_of(use: Use, cls: RequestClass | None) -> Limit | None:
    """The limit of a class, or of everything, that the user of a slot stated."""
    return use.client.common if cls is None else use.client.limits.get(cls)


def too_full(uses: list[Use], limit: Limit, cls: RequestClass | None) -> list[str]:
    """Windows of the limit's own period, not of the somewhat longer one that is kept. uses: in order of time."""
    found = []
    first = 0
    for last, use in enumerate(uses):
        while use.at - uses[first].at >= limit.period_s:
            first += 1
        window = uses[first : last + 1]
        newest = max(window, key=lambda one: one.number)
        if limit_of(newest, cls) == limit and len(window) > limit.count:
            found.append(f"{len(window)} of {limit.count} in {limit.period_s} s before {use.at - START}")
    return found
