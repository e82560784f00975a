"""A ledger that can only be read: a snapshot, a backup, a folder of somebody else, mounted without writing."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from urllib.parse import quote

from scalesync.errors import LedgerUnusable
from scalesync.ledger.sqlite.schema import is_current
from scalesync.ledger.sqlite.tools import Database


def can_write(path: Path) -> bool:
    """Whether the ledger and the files that SQLite keeps beside it can be written."""
    return os.access(path, os.W_OK) and os.access(path.absolute().parent, os.W_OK)


def open_read_only(path: Path, timeout_s: float) -> sqlite3.Connection:
    """Connect to a ledger that cannot be written; the connection refuses writes.

    One of an older version is copied into a temporary database that SQLite keeps in the system's temporary folder and
    takes away at the end: the caller brings that up to date. Raises LedgerUnusable, sqlite3.Error.
    """
    connection = _connected(_address(path), timeout_s)
    try:
        if is_current(Database(_looked_at(connection, path))):
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
            raise LedgerUnusable(_unsettled(path)) from error
        raise
    return connection


def _address(path: Path) -> str:
    """As a URI. Immutable, which needs no lock and no shared memory, only where no journal is beside the file.

    With a journal, the newest changes stand there: SQLite reads them where its index of shared memory is there, too.
    """
    whole = not any(Path(f"{path}-{kind}").exists() for kind in ("wal", "journal"))
    return f"file:{quote(os.fspath(path.absolute()))}?mode=ro{'&immutable=1' if whole else ''}"


def _unsettled(path: Path) -> str:
    return (
        f"the ledger {path} was not closed in order: its newest changes are in {path}-wal, which can be read only where"
        " its folder can be written; copy both files into such a folder and name the copy with --ledger"
    )
