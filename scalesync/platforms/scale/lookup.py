"""One look-up by unique_id, gathered from the pages of its answer. Pure.

A list may be answered in pages of any length, so a key is absent only when the list came to its end and showed nothing
but what was asked for. A list that makes no progress has no end: then what is missing proves nothing. Where a list
counts more tasks than it showed, the results say so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from scalesync.model.outcomes import LookupResult, Presence
from scalesync.platforms.scale import wire
from scalesync.ports.platform import ListPage

MAX_IDLE_PAGES = 10  # in a row without a task that was not shown before: empty for ever, or in a circle


class Gathering:
    """What the pages have shown so far of the keys that were asked for."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = keys
        self._wanted = frozenset(keys)
        self._found: dict[str, LookupResult] = {}
        self._trusted = True
        self._ended = False
        self._idle = 0
        self._total = 0

    def take(self, page: ListPage) -> str | None:
        """Take one page in; the cursor of the next one to ask for, None when no further page helps.

        A task that was not asked for means that the server did not apply the filter: its list is of something else.
        """
        before = len(self._found)
        for document in page.documents:
            found = wire.lookup_result(document, self._wanted)
            if found is None:
                self._trusted = False
            else:
                self._found[found[0]] = found[1]
        self._total = max(self._total, page.total or 0)
        self._idle = 0 if len(self._found) > before else self._idle + 1
        self._ended = page.cursor is None
        if not self._trusted or len(self._found) == len(self._wanted) or self._idle >= MAX_IDLE_PAGES:
            return None
        return page.cursor

    @property
    def short(self) -> bool:
        """Whether the list ended before it had shown as many tasks as it says there are.

        More than were asked for does not count these: a key has one task.
        """
        return self._ended and self._trusted and len(self._found) < self._total <= len(self._wanted)

    def results(self) -> Mapping[str, LookupResult]:
        """One result for each key."""
        absent = LookupResult(Presence.ABSENT, short=self.short)
        missing = absent if self._ended and self._trusted else LookupResult(Presence.UNKNOWN)
        return {key: self._found.get(key, missing) for key in self._keys}
