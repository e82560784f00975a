"""Beginnings of sources that an earlier run has read and finished: recognised by their bytes and left unread.

A run keeps marks while it reads a source, each after a block with records that are in the ledger. A later run looks for
the longest beginning that still matches a mark, holds no line that needs work, and has all its rows; it takes the keys
of those rows from the ledger instead of from the lines.

A duplicate or a clash needs work as soon as the record that it repeats changed or is gone: that record is earlier in
the input, perhaps in another source, and the duplicate's own place does not show it.

Reading a short source again is quicker than asking the ledger about it, so it keeps no marks: there may be a million.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field

from scalesync.flows.runtime.threads import in_daemon
from scalesync.mapping.seen import SeenTable, Sight
from scalesync.model.contents import covers
from scalesync.model.jobs import SourceCursor
from scalesync.model.records import Block, Checkpoint
from scalesync.model.rows import RecordState
from scalesync.ports.import_ledger import Checkpoints
from scalesync.sources.checkpoints import Fingerprint
from scalesync.sources.open import SourceFile

# Marks stand further apart in a longer source: a few hundred of them, and at most a 64th of it is read again.
NEAREST_BYTES = 2 * 1024 * 1024
SHARE = 64
LEAST_BYTES = 16 * 1024  # of a source with marks: as much is read while the ledger answers what it knows of one


@dataclass(frozen=True, slots=True)
class Beginning:
    """The part left unread.

    records: lines that held one.
    homes: rows of this job.
    invalid: places that are not records.
    """

    lines: Fingerprint
    records: int
    homes: int
    invalid: int


@dataclass(slots=True)
class _Way:
    """The progress in a source.

    marks: with the home rows up to each.
    marked_at: bytes up to the last one.
    homes: home rows up to the last mark.
    recent: the lines of those after it.
    """

    marks: list[tuple[Checkpoint, int]] = field(default_factory=list)
    marked_at: int = 0
    homes: int = 0
    recent: list[int] = field(default_factory=list)

    def keep(self, mark: Checkpoint | None) -> None:
        """Add a mark, with the home rows up to its line: a block may reach further than the mark that comes with it."""
        if mark is None:
            return
        later = [line for line in self.recent if line > mark.line]
        self.homes += len(self.recent) - len(later)
        self.recent = later
        if not self.marks or mark.line > self.marks[-1][0].line:
            self.marks.append((mark, self.homes))


class Beginnings:
    """Marks of the sources of one run.

    settings: a string that stays equal while records become the same tasks.
    trusted: whether finished lines may stay unread; if not, marks are only kept for the next run.
    """

    def __init__(self, store: Checkpoints, settings: str, *, trusted: bool) -> None:
        self._store = store
        self._settings = settings
        self._trusted = trusted
        self._sources: Mapping[int, SourceFile] = {}  # those of which marks are kept
        self._known: Set[int] = frozenset()  # those of them of which an earlier run kept some
        self._ways: dict[int, _Way] = {}

    async def stretches(self, numbers: Sequence[int], sources: Sequence[SourceFile]) -> Sequence[Sequence[int]]:
        """The numbers of the sources, in groups that can be read in one go; `find` knows the first of each."""
        self._sources = {
            number: source
            for number, source in zip(numbers, sources, strict=True)
            if source.has_lines and source.size is not None and source.size >= LEAST_BYTES
        }
        if self._trusted and self._sources:
            self._known = await self._store.marked(self._settings) & self._sources.keys()
        found: list[list[int]] = []
        for number in numbers:
            if not found or number in self._known:
                found.append([])
            found[-1].append(number)
        return found

    async def find(self, number: int, seen: SeenTable) -> Beginning | None:
        """The beginning of a source that needs no reading, if those before it are read.

        seen: takes each of its keys, with the content.
        """
        if number not in self._known:
            return None
        marks = await self._store.load(number)
        stops = (await self._store.first_open_line(number), await self._store.first_alone(number, _still(seen)))
        unsettled = min((line for line in stops if line is not None), default=None)
        usable = [mark for mark in marks if unsettled is None or mark[0].line < unsettled]
        lines = await in_daemon(lambda: self._sources[number].known([mark for mark, _ in usable]))
        if lines is None:
            return None
        marks = [mark for mark in usable if mark[0].line <= lines.line]
        homes = marks[-1][1]
        seen.expect(len(seen) + homes)
        if not await self._store.visit(number, lines.line, homes, seen.add):
            return None
        self._ways[number] = _Way(marks, homes=homes)
        asides, invalid = await self._store.keep_asides(number, lines.line)
        return Beginning(lines, homes + asides, homes, invalid)

    def met(self, places: Iterable[tuple[int, int]]) -> None:
        """Home rows of records at these sources and lines, after all earlier ones, are in the ledger."""
        for number, line in places:
            if number in self._sources:
                self._way(number).recent.append(line)

    def note(self, block: Block) -> SourceCursor | None:
        """A block is in the ledger: returns its source's cursor to keep, None while the last mark is near."""
        if block.source not in self._sources or block.mark is None:
            return None
        way = self._way(block.source)
        if block.consumed - way.marked_at < max(NEAREST_BYTES, block.consumed // SHARE):
            return None
        way.marked_at = block.consumed
        way.keep(block.mark)
        return SourceCursor(self._settings, tuple(way.marks))

    def end(self, block: Block) -> SourceCursor:
        """The last block of a source is in the ledger: the source's cursor."""
        if block.source not in self._sources:
            return SourceCursor(self._settings)
        way = self._way(block.source)
        way.keep(block.mark)
        del self._ways[block.source]
        return SourceCursor(self._settings, tuple(way.marks))

    def _way(self, number: int) -> _Way:
        return self._ways.setdefault(number, _Way())


def _still(seen: SeenTable) -> Callable[[RecordState, str, bytes, bytes | None], bool]:
    """Whether a repeat still is one, by the sources before it, else by the record above it."""

    def repeats(state: RecordState, key: str, content: bytes, first: bytes | None) -> bool:
        sight = seen.look(key, content)
        if sight is Sight.NEW and first is not None:
            sight = Sight.SAME if covers(first, content) else Sight.OTHER
        return sight is (Sight.SAME if state is RecordState.DUPLICATE else Sight.OTHER)

    return repeats
