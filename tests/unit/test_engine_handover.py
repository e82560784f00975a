"""The count at the socket: exact, whatever came before it."""

from __future__ import annotations

import time

import anyio
import pytest

from scalesync.engine.handover import Handovers, HandoverWindow
from scalesync.engine.limiter import Rate
from scalesync.model import RequestClass


def shortest(moments: list[float], count: int) -> float:
    """The shortest time that `count` + 1 moments in a row take."""
    return min(later - earlier for earlier, later in zip(moments, moments[count:], strict=False))


async def test_no_window_holds_more_than_the_count_when_all_come_at_once():
    window = HandoverWindow(Rate(10, 0.1))
    moments: list[float] = []

    async def enter() -> None:
        await window.enter()
        moments.append(time.monotonic())

    async with anyio.create_task_group() as group:
        for _ in range(45):
            group.start_soon(enter)
    assert len(moments) == 45
    assert shortest(moments, 10) >= 0.1
    assert moments[-1] - moments[0] < 0.7


@pytest.mark.parametrize("cls", [RequestClass.CREATE, RequestClass.LIST])
async def test_the_window_over_everything_counts_each_class(cls):
    handovers = Handovers({RequestClass.CREATE: None}, Rate(5, 0.05))
    moments = []
    for number in range(16):
        await handovers.enter(cls if number % 2 else RequestClass.MUTATE)
        moments.append(time.monotonic())
    assert bool(handovers)
    assert shortest(moments, 5) >= 0.05


async def test_without_a_rate_nobody_waits():
    handovers = Handovers({RequestClass.CREATE: None})
    assert not handovers
    with anyio.fail_after(1):
        for _ in range(1000):
            await handovers.enter(RequestClass.CREATE)
