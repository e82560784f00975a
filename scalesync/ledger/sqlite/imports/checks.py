"""The ledger side of a check against the server: reads rows in order, and writes dead tasks and rows to repair.

Every change names the state and the task that the check saw, so it never touches a row that changed since.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from scalesync.ledger import states
from scalesync.ledger.sqlite import splits
from scalesync.ledger.sqlite.imports import row_counts
from scalesync.ledger.sqlite.imports.gone import in_doubt
from scalesync.ledger.sqlite.imports.other_records import write_other_records
from scalesync.ledger.sqlite.imports.statements import Place
from scalesync.ledger.sqlite.views import SHARING, SHOWN
from scalesync.ledger.sqlite.writer import Writer
from scalesync.ledger.states import is_loose
from scalesync.model.contents import terms_in
from scalesync.model.records import Outgoing
from scalesync.model.row_views import Held, Turn
from scalesync.model.rows import OtherRecord, RowOutcome, RowState
from scalesync.times import now_iso

CHUNK = 500
_COLUMNS = (
    "r.unique_id, r.state, r.task_id, r.content, r.intent_ms, r.reason, r.detail, r.gone, r.job, r.source, r.line"
)
_HOME = f"SELECT {_COLUMNS} FROM rows r WHERE r.target=? AND r.unique_id>? AND r.job=? ORDER BY r.unique_id LIMIT ?"
_SHARED = (
    f"SELECT {_COLUMNS}, o.source, o.line FROM other_records o"
    " JOIN rows r ON r.target=? AND r.unique_id=o.unique_id"
    " WHERE o.job=? AND o.state IN ('shared', 'changed_after_creation') AND (o.source, o.line) > (?, ?)"
    " ORDER BY o.source, o.line LIMIT ?"
)


class CheckStore:
    """A `VerifyLedger`.

    writable: whether this run holds the lease of the job.
    """

    def __init__(self, writer: Writer, job: int, *, writable: bool = False) -> None:
        self.writable = writable
        self._writer = writer
        self._job = job

    async def held(self, keys: Sequence[str]) -> dict[str, Held]:
        """The target's rows of these keys, whichever job brought them."""
        found: dict[str, Held] = await self._writer.read(lambda db: _load(db, self._job, keys))
        return found

    async def pages(self, size: int) -> AsyncIterator[list[Held]]:
        """All rows of the job, its own and shared ones, `size` at a time."""
        after = ""
        while page := await self._page(_home, after, size):
            yield page
            after = page[-1].key
        place = (0, -1)
        while page := await self._page(_shared, place, size):
            yield page
            place = (page[-1].source, page[-1].line)

    async def failed(self, wanted: Callable[[str, int | None, str], bool]) -> int:
        """How many failed rows of the job `reopen` would make pending."""
        found: int = await self._writer.read(
            lambda db: len(row_counts.failed(db, _target(db, self._job), self._job, wanted))
        )
        return found

    async def waiting(self, dead: Collection[str]) -> int:
        """How many records of the job wait to be sent or looked up, including conflicts over tasks that are `dead`.

        Records that are gone do not count.
        """
        found: int = await self._writer.read(lambda db: _waiting(db, self._job, dead))
        return found

    async def gone_in_doubt(self) -> int:
        """How many records that are gone may have been sent, and so need a look-up."""
        found: int = await self._writer.read(lambda db: in_doubt(db, _target(db, self._job), self._job))
        return found

    async def rebuilding(self) -> bool:
        """Whether a rebuild of this job has begun and not ended, or the job has no work in the ledger yet."""
        query = "SELECT count(*), count(CASE WHEN kind='rebuild' AND state='open' THEN 1 END) FROM splits WHERE job=?"
        splits, begun = await self._writer.read(lambda db: db.execute(query, (self._job,)).fetchone())
        return bool(begun) or not splits

    async def _page(
        self, query: Callable[[sqlite3.Connection, int, Any, int], list[Held]], after: Any, size: int
    ) -> list[Held]:
        page: list[Held] = await self._writer.read(lambda db: query(db, self._job, after, size))
        return page

    async def _write(self, work: Callable[[sqlite3.Connection, Place], Any]) -> Any:
        assert self.writable, "a check without the job's lease writes nothing"
        return await self._writer.write(lambda db: work(db, _place(db, self._job)))

    async def turn(self, turns: Sequence[Turn]) -> int:
        """Turn rows whose task died into conflicts, and rows whose task lives again back. Returns how many changed."""
        changed: int = await self._write(lambda db, place: sum(_turn(db, place, turn) for turn in turns))
        return changed

    async def agree(self, seen: Sequence[tuple[str, str | None, Mapping[str, str]]]) -> None:
        """Remember in what accepted tasks differ that nobody had looked at: (key, task_id, terms)."""
        query = "UPDATE acceptances SET terms=? WHERE job=? AND unique_id=? AND task_id IS ? AND terms IS NULL"
        values = [(json.dumps(terms), self._job, key, ref) for key, ref, terms in seen]
        await self._write(lambda db, place: db.executemany(query, values))

    async def correct(self, pairs: Sequence[tuple[str, str | None, str]]) -> int:
        """Correct the task_id of created and adopted rows: (key, task_id in the ledger, task_id on the server)."""
        changed: int = await self._write(lambda db, place: sum(_correct(db, place, *pair) for pair in pairs))
        return changed

    async def doubt(self, seen: Sequence[tuple[str, str, str | None]]) -> int:
        """Put rows back to `sending`: (key, state, task_id) as the check saw them. The next import looks them up."""
        changed: int = await self._write(lambda db, place: sum(_doubt(db, place, *one) for one in seen))
        return changed

    async def record(self, found: Sequence[tuple[Outgoing, RowOutcome]], other_records: Sequence[OtherRecord]) -> None:
        """Add records whose rows are lost, each in the state that its look-up gave."""

        def work(db: sqlite3.Connection, place: Place) -> None:
            for record, end in found:
                _record(db, place, record, end)
            write_other_records(db, place, other_records)

        await self._write(work)

    async def begin_rebuild(self) -> None:
        """Mark the job as being rebuilt."""
        await self._write(lambda db, place: splits.register(db, self._job, "rebuild", [("rebuild", {})]))

    async def end_rebuild(self) -> None:
        """Mark the rebuild as finished: all records have their rows."""
        query = "UPDATE splits SET state='done', cursor='null' WHERE job=? AND kind='rebuild'"
        await self._write(lambda db, place: db.execute(query, (self._job,)))


