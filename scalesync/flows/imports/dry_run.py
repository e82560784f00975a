"""--dry-run: counts what a run would do, without a write to server or ledger.

Each record makes the move that its admission would make. Records to send or to look up count as pending. Rows of the
job that the sources no longer hold count as after a run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import orjson

from scalesync.config.settings import Way
from scalesync.engine.limits import EngineLimits
from scalesync.events import Observer
from scalesync.flows.imports import finish
from scalesync.flows.imports.batches import BatchKeeper
from scalesync.flows.imports.guards.blueprints import BlueprintCheck
from scalesync.flows.imports.guards.preflight import check_target
from scalesync.flows.imports.plan import ImportPlan
from scalesync.flows.imports.reading.prepare import Prepared, Preparer, read_all
from scalesync.flows.imports.reading.source_changes import vanished
from scalesync.flows.runtime.identity import find_import, sources_of
from scalesync.flows.runtime.ledgers import check_ledger_place, open_ledger
from scalesync.flows.runtime.options import CHANGED, in_words
from scalesync.flows.runtime.wiring import Connection, connect
from scalesync.ledger.moves import admit
from scalesync.ledger.states import shared_state, standing_of
from scalesync.model.jobs import JobSpec, StoredJob
from scalesync.model.records import JsonObject, Outgoing
from scalesync.model.row_views import Known, Standing
from scalesync.model.rows import FINAL, RecordState, RowState, Verb
from scalesync.model.summaries import ImportSummary
from scalesync.ports.ledger import Ledger
from scalesync.sources.about import shown_place
from scalesync.text import count

SHOWN_PLACES = 3  # for each kind of finding
SHOWN_LINES = 40
SHOWN_TEXT = 200
SHOWN_ITEMS = 5


@dataclass(frozen=True, slots=True)
class Homes:
    """A job's home rows by how they count: all of them, and those of this reading."""

    all: Mapping[Standing, int] = field(default_factory=dict)
    read: Mapping[Standing, int] = field(default_factory=dict)


Lookup = Callable[[Sequence[str]], Awaitable[Mapping[str, Known]]]


async def dry_run(
    plan: ImportPlan, spec: JobSpec, way: Way, observer: Observer, *, limits: EngineLimits
) -> ImportSummary:
    """Read the sources and ask the server, but write nothing. Raises the errors of a run's start."""
    async with (
        _ledger(plan, spec, way, observer) as (name, lookup, homes),
        connect(
            way,
            observer,
            task_type=plan.options.type,
            namespace=spec.target.namespace,
            limits=limits,
        ) as connection,
    ):
        await check_target(plan, connection, observer)
        run = DryRun(plan, connection, observer, lookup, homes)
        await run.read()
        figures = {**finish.NOTHING_DONE, "requests": connection.transport.counters.requests}
    if run.first is not None:
        observer.note(f"the first task would be:\n{shown_body(run.first.body)}")
    counts = run.counts
    findings = any(counts[name] for name in finish.FINDINGS)
    said = f"dry run: nothing was sent and nothing was written{run.stopped}"
    ending = finish.RunEnd(int(findings), False, said)
    return finish.summary(name, spec.target, counts, figures, ending)


@asynccontextmanager
async def _ledger(
    plan: ImportPlan, spec: JobSpec, way: Way, observer: Observer
) -> AsyncIterator[tuple[str, Lookup, Homes]]:
    """The job's name, a function to look keys up, and its home rows. Does not create a missing ledger."""
    if not way.ledger.exists():
        check_ledger_place(way.ledger)
        yield spec.name, _nothing_known, Homes()
        return
    ledger = open_ledger(way.ledger, note=observer.note, to_read=True)
    try:
        found, spec = await find_import(ledger, spec, plan.options)
        yield spec.name, partial(ledger.known, spec.target, found), await _homes(ledger, found, plan)
    finally:
        ledger.close()


def shown_body(body: bytes) -> str:
    """A body for people, one field in each line. Each cut says how much it leaves out."""
    lines = orjson.dumps(_cut(orjson.loads(body)), option=orjson.OPT_INDENT_2).decode().splitlines()
    if len(lines) > SHOWN_LINES:
        lines[SHOWN_LINES:] = [f"... and {count(len(lines) - SHOWN_LINES, 'more line')}"]
    return "\n".join(lines)


def _cut(value: Any) -> Any:
    """The value with long strings and lists cut. Each cut says how much there is."""
    if type(value) is str and len(value) > SHOWN_TEXT:
        return f"{value[:SHOWN_TEXT]}... ({len(value):,} characters)"
    if type(value) is dict:
        return {key: _cut(inner) for key, inner in value.items()}
    if type(value) is list:
        shown = [_cut(inner) for inner in value[:SHOWN_ITEMS]]
        left = len(value) - SHOWN_ITEMS
        return [*shown, f"... and {left:,} more"] if left > 0 else shown
    return value


async def _homes(ledger: Ledger, found: StoredJob | None, plan: ImportPlan) -> Homes:
    if found is None:
        return Homes()
    splits = await ledger.source_splits(found)
    met = {name for name, _ in plan.splits()}
    gone = vanished(splits, met, plan.named, sources_of(found, plan.home))
    read = [split.number for split in splits if split.name in met or split in gone]
    return Homes(await ledger.homes(found), await ledger.homes(found, read))


