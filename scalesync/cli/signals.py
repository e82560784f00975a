"""SIGINT, SIGTERM and SIGHUP, while a flow runs and around it.

The loop would swallow an exception of a Python handler inside one of its callbacks, so while a flow runs it awaits
signals like anything else. When the flow has ended, its outcome is in the ledger and in files, and must be reported:
the first signal changes nothing then, a second one ends the program.
"""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import anyio
from anyio.abc import TaskStatus

from scalesync.errors import Interrupted
from scalesync.flows.runtime.run import DESK, SignalDesk

T = TypeVar("T")


def _taken() -> tuple[signal.Signals, ...]:
    """The signals that stop a run. SIGHUP, of a closed terminal, stays ignored if `nohup` ignores it."""
    taken = [signal.SIGINT, signal.SIGTERM]
    if sys.platform != "win32" and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        taken.append(signal.SIGHUP)
    return tuple(taken)


TAKEN = _taken()


class _Late:
    """Takes the first signal after a flow."""

    came = False

    def __call__(self, number: int, frame: object) -> None:
        if self.came:
            raise KeyboardInterrupt
        self.came = True


_late = _Late()


def heed() -> None:
    """Let the signals raise KeyboardInterrupt, at once if one came since the last flow. In the main thread only."""
    if threading.current_thread() is not threading.main_thread():
        return
    for number in TAKEN:
        signal.signal(number, signal.default_int_handler)
    came, _late.came = _late.came, False
    if came:
        raise KeyboardInterrupt


async def until_signal(flow: Callable[..., Awaitable[T]], args: tuple[Any, ...]) -> T:
    """Await the flow and stop it at a signal. Raises Interrupted if it had to be cancelled, else what it raises."""
    results: list[T] = []
    failure: Exception | None = None
    desk = SignalDesk()
    DESK.set(desk)
    async with anyio.create_task_group() as group:
        await group.start(_watch, desk, group.cancel_scope)
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


async def _watch(desk: SignalDesk, scope: anyio.CancelScope, *, task_status: TaskStatus[None]) -> None:
    try:
        with anyio.open_signal_receiver(*TAKEN) as signals:
            task_status.started()
            async for number in signals:
                if not desk.ring(number):
                    scope.cancel()
    except NotImplementedError:  # Windows, where Ctrl-C interrupts the loop itself
        task_status.started()
    finally:
        if threading.current_thread() is threading.main_thread():
            for number in TAKEN:  # the loop restores the defaults, and that of SIGTERM ends the program silently
                signal.signal(number, _late)
