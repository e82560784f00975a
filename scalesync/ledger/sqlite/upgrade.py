"""Brings a ledger up to date: checks whose file it is, and runs the missing migrations in one transaction."""

from __future__ import annotations

import sqlite3

from scalesync.errors import LedgerUnusable
from scalesync.ledger.sqlite.schema import SET, STEPS, TABLE, migrations


def migrate(db: sqlite3.Connection) -> None:
    """Bring a ledger up to date. Raises LedgerUnusable if a newer or another program wrote it."""
    if not _pending(db):
        return
    # A table that is made again is missing for a moment while others refer to it. A transaction ignores this switch.
    kept = int(db.execute("PRAGMA foreign_keys").fetchone()[0])
    db.execute("PRAGMA foreign_keys=OFF")
    try:
        _apply(db)
    finally:
        db.execute(f"PRAGMA foreign_keys={kept}")


def _apply(db: sqlite3.Connection) -> None:
    from scalesync.ledger.sqlite.tools import Database  # noqa: PLC0415

    # Two runs may find a new file at the same moment. With the lock, one makes the tables and the other finds them.
    db.execute("BEGIN IMMEDIATE")
    try:
        migrations().apply(Database(db))
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def _pending(db: sqlite3.Connection) -> bool:
    return bool(_ours() - _applied(db))


def is_current(db: sqlite3.Connection) -> bool:
    """Whether no migration is missing. Writes nothing. Raises LedgerUnusable as `migrate` does."""
    return not _pending(db)


def _ours() -> set[str]:
    return {step.__name__ for step in STEPS}


def _applied(db: sqlite3.Connection) -> set[str]:
    # Both queries in one transaction. Between them another run may make the tables, and the file would look foreign.
    db.execute("BEGIN")
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type='table'")}
    listed = db.execute(f"SELECT name FROM {TABLE} WHERE migration_set=?", (SET,)) if TABLE in tables else ()
    applied = {name for (name,) in listed}
    db.execute("COMMIT")
    if applied - _ours():
        newer = ", ".join(sorted(applied - _ours()))
        raise LedgerUnusable(f"was written by a newer scalesync ({newer}); upgrade scalesync to use it")
    if not applied and tables - {TABLE}:
        raise LedgerUnusable("is a database of another program; name another file with --ledger")
    return applied
