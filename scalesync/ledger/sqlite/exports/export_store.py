"""What an export keeps in the ledger: its plan, its slices, its files, and the versions it has written.

Slices, the length of the open data file, and versions move in one transaction, so that a killed run goes on with all
three as they were together.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence

from scalesync.ledger.sqlite.jobs import JobStore
from scalesync.model.exports import Commit, StoredRun, Version
from scalesync.model.records import JsonObject

CHUNK = 500


class ExportStore:
    """The export side of a job's ledger; every write is fenced like the job's others."""

    def __init__(self, job: JobStore) -> None:
        self._job = job

    async def begin(self, name: str, plan: JsonObject) -> None:
        """Forget slices and files of earlier runs and write the plan of this one."""
        number = self._job.number

        def work(db: sqlite3.Connection) -> None:
            db.execute("DELETE FROM files WHERE job=?", (number,))
            db.execute("DELETE FROM splits WHERE job=? AND kind IN ('slice', 'plan')", (number,))
            db.execute(
                "INSERT INTO splits (job, number, kind, name, spec) VALUES (?, 0, 'plan', ?, ?)",
                (number, name, json.dumps(plan)),
            )

        await self._job.write(work)

    async def end(self) -> None:
        """The run begun last is finished: its files are in the manifest."""
        await self._job.write(
            lambda db: db.execute("UPDATE splits SET state='done' WHERE job=? AND kind='plan'", (self._job.number,))
        )

    async def load(self) -> StoredRun | None:
        """The run begun last; None when there was none."""

        def work(db: sqlite3.Connection) -> StoredRun | None:
            row = db.execute(
                "SELECT spec, cursor, state FROM splits WHERE job=? AND kind='plan'", (self._job.number,)
            ).fetchone()
            if row is None:
                return None
            slices = db.execute(
                "SELECT cursor FROM splits WHERE job=? AND kind='slice' ORDER BY number", (self._job.number,)
            ).fetchall()
            progress = json.loads(row[1]) if row[1] else {}
            return StoredRun(json.loads(row[0]), progress, [json.loads(state) for (state,) in slices], row[2] == "done")

        found: StoredRun | None = await self._job.read(work)
        return found

    async def commit(self, step: Commit) -> None:
        """Write one step; durable when it returns."""
        number = self._job.number

        def work(db: sqlite3.Connection) -> None:
            db.executemany(
                "INSERT INTO splits (job, number, kind, name, spec, state, cursor) VALUES (?,?,'slice',?,'{}',?,?)"
                " ON CONFLICT (job, number) DO UPDATE SET state=excluded.state, cursor=excluded.cursor",
                [
                    (number, key, str(key), "done" if state["done"] else "open", json.dumps(state))
                    for key, state in step.slices.items()
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
            if step.plan is not None:
                db.execute("UPDATE splits SET cursor=? WHERE job=? AND kind='plan'", (json.dumps(step.plan), number))

        await self._job.write(work)

    async def files(self, kind: str) -> list[JsonObject]:
        """Entries of the files of a kind ("tasks", "left", "responses", or one of these with ":open"), by path."""
        found = await self._job.read(
            lambda db: db.execute(
                "SELECT entry FROM files WHERE job=? AND kind=? ORDER BY path", (self._job.number, kind)
            ).fetchall()
        )
        return [json.loads(entry) for (entry,) in found]

    # --- versions ------------------------------------------------------------------------------

    async def known(self, task_ids: Sequence[str]) -> Mapping[str, Version]:
        """The versions met of these tasks."""

        def work(db: sqlite3.Connection) -> dict[str, Version]:
            found: dict[str, Version] = {}
            for start in range(0, len(task_ids), CHUNK):
                chunk = task_ids[start : start + CHUNK]
                marks = ",".join("?" * len(chunk))
                for key, updated_ms, matched in db.execute(
                    f"SELECT task_id, updated_ms, matched FROM versions WHERE job=? AND task_id IN ({marks})",
                    (self._job.number, *chunk),
                ):
                    found[key] = Version(updated_ms, bool(matched))
            return found

        known: Mapping[str, Version] = await self._job.read(work)
        return known

    async def forget_versions(self) -> None:
        """Forget all versions."""
        await self._job.write(lambda db: db.execute("DELETE FROM versions WHERE job=?", (self._job.number,)))

    async def updated_marks(self, every: int) -> list[int]:
        """Update times that cut the remembered tasks into groups of about `every`, ascending, ends included."""
        rows = await self._job.read(
            lambda db: db.execute(
                "SELECT updated_ms FROM (SELECT updated_ms, row_number() OVER (ORDER BY updated_ms) AS place"
                " FROM versions WHERE job=?) WHERE (place - 1) % ? = 0 ORDER BY updated_ms",
                (self._job.number, every),
            ).fetchall()
        )
        return [int(ms) for (ms,) in rows]

    async def count_updated(self, first_ms: int, last_ms: int) -> int:
        """Remembered tasks with first_ms <= updated < last_ms."""
        row = await self._job.read(
            lambda db: db.execute(
                "SELECT count(*) FROM versions WHERE job=? AND updated_ms>=? AND updated_ms<?",
                (self._job.number, first_ms, last_ms),
            ).fetchone()
        )
        return int(row[0])
