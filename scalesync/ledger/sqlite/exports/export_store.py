"""An export in the ledger: its plan, its partitions, its files, and the versions that it has written.

One transaction changes partitions, the length of the open data file and versions. So a killed run resumes with three
that agree.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence

from scalesync.ledger.sqlite.exports import windows
from scalesync.ledger.sqlite.jobs import JobStore
from scalesync.model.exports import Commit, StoredRun, Version, WindowRow
from scalesync.model.records import JsonObject

CHUNK = 500


class ExportStore(JobStore):
    """An `ExportLedger`."""

    async def begin_run(self, name: str, plan: JsonObject) -> None:
        """Delete the partitions and files of earlier runs, and write the plan of this run."""
        number = self._job

        def work(db: sqlite3.Connection) -> None:
            db.execute("DELETE FROM files WHERE job=?", (number,))
            db.execute("DELETE FROM splits WHERE job=? AND kind IN ('slice', 'plan')", (number,))
            db.execute(
                "INSERT INTO splits (job, number, kind, name, spec) VALUES (?, 0, 'plan', ?, ?)",
                (number, name, json.dumps(plan)),
            )

        await self._writer.write(work)

    async def end_run(self) -> None:
        """Mark the last run as finished: its files are in the manifest."""
        await self._writer.write(
            lambda db: db.execute("UPDATE splits SET state='done' WHERE job=? AND kind='plan'", (self._job,))
        )

    async def stored_run(self) -> StoredRun | None:
        """The last run; None if there was none."""

        def work(db: sqlite3.Connection) -> StoredRun | None:
            row = db.execute(
                "SELECT spec, cursor, state FROM splits WHERE job=? AND kind='plan'", (self._job,)
            ).fetchone()
            if row is None:
                return None
            states = db.execute(
                "SELECT cursor FROM splits WHERE job=? AND kind='slice' ORDER BY number", (self._job,)
            ).fetchall()
            progress = json.loads(row[1]) if row[1] else {}
            return StoredRun(json.loads(row[0]), progress, [json.loads(state) for (state,) in states], row[2] == "done")

        found: StoredRun | None = await self._writer.read(work)
        return found

    async def commit(self, step: Commit) -> None:
        """Write one step; durable when it returns."""
        number = self._job

        def work(db: sqlite3.Connection) -> None:
            db.executemany(
                "INSERT INTO splits (job, number, kind, name, spec, state, cursor) VALUES (?,?,'slice',?,'{}',?,?)"
                " ON CONFLICT (job, number) DO UPDATE SET state=excluded.state, cursor=excluded.cursor",
                [
                    (number, key, str(key), "done" if state["done"] else "open", json.dumps(state))
                    for key, state in step.partitions.items()
                ],
            )
            db.executemany(
                "INSERT OR REPLACE INTO files (job, path, split, kind, entry) VALUES (?,?,0,?,?)",
                [(number, path, kind, json.dumps(entry)) for path, (kind, entry) in step.files.items()],
            )
            db.executemany(
                "INSERT OR REPLACE INTO versions (job, task_id, updated_ms, matched) VALUES (?,?,?,?)",
                [(number, key, version.updated_ms, version.matched) for key, version in step.versions.items()],
            )
            db.executemany(
                "INSERT OR REPLACE INTO parts (job, task_id, part, delivered_at) VALUES (?,?,?,?)",
                [(number, key, part, at) for key, parts in step.parts.items() for part, at in parts.items()],
            )
            if step.plan is not None:
                db.execute("UPDATE splits SET cursor=? WHERE job=? AND kind='plan'", (json.dumps(step.plan), number))

        await self._writer.write(work)

    async def files(self, kind: str) -> list[JsonObject]:
        """Entries of the files of a kind, by path. See `ExportLedger`."""
        found = await self._writer.read(
            lambda db: db.execute(
                "SELECT entry FROM files WHERE job=? AND kind=? ORDER BY path", (self._job, kind)
            ).fetchall()
        )
        return [json.loads(entry) for (entry,) in found]

    # --- versions ------------------------------------------------------------------------------

    async def versions(self, task_ids: Sequence[str]) -> Mapping[str, Version]:
        """The known versions of these tasks."""

        def work(db: sqlite3.Connection) -> dict[str, Version]:
            found: dict[str, Version] = {}
            for start in range(0, len(task_ids), CHUNK):
                chunk = task_ids[start : start + CHUNK]
                marks = ",".join("?" * len(chunk))
                for key, updated_ms, matched in db.execute(
                    f"SELECT task_id, updated_ms, matched FROM versions WHERE job=? AND task_id IN ({marks})",
                    (self._job, *chunk),
                ):
                    found[key] = Version(updated_ms, bool(matched))
            return found

        known: Mapping[str, Version] = await self._writer.read(work)
        return known

    async def forget_versions(self) -> None:
        """Forget all versions."""
        await self._writer.write(lambda db: db.execute("DELETE FROM versions WHERE job=?", (self._job,)))

    async def updated_marks(self, every: int) -> list[int]:
        """Update times that cut the known tasks into groups of about `every`, ascending, both ends included."""
        rows = await self._writer.read(
            lambda db: db.execute(
                "SELECT updated_ms FROM (SELECT updated_ms, row_number() OVER (ORDER BY updated_ms) AS place"
                " FROM versions WHERE job=?) WHERE (place - 1) % ? = 0 ORDER BY updated_ms",
                (self._job, every),
            ).fetchall()
        )
        return [int(ms) for (ms,) in rows]

    async def count_updated(self, first_ms: int, last_ms: int) -> int:
        """How many known tasks have first_ms <= updated < last_ms."""
        row = await self._writer.read(
            lambda db: db.execute(
                "SELECT count(*) FROM versions WHERE job=? AND updated_ms>=? AND updated_ms<?",
                (self._job, first_ms, last_ms),
            ).fetchone()
        )
        return int(row[0])

    # --- parts that were delivered apart ----------------------------------------------------------

    async def parts(self, task_ids: Sequence[str]) -> Mapping[str, Mapping[str, str]]:
        """The newest written deliveries of these tasks' parts."""

        def work(db: sqlite3.Connection) -> dict[str, dict[str, str]]:
            found: dict[str, dict[str, str]] = {}
            for start in range(0, len(task_ids), CHUNK):
                chunk = task_ids[start : start + CHUNK]
                marks = ",".join("?" * len(chunk))
                for key, part, at in db.execute(
                    f"SELECT task_id, part, delivered_at FROM parts WHERE job=? AND task_id IN ({marks})",
                    (self._job, *chunk),
                ):
                    found.setdefault(key, {})[part] = at
            return found

        known: Mapping[str, Mapping[str, str]] = await self._writer.read(work)
        return known

    async def forget_parts(self) -> None:
        """Forget all deliveries of parts."""
        await self._writer.write(lambda db: db.execute("DELETE FROM parts WHERE job=?", (self._job,)))

    # --- windows -------------------------------------------------------------------------------

    async def replace_windows(self, rows: Sequence[WindowRow]) -> None:
        """Write the whole table of a backfill's windows."""
        await self._writer.write(lambda db: windows.replace(db, self._job, rows))

    async def update_window(self, row: WindowRow) -> None:
        """Set the state and the figures of one window."""
        await self._writer.write(lambda db: windows.update(db, self._job, row))
