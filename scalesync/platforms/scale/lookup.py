"""One look-up by unique_id, gathered from the pages of its answer. Pure.

A list may arrive in pages of any length. So a key is absent only if the list reached its end and held only tasks that
were asked for. A list that makes no progress has no end, and then a missing key proves nothing. If a list counts more
tasks than it showed, the results say so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from scalesync.model.outcomes import LookupResult, Presence
from scalesync.platforms.scale import wire
from scalesync.ports.platform import ListPage

MAX_IDLE_PAGES = 10  # pages in a row without a new task; such a list is empty for ever or runs in a circle


class Gathering:
    """What the pages so far have shown of the wanted keys."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = keys
        self._wanted = frozenset(keys)
        self._found: dict[str, LookupResult] = {}
        self._trusted = True
        self._ended = False
        self._idle = 0
        self._total = 0

    def take(self, page: ListPage) -> str | None:
        """Read one page. Returns the cursor of the next page to request; None if no further page helps.

        A task that was not asked for shows that the server did not apply the filter, so the list proves nothing.
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
        """Whether the list ended before it showed as many tasks as its total says.

        A key has one task. So a total above the number of wanted keys counts something else, and says nothing.
        """
        return self._ended and self._trusted and len(self._found) < self._total <= len(self._wanted)

    def results(self) -> Mapping[str, LookupResult]:
        """One result for each key."""
        absent = LookupResult(Presence.ABSENT, short=self.short)
        missing = absent if self._ended and self._trusted else LookupResult(Presence.UNKNOWN)
        return {key: self._found.get(key, missing) for key in self._keys}
