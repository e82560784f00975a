"""Parquet row groups as records, with values that JSON cannot hold turned into texts."""

from __future__ import annotations

import base64
import importlib
import math
import tempfile
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, BinaryIO, cast

from scalesync.errors import ConfigError, SourceError
from scalesync.model import BadRecord, JsonObject, SourceRecord
from scalesync.records.bytestream import ByteStream, Progress, is_packed
from scalesync.records.jsonlines import Item

BATCH_ROWS = 256
BATCH_BYTES = 8 * 1024 * 1024
Open = Callable[[], BinaryIO]


class Unreadable(ValueError):
    """A value that has no place in JSON."""


@dataclass(frozen=True, slots=True)
class _Broken:
    """Stands for a cell that pyarrow cannot read."""

    reason: str


def check_parquet(opener: Open, name: str) -> int:
    """The number of rows. Raises SourceError when the footer cannot be read, ConfigError without pyarrow."""
    with _opened(opener, name, Progress()) as (file, _):
        return int(file.metadata.num_rows)


def read_parquet(opener: Open, name: str, progress: Progress, size: int | None) -> Generator[Item, None, None]:
    """Records of a Parquet file; `line` is the record's number. A broken row group is one BadRecord."""
    with _opened(opener, name, progress) as (file, plain):
        share = (size or 0) / max(file.metadata.num_rows, 1) if plain else 0
        done = 0
        for group in range(file.num_row_groups):
            for item in _group(file, group, done, progress):
                progress.consumed = max(progress.consumed, min(int(item.line * share), size or 0))
                yield item
            done += file.metadata.row_group(group).num_rows
    progress.consumed = size or progress.consumed


def _arrow() -> Any:
    return importlib.import_module("pyarrow")


@contextmanager
def _opened(opener: Open, name: str, progress: Progress) -> Iterator[tuple[Any, bool]]:
    """The pyarrow file, and whether it reads the source itself rather than an unpacked copy on disk."""
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
        except (pyarrow.ArrowException, OSError) as error:
            words = str(error).splitlines()[0]
            raise SourceError(f"cannot be read as Parquet: {words}", name) from None
        twice = [column for column, count in Counter(file.schema_arrow.names).items() if count > 1]
        if twice:
            raise SourceError(f'has the column "{twice[0]}" twice', name)
        yield file, plain


def _seekable(raw: BinaryIO) -> bool:
    if not getattr(raw, "seekable", lambda: False)():
        return False
    head = raw.read(4)
    raw.seek(0)
    return not is_packed(head)


@contextmanager
def _spooled(raw: BinaryIO, name: str, progress: Progress) -> Iterator[BinaryIO]:
    """Parquet begins at its end: what is compressed or a pipe is unpacked into an unnamed file first."""
    stream = ByteStream(raw, progress)
    with tempfile.TemporaryFile(prefix="scalesync-") as spool:
        for piece in stream.unpacked():
            spool.write(piece)
        if stream.damage is not None:
            raise SourceError(stream.damage, name)
        spool.seek(0)
        yield cast(BinaryIO, spool)


