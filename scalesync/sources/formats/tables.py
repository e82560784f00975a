"""CSV and TSV: one record per row, cells as strings, with the physical line on which each row starts."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter, deque
from collections.abc import Container, Iterator, Sequence
from functools import partial

from scalesync.errors import SourceError
from scalesync.jsonvalue import ENCODING_ADVICE, SIZE_LIMIT, cut, is_blank, zeros
from scalesync.model.records import BadRecord, Item, JsonObject, SourceRecord
from scalesync.sources.bytestream import ByteStream, Progress
from scalesync.sources.formats.cells import Dialect, Sample
from scalesync.sources.formats.dialect import guess_widely
from scalesync.sources.formats.jsonlines import Lines, Oversized, oversized_reason
from scalesync.sources.options import ReadOptions
from scalesync.sources.source import HEAD, NOTHING, Head, Reader, Source, holds_a_line

NAMELESS = re.compile(r"|Unnamed: \d+(?:\.\d+)*|__index_level_\d+__")  # nothing, and what pandas calls such columns
_BOM = b"\xef\xbb\xbf"
_MARKS = (_BOM, b"\x1a")


def bind_csv(source: Source) -> Reader:
    """A table with a guessed delimiter. Raises SourceError for a header that cannot be used."""
    return _bind(source, None)


def bind_tsv(source: Source) -> Reader:
    """A table cut at tabs, unless another delimiter was given. Raises like `bind_csv`."""
    return _bind(source, "\t")


def _bind(source: Source, default: str | None) -> Reader:
    head, options, name = source.head, source.options, source.name

    def look(size: int) -> Sample:
        nonlocal head
        if size > HEAD:
            head = source.look(size)
        columns = None if options.header is None else len(options.header)
        return Sample(head.data.decode("utf-8", "replace"), head.complete, columns, options.skip_rows)

    guessed = guess_widely(look, HEAD, options.delimiter, options.quotechar, default)
    dialect, notes = guessed.dialect, list(guessed.notes)
    if options.header is not None:
        column_plan(options.header, name)
    elif head.complete or holds_a_line([head.data]):  # complains of an unusable header now, before anything is sent
        next(read_table(ByteStream(io.BytesIO(head.data), Progress()), dialect, None, name), None)
        header = guessed.header if len(guessed.header) > 1 else ()
        notes += unnamed(
            [name or f"column_{place}" for place, name in enumerate(header, 1) if NAMELESS.fullmatch(name)]
        )
    parse = partial(read_table, dialect=dialect, header=options.header, file=name)
    if head.complete and next(parse(ByteStream(io.BytesIO(head.data), Progress())), None) is None:
        notes.append(f"{NOTHING}: {_why_nothing(head, options, guessed.header)}")
    return Reader(source.reads(parse), notes=tuple(notes))


def _why_nothing(head: Head, options: ReadOptions, header: Sequence[str]) -> str:
    if not head.data.strip():
        return "it is empty"
    if options.skip_rows and not header:
        return f"--skip-rows {options.skip_rows} skips all of it"
    return "it has a header and no rows"


def unnamed(names: Sequence[str]) -> Iterator[str]:
    """What a person should know about columns that number the rows, as many programs write them."""
    if names:
        named = f'"{names[0]}"' if len(names) == 1 else f'"{names[0]}" and {len(names) - 1} more'
        yield (
            f"has a column without a name: it goes into tasks and derived ids as {named};"
            " row numbers are better left out of the file (pandas: index=False)"
        )


class _Feed:
    """Gives the csv module its lines; knows which ones the current row took and can take them back."""

    def __init__(self, lines: Lines, limit: int) -> None:
        self.number = 0  # lines given so far
        self.taken: list[bytes] = []
        self.undecodable = False
        self._batches = iter(lines)
        self._ready: deque[bytes] = deque()
        self._size = 0
        self._limit = limit

    def __iter__(self) -> _Feed:
        return self

    def __next__(self) -> str:
        while not self._ready:
            self._ready.extend(next(self._batches))
        line = self._ready.popleft()
        self.number += 1
        self.taken.append(line)
        self._size += len(line)
        if type(line) is Oversized:
            raise csv.Error(oversized_reason())
        if self._size > self._limit:
            raise csv.Error("a quoted cell does not end")
        if line.startswith(_MARKS) and len(self.taken) == 1:
            line = _without_marks(line)
        try:
            return line.decode() + "\n"
        except UnicodeDecodeError:
            self.undecodable = True
            return line.decode("utf-8", "replace") + "\n"

    def next_row(self) -> int:
        """Forget the last row's lines. Returns the line on which the next one starts."""
        self.taken = []
        self._size = 0
        self.undecodable = False
        return self.number + 1

    def take_back(self) -> None:
        """Keep the first line of the row and give the others again."""
        again = self.taken[1:]
        del self.taken[1:]
        self._ready.extendleft(reversed(again))
        self.number -= len(again)

    def bad(self, line: int, reason: str) -> BadRecord:
        """The row as found, with its error."""
        text = b"\n".join(self.taken)
        return BadRecord(line, reason, cut(text), None if any(type(one) is Oversized for one in self.taken) else text)


