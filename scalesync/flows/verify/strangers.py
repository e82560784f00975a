"""Tasks of a job's projects and batches that belong to no record, found by reading the lists.

A list that shows fewer tasks than it counts may have left out such a task. It is read again, and reported as unclear if
the numbers still differ.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial

from scalesync.errors import OutcomeUnknown, Refused
from scalesync.flows.runtime.trust import Expected, ForeignPages, Listed, believed
from scalesync.flows.runtime.wiring import Connection
from scalesync.flows.verify.findings import Finding
from scalesync.flows.verify.findings_file import FindingsFile
from scalesync.mapping.seen import SeenTable, Sight
from scalesync.model.records import Outgoing
from scalesync.model.selection import Selection
from scalesync.model.task_view import TaskView
from scalesync.ports.verify_ledger import VerifyLedger
from scalesync.text import count

MAX_IDLE_PAGES = 20  # a list with this many pages in a row and no new task has no end
READINGS = 3  # at most, of a list that shows fewer tasks than it counts
EVERY: frozenset[str] = frozenset()
Scope = tuple[str, str]  # ("project" or "batch", its name)


def scope_of(record: Outgoing, batch: str | None) -> Scope | None:
    """The list to search for tasks that belong to no record: the batch that all records share, else the project."""
    if record.batch is not None and record.batch == batch:
        return "batch", record.batch
    if record.project is not None:
        return "project", record.project
    return None if record.batch is None else ("batch", record.batch)


@dataclass(slots=True)
class Reading:
    """One reading of a list.

    shown: distinct tasks so far.
    least: the lowest total that a page named.
    """

    number: int
    shown: int = 0
    least: int | None = None

    def counted(self, total: int | None) -> None:
        """Note the total of a page. New tasks only raise it, and no task ever leaves the list."""
        counted = total or 0
        self.least = counted if self.least is None else min(self.least, counted)

    @property
    def short(self) -> bool:
        """Whether the list showed fewer tasks than it counts."""
        return self.shown < (self.least or 0)


class Strangers:
    """Reads lists, and counts each task once. Memory holds 12 bytes for each listed task.

    listed: distinct tasks.
    others: tasks that belong to no record of the ledger.
    as_findings: whether to report such a task as a finding.
    total: how many tasks there are, according to the lists.
    """

    def __init__(
        self,
        connection: Connection,
        store: VerifyLedger,
        report: FindingsFile,
        show: Callable[[], None],
        note: Callable[[str], None],
        *,
        as_findings: bool,
    ) -> None:
        self.listed = 0
        self.others = 0
        self.total: int | None = 0
        self._connection = connection
        self._store = store
        self._report = report
        self._show = show
        self._note = note
        self._as_findings = as_findings
        self._met = SeenTable()
        self._reading = Reading(0)

    async def read(self, scopes: Collection[Scope], keys: SeenTable, detached: Collection[str]) -> None:
        """Read the list of each scope.

        keys: the keys of the job's records.
        detached: tasks whose unique_id was removed.
        """
        for kind, name in sorted(scopes):
            place = f"{kind} {name!r}"
            try:
                await self._read_whole(kind, name, keys, detached)
            except Refused as error:
                self._report.add(Finding("unclear", f"the tasks of {place} cannot be listed: {error}"))
            except ForeignPages as error:
                self._report.add(Finding("unclear", f"the list of {place} was not read to its end: {error}"))

    async def _read_whole(self, kind: str, name: str, keys: SeenTable, detached: Collection[str]) -> None:
        """Read a list until it shows as many tasks as it counts, at most READINGS times."""
        before = self.total
        for _ in range(READINGS):
            reading = self._reading = Reading(self._reading.number + 1)
            self.total = before
            ended = await self._read_list((kind, name), keys, detached)
            if not (ended and reading.short):
                return
        what = f"the list of {kind} {name!r} shows {count(reading.shown, 'task')} and counts {reading.least:,}"
        self._report.add(Finding("unclear", f"{what}, even when asked {count(READINGS, 'time')}"))

    async def _read_list(self, scope: Scope, keys: SeenTable, detached: Collection[str]) -> bool:
        """Read a list once. Returns False for a list without an end, after reporting it."""
        kind, name = scope
        project, batch = (name, None) if kind == "project" else (None, name)
        asked = Selection(project, batch, None, EVERY, (), EVERY, {})
        expected = Expected(asked.only(self._connection.platform.lister.filters))
        place = f"{kind} {name!r}"
        before, idle, cursor = self.total, 0, None
        while True:
            shown = self._reading.shown
            read = partial(self._page, asked, cursor, place)
            page, heads, _ = await believed(expected.foreign, read, self._note)
            self.total = None if before is None or page.total is None else before + page.total
            self._reading.counted(page.total)
            await self._take([head for head in heads if self._meet(head.ref)], place, keys, detached)
            self._show()
            idle, cursor = 0 if self._reading.shown > shown else idle + 1, page.cursor
            if cursor is None:
                return True
            if idle >= MAX_IDLE_PAGES:
                what = f"the list of {place} has no end: {idle} pages in a row had no new task, and the rest"
                self._report.add(Finding("unclear", f"{what} was not read"))
                return False

    async def _page(self, asked: Selection, cursor: str | None, place: str) -> Listed:
        platform = self._connection.platform
        query = platform.lister.query(asked, platform.spec.page_most)
        page = await self._connection.call(partial(platform.lister.page, query, cursor))
        heads = [head for document in page.documents if (head := self._head(document, place)) is not None]
        return Listed(page, heads)

    def _meet(self, ref: str) -> bool:
        """Remember a task; False if an earlier page of any reading listed it."""
        sight = self._met.renew(ref, b"%d" % self._reading.number)
        self._reading.shown += sight is not Sight.SAME
        return sight is Sight.NEW

    async def _take(self, new: Sequence[TaskView], place: str, keys: SeenTable, detached: Collection[str]) -> None:
        """Check tasks that were not listed before."""
        self.listed += len(new)
        strangers = [head for head in new if head.key not in keys]
        known = await self._store.held([key for head in strangers if (key := head.key)])
        for stranger in strangers:
            key = stranger.key
            # An import that reclaims a unique_id leaves a dead task without one.
            left_behind = key is None and (stranger.status in self._connection.words.dead or stranger.ref in detached)
            # The record of a conflict that is gone never had this task.
            row = None if key is None else known.get(key)
            if left_behind or (row is not None and not (row.gone and row.is_others)):
                continue
            self.others += 1
            if self._as_findings:
                detail = f"a task of {place} that is {stranger.get('status')} and belongs to no record"
                self._report.add(Finding("unexpected", detail, unique_id=key, task_id=stranger.ref))

    def _head(self, document: bytes, place: str) -> TaskView | None:
        try:
            return self._connection.platform.spec.view(document)
        except OutcomeUnknown as error:
            if self._meet(f"unreadable: {hash(document)}"):
                self._report.add(Finding("unclear", f"a task of {place} cannot be read: {error}"))
            return None
