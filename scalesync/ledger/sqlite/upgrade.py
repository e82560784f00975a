"""A ledger brought up to date: which migrations it has, whose file it is, and the missing ones in one transaction."""

from __future__ import annotations

from scalesync.errors import LedgerUnusable
from scalesync.ledger.sqlite.schema import STEPS, migrations
from scalesync.ledger.sqlite.tools import Database


def migrate(db: Database) -> None:
    """Bring a ledger up to date. Raises LedgerUnusable when a newer or another program wrote it."""
    if not _pending(db):
        return
    # A table that is made again is gone for a moment, while others refer to it; inside a transaction this is no switch.
    kept = int(db.execute("PRAGMA foreign_keys").fetchone()[0])
    db.execute("PRAGMA foreign_keys=OFF")
    try:
        _apply(db)
    finally:
        db.execute(f"PRAGMA foreign_keys={kept}")


def _apply(db: Database) -> None:
    # Two runs may find a new file at the same moment: the lock lets one make the tables, the other finds them.
    db.execute("BEGIN IMMEDIATE")
    try:
        migrations.apply(db)
        db.execute("COMMIT")
    except BaseException:
        if db.conn.in_transaction:
            db.execute("ROLLBACK")
        raise


def _pending(db: Database) -> bool:
    return bool(_ours() - _applied(db))


def is_current(db: Database) -> bool:
    """Whether no migration is missing; nothing is written. Raises LedgerUnusable as `migrate` does."""
    return not _pending(db)


def _ours() -> set[str]:
    return {step.__name__ for step in STEPS}


def _applied(db: Database) -> set[str]:
    # One look at the file: between two, another run may make the tables, and they would look like another program's.
    db.execute("BEGIN")
    applied = {migration.name for migration in migrations.applied(db)}
    tables = set(db.table_names()) - {migrations.migrations_table}
    db.execute("COMMIT")
    if applied - _ours():
        newer = ", ".join(sorted(applied - _ours()))
        raise LedgerUnusable(f"was written by a newer scalesync ({newer}); upgrade scalesync to use it")
    if not applied and tables:
        raise LedgerUnusable("is a database of another program; name another file with --ledger")
    return applied
