"""Several runs in one loop whose time jumps: each with its gate and its slots, all with one store."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from scalesync.flows.runtime.gate import RequestGate
from scalesync.model.targets import RequestClass
from scalesync.pacing.handover import Handovers
from scalesync.pacing.limiter import Rate
from scalesync.pacing.pace import Pace
from scalesync.pacing.shared_slots import Change, SharedSlots, T, client_of
from scalesync.pacing.slot_pool import QuotaPool
from scalesync.pacing.slots import Grant, Report, Slot
from tests.unit.test_engine_limiter import JumpingLoop

CREATE, LIST = RequestClass.CREATE, RequestClass.LIST
Rates = dict[RequestClass, Rate | None]


@dataclass
class Memory:
    """A store in memory that takes its time, and breaks when told to. frozen: no change gets through meanwhile."""

    took_s: Callable[[], float] = lambda: 0.001
    data: dict[str, bytes] = field(default_factory=dict)
    calls: int = 0
    broken: bool = False
    frozen: bool = False

    async def change(self, name: str, change: Change[T]) -> T:
        self.calls += 1
        await asyncio.sleep(self.took_s())
        while self.frozen:
            await asyncio.sleep(0.01)
        if self.broken:
            raise OSError("the store fell down")
        self.data[name], result = change(self.data.get(name))
        await asyncio.sleep(self.took_s() / 2)
        return result

    def close(self, name: str, last: Change[object]) -> None:
        if not self.broken and not self.frozen:
            self.data[name], _ = last(self.data.get(name))


@dataclass
class Process:
    """One run: its gate, what it handed over, its workers."""

    loop: JumpingLoop
    gate: RequestGate
    pace: Pace
    pool: QuotaPool
    rng: random.Random
    notes: list[str]
    moments: dict[RequestClass, list[float]] = field(default_factory=lambda: {cls: [] for cls in RequestClass})
    tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def attempt(self, cls: RequestClass = CREATE, connect_s: float = 0.0) -> None:
        await self.gate.acquire(cls)
        try:
            if connect_s:
                await asyncio.sleep(connect_s)
            await self.gate.handover(cls)
            self.moments[cls].append(self.loop.time())
            await asyncio.sleep(self.rng.expovariate(50))
        finally:
            self.gate.release()

    def work(self, workers: int, cls: RequestClass = CREATE, slow: float = 0.0) -> None:
        """Always something to do. slow: share of the attempts that take up to half a second to connect."""

        async def go() -> None:
            while True:
                await self.attempt(cls, self.rng.uniform(0, 0.5) if self.rng.random() < slow else 0.0)

        self.tasks += [self.loop.create_task(go()) for _ in range(workers)]

    async def stop(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.tasks.clear()

    async def kill(self) -> None:
        """What SIGKILL leaves: nobody reports, nobody gives back."""
        self.pool.source.lease = never  # type: ignore[method-assign]
        await self.stop()

    async def end(self) -> None:
        await self.stop()
        self.gate.end()


class Strict(SharedSlots):
    """Checks that each slot was used while it was open, if at all, and reported once."""

    out: dict[int, Slot]

    async def lease(self, cls: RequestClass, n: int, report: Report) -> Grant:
        self.check(report)
        grant = await super().lease(cls, n, report)
        self.out |= {slot.number: slot for slot in grant.slots}
        return grant

    def close(self, reports: Iterable[tuple[RequestClass, Report]]) -> None:
        for _, report in reports:
            self.check(report)
        super().close(reports)

    def check(self, report: Report) -> None:
        for number in report.unused:
            del self.out[number]
        for number, moment in report.used:
            slot = self.out.pop(number)
            assert slot.opens <= moment <= slot.closes, slot


async def never(*_: object) -> None:
    await asyncio.get_running_loop().create_future()


def process(loop: JumpingLoop, store: Memory, rates: Rates, rate_all: Rate | None = None, seed: int = 0) -> Process:
    client = client_of(rates, rate_all)
    notes: list[str] = []
    source = Strict(store, "t", client, clock=loop.time, boot="b", rng=random.Random(seed))
    source.out = {}
    pool = QuotaPool(source, client, notes.append, loop.time)
    pace = Pace(rates, rate_all, auto=False, clock=loop.time)  # the controller is not what is looked at here
    gate = RequestGate(pace, Handovers(rates, rate_all, loop.time), quota=pool)
    return Process(loop, gate, pace, pool, random.Random(seed), notes)


def together(processes: list[Process], cls: RequestClass = CREATE) -> list[float]:
    return sorted(moment for one in processes for moment in one.moments[cls])