def _place(db: sqlite3.Connection, job: int) -> Place:
    target, run = db.execute(
        "SELECT j.target, (SELECT max(id) FROM runs WHERE job=j.id) FROM jobs j WHERE j.id=?", (job,)
    ).fetchone()
    return Place(target, job, run)


def _target(db: sqlite3.Connection, job: int) -> int:
    return int(db.execute("SELECT target FROM jobs WHERE id=?", (job,)).fetchone()[0])


def _load(db: sqlite3.Connection, job: int, keys: Sequence[str]) -> dict[str, Held]:
    found: dict[str, Held] = {}
    target = _target(db, job)
    for start in range(0, len(keys), CHUNK):
        chunk = keys[start : start + CHUNK]
        marks = ",".join("?" * len(chunk))
        query = f"SELECT {_COLUMNS} FROM rows r WHERE r.target=? AND r.unique_id IN ({marks})"
        found.update((row.key, row) for row in _held(db.execute(query, (target, *chunk)), job))
        query = f"SELECT unique_id, content, task_id, terms FROM acceptances WHERE job=? AND unique_id IN ({marks})"
        for key, content, ref, terms in db.execute(query, (job, *chunk)):
            if key in found and found[key].ref == ref:
                agreed = None if terms is None else json.loads(terms)
                found[key] = replace(found[key], accepted=content, terms=agreed)
    return found


def _waiting(db: sqlite3.Connection, job: int, dead: Collection[str]) -> int:
    marks = ",".join("?" * len(dead))
    died = "coalesce(json_extract(r.detail, '$.turned'), json_extract(r.detail, '$.differences.status.task'))"
    wanted = f"(r.state IN ('pending', 'sending') OR (r.state='conflict' AND {died} IN ({marks})))"
    homes = db.execute(
        f"SELECT count(*) FROM rows r WHERE r.target=? AND r.job=? AND r.gone IS NULL AND {wanted}",
        (_target(db, job), job, *dead),
    ).fetchone()
    asked = f"r.state IN ('created', 'adopted') AND {SHOWN}='sending'"
    shared = db.execute(
        f"SELECT count(*) FROM other_records o JOIN rows r ON r.target=? AND r.unique_id=o.unique_id"
        f" WHERE o.job=? AND o.{SHARING} AND ({wanted} OR ({asked}))",
        (_target(db, job), job, *dead),
    ).fetchone()
    return int(homes[0] + shared[0])


