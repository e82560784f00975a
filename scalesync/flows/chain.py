"""One chain of pages, read into segments: what was received, what is durable, and whether it adds up."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import anyio

from scalesync.errors import BudgetUsed
from scalesync.flows.responses import ResponseStore
from scalesync.flows.wiring import Connection
from scalesync.ledger.jobs import JobStore
from scalesync.model import Selection
from scalesync.ports import ListPage, TaskView
from scalesync.records.manifest import FileEntry
from scalesync.records.segments import SegmentWriter

SEGMENT_S = 60.0  # a killed run reads at most so much again


@dataclass(frozen=True, slots=True)
class ChainState:
    """How far a chain got; stored as the cursor of its slice.

    started_ms: server time before the first page. cursor: where the next page begins. received: tasks the server
    listed, before the checks made here. ended: the last page was read. recent: task_ids of the last page.
    """

    started_ms: int
    cursor: str | None = None
    pages: int = 0
    received: int = 0
    first_total: int | None = None
    last_total: int | None = None
    ended: bool = False
    responses_stored: int = 0
    responses_failed: int = 0
    recent: tuple[str, ...] = ()

    @classmethod
    def load(cls, started_ms: int, stored: Mapping[str, Any] | None) -> ChainState:
        """From the cursor of a slice; the beginning when there is none."""
        if stored is None:
            return cls(started_ms)
        return cls(**{**stored, "recent": tuple(stored["recent"])})

    @property
    def settled(self) -> bool:
        """Whether as many tasks came as the server said, when the chain began or when it ended."""
        return self.first_total is None or self.received in {self.first_total, self.last_total}


class Chain:
    """Reads pages from `state` on. `state` runs ahead of what is durable by the open segment."""

    def __init__(
        self,
        connection: Connection,
        job: JobStore,
        *,
        number: int,
        state: ChainState,
        writers: tuple[SegmentWriter, SegmentWriter],
        responses: ResponseStore | None,
    ) -> None:
        self.state = state
        self.written = 0
        self._connection = connection
        self._job = job
        self._number = number
        self._tasks, self._index = writers
        self._responses = responses
        self._segment_since = time.monotonic()

    @property
    def mismatch(self) -> str:
        """What does not add up, in words."""
        state = self.state
        return f"the server listed {state.received} tasks but counted {state.last_total}"

    async def run(self, selection: Selection, page_size: int) -> None:
        """Read to the end of the chain. Raises BudgetUsed when the server's cursor does not move."""
        query = self._connection.platform.query(selection, page_size)
        while not self.state.ended:
            cursor = self.state.cursor
            page = await self._connection.call(partial(self._connection.platform.page, query, cursor))
            if page.cursor is not None and page.cursor == cursor:
                raise BudgetUsed("the server sent the same next_token twice; run the same command again to carry on")
            await self._take(page, selection)
            if self._tasks.full or time.monotonic() - self._segment_since > SEGMENT_S:
                await self.put_down()
        await self.put_down()

    async def _take(self, page: ListPage, selection: Selection) -> None:
        heads = [self._connection.platform.head(raw) for raw in page.documents]
        repeated = set(self.state.recent)
        fresh = [(raw, head) for raw, head in zip(page.documents, heads, strict=True) if head.task_id not in repeated]
        kept = [(raw, head) for raw, head in fresh if selection.matches(head, head.times())]
        index = await self._fetch([head for _, head in kept])
        await anyio.to_thread.run_sync(self._write, [raw for raw, _ in kept], index)
        self.written += len(kept)
        state = self.state
        self.state = replace(
            state,
            cursor=page.cursor,
            pages=state.pages + 1,
            received=state.received + len(fresh),
            first_total=page.total if state.pages == 0 else state.first_total,
            last_total=page.total,
            ended=page.cursor is None,
            responses_stored=self._responses.stored if self._responses else 0,
            responses_failed=self._responses.failed if self._responses else 0,
            recent=tuple(head.task_id for head in heads),
        )

    async def _fetch(self, documents: Sequence[TaskView]) -> Sequence[bytes]:
        return await self._responses.fetch(documents) if self._responses is not None else ()

    def _write(self, lines: Sequence[bytes], index: Sequence[bytes]) -> None:
        self._tasks.write(lines)
        self._index.write(index)

    async def put_down(self) -> None:
        """Finish the open segment: files durable first, then the ledger learns of them and of the cursor."""
        entries = await anyio.to_thread.run_sync(self._finish)
        await self._job.add_files(
            self._number, asdict(self.state), [(entry.path, kind, entry.to_json()) for kind, entry in entries]
        )
        self._segment_since = time.monotonic()

    def _finish(self) -> list[tuple[str, FileEntry]]:
        finished = (("responses", self._index.finish()), ("tasks", self._tasks.finish()))
        return [(kind, entry) for kind, entry in finished if entry is not None]