def column_plan(names: Sequence[str], file: str, line: int | None = None) -> list[tuple[str, ...]]:
    """The path in the record for each column: `a.b` fills b in a; an empty name becomes `column_N`.

    If a column has the name before a dot, that dot means nothing: beside `id`, `id.1` is a plain column. Raises
    SourceError if a name occurs twice.
    """
    named = [name or f"column_{place}" for place, name in enumerate(names, 1)]
    twice = [name for name, times in Counter(named).items() if times > 1]
    if twice:
        raise SourceError(f'the header names the column "{twice[0]}" twice', file, line)
    columns = frozenset(named)
    return [_path(name, columns) for name in named]


def _path(name: str, columns: Container[str]) -> tuple[str, ...]:
    parts = tuple(name.split("."))
    outer = (".".join(parts[:length]) for length in range(1, len(parts)))
    return parts if all(parts) and not any(before in columns for before in outer) else (name,)


def read_table(
    stream: ByteStream, dialect: Dialect, header: Sequence[str] | None, file: str, limit: int = SIZE_LIMIT
) -> Iterator[Item]:
    """Records of a table.

    header: the columns' names if the table has no header line.
    Raises SourceError if the header is unusable. A row with quotes that do not match costs only its first line.
    """
    csv.field_size_limit(max(SIZE_LIMIT, csv.field_size_limit()))
    lines = Lines(stream, dialect.newline, limit)
    feed = _Feed(lines, limit)
    for _ in range(dialect.skip_lines):
        next(feed, None)
    plan = None if header is None else column_plan(header, file)
    names = list(header or ())
    flat = _flat(plan)
    for start, row in _rows(feed, dialect):
        if isinstance(row, BadRecord):
            if plan is None:
                raise SourceError(f"the header {row.reason}", file, start)
            yield row
        elif plan is None:
            if len(row) == 1 and not row[0].strip():
                continue  # the header is the first row that is not blank
            plan, names = column_plan(row, file, start), row
            flat = _flat(plan)
        elif row == names and len(row) > 1:
            yield feed.bad(start, "repeats the header, as joined tables do; it is not a record")
        elif len(row) == len(plan):
            yield SourceRecord(start, dict(zip(flat, row, strict=True)) if flat else _record(plan, row))
        elif len(row) > 1 or row[0].strip():
            hole = zeros(b"".join(feed.taken))
            yield feed.bad(start, hole or f"has {_cells(len(row))}, the header has {len(plan)}")
    if stream.damage is not None:
        yield BadRecord(feed.number + 1, stream.damage, cut(lines.tail), lines.tail)


def _rows(feed: _Feed, dialect: Dialect) -> Iterator[tuple[int, list[str] | BadRecord]]:
    reader = dialect.rows(feed)
    while True:
        start = feed.next_row()
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            feed.take_back()
            yield start, feed.bad(start, _words(str(error)))
            continue
        if not row:
            continue
        if feed.undecodable:
            yield start, feed.bad(start, f"is not valid UTF-8; {ENCODING_ADVICE}")
        else:
            yield start, row


def _without_marks(line: bytes) -> bytes:
    """The first line of a row without the marks of joined files: a UTF-8 mark; the end of a DOS file, alone."""
    return b"" if is_blank(line) else line.removeprefix(_BOM)


def _flat(plan: list[tuple[str, ...]] | None) -> list[str] | None:
    """The columns' names if no column nests."""
    if plan is None or any(len(path) > 1 for path in plan):
        return None
    return [path[0] for path in plan]


def _record(plan: list[tuple[str, ...]], row: list[str]) -> JsonObject:
    record: JsonObject = {}
    for path, cell in zip(plan, row, strict=True):
        if len(path) == 1:
            record[path[0]] = cell
            continue
        inner = record
        for part in path[:-1]:
            inner = inner.setdefault(part, {})
        inner[path[-1]] = cell
    return record


def _cells(count: int) -> str:
    return "1 cell" if count == 1 else f"{count} cells"


def _words(error: str) -> str:
    if "unexpected end" in error or "does not end" in error:
        return "opens a quote that is never closed"
    if "expected after" in error:
        return f"is cut wrongly by its quotes ({error})"
    if "new-line character" in error:
        return "holds a carriage return outside quotes"
    return error
