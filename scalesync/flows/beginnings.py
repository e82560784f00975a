"""Beginnings of sources that an earlier run has read and settled: they are recognised by their bytes and left unread.

Marks are kept while a source is read, each behind a block whose records stand in the ledger. A later run looks for the
longest beginning that still reads as a mark says, holds no line that wants something, and has all its rows; it takes
the keys of those rows from the ledger instead of from the lines.

A duplicate or a clash wants something as soon as the record that it repeats is another or is gone: that stands earlier
in the input, perhaps in another source, and its own place says nothing of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from scalesync.flows.threads import in_daemon
from scalesync.ledger.prefix import PrefixStore
from scalesync.ledger.states import covers
from scalesync.model import Mark, RecordState
from scalesync.records.prefix import Fingerprint
from scalesync.records.seen import SeenTable, Sight
from scalesync.records.sources import SourceFile

# Marks stand further apart in a longer source: a few hundred of them, and at most a 64th of it is read again.
NEAREST_BYTES = 2 * 1024 * 1024
SHARE = 64


@dataclass(frozen=True, slots=True)
class Beginning:
    """What was left unread. records: lines that held one; homes: rows of this job; invalid: places that are none."""

    lines: Fingerprint
    records: int
    homes: int
    invalid: int


class Beginnings:
    """Marks of the sources of one run. settings: a text that is equal while records become the same tasks.

    trusted: whether settled lines may stay unread at all; if not, marks are only kept for the next run.
    """

    def __init__(self, store: PrefixStore, settings: str, *, trusted: bool) -> None:
        self._store = store
        self._settings = settings
        self._trusted = trusted
        self._marks: list[tuple[Mark, int]] = []
        self._marked_at = 0
        self._homes = 0  # up to the last mark, and the lines of those behind it
        self._recent: list[int] = []

    async def find(self, number: int, source: SourceFile, seen: SeenTable) -> Beginning | None:
        """The beginning of a source that needs no reading. seen: takes each of its keys, with the content."""
        settings, marks = await self._store.load(number)
        self._marks, self._marked_at, self._homes, self._recent = [], 0, 0, []
        if not self._trusted or settings != self._settings:
            return None
        stops = (await self._store.first_unsettled(number), await self._store.first_alone(number, _still(seen)))
        unsettled = min((line for line in stops if line is not None), default=None)
        usable = [mark for mark in marks if unsettled is None or mark[0].line < unsettled]
        lines = await in_daemon(lambda: source.known([mark for mark, _ in usable]))
        if lines is None:
            return None
        self._marks = [mark for mark in usable if mark[0].line <= lines.line]
        homes = self._marks[-1][1]
        seen.expect(len(seen) + homes)
        if not await self._store.visit(number, lines.line, homes, seen.add):
            self._marks = []
            return None
        self._homes = homes
        asides, invalid = await self._store.keep_asides(number, lines.line)
        return Beginning(lines, homes + asides, homes, invalid)

    def met(self, lines: Iterable[int]) -> None:
        """Home rows of records at these lines, behind all that were met before, stand in the ledger."""
        self._recent.extend(lines)

    def note(self, mark: Mark | None, consumed: int) -> object | None:
        """A block is in the ledger: what to keep as the source's cursor, None while the last mark is near.

        consumed: bytes of the source read so far.
        """
        step = max(NEAREST_BYTES, consumed // SHARE)
        if mark is None or consumed - self._marked_at < step:
            return None
        self._marked_at = consumed
        self._keep(mark)
        return self.cursor()

    def end(self, mark: Mark | None) -> object:
        """The source is read to its end: its cursor."""
        if mark is not None:
            self._keep(mark)
        return self.cursor()

    def _keep(self, mark: Mark) -> None:
        """Add a mark, with the home rows up to its line: a block may reach further than the mark that comes with it."""
        later = [line for line in self._recent if line > mark.line]
        self._homes += len(self._recent) - len(later)
        self._recent = later
        if not self._marks or mark.line > self._marks[-1][0].line:
            self._marks.append((mark, self._homes))

    def cursor(self) -> object:
        """The marks of the present source for the ledger."""
        return PrefixStore.cursor(self._settings, self._marks)


def _still(seen: SeenTable) -> Callable[[RecordState, str, bytes, bytes | None], bool]:
    """Whether a repeat still is one, by what was met in the sources before it, else by the record above it."""

    def repeats(state: RecordState, key: str, content: bytes, first: bytes | None) -> bool:
        sight = seen.look(key, content)
        if sight is Sight.NEW and first is not None:
            sight = Sight.SAME if covers(first, content) else Sight.OTHER
        return sight is (Sight.SAME if state is RecordState.DUPLICATE else Sight.OTHER)

    return repeats