def _group(file: Any, group: int, done: int, progress: Progress) -> Iterator[Item]:
    pyarrow = _arrow()
    meta = file.metadata.row_group(group)
    rows = meta.num_rows
    per_row = max(meta.total_byte_size // max(rows, 1), 1)
    number = done
    batches = file.iter_batches(
        batch_size=max(1, min(BATCH_ROWS, BATCH_BYTES // per_row)), row_groups=[group], use_threads=False
    )
    while True:
        try:
            batch = next(batches, None)
        except (pyarrow.ArrowException, OSError) as error:
            words = f"records {number + 1} to {done + rows} cannot be read: {str(error).splitlines()[0]}"
            yield BadRecord(number + 1, words, "")
            return
        if batch is None:
            return
        progress.weight += batch.nbytes
        yield from _records(batch, number)
        number += batch.num_rows


def _records(batch: Any, number: int) -> Iterator[Item]:
    names = batch.schema.names
    columns = []
    odd = [names[at] for at, field in enumerate(batch.schema) if not _is_plain(field.type)]
    for place, name in enumerate(names):
        values, whole = _cells(batch.column(place))
        columns.append(values)
        if not whole and name not in odd:
            odd.append(name)
    for line, row in enumerate(zip(*columns, strict=True), number + 1):
        value = dict(zip(names, row, strict=True))
        try:
            for name in odd:
                value[name] = jsonable(value[name])
        except Unreadable as error:
            yield BadRecord(line, f'column "{name}" {error}', "")
            continue
        yield SourceRecord(line, value)


def _cells(column: Any) -> tuple[list[Any], bool]:
    """A column's values; where one of them cannot be read, that one is a `_Broken`, and the answer ends with False."""
    troubles = (ValueError, OverflowError, _arrow().ArrowException)
    try:
        return _column(column), True
    except troubles:
        return [_cell(column.slice(at, 1), troubles) for at in range(len(column))], False


def _cell(one: Any, troubles: tuple[type[Exception], ...]) -> Any:
    try:
        return _column(one)[0]
    except UnicodeDecodeError:
        return _Broken("is not valid UTF-8")
    except troubles:
        return _Broken("holds a value out of range")


def _column(column: Any) -> list[Any]:
    """A column's Python values; nanoseconds survive at the top level and are cut to micro inside lists."""
    pyarrow = _arrow()
    kind = column.type
    if pyarrow.types.is_timestamp(kind) and kind.unit == "ns":
        zone = "" if kind.tz is None else "+00:00"
        return [None if ns is None else _nano_text(ns, zone) for ns in column.cast("int64").to_pylist()]
    coarse = _coarse(kind)
    values: list[Any] = (column if coarse == kind else column.cast(coarse, safe=False)).to_pylist()
    return values


def _nano_text(nanoseconds: int, zone: str) -> str:
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    digits = f".{rest:09d}".rstrip("0").rstrip(".")
    return f"{moment.replace(tzinfo=None).isoformat()}{digits}{zone}"


def _coarse(kind: Any) -> Any:
    """The same type with microseconds for nanoseconds, which Python's own times cannot hold."""
    pa = _arrow()
    types = pa.types
    if types.is_timestamp(kind) and kind.unit == "ns":
        return pa.timestamp("us", kind.tz)
    if types.is_duration(kind) and kind.unit == "ns":
        return pa.duration("us")
    if types.is_time64(kind) and kind.unit == "ns":
        return pa.time64("us")
    if types.is_list(kind):
        return pa.list_(kind.value_field.with_type(_coarse(kind.value_type)))
    if types.is_struct(kind):
        return pa.struct([field.with_type(_coarse(field.type)) for field in kind])
    return kind


def _is_plain(kind: Any) -> bool:
    types = _arrow().types
    if types.is_list(kind):
        return _is_plain(kind.value_type)
    if types.is_struct(kind):
        return all(_is_plain(field.type) for field in kind)
    text = types.is_string(kind) or types.is_large_string(kind)
    return bool(text or types.is_integer(kind) or types.is_boolean(kind) or types.is_null(kind))


def jsonable(value: Any) -> Any:
    """A pyarrow value as JSON: ISO 8601 for dates and times, seconds for durations, base64 for bytes,
    text for decimals, null for NaN. Raises Unreadable for infinities and unknown types.
    """
    match value:
        case None | str() | bool() | int():
            return value
        case float():
            if math.isinf(value):
                raise Unreadable("holds an infinite number")
            return None if math.isnan(value) else value
        case dict():
            return {str(key): jsonable(inner) for key, inner in value.items()}
        case list():
            return _sequence(value)
        case datetime() | date() | time():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case Decimal():
            return format(value, "f")
        case bytes():
            return base64.b64encode(value).decode()
        case _Broken(reason):
            raise Unreadable(reason)
    raise Unreadable(f"holds a value that is no JSON ({type(value).__name__})")


def _sequence(value: list[Any]) -> JsonObject | list[Any]:
    if value and all(type(entry) is tuple and len(entry) == 2 for entry in value):
        return {str(key): jsonable(inner) for key, inner in value}  # pyarrow gives a map as pairs
    return [jsonable(inner) for inner in value]
