"""SIGINT and SIGTERM while a flow runs.

A Python handler that raises inside a callback of the loop would be swallowed there, so signals are awaited like
anything else. A flow that takes signals itself does so on top of this, for as long as it wants.
"""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import anyio
from anyio.abc import TaskStatus

from scalesync.errors import Interrupted

T = TypeVar("T")


async def until_signal(flow: Callable[..., Awaitable[T]], args: tuple[Any, ...]) -> T:
    """Await the flow, cancelling it at a signal. Raises Interrupted then, else what the flow raises."""
    results: list[T] = []
    failure: Exception | None = None
    async with anyio.create_task_group() as group:
        # before the flow's first step: of several receivers the last one gets the signal
        await group.start(_watch, group.cancel_scope)
        try:
            results.append(await flow(*args))
        except Exception as error:
            failure = error
        group.cancel_scope.cancel()
    if failure is not None:
        raise failure
    if not results:
        raise Interrupted("stopped; run the same command again")
    return results[0]


async def _watch(scope: anyio.CancelScope, *, task_status: TaskStatus[None]) -> None:
    try:
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            task_status.started()
            async for _ in signals:
                scope.cancel()
                return
    except NotImplementedError:  # Windows, where Ctrl-C interrupts the loop itself
        task_status.started()
