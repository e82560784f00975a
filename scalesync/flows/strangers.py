"""Tasks of a job's projects and batches that belong to no record, found by reading the lists."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from scalesync.errors import OutcomeUnknown, Refused
from scalesync.flows.findings import Remark
from scalesync.flows.findings_file import FindingsFile
from scalesync.flows.refresh import DEAD
from scalesync.flows.wiring import Connection
from scalesync.ledger.checks import CheckStore
from scalesync.model import Selection
from scalesync.ports import ListPage, TaskView
from scalesync.records.seen import SeenTable, Sight

PAGE = 100
MAX_IDLE_PAGES = 20  # in a row without a task that was not listed before: a list that has no end
Scope = tuple[str, str]  # ("project" or "batch", its name)


class Strangers:
    """Reads lists, each task once. listed: distinct tasks; others: those that belong to no record of the ledger.

    told: whether these are findings. In memory stay 12 bytes for each listed task, in a table like that of the keys.
    total: how many tasks the lists say there are.
    """

    def __init__(
        self,
        connection: Connection,
        store: CheckStore,
        report: FindingsFile,
        show: Callable[[], None],
        *,
        told: bool,
    ) -> None:
        self.listed = 0
        self.others = 0
        self.total: int | None = 0
        self._connection = connection
        self._store = store
        self._report = report
        self._show = show
        self._told = told
        self._met = SeenTable()

    async def read(self, scopes: Collection[Scope], keys: SeenTable, detached: Collection[str]) -> None:
        """Read the list of each scope. keys: of the job's records; detached: tasks whose unique_id was taken away."""
        for kind, name in sorted(scopes):
            try:
                await self._read_list(kind, name, keys, detached)
            except Refused as error:
                self._report.add(Remark("unclear", f"the tasks of {kind} {name!r} cannot be listed: {error}"))

    async def _read_list(self, kind: str, name: str, keys: SeenTable, detached: Collection[str]) -> None:
        platform, call = self._connection.platform, self._connection.call
        project, batch = (name, None) if kind == "project" else (None, name)
        every: frozenset[str] = frozenset()
        query = platform.query(Selection(project, batch, None, every, (), every, {}), PAGE)
        place = f"{kind} {name!r}"
        before, idle, cursor = self.total, 0, None

        async def read() -> ListPage:
            return await platform.page(query, cursor)

        while True:
            page = await call(read)
            self.total = None if before is None or page.total is None else before + page.total
            new = await self._take(page.documents, place, keys, detached)
            self._show()
            idle, cursor = 0 if new else idle + 1, page.cursor
            if cursor is None:
                return
            if idle >= MAX_IDLE_PAGES:
                what = f"the list of {place} has no end: {idle} pages brought no further task, and what may follow"
                self._report.add(Remark("unclear", f"{what} was not looked at"))
                return

    async def _take(self, documents: Sequence[bytes], place: str, keys: SeenTable, detached: Collection[str]) -> int:
        """Look at the tasks of a page that were not listed before; returns how many these are."""
        heads = [head for document in documents if (head := self._head(document, place)) is not None]
        self.listed += len(heads)
        strangers = [head for head in heads if head.get("unique_id") not in keys]
        known = await self._store.held([key for head in strangers if (key := head.get("unique_id"))])
        for stranger in strangers:
            key = stranger.get("unique_id")
            # A dead task without a unique_id is what reclaiming leaves behind.
            left_behind = key is None and (stranger.get("status") in DEAD or stranger.task_id in detached)
            if key in known or left_behind:
                continue
            self.others += 1
            if self._told:
                detail = f"a task of {place} that is {stranger.get('status')} and belongs to no record"
                self._report.add(Remark("unexpected", detail, unique_id=key, task_id=stranger.task_id))
        return len(heads)

    def _head(self, document: bytes, place: str) -> TaskView | None:
        """A task that was not listed before."""
        try:
            head = self._connection.platform.head(document)
        except OutcomeUnknown as error:
            self._report.add(Remark("unclear", f"a task of {place} cannot be read: {error}"))
            return None
        return head if self._met.add(head.task_id, b"") is Sight.NEW else None
