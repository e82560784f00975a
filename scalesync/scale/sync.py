"""`Client`: the same API without async, for scripts. Its calls run in one event loop in a thread of its own."""

from __future__ import annotations

import asyncio
import os
import threading
import weakref
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar

from scalesync.errors import ConfigError
from scalesync.events import Observer
from scalesync.scale.blocking.batches import Batches
from scalesync.scale.blocking.blueprints import Blueprints
from scalesync.scale.blocking.by_hand import ByHand
from scalesync.scale.blocking.deliveries import Deliveries
from scalesync.scale.blocking.files import Files
from scalesync.scale.blocking.genai import GenAI
from scalesync.scale.blocking.people import People
from scalesync.scale.blocking.projects import Projects
from scalesync.scale.blocking.tasks import Tasks
from scalesync.scale.client import PATIENCE_S, AsyncScaleClient

T = TypeVar("T")


class Client(Tasks, Batches, Projects, Blueprints, Files, People, GenAI, Deliveries, ByHand):
    """`AsyncScaleClient` without async: the same arguments, methods, results and exceptions. Lists are for `for`.

    Several threads may use it at once, but each process makes its own. Close it, or use it in a `with`; what is left
    open is closed at the program's end.
    """

    def __init__(
        self,
        api_key: str | None = None,
        *,
        base_url: str | None = None,
        profile: str | None = None,
        patience_s: float = PATIENCE_S,
        rate: str | None = None,
        rate_all: str | None = None,
        concurrency: int | None = None,
        allow_http: bool = False,
        observer: Observer | None = None,
    ) -> None:
        self._client = AsyncScaleClient(
            api_key,
            base_url=base_url,
            profile=profile,
            patience_s=patience_s,
            rate=rate,
            rate_all=rate_all,
            concurrency=concurrency,
            allow_http=allow_http,
            observer=observer,
        )
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=_serve, args=(self._loop,), name="scalesync-client", daemon=True)
        self._thread.start()
        self._pid = os.getpid()
        self._end = weakref.finalize(self, _end, self._client, self._loop, self._thread, self._pid)

    def _wait(self, made: Coroutine[Any, Any, T]) -> T:
        if not self._end.alive:
            made.close()
            raise ConfigError("the client is closed; make another one")
        if os.getpid() != self._pid:  # the thread did not come along, so nobody would answer
            made.close()
            raise ConfigError("the client was made in the parent of this process; make one in each process")
        if threading.current_thread() is self._thread:
            made.close()
            raise ConfigError("the client's own observer must not call it")
        future = asyncio.run_coroutine_threadsafe(made, self._loop)
        try:
            return future.result()
        except BaseException:  # Ctrl-C ends the call as well
            future.cancel()
            raise

    def close(self) -> None:
        """Close the connection. Calls raise ConfigError from then on; a second time does nothing."""
        self._end()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Client({self._client!r})"


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    try:
        loop.run_forever()
    finally:
        loop.close()


def _end(client: AsyncScaleClient, loop: asyncio.AbstractEventLoop, thread: threading.Thread, pid: int) -> None:
    """Close the connection, then the loop. Both belong to the process that made them, not to one forked from it."""
    if os.getpid() != pid:
        return

    async def finish() -> None:
        await client.close()
        others: set[asyncio.Task[Any]] = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        await loop.shutdown_asyncgens()

    finished = asyncio.run_coroutine_threadsafe(finish(), loop)
    finished.add_done_callback(lambda _: loop.call_soon_threadsafe(loop.stop))
    if threading.current_thread() is thread:
        return  # the garbage collector found a forgotten client here, and a thread cannot wait for itself
    thread.join()
    finished.result()
