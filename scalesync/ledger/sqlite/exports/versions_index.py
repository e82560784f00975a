"""An index of the newest version of each task in a folder: a temporary SQLite file beside the output.

It is also the lock of that output. The system keeps the file locked while it is open, so a kill frees the lock.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from scalesync.errors import ConfigError, DiskFull, JobRunning, ScalesyncError
from scalesync.model.exports import Seen

CACHE_KB = 32 * 1024


class VersionsIndex:
    """task_id -> its newest line. Only this run uses it, so it has no journal, no commit and no fsync."""

    def __init__(self, path: Path, db: sqlite3.Connection) -> None:
        self._path = path
        self._db = db

    @classmethod
    def open(cls, path: Path) -> Self:
        """Begin with an empty index. Raises JobRunning if another process has the file open."""
        with _in_words(path):
            try:
                db = _begin(path)
            except sqlite3.DatabaseError as error:
                if isinstance(error, sqlite3.OperationalError):
                    raise
                path.unlink()  # a run was killed in the middle of a write
                db = _begin(path)
        return cls(path, db)

    def add(self, lines: Iterable[Seen]) -> None:
        """Add lines that are newer than the known ones. Of two lines with the same time, the later one counts."""
        with _in_words(self._path):
            self._db.executemany(
                "INSERT INTO newest (task_id, updated_ms, position, gone) VALUES (?,?,?,?)"
                " ON CONFLICT (task_id) DO UPDATE"
                " SET updated_ms=excluded.updated_ms, position=excluded.position, gone=excluded.gone"
                " WHERE excluded.updated_ms >= newest.updated_ms",
                ((_short(seen.task_id), seen.updated_ms, seen.position, seen.left) for seen in lines),
            )

    def positions(self) -> Iterator[int]:
        """The positions of the newest lines, in no order, without tasks that no longer match."""
        with _in_words(self._path):
            for (position,) in self._db.execute("SELECT position FROM newest WHERE NOT gone"):
                yield position

    def gone(self) -> int:
        """How many tasks no longer match."""
        with _in_words(self._path):
            return int(self._db.execute("SELECT count(*) FROM newest WHERE gone").fetchone()[0])

    def left(self, task_ids: Iterable[str]) -> set[str]:
        """Those of these tasks that no longer match."""
        sql = "SELECT 1 FROM newest WHERE task_id=? AND gone"
        with _in_words(self._path):
            return {each for each in task_ids if self._db.execute(sql, (_short(each),)).fetchone()}

    def close(self, *, remove: bool) -> None:
        """Close the index and free the lock.

        remove: delete the file too.
        """
        self._db.close()
        if remove:
            self._path.unlink(missing_ok=True)


def _begin(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
    try:
        db.execute("PRAGMA journal_mode=OFF")
        db.execute("PRAGMA synchronous=OFF")
        db.execute(f"PRAGMA cache_size=-{CACHE_KB}")
        db.execute("BEGIN EXCLUSIVE")
        db.execute("DROP TABLE IF EXISTS newest")
        db.execute(
            "CREATE TABLE newest (task_id BLOB PRIMARY KEY, updated_ms INTEGER NOT NULL, position INTEGER NOT NULL,"
            " gone INTEGER NOT NULL) WITHOUT ROWID"
        )
    except BaseException:
        db.close()
        raise
    return db


def _short(task_id: str) -> bytes:
    """An id of 24 hex digits as 12 bytes, which halves the file. The first byte marks the form."""
    try:
        packed = bytes.fromhex(task_id)
    except ValueError:
        packed = b""
    return b"x" + packed if packed.hex() == task_id and packed else b"t" + task_id.encode("utf-8", "surrogatepass")


@contextmanager
def _in_words(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            raise JobRunning(f"{path.parent}: another run is writing there; wait for it or stop it") from error
        if "full" in str(error):
            raise DiskFull(f"{path.parent}: no space left; free some, then run the same command again") from error
        if "unable to open" in str(error) or "readonly" in str(error):
            raise ConfigError(f"{path.parent}: not allowed to write there; change its permissions") from error
        raise ScalesyncError(f"{path}: cannot be used ({error}); fix that, then run the command again") from error
