"""Parquet row groups as records."""

from __future__ import annotations

import importlib
import json
import tempfile
from collections import Counter
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import repeat
from typing import Any, BinaryIO, NamedTuple, cast

from scalesync.errors import ConfigError, SourceError
from scalesync.model.records import BadRecord, Item, JsonObject, SourceRecord
from scalesync.sources.bytestream import ByteStream, Progress, is_packed
from scalesync.sources.formats.arrowvalues import is_plain, json_values, trouble_in
from scalesync.sources.formats.tables import NAMELESS, unnamed
from scalesync.sources.source import NOTHING, Open, Reader, Source

BATCH_ROWS = 256
BATCH_BYTES = 8 * 1024 * 1024


class ParquetFacts(NamedTuple):
    """What the end of a file says.

    rows: how many.
    row_numbers: columns that number them, by the file's own word.
    numbers: the other columns of numbers.
    """

    rows: int
    row_numbers: tuple[str, ...]
    numbers: tuple[str, ...]


def bind(source: Source) -> Reader:
    """Row groups. Raises SourceError if the end of the file cannot be read, ConfigError without pyarrow."""
    notes: list[str] = []
    if not source.pipe:
        facts = check_parquet(source.open, source.name)
        if not facts.rows:
            notes.append(f"{NOTHING}: it has no rows")
        if facts.row_numbers:
            named = " and ".join(f'"{column}"' for column in facts.row_numbers)
            one = len(facts.row_numbers) == 1
            verbs = ("holds", "is") if one else ("hold", "are")
            notes.append(f"{named} {verbs[0]} the row numbers of pandas and {verbs[1]} left out")
        notes += unnamed([column for column in facts.numbers if NAMELESS.fullmatch(column)])
    return Reader(lambda progress: read_parquet(source.open, source.name, progress, source.size), notes=tuple(notes))


def check_parquet(opener: Open, name: str) -> ParquetFacts:
    """Open a file for a moment. Raises SourceError if its end cannot be read, ConfigError without pyarrow."""
    with _opened(opener, name, Progress()) as (file, *_):
        schema, types = file.schema_arrow, _arrow().types
        left_out = row_numbers(schema)
        numbers = (f.name for f in schema if types.is_integer(f.type) or types.is_floating(f.type))
        kept = tuple(name for name in numbers if name not in left_out)
        return ParquetFacts(file.metadata.num_rows, tuple(sorted(left_out)), kept)


def read_parquet(opener: Open, name: str, progress: Progress, size: int | None) -> Generator[Item, None, None]:
    """Records of a Parquet file; `line` is the record's number. A broken row group is one BadRecord."""
    with _opened(opener, name, progress) as files:
        file = files.file
        share = (size or 0) / max(file.metadata.num_rows, 1) if files.plain else 0
        left_out = row_numbers(file.schema_arrow)
        done = 0
        for group in range(file.num_row_groups):
            for item in _group(files, group, done, progress, left_out):
                progress.consumed = max(progress.consumed, min(int(item.line * share), size or 0))
                yield item
            done += file.metadata.row_group(group).num_rows
    progress.consumed = size or progress.consumed


def row_numbers(schema: Any) -> frozenset[str]:
    """The columns in which pandas kept the numbers of its rows: an index without a name, of integers.

    They are not data: a row added at the front renumbers all others. An index with a name is a column like any other.
    """
    try:
        facts = json.loads((schema.metadata or {}).get(b"pandas", b"{}"))
        named = {column["field_name"]: column["name"] for column in facts["columns"]}
        index = [name for name in facts["index_columns"] if isinstance(name, str) and named.get(name) is None]
    except (ValueError, KeyError, TypeError):
        return frozenset()
    integer = _arrow().types.is_integer
    return frozenset(name for name in index if name in schema.names and integer(schema.field(name).type))


def _arrow() -> Any:
    return importlib.import_module("pyarrow")


