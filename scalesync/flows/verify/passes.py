"""The three passes of a verification.

    1  the source, block by block:  record --- row of the ledger --- task with its unique_id, a hundred per list call
    2  rows whose record the source no longer holds (all rows, if it cannot be read again): the same, without a record
    3  the job's projects or batches, page by page: tasks that belong to no record (strangers.py)

A verification uses no checkpoint of an import: it reads every line, and code that shares nothing with the readers
counts the records a second time (sources/recount). It writes findings to a file at once. Memory holds one wave of
look-ups, the table of keys and the table of listed tasks. It changes the ledger only for tasks that died after they
were created; --fix does the rest.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from scalesync.events import Observer
from scalesync.flows.imports.guards.blueprints import BlueprintCheck
from scalesync.flows.imports.plan import ImportPlan
from scalesync.flows.imports.reading.opening import read_options
from scalesync.flows.imports.reading.prepare import Preparer, read_all
from scalesync.flows.runtime.bulk_lookup import BulkLookup
from scalesync.flows.runtime.dead_tasks import turn_of
from scalesync.flows.runtime.rate_meter import RateMeter
from scalesync.flows.runtime.wiring import Connection
from scalesync.flows.verify.duplicates import read_twins
from scalesync.flows.verify.findings import Case, Finding, accepted_terms, compare, superseded
from scalesync.flows.verify.findings_file import FindingsFile
from scalesync.flows.verify.second_count import count_again
from scalesync.flows.verify.strangers import Scope, Strangers, scope_of
from scalesync.home import Home
from scalesync.mapping.seen import SeenTable
from scalesync.model.contents import batch_in
from scalesync.model.outcomes import LookupResult, Presence
from scalesync.model.records import Outgoing
from scalesync.model.row_views import Held, Turn
from scalesync.model.rows import OtherRecord, RecordState, RowState
from scalesync.ports.import_ledger import ImportLedger
from scalesync.sources.about import shown_place


class Checking:
    """One running verification.

    left_out: sentences about checks that it could not make.
    read: records in the sources. Each counts in with_task, in duplicates (of an earlier record), or by its reason in
        without.
    accepted: of those with a task, the ones that --on-conflict adopt accepted although they differ.
    checked: records and rows that were looked up.
    """

    def __init__(
        self,
        job: ImportLedger,
        connection: Connection,
        report: FindingsFile,
        observer: Observer,
        *,
        home: Home,
        unexpected: bool,
    ) -> None:
        self.read = 0
        self.with_task = 0
        self.duplicates = 0
        self.accepted = 0
        self.without: Counter[str] = Counter()
        self.checked = 0
        self.left_out: list[str] = []
        self._job = job
        self._home = home
        self._store = job.checks
        self._connection = connection
        self._finder = BulkLookup(connection)
        self._report = report
        self._observer = observer
        self._meter = RateMeter()
        self._seen = SeenTable()
        self._scopes: set[Scope] = set()
        self._detached: set[str] = set()
        self._share: float | None = None
        self._blueprints: BlueprintCheck | None = None
        self.strangers = Strangers(
            connection, self._store, report, self._show_lists, observer.note, as_findings=unexpected
        )

    async def go(self, home: Scope | None, plan: ImportPlan | None, pipe: str | None) -> None:
        """Make all three passes.

        home: project or batch of the job's records, if the job names one.
        plan: None if the source was a pipe, which cannot be read again.
        pipe: its name for people.
        """
        learned = await self._job.unechoed_fields()
        self._connection.platform.creator.learned = learned
        if learned:
            rewrote = "the server rewrote in its replies to this job"
            self.left_out.append(f"not compared, since {rewrote}: {', '.join(sorted(learned))}")
        if plan is None:
            self.left_out.append(f"the source was {pipe}: only ledger and server were compared")
            if home is not None:
                self._scopes.add(home)
        else:
            await self._read_source(plan)
            if plan.missing:
                self.left_out.append(plan.left_out)
        await self._read_rows(whole=plan is not None and not plan.missing)
        if not self._scopes:
            self.left_out.append("the job names no project or batch, so verify did not look for tasks of others")
        self._meter = RateMeter()
        await self.strangers.read(self._scopes, self._seen, self._detached)

    # --- 1: records ----------------------------------------------------------------------------

    async def _read_source(self, plan: ImportPlan) -> None:
        preparer = Preparer(plan.builder, None, look=self._job.peek)
        self._blueprints = BlueprintCheck(plan, self._connection, self._observer.note)
        self._seen = preparer.seen
        total = plan.total_bytes
        files = {number: source.name for number, source in enumerate(plan.sources, start=1)}
        waiting: list[Outgoing] = []
        bytes_before = places = 0
        async for load in read_all(enumerate(plan.sources, start=1)):
            prepared = await preparer.prepare(load)
            self._report_other_records(prepared.other_records, files)
            waiting += prepared.records
            for block in load:
                self.read += len(block.records)
                places += len(block.records)
                here = bytes_before + block.consumed
                self._share = min(1.0, here / total) if total else None
                if block.last:
                    source = plan.sources[block.source - 1]
                    bytes_before += source.size or 0
                    counted = await count_again(source, places, read_options(plan.options, plan.builder))
                    if counted.finding is not None:
                        self._report.add(counted.finding)
                    if counted.left_out:
                        self.left_out.append(counted.left_out)
                    places = 0
            while len(waiting) >= (wave := self._finder.wave):
                await self._check_records(waiting[:wave], files, plan.options.batch)
                del waiting[:wave]
        await self._check_records(waiting, files, plan.options.batch)

    def _report_other_records(self, other_records: Sequence[OtherRecord], files: Mapping[int, str]) -> None:
        """Count and report records without a row of their own. A repeat needs no task: the earlier record has it."""
        for other in other_records:
            if other.state is RecordState.DUPLICATE:
                self.duplicates += 1
                continue
            kind = other.state.value
            self.without[kind] += 1
            place = (other.key, None, files.get(other.source), other.line)
            self._report.add(Finding(kind, other.reason or "the record cannot be used", *place))

    async def _check_records(self, records: Sequence[Outgoing], files: Mapping[int, str], batch: str | None) -> None:
        self._scopes.update(scope for record in records if (scope := scope_of(record, batch)) is not None)
        await self._finder.know_projects(records)
        keys = [record.key for record in records]
        rows = await self._store.held(keys)
        found = dict(await self._finder.find(keys, {record.key: record.batch for record in records}))
        await self._confirm(rows, found)
        twins = await read_twins(records, found, self._finder, self._connection)
        turns: list[Turn] = []
        seen: list[tuple[str, str | None, Mapping[str, str]]] = []
        absent = [each for each in records if each.key not in rows and found[each.key].presence is Presence.ABSENT]
        unfit = await self._unfit(absent)
        self._report_other_records(list(unfit.values()), files)
        for record in records:
            if record.key in unfit:
                continue
            result = found[record.key]
            row = self._turned(rows.get(record.key), result, turns)
            comparison = None if result.task is None else self._connection.platform.creator.compare(record, result.task)
            place = shown_place(files.get(record.source, ""), record.line, record.inside)
            words, several = self._connection.words, twins.get(record.key, ())
            case = Case(row, record, result, comparison, *place, words, several)
            kinds = self._tell(case)
            if not kinds and row is not None and (accepted := accepted_terms(case)) is not None:
                self.accepted += 1
                if row.terms is None:
                    seen.append((row.key, row.ref, accepted))
            if result.view is not None and result.view.status not in self._connection.words.dead:
                self.with_task += 1
            else:
                self.without[kinds[0]] += 1
        if seen:
            await self._store.agree(seen)
        await self._end_wave(len(records), turns)

    async def _unfit(self, records: Sequence[Outgoing]) -> dict[str | None, OtherRecord]:
        """Of records that were never sent: those that an import would not send either, by their keys."""
        unfit = [] if self._blueprints is None else (await self._blueprints.sort(records))[1]
        return {other.key: other for other in unfit}

    # --- 2: rows -------------------------------------------------------------------------------

    async def _read_rows(self, *, whole: bool) -> None:
        names = {
            split.number: self._home.shown(str(split.spec.get("name", "")), str(split.spec.get("path", "")))
            for split in await self._job.source_splits()
        }
        waiting: list[Held] = []
        async for page in self._store.pages(self._finder.wave):
            waiting += [row for row in page if row.key not in self._seen]
            while len(waiting) >= (wave := self._finder.wave):
                await self._check_rows(waiting[:wave], names, whole=whole)
                del waiting[:wave]
        await self._check_rows(waiting, names, whole=whole)

    async def _check_rows(self, rows: Sequence[Held], names: Mapping[int, str], *, whole: bool) -> None:
        held = {row.key: row for row in rows}
        batches = {key: batch_in(row.content) for key, row in held.items()}
        found = dict(await self._finder.find(list(held), batches))
        await self._confirm(held, found)
        turns: list[Turn] = []
        for key, row in held.items():
            now = self._turned(row, found[key], turns)
            case = Case(now, None, found[key], None, names.get(row.source), row.line, self._connection.words)
            if whole and superseded(case):
                continue
            if whole and (row.ours or found[key].presence is Presence.FOUND):
                self._report.add(case.finding("gone", "the source no longer holds this record"))
            self._tell(case)
        await self._end_wave(len(rows), turns)

    # --- what both share -----------------------------------------------------------------------

    async def _confirm(self, rows: Mapping[str, Held], found: dict[str, LookupResult]) -> None:
        """Read tasks that the list does not show by their ids. Lists lag or are wrong, and unique_ids get removed."""
        unseen = {
            row.ref: key
            for key, row in rows.items()
            if found[key].presence is not Presence.FOUND and row.ref is not None and row.state is not RowState.FAILED
        }
        for ref, result in (await self._finder.read(list(unseen))).items():
            view = result.view
            if view is None:
                continue
            if view.key == unseen[ref]:
                found[unseen[ref]] = result
            elif view.status not in self._connection.words.dead:
                self._detached.add(ref)

    def _turned(self, row: Held | None, result: LookupResult, turns: list[Turn]) -> Held | None:
        """Remember the change of a row whose task died or lives again. A row whose task lives again is compared in its
        earlier state.
        """
        if row is None or (turn := turn_of(row, result, self._connection)) is None:
            return row
        turns.append(turn)
        return row if turn.turned is not None else replace(row, state=RowState(row.was or row.state), turned=None)

    def _tell(self, case: Case) -> list[str]:
        """Report the findings about one record, and return their kinds."""
        if case.result.task is None and case.row is not None and case.row.ref in self._detached:
            findings = [case.finding("detached", "the task lives, but no longer has the record's unique_id")]
        else:
            findings = list(compare(case))
        for finding in findings:
            self._report.add(finding)
        return [finding.kind for finding in findings]

    async def _end_wave(self, count: int, turns: Sequence[Turn]) -> None:
        if turns:
            await self._store.turn(turns)
        self.checked += count
        self._show()

    # --- how far it is -------------------------------------------------------------------------

    def _show(self) -> None:
        share = self._share
        self._progress("verify", self.checked, share=share, left=self.checked * (1 - share) / share if share else None)

    def _show_lists(self) -> None:
        listed, total = self.strangers.listed, self.strangers.total
        known = None if total is None or total < listed else total
        left = None if known is None else known - listed
        self._progress("verify, tasks of the project:", listed, total=known, left=left)

    def _progress(
        self, phase: str, done: int, *, total: int | None = None, share: float | None = None, left: float | None
    ) -> None:
        watch, failed = self._connection.watch, self._report.kinds.total()
        self._observer.progress(
            watch.snapshot(phase, self._meter, done, total=total, share=share, left=left, failed=failed)
        )
