"""JobStore: what one run of one job reads and writes; every write passes the fence of the run's lease."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Set
from typing import Any

from scalesync.ledger.sqlite import learned_limits, splits
from scalesync.ledger.sqlite.imports import outcomes, row_counts, rows
from scalesync.ledger.sqlite.writer import Writer
from scalesync.model.jobs import SourceSplit
from scalesync.model.records import JsonObject, Outgoing
from scalesync.model.row_views import Known
from scalesync.model.rows import Admission, OtherRecord, RowOutcome, RowState
from scalesync.model.targets import RequestClass
from scalesync.times import now_iso


class JobStore:
    """The ledger for one run. All methods are durable when they return. was_complete: the job, when this run began."""

    def __init__(
        self, writer: Writer, *, job: int, run: int, target: int, name: str, was_complete: bool = False
    ) -> None:
        self.name = name
        self.was_complete = was_complete
        self._writer = writer
        self._job = job
        self._run = run
        self._target = target
        self._fresh = True  # the last records admitted were all new, and the next ones may be
        self._stale: bool | None = None
        self._reads: Set[int] | None = None
        self._rivals: dict[str, rows.Rival] = {}  # admitted and not settled yet; few, as those in doubt are

    # --- for stores of one kind of job, such as `exports` -----------------------------------------

    @property
    def number(self) -> int:
        """The job's number inside the ledger."""
        return self._job

    @property
    def target(self) -> int:
        """The target's number inside the ledger."""
        return self._target

    async def write(self, work: Callable[[sqlite3.Connection], Any]) -> Any:
        """Run `work` in a fenced transaction; durable when it returns."""
        return await self._writer.write(work)

    async def read(self, work: Callable[[sqlite3.Connection], Any]) -> Any:
        """Run `work`, which only reads."""
        return await self._writer.read(work)

    # --- rows ----------------------------------------------------------------------------------

    async def peek(self, keys: Sequence[str]) -> Mapping[str, tuple[RowState, bytes]]:
        """State and content of the keys that are known; writes nothing.

        A task whose record changed in another job is as good as ever in this one.
        """
        known = await self.known(keys)
        return {key: (row.state if row.home else row.seen_from_beside, row.content) for key, row in known.items()}

    async def known(self, keys: Sequence[str]) -> Mapping[str, Known]:
        """All that is known of the keys, whichever job has their rows."""
        return await self._writer.read(lambda db: rows.load(db, self._target, self._job, keys))

    async def admit(
        self,
        records: Sequence[Outgoing],
        asides: Sequence[OtherRecord],
        *,
        now_ms: int,
        recheck: bool = False,
        adopt: bool = False,
    ) -> Sequence[Admission]:
        """Make the intent durable for every record that is to be sent; sets `intent_ms` on each.

        now_ms: the platform's clock. adopt: records accept tasks that differ from them. Returns one admission per
        record, in order, after the commit.
        """

        def work(db: sqlite3.Connection) -> Sequence[Admission]:
            place = rows.Place(self._target, self._job, self._run, self._reads)
            if self._has_stale(db):
                rows.drop_asides(db, place, _stretches([*records, *asides]))
            admissions = rows.admit(
                *(db, place, records),
                now_ms=now_ms,
                recheck=recheck,
                fresh=self._fresh,
                rivals=self._rivals,
                adopt=adopt,
            )
            self._fresh = all(admission.new for admission in admissions)
            rows.write_asides(db, place, asides)
            return admissions

        return await self._writer.write(work)

    def _has_stale(self, db: sqlite3.Connection) -> bool:
        """Whether earlier runs set anything aside, as this one found it at first: none can add to that."""
        if self._stale is None:
            earlier = "SELECT EXISTS (SELECT 1 FROM other_records WHERE job=? AND run<?)"
            self._stale = bool(db.execute(earlier, (self._job, self._run)).fetchone()[0])
        return self._stale

    def reads(self, sources: Set[int] | None) -> None:
        """This run reads these sources of the job, None for all; copies of its records in the others stay there."""
        self._reads = sources

    def touch_few(self) -> None:
        """This run admits a few records of its sources: what earlier runs set aside between them stays."""
        self._stale = False

    async def record(self, settled: Sequence[RowOutcome]) -> None:
        """Write ends of journeys, or returns to pending, with their events."""
        if not settled:
            return
        place = rows.Place(self._target, self._job, self._run)

        def work(db: sqlite3.Connection) -> None:
            outcomes.record(db, place, settled, self._rivals)
            outcomes.write_events(db, place, settled, now_iso())

        await self._writer.write(work)

    async def event(self, key: str | None, event: str, detail: Mapping[str, Any]) -> None:
        """Put one line into the history, durable before the step it announces."""
        line = (now_iso(), self._run, self._target, key, event, json.dumps(detail))
        await self._writer.write(
            lambda db: db.execute(
                "INSERT INTO events (at, run, target, unique_id, event, detail) VALUES (?,?,?,?,?,?)", line
            )
        )

    async def counts(self) -> Mapping[str, int]:
        """Records of the whole job by state, as `row_counts.count` names them."""
        return await self._writer.read(lambda db: row_counts.count(db, self._target, self._job))

    async def reopen(self, wanted: Callable[[str, int | None, str], bool]) -> int:
        """Failed rows for which wanted(key, status, reason) holds become pending again; returns how many."""
        return await self._writer.write(lambda db: row_counts.reopen(db, self._target, self._job, wanted))

    async def mark_gone(
        self, present: int, is_present: Callable[[str], bool], sources: Collection[int] | None = None
    ) -> int:
        """Flag home rows whose record the source no longer holds, clear the others; returns how many are gone.

        present: home rows that this reading met; where they are all there are, nothing needs to be looked at. sources:
        the splits that it is about, None for all of the job.
        """
        return await self._writer.write(lambda db: row_counts.mark_gone(db, self._job, present, is_present, sources))

    async def drop_stale_asides(self, sources: Collection[int] | None = None) -> None:
        """Forget other records that this run, having read these sources whole, did not meet. None: all of the job."""
        among = "" if sources is None else f" AND source IN ({','.join(map(str, sources))})"
        await self._writer.write(
            lambda db: db.execute(f"DELETE FROM other_records WHERE job=? AND run<?{among}", (self._job, self._run))
        )

    # --- splits --------------------------------------------------------------------------------

    async def register_splits(self, kind: str, splits: Iterable[tuple[str, JsonObject]]) -> Sequence[int]:
        """Number splits by name; a split keeps its number from run to run."""

        def work(db: sqlite3.Connection) -> Sequence[int]:
            known = dict(
                db.execute("SELECT name, number FROM splits WHERE job=? AND kind=?", (self._job, kind)).fetchall()
            )
            (highest,) = db.execute("SELECT max(number) FROM splits WHERE job=?", (self._job,)).fetchone()
            highest = highest or 0
            numbers = []
            for name, spec in splits:
                if name not in known:
                    highest += 1
                    known[name] = highest
                    db.execute(
                        "INSERT INTO splits (job, number, kind, name, spec) VALUES (?,?,?,?,?)",
                        (self._job, highest, kind, name, json.dumps(spec)),
                    )
                numbers.append(known[name])
            return numbers

        return await self._writer.write(work)

    async def source_splits(self, but: Set[int]) -> Sequence[SourceSplit]:
        """The sources that the job has met, but for some."""
        return await self._writer.read(lambda db: splits.load(db, self._job, but))

    async def splits(self, kind: str) -> Sequence[tuple[int, str, JsonObject, str, Any]]:
        """(number, name, spec, state, cursor) of each split of a kind."""
        found = await self._writer.read(
            lambda db: db.execute(
                "SELECT number, name, spec, state, cursor FROM splits WHERE job=? AND kind=? ORDER BY number",
                (self._job, kind),
            ).fetchall()
        )
        return [
            (number, name, json.loads(spec), state, None if cursor is None else json.loads(cursor))
            for number, name, spec, state, cursor in found
        ]

    async def update_split(
        self, number: int, *, state: str, spec: JsonObject | None = None, cursor: Any = None
    ) -> None:
        """Set a split's state and cursor, and its spec when given."""
        await self._writer.write(
            lambda db: db.execute(
                "UPDATE splits SET state=?, cursor=?, spec=coalesce(?, spec) WHERE job=? AND number=?",
                (state, json.dumps(cursor), None if spec is None else json.dumps(spec), self._job, number),
            )
        )

    async def close_sources(self, read: Sequence[tuple[int, JsonObject, Any]]) -> None:
        """These sources are read to their end: number, spec and cursor of each."""
        if not read:
            return
        values = [(json.dumps(spec), json.dumps(cursor), self._job, number) for number, spec, cursor in read]
        await self._writer.write(
            lambda db: db.executemany(
                "UPDATE splits SET state='read', spec=?, cursor=? WHERE job=? AND number=?", values
            )
        )

    async def lose_sources(self, gone: Sequence[int]) -> None:
        """These sources are there no more."""
        if gone:
            values = [("gone", self._job, number) for number in gone]
            query = "UPDATE splits SET state=?, cursor=NULL WHERE job=? AND number=?"
            await self._writer.write(lambda db: db.executemany(query, values))

    # --- things learned ------------------------------------------------------------------------

    async def learn(self, topic: str, values: Sequence[str]) -> None:
        """Remember facts about this job's server, such as fields that it rewrites."""
        await self._writer.write(
            lambda db: db.executemany(
                "INSERT OR IGNORE INTO learned (job, topic, value) VALUES (?,?,?)",
                [(self._job, topic, value) for value in values],
            )
        )

    async def learned(self, topic: str) -> frozenset[str]:
        """What `learn` kept under a topic."""
        found = await self._writer.read(
            lambda db: db.execute("SELECT value FROM learned WHERE job=? AND topic=?", (self._job, topic)).fetchall()
        )
        return frozenset(value for (value,) in found)

    async def remember_paces(self, learned: Mapping[RequestClass, Mapping[str, object]]) -> None:
        """Keep what this run learned of the target's limits."""
        await self._writer.write(lambda db: learned_limits.save(db, self._target, learned))

    async def remember_batch(self, name: str, project: str | None, *, created: bool) -> None:
        """A batch that exists on the server; `created` when this job made it."""
        made_by = self._job if created else None
        await self._writer.write(
            lambda db: db.execute(
                "INSERT OR IGNORE INTO batches (target, name, project, created_by) VALUES (?,?,?,?)",
                (self._target, name, project, made_by),
            )
        )

    async def finalized(self, name: str) -> None:
        """The batch was finalized."""
        await self._writer.write(
            lambda db: db.execute(
                "INSERT INTO batches (target, name, finalized_at) VALUES (?,?,?)"
                " ON CONFLICT (target, name) DO UPDATE SET finalized_at=excluded.finalized_at",
                (self._target, name, now_iso()),
            )
        )

    # --- the run -------------------------------------------------------------------------------

    async def heartbeat(self) -> None:
        """Renew the lease by an empty group."""
        await self._writer.write(lambda db: None)

    async def finish(
        self, *, complete: bool, exit_code: int, figures: Mapping[str, Any], message: str | None = None
    ) -> None:
        """End the run, say whether the job is complete, give the lease back.

        message: the sentence that the run ends with, "" when there is nothing to say. None for work beside the job's
        own, after which the sentence of the run before it still holds.
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


def _stretches(places: Sequence[Outgoing | OtherRecord]) -> list[tuple[int, int, int]]:
    """The lines from the first to the last, per source."""
    found: dict[int, tuple[int, int]] = {}
    for place in places:
        first, last = found.get(place.source, (place.line, place.line))
        found[place.source] = (min(first, place.line), max(last, place.line))
    return [(source, first, last) for source, (first, last) in found.items()]