@contextmanager
def _opened(opener: Open, name: str, progress: Progress) -> Iterator[_Files]:
    try:
        pyarrow = _arrow()
        parquet = importlib.import_module("pyarrow.parquet")
    except ImportError:
        raise ConfigError('Parquet needs pyarrow: pip install "scalesync[parquet]"') from None
    with ExitStack() as stack:
        raw = opener()
        stack.callback(raw.close)
        plain = _seekable(raw)
        seekable = raw if plain else stack.enter_context(_spooled(raw, name, progress))
        try:
            file = stack.enter_context(parquet.ParquetFile(seekable))
            coarse = None
            if any(file.schema.column(at).physical_type == "INT96" for at in range(len(file.schema))):
                coarse = stack.enter_context(parquet.ParquetFile(seekable, coerce_int96_timestamp_unit="s"))
        except (pyarrow.ArrowException, OSError) as error:
            words = str(error).splitlines()[0]
            raise SourceError(f"cannot be read as Parquet: {words}", name) from None
        twice = [column for column, count in Counter(file.schema_arrow.names).items() if count > 1]
        if twice:
            raise SourceError(f'has the column "{twice[0]}" twice', name)
        yield _Files(file, coarse, plain)


def _seekable(raw: BinaryIO) -> bool:
    if not getattr(raw, "seekable", lambda: False)():
        return False
    head = raw.read(4)
    raw.seek(0)
    return not is_packed(head)


@contextmanager
def _spooled(raw: BinaryIO, name: str, progress: Progress) -> Iterator[BinaryIO]:
    """Parquet begins at its end: a compressed file or a pipe is first unpacked into an unnamed file."""
    stream = ByteStream(raw, progress)
    with tempfile.TemporaryFile(prefix="scalesync-") as spool:
        for piece in stream.unpacked():
            spool.write(piece)
        if stream.damage is not None:
            raise SourceError(stream.damage, name)
        spool.seek(0)
        yield cast(BinaryIO, spool)


class _Files(NamedTuple):
    """One file in two readings.

    coarse: INT96 as whole seconds, None without such a column.
    plain: not a copy on disk.
    """

    file: Any
    coarse: Any
    plain: bool

    def batches(self, group: int, most: int) -> Iterator[tuple[Any, Any]]:
        """The rows of a group in batches of at most this many, each in both readings."""
        options = {"batch_size": most, "row_groups": [group], "use_threads": False}
        fine = self.file.iter_batches(**options)
        if self.coarse is None:
            return zip(fine, repeat(None))
        return zip(fine, self.coarse.iter_batches(**options), strict=True)


def _group(files: _Files, group: int, done: int, progress: Progress, left_out: frozenset[str]) -> Iterator[Item]:
    pyarrow = _arrow()
    file = files.file
    meta = file.metadata.row_group(group)
    rows = meta.num_rows
    per_row = max(meta.total_byte_size // max(rows, 1), 1)
    number = done
    batches = files.batches(group, max(1, min(BATCH_ROWS, BATCH_BYTES // per_row)))
    while True:
        try:
            batch, coarse = next(batches, (None, None))
        except (pyarrow.ArrowException, OSError) as error:
            words = f"records {number + 1} to {done + rows} cannot be read: {str(error).splitlines()[0]}"
            yield BadRecord(number + 1, words, "")
            return
        if batch is None:
            return
        progress.weight += batch.nbytes
        yield from _records(batch, coarse, number, left_out)
        number += batch.num_rows


def _records(batch: Any, coarse: Any, number: int, left_out: frozenset[str]) -> Iterator[Item]:
    """coarse: the same rows with INT96 as whole seconds, None without such a column."""
    names, columns, odd = [], [], []
    for place, field in enumerate(batch.schema):
        values, whole = _cells(batch.column(place), None if coarse is None else coarse.column(place))
        names.append(field.name)
        columns.append(values)
        if not whole:
            odd.append(field.name)
    for line, row in enumerate(zip(*columns, strict=True), number + 1):
        value = dict(zip(names, row, strict=True))
        for name in odd:
            if (trouble := trouble_in(value[name])) is not None:
                yield BadRecord(line, f'column "{name}" {trouble}', "")
                break
        else:
            yield _without(left_out, line, value)


def _without(left_out: frozenset[str], line: int, value: JsonObject) -> SourceRecord:
    if not left_out:
        return SourceRecord(line, value)
    kept = {name: inner for name, inner in value.items() if name not in left_out}
    return SourceRecord(line, kept, before=value)


def _cells(column: Any, coarse: Any) -> tuple[list[Any], bool]:
    """A column's values, and whether all of them are certain to be readable."""
    if is_plain(column.type):
        with suppress(ValueError, _arrow().ArrowException):
            return column.to_pylist(), True
    return json_values(column, coarse), False
