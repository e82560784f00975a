"""Outcomes reach the ledger in groups: soon, few at a time only where few come, and none is lost to a stop."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import anyio
import pytest

from scalesync.engine.outbox import GROUP, GROUP_S, Outbox
from scalesync.model.rows import RowOutcome, RowState
from tests.unit.test_engine_limiter import JumpingLoop, run


class Ledger:
    """Notes what is written and when; a write takes `write_s`."""

    def __init__(self, loop: JumpingLoop, write_s: float = 0.0) -> None:
        self.groups: list[tuple[float, list[str]]] = []
        self._loop = loop
        self._write_s = write_s

    async def write(self, settled: Sequence[RowOutcome]) -> None:
        await asyncio.sleep(self._write_s)
        self.groups.append((self._loop.time(), [end.key for end in settled]))


def end(number: int) -> RowOutcome:
    return RowOutcome(str(number), RowState.CREATED)


def test_few_outcomes_wait_for_company_but_not_long():
    async def main(loop: JumpingLoop) -> None:
        ledger = Ledger(loop)
        outbox = Outbox(ledger.write)
        task = asyncio.create_task(outbox.run())
        began = loop.time()
        for number in range(30):  # one every 33 ms, as at the published rate
            outbox.put(end(number))
            await asyncio.sleep(0.033)
        await asyncio.sleep(1)
        assert [key for _, keys in ledger.groups for key in keys] == [str(number) for number in range(30)]
        assert 4 <= len(ledger.groups) <= 6
        for at, keys in ledger.groups:
            assert at - began - 0.033 * int(keys[0]) < GROUP_S + 0.02
        task.cancel()

    run(main)


def test_many_do_not_wait():
    async def main(loop: JumpingLoop) -> None:
        ledger = Ledger(loop, write_s=0.01)
        outbox = Outbox(ledger.write)
        task = asyncio.create_task(outbox.run())
        await asyncio.sleep(0)
        began = loop.time()
        for number in range(3 * GROUP):
            outbox.put(end(number))
            if number % GROUP == GROUP - 1:
                await asyncio.sleep(0.02)
        assert [len(keys) for _, keys in ledger.groups] == [GROUP] * 3
        assert loop.time() - began < GROUP_S
        task.cancel()

    run(main)


@pytest.mark.parametrize("wait_s", [0.0, 0.1, 0.3])
def test_a_stop_at_any_moment_loses_nothing(wait_s: float):
    async def main(loop: JumpingLoop) -> None:
        ledger = Ledger(loop, write_s=0.2)
        outbox = Outbox(ledger.write)
        async with anyio.create_task_group() as group:
            group.start_soon(outbox.run)
            outbox.put(end(1))
            await asyncio.sleep(wait_s)
            outbox.put(end(2))
            group.cancel_scope.cancel()
        await outbox.flush()
        assert sorted(key for _, keys in ledger.groups for key in keys) == ["1", "2"]

    run(main)
