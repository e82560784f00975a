"""The quota file beside the ledger: named bytes that several processes change in turn.

Nobody needs its content after the next start of the machine. So its writes are not durable (`synchronous=OFF`), and a
missing file is created again. Its own thread opens it at the first use.
"""

from __future__ import annotations

import asyncio
import os
import queue
import sqlite3
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from scalesync.ledger.sqlite.connection import NETWORK_FILE_SYSTEMS, file_system, journal_mode

T = TypeVar("T")
Change = Callable[[bytes | None], tuple[bytes, T]]

BUSY_S = 5.0
PARTING_S = 1.0  # the longest wait for the last change

_READ = "SELECT data FROM shelf WHERE name = ?"
_WRITE = "INSERT INTO shelf (name, data) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET data = excluded.data"


def quota_path(ledger: Path) -> Path:
    """The quota file of a ledger. All spellings of the ledger's path give the same file."""
    whole = ledger.resolve()
    return whole.with_name(f"{whole.name}.quota")


class QuotaFile:
    """Bytes by name in one SQLite file (mode 0600, WAL). Calls from one event loop."""

    def __init__(self, path: Path, *, busy_s: float = BUSY_S) -> None:
        self._path = path
        self._busy_s = busy_s
        self._calls: queue.SimpleQueue[tuple[str, Change[Any], asyncio.Future[Any] | None] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._closed = False

    async def change(self, name: str, change: Change[T]) -> T:
        """Run `change` on the bytes of a name, in this file's thread and in a transaction.

        Raises OSError with a message for people if the file cannot be used.
        """
        if self._closed:
            raise OSError("the quota file is closed")
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name="scalesync-quota", daemon=True)
            self._thread.start()
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._calls.put((name, change, future))
        return await future

    def close(self, name: str, last: Change[object]) -> None:
        """Make one last change if the file is open, close it and end the thread. Raises nothing; safe to call twice."""
        self._closed = True
        if self._thread is not None:
            self._calls.put((name, last, None))
            self._calls.put(None)
            self._thread.join(PARTING_S)
            self._thread = None

    def _serve(self) -> None:
        db: sqlite3.Connection | None = None
        while (call := self._calls.get()) is not None:
            name, change, future = call
            try:
                db = db or self._open()
                result = _transact(db, name, change)
            except BaseException as error:
                _resolve(future, None, self._in_words(error))
            else:
                _resolve(future, result, None)
        if db is not None:
            with suppress(sqlite3.Error):
                db.close()

    def _open(self) -> sqlite3.Connection:
        kind = file_system(self._path)
        if kind in NETWORK_FILE_SYSTEMS:
            raise OSError(f"its file system ({kind}) cannot share memory")
        with suppress(FileExistsError):
            # Never open an existing file here: its close would drop the locks of other connections of this process.
            os.close(os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        db = sqlite3.connect(self._path, timeout=self._busy_s, isolation_level=None)
        try:
            _share_memory(db, self._busy_s)
            db.execute("PRAGMA synchronous=OFF")
            db.execute("CREATE TABLE IF NOT EXISTS shelf (name TEXT PRIMARY KEY, data BLOB NOT NULL) STRICT")
        except BaseException:
            db.close()
            raise
        return db

    def _in_words(self, error: BaseException) -> BaseException:
        if isinstance(error, sqlite3.Error | OSError):
            said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            return OSError(f"{self._path} cannot be used: {said}")
        return error


def _share_memory(db: sqlite3.Connection, patience_s: float) -> None:
    if journal_mode(db, "wal", patience_s) != "wal":
        raise OSError("its file system cannot share memory")


def _transact(db: sqlite3.Connection, name: str, change: Change[T]) -> T:
    db.execute("BEGIN IMMEDIATE")
    try:
        row = db.execute(_READ, (name,)).fetchone()
        data, result = change(None if row is None else row[0])
        db.execute(_WRITE, (name, data))
        db.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            db.execute("ROLLBACK")
        raise
    return result


def _resolve(future: asyncio.Future[Any] | None, result: Any, error: BaseException | None) -> None:
    if future is None:
        return

    def apply() -> None:
        if future.done():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)

    with suppress(RuntimeError):  # the loop has ended, and nobody waits for the result
        future.get_loop().call_soon_threadsafe(apply)
