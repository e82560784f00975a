"""Blocking work in a daemon thread, for which the program does not wait at its end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")


async def in_daemon(work: Callable[[], T]) -> T:
    """Run `work` in a daemon thread. A cancelled call leaves the thread behind, because a pipe may never end.

    The program would wait for threads of a pool at its end. A thread for each call costs 0.1 ms; use it for blocks.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def resolve(result: T | None, error: BaseException | None) -> None:
        if future.cancelled():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]  # None only where T allows it

    def run() -> None:
        result, failure = None, None
        try:
            result = work()
        except BaseException as error:
            failure = error
        with suppress(RuntimeError):  # the loop has ended
            loop.call_soon_threadsafe(resolve, result, failure)

    threading.Thread(target=run, name="scalesync-reader", daemon=True).start()
    return await future