def _home(db: sqlite3.Connection, job: int, after: str, size: int) -> list[Held]:
    return list(_held(db.execute(_HOME, (_target(db, job), after, job, size)), job))


def _shared(db: sqlite3.Connection, job: int, place: tuple[int, int], size: int) -> list[Held]:
    return list(_held(db.execute(_SHARED, (_target(db, job), job, *place, size)), job))


def _held(found: sqlite3.Cursor, job: int) -> Iterator[Held]:
    for key, state, ref, content, intent_ms, reason, detail, gone, home, *places in found:
        facts = json.loads(detail) if detail else {}
        source, line = places[-2:]
        # Older versions wrote an acceptance into the row itself.
        loose = home == job and is_loose(RowState(state), facts)
        yield Held(
            key, RowState(state), ref, content, intent_ms, reason, facts.get("was"), facts.get("turned"), home == job,
            source, line, facts.get("turned") or _task_status(facts), gone is not None,
            content if loose else None, terms_in(facts) if loose else None,
        )  # fmt: skip


def _task_status(detail: dict[str, Any]) -> str | None:
    """The task's status that caused a conflict, from its `differences`."""
    status = (detail.get("differences") or {}).get("status")
    return status.get("task") if isinstance(status, dict) else None


def _event(db: sqlite3.Connection, place: Place, key: str, event: str, detail: dict[str, Any]) -> None:
    db.execute(
        "INSERT INTO events (at, run, target, unique_id, event, detail) VALUES (?,?,?,?,?,?)",
        (now_iso(), place.run, place.target, key, event, json.dumps(detail)),
    )


def _turn(db: sqlite3.Connection, place: Place, turn: Turn) -> int:
    row = turn.row
    if not row.ours or turn.turned == row.turned:
        return 0
    state, was = states.turn(row.state, row.was, dead=turn.turned is not None)
    detail = None if was is None else json.dumps({"was": was.value, "turned": turn.turned})
    changed = db.execute(
        "UPDATE rows SET state=?, status=?, reason=?, detail=?"
        " WHERE target=? AND unique_id=? AND state=? AND task_id IS ? AND reason IS ?",
        (
            *(state.value, turn.status, turn.reason, detail),
            *(place.target, row.key, row.state.value, row.ref, row.reason),
        ),
    ).rowcount
    if changed:
        event = {None: "task lives again", "error": "task turned to error"}.get(turn.turned, "task was canceled")
        _event(db, place, row.key, event, {"task_id": row.ref, "status": turn.status, "reason": turn.reason})
    return changed


def _correct(db: sqlite3.Connection, place: Place, key: str, was: str | None, ref: str) -> int:
    changed = db.execute(
        "UPDATE rows SET task_id=? WHERE target=? AND unique_id=? AND task_id IS ? AND state IN ('created', 'adopted')",
        (ref, place.target, key, was),
    ).rowcount
    if changed:
        _event(db, place, key, "task_id corrected", {"task_id": ref, "was": was})
    return changed


def _doubt(db: sqlite3.Connection, place: Place, key: str, state: str, ref: str | None) -> int:
    changed = db.execute(
        "UPDATE rows SET state='sending', task_id=NULL, status=NULL, reason=NULL, detail=NULL"
        " WHERE target=? AND unique_id=? AND state=? AND task_id IS ?",
        (place.target, key, state, ref),
    ).rowcount
    if changed:
        _event(db, place, key, "taken up again", {"task_id": ref, "was": state})
    return changed


def _record(db: sqlite3.Connection, place: Place, record: Outgoing, end: RowOutcome) -> None:
    detail = None if end.detail is None else json.dumps(end.detail)
    added = db.execute(
        "INSERT OR IGNORE INTO rows (target, unique_id, state, task_id, job, source, line, content, intent_ms, status,"
        " reason, detail) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
        (
            *(place.target, record.key, end.state.value, end.ref, place.job, record.source, record.line),
            *(record.content, record.intent_ms, end.status, end.reason, detail),
        ),
    ).rowcount
    if added and end.event is not None:
        _event(db, place, record.key, end.event, {"status": end.status, "reason": end.reason})
