"""Opens a ledger that can only be read: a snapshot, a backup, somebody else's folder, a read-only mount."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from urllib.parse import quote

from scalesync.errors import LedgerUnusable
from scalesync.ledger.sqlite.upgrade import is_current


def can_write(path: Path) -> bool:
    """Whether the ledger and SQLite's files beside it can be written."""
    return os.access(path, os.W_OK) and os.access(path.absolute().parent, os.W_OK)


def open_read_only(path: Path, timeout_s: float) -> sqlite3.Connection:
    """Connect to a ledger that cannot be written; the connection refuses writes.

    An older ledger is copied into a temporary database, which the caller migrates. SQLite keeps that in the system's
    temporary folder and removes it at the end. Raises LedgerUnusable, sqlite3.Error.
    """
    connection = _connected(_address(path), timeout_s)
    try:
        if is_current(_looked_at(connection, path)):
            connection.execute("PRAGMA query_only=ON")
            return connection
        copy = _connected("", timeout_s)
        connection.backup(copy)
    except BaseException:
        connection.close()
        raise
    connection.close()
    return copy


def _connected(address: str, timeout_s: float) -> sqlite3.Connection:
    return sqlite3.connect(address, uri=True, timeout=timeout_s, isolation_level=None, check_same_thread=False)


def _looked_at(connection: sqlite3.Connection, path: Path) -> sqlite3.Connection:
    try:
        connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    except sqlite3.OperationalError as error:
        if "unable to open" in str(error) or "readonly" in str(error):
            raise LedgerUnusable(_not_closed(path)) from error
        raise
    return connection


def _address(path: Path) -> str:
    """The URI of the file. Without a journal beside it, it is immutable, which needs no lock and no shared memory.

    With a journal, the newest changes are in the journal. SQLite reads them if the index in shared memory exists.
    """
    whole = not any(Path(f"{path}-{kind}").exists() for kind in ("wal", "journal"))
    return f"file:{quote(os.fspath(path.absolute()))}?mode=ro{'&immutable=1' if whole else ''}"


def _not_closed(path: Path) -> str:
    return (
        f"the ledger {path} was not closed in order: its newest changes are in {path}-wal, which can be read only where"
        " its folder can be written; copy both files into such a folder and name the copy with --ledger"
    )
