"""The source of an export's tasks: a platform's lists, called with the patience of a run."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from scalesync.engine.calls import Caller
from scalesync.model.records import JsonObject
from scalesync.model.selection import Selection
from scalesync.ports.platform import Changes, Lister, Span


@dataclass(frozen=True, slots=True)
class Origin:
    """A lister, of the platform or of the file that it makes, and how to call it."""

    lister: Lister
    call: Caller

    @property
    def changes(self) -> Changes:
        """How increments ask for what changed."""
        return self.lister.changes

    async def span(self, selection: Selection, now_ms: int) -> Span:
        """Where the tasks of a selection may lie. Raises what a call raises."""
        return await self.call(partial(self.lister.span, selection, now_ms))

    async def cursor(self) -> JsonObject | None:
        """The state of changes now, where the platform keeps one. Raises what a call raises."""
        return await self.call(self.lister.cursor) if self.changes is Changes.VERSION else None
