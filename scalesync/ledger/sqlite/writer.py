"""One thread with one connection: it takes calls from a queue and runs them in groups. Each group is one transaction.

Each commit costs an fsync. So all calls that arrive during one commit form the next group. The caller's await ends
after the commit. A group is fenced: if another run took over the lease, nothing of the group is written.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from scalesync.errors import LedgerBusy, LedgerUnusable
from scalesync.ledger.sqlite.connection import translate

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], Any]

MAX_GROUP = 64
PARTING_MS = 1000


class Writer:
    """Runs calls on the ledger's connection in one daemon thread.

    It is a daemon, because the process would wait for any other thread, and hang if the loop dies first.

    lease_until_ms: the end of the lease, according to the last group that was committed.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path
        self._calls: queue.SimpleQueue[tuple[Work, bool, asyncio.Future[Any]] | None] = queue.SimpleQueue()
        self.lease_until_ms = 0
        self._fence: Callable[[sqlite3.Connection], int] | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._serve, name="scalesync-ledger", daemon=True)
        self._thread.start()

    def set_fence(self, fence: Callable[[sqlite3.Connection], int] | None, until_ms: int = 0) -> None:
        """Set the function that runs at the start of every group of writes, and raises if the lease is lost.

        It renews the lease and returns the new end, ms. until_ms: the present one.
        """
        self._fence, self.lease_until_ms = fence, until_ms

    async def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` inside a transaction. Returns its result after the commit."""
        return await self._submit(work, write=True)

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work`, which only reads, between two groups."""
        return await self._submit(work, write=False)

    async def _submit(self, work: Callable[[sqlite3.Connection], T], *, write: bool) -> T:
        if self._closed:
            raise LedgerUnusable(f"the ledger {self._path} is closed")
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._calls.put((work, write, future))
        return await future

    def close(self) -> None:
        """Run the queued calls, close the connection and end the thread. Safe to call twice."""
        if not self._closed:
            self._closed = True
            self._calls.put(None)
            self._thread.join()
            self._connection.close()

    def _serve(self) -> None:
        ending = False
        while not ending:
            call = self._calls.get()
            group: list[tuple[Work, asyncio.Future[Any]]] = []
            while call is not None:
                work, write, future = call
                if write:
                    group.append((work, future))
                else:
                    self._run_group(group)
                    group = []
                    self._run_read(work, future)
                if len(group) >= MAX_GROUP or self._calls.empty():
                    break
                call = self._calls.get()
            else:
                ending = True
            self._run_group(group)

    def _run_read(self, work: Work, future: asyncio.Future[Any]) -> None:
        """Run `work` in one transaction, so all its queries see the same state of the ledger."""
        try:
            self._connection.execute("BEGIN")
            result = work(self._connection)
        except BaseException as error:
            self._roll_back()
            _resolve(future, None, self._in_words(error))
        else:
            self._roll_back()
            _resolve(future, result, None)

    def _run_group(self, group: list[tuple[Work, asyncio.Future[Any]]]) -> None:
        if not group:
            return
        results: list[Any] = []
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            until_ms = None if self._fence is None else self._fence(self._connection)
            results.extend(work(self._connection) for work, _ in group)
            self._connection.execute("COMMIT")
            if until_ms is not None:
                self.lease_until_ms = until_ms
        except BaseException as error:
            self._roll_back()
            for _, future in group:
                _resolve(future, None, self._in_words(error))
            return
        for (_, future), result in zip(group, results, strict=True):
            _resolve(future, result, None)

    def _roll_back(self) -> None:
        # An error here must not end the thread, because callers would wait for ever.
        with suppress(sqlite3.Error):
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

    def _in_words(self, error: BaseException) -> BaseException:
        if not isinstance(error, sqlite3.Error):
            return error
        translated = translate(error, self._path)
        if isinstance(translated, LedgerBusy):
            # The run ends now, so its last writes must not each wait this long again.
            with suppress(sqlite3.Error):
                self._connection.execute(f"PRAGMA busy_timeout={PARTING_MS}")
        return translated


def _resolve(future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
    def apply() -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)

    try:
        future.get_loop().call_soon_threadsafe(apply)
    except RuntimeError:
        # The loop has ended, and nobody waits for the result.
        return
