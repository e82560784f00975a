"""Three scenarios for real: the gate of a run over HTTP to the embedded sandbox, beside their simulation.

The same limit, the same latency, the same seed of nothing but the draw of latencies: what differs is asyncio, the
limiter, HTTP and the machine. The sandbox waits before it looks at its limit, so the simulation's network does too.
"""

from __future__ import annotations

import asyncio
import json
import random
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks.pacing.clients import Ours
from benchmarks.pacing.scenarios import steps_limit
from benchmarks.pacing.servers import Answer, Server, TokenBucket
from benchmarks.pacing.simulate import BIN_S, Series, Simulation
from scalesync.events import Progress
from scalesync.flows.runtime.setup.services import resolve_settings
from scalesync.flows.runtime.wiring import Connection, connect
from scalesync.model.records import Outgoing
from scalesync.model.targets import RequestClass
from scalesync.sandbox import FaultRule, Sandbox, SandboxConfig

KIND = "categorization"
LATENCY_S, JITTER_S = 0.05, 0.1
WORKERS = 128


@dataclass(frozen=True)
class Trial:
    """limit: per second by time since the start; it may move. burst: size of the server's bucket."""

    name: str
    seconds: float
    limit: Callable[[float], float]
    burst: float
    retry_after_s: float | None = None


def short_steps(now: float) -> float:
    """100, 30, 300 per second, 15 s, 15 s and the rest."""
    return steps_limit(now / 15 * 100)


TRIALS: Sequence[Trial] = (
    Trial("steady", 30, lambda _: 100.0, 50),
    Trial("retry-after", 30, lambda _: 100.0, 50, retry_after_s=1.0),
    Trial("steps", 45, short_steps, 30),
)


class _Silent:
    """An observer that keeps nothing."""

    def progress(self, snapshot: Progress) -> None:
        """Ignored."""

    def note(self, text: str) -> None:
        """Ignored."""


def simulated(trial: Trial, seed: int = 0) -> Series:
    """The trial in virtual time."""
    server = Server(
        [TokenBucket(trial.limit, trial.burst)], service=lambda _: 0.0005, retry_after_s=trial.retry_after_s
    )

    def there(rng: random.Random) -> float:
        return LATENCY_S + JITTER_S * rng.random()

    return Simulation(server, [(Ours(), 0.0)], there, seed, back=lambda _: 0.0005).run(trial.seconds)


async def real(trial: Trial) -> tuple[Series, int]:
    """The trial over HTTP; the series as the server's journal tells it, and what the controller counted as 429s."""
    config = SandboxConfig(
        rate=trial.limit(0), rate_burst=trial.burst, retry_after=trial.retry_after_s, journal_size=1_000_000
    )
    slow = FaultRule(kind="latency", on="create", seconds=LATENCY_S, jitter=JITTER_S)
    with tempfile.TemporaryDirectory() as folder:
        async with Sandbox(config, [slow]) as sandbox:
            settings = resolve_settings(
                base_url=sandbox.base_url, ledger=Path(folder) / "l.db", environ={"SCALE_API_KEY": "live_k"}
            )
            async with connect(settings.way, _Silent(), task_type=KIND) as connection:
                start = time.monotonic()
                await _drive(connection, sandbox, trial, start)
                throttled = connection.pace.throttled(RequestClass.CREATE)
            series = Series(trial.seconds)
            for seen in sandbox.journal.of("create"):
                series.note(max(0.0, seen.at_s - start), Answer(200 if seen.status == 200 else seen.status, 0.0))
    return series, throttled


async def _drive(connection: Connection, sandbox: Sandbox, trial: Trial, start: float) -> None:
    """Endless supply: as many workers as the width allows, and a hand at the server's limit."""
    end = start + trial.seconds
    numbers = iter(range(10_000_000))
    wake = asyncio.Condition()
    busy = 0

    def free() -> bool:
        return busy < connection.pace.width(RequestClass.CREATE) or time.monotonic() > end

    async def work() -> None:
        nonlocal busy
        while time.monotonic() < end:
            async with wake:
                await wake.wait_for(free)
                busy += 1
            number = next(numbers)
            body = {
                "unique_id": f"p-{number}",
                "attachment": "text",
                "attachment_type": "text",
                "categories": ["a", "b"],
            }
            await connection.platform.send([Outgoing(f"p-{number}", b"", json.dumps(body).encode(), 0, number)])
            async with wake:
                busy -= 1
                wake.notify(2)

    async def turn() -> None:
        while (now := time.monotonic()) < end:
            for bucket in sandbox.engine.limit._buckets.values():  # the sandbox has no switch for it while it runs
                bucket.rate = trial.limit(now - start)
            await asyncio.sleep(0.05)
        async with wake:
            wake.notify_all()

    workers = [asyncio.create_task(work()) for _ in range(WORKERS)]
    turner = asyncio.create_task(turn())
    done, pending = await asyncio.wait([*workers, turner], timeout=trial.seconds + 3)
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)
    for task in done:
        task.result()


def rates(series: Series, since: float, until: float) -> tuple[float, float]:
    """(accepted, refused) per second between two moments."""
    first, last = int(since / BIN_S), int(until / BIN_S)
    span = (last - first) * BIN_S
    return sum(series.accepted[first:last]) / span, sum(series.throttled[first:last]) / span


def compare() -> list[dict[str, Any]]:
    """Run all trials; one row per trial and stretch."""
    rows = []
    for trial in TRIALS:
        virtual = simulated(trial)
        actual, _ = asyncio.run(real(trial))
        edges = (0, 15, 30, 45) if trial.name == "steps" else (0, 15, 30)
        for since, until in pairwise(edges):
            ours, theirs = rates(virtual, since, until), rates(actual, since, until)
            rows.append(
                {
                    "trial": trial.name,
                    "seconds": f"{since} to {until}",
                    "limit": trial.limit(since),
                    "simulated": round(ours[0], 1),
                    "real": round(theirs[0], 1),
                    "simulated_429": round(ours[1] * (until - since)),
                    "real_429": round(theirs[1] * (until - since)),
                }
            )
    return rows