class DryRun:
    """Counts what a run would count.

    homes: the job's rows.
    first: the first record to be sent.
    """

    def __init__(
        self,
        plan: ImportPlan,
        connection: Connection,
        observer: Observer,
        lookup: Lookup,
        homes: Homes,
    ) -> None:
        self.counts: Counter[str] = Counter()
        self.first: Outgoing | None = None
        self.stopped = ""
        self._told: Counter[str] = Counter()
        self._plan = plan
        self._now_ms = connection.platform.server_now_ms
        self._blueprints = BlueprintCheck(plan, connection, observer.note)
        self._batches = BatchKeeper(_Unwritten(connection), connection.call)
        self._observer = observer
        self._lookup = lookup
        self._unmet: Counter[Standing] = Counter(homes.read)
        for standing, number in homes.all.items():
            self._add(standing.now, number)

    async def read(self) -> None:
        """Read as much of the sources as a run would."""
        options = self._plan.options
        preparer = Preparer(self._plan.builder, None, options.limit, look=self._look, most_invalid=options.max_invalid)
        async for load in read_all(enumerate(self._plan.sources, start=1)):
            await self._take(await preparer.prepare(load))
            if preparer.full:
                return
            if preparer.spoiled:
                self.stopped = f"; a run would stop here by --max-invalid {options.max_invalid}"
                return
        for standing, number in self._unmet.items():
            self._add(standing.now, -number)
            self._add(standing.gone, number)
        self.counts["gone"] = self._unmet.total()

    async def _look(self, keys: Sequence[str]) -> Mapping[str, tuple[RowState, bytes]]:
        return {key: (known.state, known.content) for key, known in (await self._lookup(keys)).items()}

    def _add(self, name: str | None, number: int) -> None:
        if name is not None:
            self.counts[name] += number

    async def _take(self, prepared: Prepared) -> None:
        await self._blueprints.admit(prepared)
        records = await self._batches.admit(prepared)
        known = await self._lookup([record.key for record in records])
        for record in records:
            state = self._count(record, known.get(record.key))
            if finish.counted(state) == "conflicts":
                what = f"{record.key}: {_in_conflict(known[record.key], state)}"
                self._tell(state, record.source, record.line, record.inside, what)
        for other in prepared.other_records:
            self.counts[finish.counted(other.state)] += 1
            if other.state in (RecordState.INVALID, RecordState.CLASH):
                what = f"{other.key}: {other.reason}" if other.state is RecordState.CLASH else f"{other.reason}"
                self._tell(other.state, other.source, other.line, (other.detail or {}).get("inside"), what)

    def _tell(
        self,
        state: RowState | RecordState | None,
        source: int,
        line: int,
        inside: Sequence[Any] | None,
        what: str,
    ) -> None:
        """Report a finding with its place, for the first few of each kind."""
        self._told[str(state)] += 1
        if self._told[str(state)] <= SHOWN_PLACES:
            file, number = shown_place(self._plan.sources[source - 1].name, line, inside)
            self._observer.note(f"{file}:{number}: {what}")

    def _count(self, record: Outgoing, known: Known | None) -> RowState | RecordState | None:
        plan = self._plan
        move = admit(known, record.content, self._now_ms, recheck=plan.recheck, adopt=plan.adopts)
        if known is not None and known.home:
            before = standing_of(known.state, known.reason, known.was, known.gone)
            self._add(before.now, -1)
            self._unmet[before] -= 1
        state: RowState | RecordState | None = move.state or (None if known is None else known.state)
        asked = move.verb is Verb.LOOK_UP and state in FINAL  # the look-up is about the batch of its task
        if asked:
            state = RowState.PENDING
        elif move.verb is Verb.SKIP and known is not None and not known.home:
            state = RowState.ADOPTED if move.accepts else shared_state(known, record.content)
        self.counts[finish.counted(state)] += 1
        if self.first is None and move.verb is not Verb.SKIP and not asked:
            self.first = record
        return state


def _in_conflict(known: Known, state: RowState | RecordState | None) -> str:
    """Why a record with a known key counts as a conflict."""
    before = known.state is RowState.CONFLICT and state is RowState.CONFLICT
    return in_words(known.reason) if before and known.reason else CHANGED


class _Unwritten:
    """The batches of the server, and those that a run would create."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def know_project(self, name: str) -> None:
        """Do nothing: only a comparison of tasks needs a project's settings, and a dry run compares none."""

    async def batch(self, name: str) -> JsonObject | None:
        return await self._connection.containers.batch(name)

    async def create_batch(self, name: str, project: str) -> bool:
        return True

    async def finalize_batch(self, name: str) -> None:
        raise AssertionError("a dry run finalizes nothing")

    def is_open(self, batch: JsonObject) -> bool:
        raise AssertionError("a dry run finalizes nothing")


async def _nothing_known(keys: Sequence[str]) -> Mapping[str, Known]:
    return {}
