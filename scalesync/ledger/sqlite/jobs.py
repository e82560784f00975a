"""JobStore: one run of one job of any kind. The fence of the run's lease guards every write."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from typing import Any

from scalesync.ledger.sqlite import learned_limits
from scalesync.ledger.sqlite.writer import Writer
from scalesync.model.targets import RequestClass
from scalesync.times import local_ms, now_iso


class JobStore:
    """A `JobLedger`.

    job, run, target: their numbers inside the ledger.
    """

    def __init__(self, writer: Writer, *, job: int, run: int, target: int, name: str, was_complete: bool) -> None:
        self.name = name
        self.was_complete = was_complete
        self._writer = writer
        self._job = job
        self._run = run
        self._target = target

    def holds_lease(self) -> bool:
        """Whether no other run can have taken over: by the clock alone."""
        return local_ms() < self._writer.lease_until_ms

    async def event(self, key: str | None, event: str, detail: Mapping[str, Any]) -> None:
        """Write one line into the history. It is durable before the step that it announces."""
        line = (now_iso(), self._run, self._target, key, event, json.dumps(detail))
        await self._writer.write(
            lambda db: db.execute(
                "INSERT INTO events (at, run, target, unique_id, event, detail) VALUES (?,?,?,?,?,?)", line
            )
        )

    async def save_limits(self, learned: Mapping[RequestClass, Mapping[str, object]]) -> None:
        """Save what this run learned of the target's limits."""
        await self._writer.write(lambda db: learned_limits.save(db, self._target, learned))

    async def heartbeat(self) -> None:
        """Renew the lease with an empty group of writes."""
        await self._writer.write(lambda db: None)

    async def finish(
        self, *, complete: bool, exit_code: int, figures: Mapping[str, Any], message: str | None = None
    ) -> None:
        """End the run, set whether the job is complete, and release the lease.

        message: the last sentence of the run; "" if it has none. None for work beside the job's own, after which end
            and sentence of the run before it still hold.
        """

        def work(db: sqlite3.Connection) -> None:
            db.execute(
                "UPDATE runs SET ended_at=?, exit_code=?, figures=?, message=? WHERE id=?",
                (now_iso(), exit_code, json.dumps(dict(figures)), message, self._run),
            )
            db.execute(
                "UPDATE jobs SET complete=?, owner=NULL, lease_until_ms=NULL WHERE id=?",
                (int(complete), self._job),
            )

        await self._writer.write(work)
        self._writer.set_fence(None)
