"""ImportStore: everything that one run of one import job reads and writes."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Set
from typing import Any

from scalesync.ledger.effects import Rival
from scalesync.ledger.sqlite import splits
from scalesync.ledger.sqlite.imports import beside, feeding, outcomes, row_counts, rows
from scalesync.ledger.sqlite.imports.checkpoints import CheckpointStore
from scalesync.ledger.sqlite.imports.checks import CheckStore
from scalesync.ledger.sqlite.imports.chunks import ChunkStore
from scalesync.ledger.sqlite.imports.gone import GoneStore
from scalesync.ledger.sqlite.imports.other_records import drop_other_records, write_other_records
from scalesync.ledger.sqlite.imports.statements import Place
from scalesync.ledger.sqlite.jobs import JobStore
from scalesync.ledger.sqlite.writer import Writer
from scalesync.model.jobs import Feeder, SourceCursor, SourceSplit
from scalesync.model.records import JsonObject, Outgoing
from scalesync.model.row_views import Known
from scalesync.model.rows import Admission, OtherRecord, RowOutcome, RowState
from scalesync.times import now_iso

UNECHOED = "rewritten"  # the stored name of this topic is older than the name in the code


class ImportStore(JobStore):
    """An `ImportLedger`."""

    def __init__(
        self, writer: Writer, *, job: int, run: int, target: int, name: str, was_complete: bool, alone: bool = False
    ) -> None:
        super().__init__(writer, job=job, run=run, target=target, name=name, was_complete=was_complete)
        self.chunks = ChunkStore(writer, target=target, job=job, alone=alone)
        self.checkpoints = CheckpointStore(writer, target=target, job=job)
        self.gone_rows = GoneStore(writer, target=target, job=job)
        self.checks = CheckStore(writer, job, writable=True)
        self._fresh = True  # the last admitted records were all new, so the next ones may be too
        self._stale: bool | None = None
        self._reads: Set[int] | None = None
        self._rivals: dict[str, Rival] = {}  # admitted and without an outcome yet; few at a time

    # --- rows ----------------------------------------------------------------------------------

    async def peek(self, keys: Sequence[str]) -> Mapping[str, tuple[RowState, bytes]]:
        """State and content of the known keys; writes nothing.

        If a record changed in another job, this job still counts its task as before.
        """
        known = await self.known(keys)
        return {key: (row.state if row.home else row.seen_from_beside, row.content) for key, row in known.items()}

    async def known(self, keys: Sequence[str]) -> Mapping[str, Known]:
        """Everything known of the keys, whichever job has their rows."""
        return await self._writer.read(lambda db: rows.load(db, self._target, self._job, keys))

    async def admit(
        self,
        records: Sequence[Outgoing],
        other_records: Sequence[OtherRecord],
        *,
        now_ms: int,
        recheck: bool = False,
        adopt: bool = False,
    ) -> Sequence[Admission]:
        """Make the intent durable for every record that may be sent, and set its `intent_ms`.

        now_ms: the platform's clock.
        adopt: records accept tasks that differ from them.
        Returns one admission for each record, in order, after the commit.
        """

        def work(db: sqlite3.Connection) -> Sequence[Admission]:
            place = Place(self._target, self._job, self._run, self._reads)
            if self._has_stale(db):
                drop_other_records(db, place, _stretches([*records, *other_records]))
            admissions = rows.admit(
                *(db, place, records),
                now_ms=now_ms,
                recheck=recheck,
                fresh=self._fresh,
                rivals=self._rivals,
                adopt=adopt,
            )
            self._fresh = all(admission.new for admission in admissions)
            write_other_records(db, place, other_records)
            return admissions

        return await self._writer.write(work)

    def _has_stale(self, db: sqlite3.Connection) -> bool:
        """Whether earlier runs left other records. The first answer holds for the whole run, because none are added."""
        if self._stale is None:
            earlier = "SELECT EXISTS (SELECT 1 FROM other_records WHERE job=? AND run<?)"
            self._stale = bool(db.execute(earlier, (self._job, self._run)).fetchone()[0])
        return self._stale

    def reads(self, sources: Set[int] | None) -> None:
        """Set the sources of the job that this run reads; None for all. Copies of records in other sources stay."""
        self._reads = sources

    def touch_few(self) -> None:
        """Say that this run admits only a few records of its sources, so other records between these stay."""
        self._stale = False

    async def record(self, ends: Sequence[RowOutcome]) -> None:
        """Write outcomes, with their events and the requests that ended with them."""
        if not ends:
            return
        place = Place(self._target, self._job, self._run)
        given_up, closed = self.chunks.ended()

        def work(db: sqlite3.Connection) -> None:
            recorded = outcomes.record(db, place, ends, self._rivals)
            outcomes.write_events(db, place, recorded, now_iso())
            self.chunks.write_ended(db, given_up, closed)

        await self._writer.write(work)

    async def counts(self) -> Mapping[str, int]:
        """Records of the whole job by state, as `row_counts.count` names them."""
        return await self._writer.read(lambda db: row_counts.count(db, self._target, self._job))

    async def reopen(self, wanted: Callable[[str, int | None, str], bool]) -> int:
        """Make failed rows pending again if wanted(key, status, reason) holds. Returns how many."""
        return await self._writer.write(lambda db: row_counts.reopen(db, self._target, self._job, wanted))

    async def mark_gone(
        self, present: int, is_present: Callable[[str], bool], sources: Collection[int] | None = None
    ) -> int:
        """Flag home rows whose record the source no longer holds, and clear the flag of the others.

        Returns how many are gone.
        present: home rows that this reading met. If these are all home rows, nothing has to be compared.
        sources: the splits whose rows count; None for all splits of the job.
        """
        return await self._writer.write(lambda db: row_counts.mark_gone(db, self._job, present, is_present, sources))

    async def drop_stale_other_records(self, sources: Collection[int] | None = None) -> None:
        """Delete other records that this run did not meet, after it read these sources whole; None for all sources."""
        among = "" if sources is None else f" AND source IN ({','.join(map(str, sources))})"
        await self._writer.write(
            lambda db: db.execute(f"DELETE FROM other_records WHERE job=? AND run<?{among}", (self._job, self._run))
        )

    # --- sources -------------------------------------------------------------------------------

    async def register_sources(self, sources: Iterable[tuple[str, JsonObject]]) -> Sequence[int]:
        """Number the sources (name, facts) by name; a source keeps its number from run to run."""
        return await self._writer.write(lambda db: splits.register(db, self._job, "source", sources))

    async def source_splits(self, but: Set[int] = frozenset()) -> Sequence[SourceSplit]:
        """The sources that the job has read, except `but`."""
        return await self._writer.read(lambda db: splits.load(db, self._job, but))

    async def close_sources(self, read: Sequence[tuple[int, JsonObject, SourceCursor | None]]) -> None:
        """Mark sources as read to their end: number, spec and cursor of each."""
        if not read:
            return
        values = [(json.dumps(spec), splits.cursor_to_json(cursor), self._job, number) for number, spec, cursor in read]
        await self._writer.write(
            lambda db: db.executemany(
                "UPDATE splits SET state='read', spec=?, cursor=? WHERE job=? AND number=?", values
            )
        )

    async def lose_sources(self, gone: Sequence[int]) -> None:
        """Mark sources that no longer exist."""
        if gone:
            values = [("gone", self._job, number) for number in gone]
            query = "UPDATE splits SET state=?, cursor=NULL WHERE job=? AND number=?"
            await self._writer.write(lambda db: db.executemany(query, values))

    async def retire_sources(self, missing: Collection[int], read: Collection[int]) -> Sequence[int]:
        """Turn missing sources that these replaced to `gone`, and forget what they had; returns their numbers."""
        return await self._writer.write(lambda db: splits.retire(db, self._job, missing, read))

    # --- around it --------------------------------------------------------------------------------

    async def unechoed_fields(self) -> frozenset[str]:
        """Fields that the platform rewrites or does not echo."""
        found = await self._writer.read(
            lambda db: db.execute("SELECT value FROM learned WHERE job=? AND topic=?", (self._job, UNECHOED)).fetchall()
        )
        return frozenset(value for (value,) in found)

    async def add_unechoed_fields(self, names: Sequence[str]) -> None:
        """Remember such fields for the job."""
        await self._writer.write(
            lambda db: db.executemany(
                "INSERT OR IGNORE INTO learned (job, topic, value) VALUES (?,?,?)",
                [(self._job, UNECHOED, name) for name in names],
            )
        )

    async def remember_batch(self, name: str, project: str | None, *, created: bool) -> None:
        """Remember a batch that exists on the server; `created` if this job made it."""
        made_by = self._job if created else None
        await self._writer.write(
            lambda db: db.execute(
                "INSERT OR IGNORE INTO batches (target, name, project, created_by) VALUES (?,?,?,?)",
                (self._target, name, project, made_by),
            )
        )

    async def finalized(self, name: str) -> None:
        """Remember that the batch was finalized."""
        await self._writer.write(
            lambda db: db.execute(
                "INSERT INTO batches (target, name, finalized_at) VALUES (?,?,?)"
                " ON CONFLICT (target, name) DO UPDATE SET finalized_at=excluded.finalized_at",
                (self._target, name, now_iso()),
            )
        )

    async def feeders(self, batches: Collection[str], read: Collection[int]) -> Mapping[str, Sequence[Feeder]]:
        """The jobs that still owe records to each of these batches.

        read: the sources that this run has read to their end.
        """
        return await self._writer.read(lambda db: feeding.owing(db, self._target, self._job, batches, read))

    async def jobs_beside(self) -> Sequence[tuple[str, Mapping[str, Any], int]]:
        """(name, settings, tasks) of each other job whose tasks serve records of this one."""
        return await self._writer.read(lambda db: beside.jobs_beside(db, self._target, self._job))


def _stretches(places: Sequence[Outgoing | OtherRecord]) -> list[tuple[int, int, int]]:
    """(source, first line, last line) of these places, one for each source."""
    found: dict[int, tuple[int, int]] = {}
    for place in places:
        first, last = found.get(place.source, (place.line, place.line))
        found[place.source] = (min(first, place.line), max(last, place.line))
    return [(source, first, last) for source, (first, last) in found.items()]
