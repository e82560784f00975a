"""The one place that opens concrete ledgers, and the files beside them. Everything else is typed against ports."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from scalesync.ledger.sqlite import connection
from scalesync.ledger.sqlite.exports import versions_index
from scalesync.ledger.sqlite.quota import QuotaFile, quota_path
from scalesync.ledger.sqlite.store import SqliteLedger
from scalesync.pacing.shared_slots import ByteStore
from scalesync.ports.export_ledger import VersionsIndex
from scalesync.ports.ledger import Ledger


def open_ledger(path: Path, *, note: Callable[[str], None], create: bool = True, to_read: bool = False) -> Ledger:
    """Open or create a ledger. Raises LedgerUnusable, LedgerBusy or DiskFull with one sentence.

    note: gets messages for people.
    to_read: the caller only reads, so the ledger may be read-only.
    """
    return SqliteLedger.open(path, note=note, create=create, to_read=to_read)


def check_ledger_place(path: Path) -> None:
    """Raise LedgerUnusable if a new ledger could not be made at this path. Makes none."""
    connection.check_place(path)


def open_quota(ledger: Path) -> ByteStore:
    """The store of the rates that all processes on a ledger share. The first use creates its file."""
    return QuotaFile(quota_path(ledger))


def open_versions_index(path: Path) -> VersionsIndex:
    """Begin an empty index of versions. Raises JobRunning if another process has the file open."""
    return versions_index.VersionsIndex.open(path)
