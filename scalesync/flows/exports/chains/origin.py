"""The source of an export's tasks: a platform's lists, called with the patience of a run."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from scalesync.engine.calls import Caller
from scalesync.model.records import JsonObject
from scalesync.model.selection import Selection
from scalesync.ports.platform import Changes, Lister, Span
from scalesync.ports.spec import PlatformSpec


@dataclass(frozen=True, slots=True)
class Origin:
    """A lister, of the platform or of its export file, and how to call it. spec: of the platform."""

    spec: PlatformSpec
    lister: Lister
    call: Caller

    @property
    def changes(self) -> Changes:
        """How increments ask for changes."""
        return self.lister.changes

    async def span(self, selection: Selection, now_ms: int) -> Span:
        """The span in which the tasks of a selection may be. Raises what a call raises."""
        return await self.call(partial(self.lister.span, selection, now_ms))

    async def cursor(self) -> JsonObject | None:
        """The cursor of changes now; None if the platform has none. Raises what a call raises."""
        return await self.call(self.lister.cursor) if self.changes is Changes.VERSION else None
