"""Checkpoints of sources: a run leaves the part of a source unread that an earlier run finished.

While a run reads a source, it saves checkpoints, each after a block whose records are in the ledger. A later run looks
for the last checkpoint whose bytes are unchanged, with no line before it that needs work, and with all its rows. It
takes the keys of these rows from the ledger instead of from the lines.

A duplicate or a clash needs work if the record that it repeats has changed or is gone. That record is earlier in the
input, perhaps in another source, so the duplicate's own place does not show it.

A short source has no checkpoints. It is read again faster than the ledger answers, and there may be a million of them.
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
from scalesync.sources.source_file import SourceFile

# The distance of checkpoints grows with the source: there are a few hundred, and at most a 64th is read again.
NEAREST_BYTES = 2 * 1024 * 1024
SHARE = 64
LEAST_BYTES = 16 * 1024  # a source below this has none: it is read faster than the ledger answers


@dataclass(frozen=True, slots=True)
class FinishedPart:
    """The part of a source that stays unread.

    records: its records.
    homes: its home rows.
    invalid: its places that are not records.
    """

    lines: Fingerprint
    records: int
    homes: int
    invalid: int


@dataclass(slots=True)
class _Way:
    """The progress in a source.

    marks: the checkpoints, each with the number of home rows up to it.
    marked_at: bytes up to the last checkpoint.
    homes: home rows up to the last checkpoint.
    recent: the lines of the home rows after it.
    """

    marks: list[tuple[Checkpoint, int]] = field(default_factory=list)
    marked_at: int = 0
    homes: int = 0
    recent: list[int] = field(default_factory=list)

    def keep(self, mark: Checkpoint | None) -> None:
        """Add a checkpoint, with the home rows up to its line. Its block may reach further than the checkpoint."""
        if mark is None:
            return
        later = [line for line in self.recent if line > mark.line]
        self.homes += len(self.recent) - len(later)
        self.recent = later
        if not self.marks or mark.line > self.marks[-1][0].line:
            self.marks.append((mark, self.homes))


class SourceCheckpoints:
    """The checkpoints of all sources of one run.

    settings: a string that is equal if the same records become the same tasks.
    trusted: whether finished lines may stay unread. If not, checkpoints are only saved for the next run.
    """

    def __init__(self, store: Checkpoints, settings: str, *, trusted: bool) -> None:
        self._store = store
        self._settings = settings
        self._trusted = trusted
        self._sources: Mapping[int, SourceFile] = {}  # those with checkpoints
        self._known: Set[int] = frozenset()  # those with checkpoints of an earlier run
        self._ways: dict[int, _Way] = {}

    async def stretches(self, numbers: Sequence[int], sources: Sequence[SourceFile]) -> Sequence[Sequence[int]]:
        """The numbers of the sources in groups to read in one go. Only the first of a group may have checkpoints."""
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

    async def find(self, number: int, seen: SeenTable) -> FinishedPart | None:
        """The part of a source that needs no reading; None if all of it does. Call it after reading the sources before.

        seen: gets the keys of that part, with their contents.
        """
        if number not in self._known:
            return None
        marks = await self._store.load(number)
        stops = (await self._store.first_open_line(number), await self._store.first_alone(number, _still(seen)))
        open_line = min((line for line in stops if line is not None), default=None)
        usable = [mark for mark in marks if open_line is None or mark[0].line < open_line]
        lines = await in_daemon(lambda: self._sources[number].known([mark for mark, _ in usable]))
        if lines is None:
            return None
        marks = [mark for mark in usable if mark[0].line <= lines.line]
        homes = marks[-1][1]
        seen.expect(len(seen) + homes)
        if not await self._store.visit(number, lines.line, homes, seen.add):
            return None
        self._ways[number] = _Way(marks, homes=homes)
        other_records, invalid = await self._store.keep_other_records(number, lines.line)
        return FinishedPart(lines, homes + other_records, homes, invalid)

    def met(self, places: Iterable[tuple[int, int]]) -> None:
        """Note that home rows of records at these sources and lines are in the ledger, after all earlier ones."""
        for number, line in places:
            if number in self._sources:
                self._way(number).recent.append(line)

    def note(self, block: Block) -> SourceCursor | None:
        """Note that a block is in the ledger. Returns the cursor to save; None if the last checkpoint is near."""
        if block.source not in self._sources or block.mark is None:
            return None
        way = self._way(block.source)
        if block.consumed - way.marked_at < max(NEAREST_BYTES, block.consumed // SHARE):
            return None
        way.marked_at = block.consumed
        way.keep(block.mark)
        return SourceCursor(self._settings, tuple(way.marks))

    def end(self, block: Block) -> SourceCursor:
        """Note that the last block of a source is in the ledger. Returns the source's cursor."""
        if block.source not in self._sources:
            return SourceCursor(self._settings)
        way = self._way(block.source)
        way.keep(block.mark)
        del self._ways[block.source]
        return SourceCursor(self._settings, tuple(way.marks))

    def _way(self, number: int) -> _Way:
        return self._ways.setdefault(number, _Way())


def _still(seen: SeenTable) -> Callable[[RecordState, str, bytes, bytes | None], bool]:
    """A function that says whether a repeat still is one, from earlier sources or from the record above it."""

    def repeats(state: RecordState, key: str, content: bytes, first: bytes | None) -> bool:
        sight = seen.look(key, content)
        if sight is Sight.NEW and first is not None:
            sight = Sight.SAME if covers(first, content) else Sight.OTHER
        return sight is (Sight.SAME if state is RecordState.DUPLICATE else Sight.OTHER)

    return repeats
