"""The three passes of a verification.

    1  the source, block by block:  record --- row of the ledger --- task under its unique_id, a hundred per list call
    2  rows that the source no longer holds (all of them, where it cannot be read again): the same without the record
    3  the job's project or batch, page by page: tasks that belong to no record

Findings go to a file as they come. In memory stay one wave of look-ups and the table of keys that were met. Tasks that
died after they were created are written to the ledger; everything else is left to --fix.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from scalesync.errors import OutcomeUnknown, Refused
from scalesync.events import Observer, Progress
from scalesync.flows.findings import Case, Remark, compare
from scalesync.flows.findings_file import FindingsFile
from scalesync.flows.lookups import Finder
from scalesync.flows.options import ImportOptions
from scalesync.flows.plan import ImportPlan
from scalesync.flows.prepare import Preparer, read_blocks
from scalesync.flows.refresh import DEAD, turn_of
from scalesync.flows.run import Meter
from scalesync.flows.wiring import Connection
from scalesync.ledger.checks import CheckStore, Held, Turn
from scalesync.ledger.jobs import JobStore
from scalesync.model import Finding, Outgoing, Presence, RowState, Selection
from scalesync.ports import ListPage, TaskView
from scalesync.records.seen import SeenTable

PAGE = 100
Scope = tuple[str, str]  # ("project" or "batch", its name)


class Checking:
    """One verification at work. checked, listed: how far it is; left_out: sentences about what it could not do."""

    def __init__(self, job: JobStore, connection: Connection, report: FindingsFile, observer: Observer) -> None:
        self.checked = 0
        self.listed = 0
        self.left_out: list[str] = []
        self._job = job
        self._store = CheckStore.of(job)
        self._connection = connection
        self._finder = Finder(connection)
        self._report = report
        self._observer = observer
        self._meter = Meter()
        self._seen = SeenTable()
        self._scopes: set[Scope] = set()
        self._detached: set[str] = set()

    async def go(self, options: ImportOptions, plan: ImportPlan | None) -> None:
        """All three passes. plan None: the source was standard input and cannot be read again."""
        self._connection.platform.learned = await self._job.learned("rewritten")
        if plan is None:
            self.left_out.append("the source was standard input: only ledger and server were compared")
            if options.project or options.batch:
                self._scopes.add(("project", options.project) if options.project else ("batch", options.batch or ""))
        else:
            await self._read_source(plan)
        await self._read_rows(whole=plan is not None)
        await self._read_lists()

    # --- 1: records ----------------------------------------------------------------------------

    async def _read_source(self, plan: ImportPlan) -> None:
        preparer = Preparer(plan.builder, None, look=self._job.peek)
        self._seen = preparer.seen
        files = {number: source.name for number, source in enumerate(plan.sources, start=1)}
        waiting: list[Outgoing] = []
        for number, source in enumerate(plan.sources, start=1):
            async for block in read_blocks(source.blocks()):
                waiting += (await preparer.prepare(number, block)).records
                while len(waiting) >= (wave := self._finder.wave):
                    await self._check_records(waiting[:wave], files, plan.options)
                    del waiting[:wave]
        await self._check_records(waiting, files, plan.options)

    async def _check_records(
        self, records: Sequence[Outgoing], files: Mapping[int, str], options: ImportOptions
    ) -> None:
        self._scopes.update(scope for record in records if (scope := scope_of(record, options)) is not None)
        await self._finder.know_projects(records)
        keys = [record.key for record in records]
        rows = await self._store.held(keys)
        found = dict(await self._finder.find(keys))
        await self._confirm(rows, found)
        turns: list[Turn] = []
        for record in records:
            finding = found[record.key]
            row = self._turned(rows.get(record.key), finding, turns)
            verdict = None if finding.task is None else self._connection.platform.judge(record, finding.task)
            self._tell(Case(row, record, finding, verdict, files.get(record.source), record.line))
        await self._end_wave(len(records), turns)

    # --- 2: rows -------------------------------------------------------------------------------

    async def _read_rows(self, *, whole: bool) -> None:
        names = {number: str(spec.get("name", "")) for number, _, spec, _, _ in await self._job.splits("source")}
        waiting: list[Held] = []
        async for page in self._store.pages(self._finder.wave):
            waiting += [row for row in page if row.key not in self._seen]
            while len(waiting) >= (wave := self._finder.wave):
                await self._check_rows(waiting[:wave], names, whole=whole)
                del waiting[:wave]
        await self._check_rows(waiting, names, whole=whole)

    async def _check_rows(self, rows: Sequence[Held], names: Mapping[int, str], *, whole: bool) -> None:
        held = {row.key: row for row in rows}
        found = dict(await self._finder.find(list(held)))
        await self._confirm(held, found)
        turns: list[Turn] = []
        for key, row in held.items():
            now = self._turned(row, found[key], turns)
            case = Case(now, None, found[key], None, names.get(row.source), row.line)
            if whole:
                self._report.add(case.remark("gone", "the source no longer holds this record"))
            self._tell(case)
        await self._end_wave(len(rows), turns)

    # --- what both share -----------------------------------------------------------------------

    async def _confirm(self, rows: Mapping[str, Held], found: dict[str, Finding]) -> None:
        """A task that the list does not show is read by its id: the list may lag, or the unique_id be taken away."""
        absent = {
            row.ref: key
            for key, row in rows.items()
            if found[key].presence is Presence.ABSENT and row.ref is not None and row.state is not RowState.FAILED
        }
        for ref, finding in (await self._finder.read(list(absent))).items():
            task = finding.task
            if task is None:
                continue
            if task.get("unique_id") == absent[ref]:
                found[absent[ref]] = finding
            elif task.get("status") not in DEAD:
                self._detached.add(ref)

    def _turned(self, row: Held | None, finding: Finding, turns: list[Turn]) -> Held | None:
        """Note what must be written of a row whose task died; one whose task lives again is compared as what it was."""
        if row is None or (turn := turn_of(row, finding, self._connection)) is None:
            return row
        turns.append(turn)
        return row if turn.turned is not None else replace(row, state=RowState(row.was or row.state), turned=None)

    def _tell(self, case: Case) -> None:
        if case.finding.task is None and case.row is not None and case.row.ref in self._detached:
            self._report.add(case.remark("detached", "the task lives, but no longer has the record's unique_id"))
            return
        for remark in compare(case):
            self._report.add(remark)

    async def _end_wave(self, count: int, turns: Sequence[Turn]) -> None:
        if turns:
            await self._store.turn(turns)
        self.checked += count
        self._show()

    # --- 3: lists ------------------------------------------------------------------------------

    async def _read_lists(self) -> None:
        if not self._scopes:
            self.left_out.append("the job names no project or batch, so unexpected tasks were not looked for")
        for kind, name in sorted(self._scopes):
            try:
                await self._read_list(kind, name)
            except Refused as error:
                self._report.add(Remark("unclear", f"the tasks of {kind} {name!r} cannot be listed: {error}"))

    async def _read_list(self, kind: str, name: str) -> None:
        platform, call = self._connection.platform, self._connection.call
        project, batch = (name, None) if kind == "project" else (None, name)
        every: frozenset[str] = frozenset()
        query = platform.query(Selection(project, batch, None, every, (), every, {}), PAGE)
        cursor: str | None = None

        async def read() -> ListPage:
            return await platform.page(query, cursor)

        while True:
            page = await call(read)
            await self._check_page(page.documents, f"{kind} {name!r}")
            self._show()
            cursor = page.cursor
            if cursor is None:
                return

    async def _check_page(self, documents: Sequence[bytes], place: str) -> None:
        strangers: list[TaskView] = []
        for document in documents:
            self.listed += 1
            try:
                head = self._connection.platform.head(document)
            except OutcomeUnknown as error:
                self._report.add(Remark("unclear", f"a task of {place} cannot be read: {error}"))
                continue
            if head.get("unique_id") not in self._seen:
                strangers.append(head)
        known = await self._store.held([key for head in strangers if (key := head.get("unique_id"))])
        for stranger in strangers:
            key = stranger.get("unique_id")
            # A dead task without a unique_id is what reclaiming leaves behind.
            left_behind = key is None and (stranger.get("status") in DEAD or stranger.task_id in self._detached)
            if key not in known and not left_behind:
                detail = f"a task of {place} that is {stranger.get('status')} and belongs to no record"
                self._report.add(Remark("unexpected", detail, unique_id=key, task_id=stranger.task_id))

    def _show(self) -> None:
        done = self.checked + self.listed
        self._observer.progress(
            Progress(
                phase="verify",
                done=done,
                total=None,
                share=None,
                failed=self._report.kinds.total(),
                throttled=self._connection.transport.counters.throttled,
                rate=self._meter.rate(done),
                in_flight=self._connection.gate.in_flight,
                seconds=self._meter.seconds,
                limit=self._connection.gate.limit(),
            )
        )


def scope_of(record: Outgoing, options: ImportOptions) -> Scope | None:
    """Where to look for tasks that belong to no record: the batch where one was named for all, else the project."""
    if record.batch is not None and record.batch == options.batch:
        return "batch", record.batch
    if record.project is not None:
        return "project", record.project
    return None if record.batch is None else ("batch", record.batch)
