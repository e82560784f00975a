"""Records that a program gives: dictionaries, data frames, Arrow tables. They count like standard input.

So every rule for a pipe applies to them: the job needs a name, and failed records are sent again when the program gives
the same records again.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sized
from dataclasses import asdict, dataclass, is_dataclass
from itertools import chain
from os import PathLike
from typing import Any, BinaryIO, NoReturn, cast

from scalesync.errors import ConfigError, SourceError
from scalesync.jsonvalue import dumps
from scalesync.model.records import JsonObject

PLACE = "the records given"


@dataclass(frozen=True, slots=True)
class Given:
    """Records as a stream.

    format: as in `ImportOptions`.
    size: how many there are, None if unknown.
    """

    stream: BinaryIO
    format: str
    size: int | None


def given_records(sources: Any) -> Given | None:
    """The records in `sources`; None if it names files. Raises ConfigError for anything else.

    A table (pandas, polars, pyarrow, DuckDB: anything with `__arrow_c_stream__` or `to_parquet`) reads like the same
    table in a Parquet file; its values keep their types. Iterables are read once, while the records are sent.
    """
    if isinstance(sources, str | PathLike):
        return None
    size = len(sources) if isinstance(sources, Sized) else None
    if hasattr(sources, "__arrow_c_stream__") or hasattr(sources, "to_parquet"):
        return _table(sources)
    if isinstance(sources, Mapping | bytes) or not isinstance(sources, Iterable):
        raise ConfigError(
            f"sources must be paths, records or a table, not {type(sources).__name__}; for one record use [record]"
        )
    every = iter(sources)
    try:
        first = next(every)
    except StopIteration:
        if isinstance(sources, list | tuple):  # of paths, perhaps: a pattern that matched nothing
            raise ConfigError(f"there are no records: the {type(sources).__name__} of sources is empty") from None
        return Given(io.BytesIO(), "jsonl", 0)
    if isinstance(first, str | PathLike):
        if isinstance(sources, list | tuple):
            return None
        raise ConfigError("give paths as a list or a tuple")
    return Given(cast(BinaryIO, _Lines(chain([first], every))), "jsonl", size)


def _table(table: Any) -> Given:
    try:
        import pyarrow  # noqa: PLC0415
        import pyarrow.parquet  # noqa: PLC0415
    except ImportError:
        raise ConfigError("tables need pyarrow: pip install 'scalesync[parquet]'") from None
    packed = io.BytesIO()
    if hasattr(table, "to_parquet"):  # pandas, which says there which column numbers the rows
        table.to_parquet(packed, engine="pyarrow")
    else:
        pyarrow.parquet.write_table(pyarrow.table(table), packed)
    rows = pyarrow.parquet.read_metadata(packed).num_rows
    packed.seek(0)
    return Given(packed, "parquet", rows)


class _Lines(io.RawIOBase):
    """Dictionaries as JSON lines, made as they are read."""

    def __init__(self, records: Iterator[Any]) -> None:
        self._records = enumerate(records, start=1)
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._rest:
            self._rest = memoryview(next((_line(number, record) for number, record in self._records), b""))
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size


def _line(number: int, record: Any) -> bytes:
    if not isinstance(record, Mapping):
        raise SourceError(f"must be a dictionary, not {type(record).__name__}", PLACE, number)
    value = dict(record)
    try:
        line = dumps(value)
    except (ValueError, TypeError) as error:
        if (odd := _with_odd_number(value)) is None:
            raise SourceError(f"cannot be written as JSON: {error}", PLACE, number) from None
        return odd
    # What is quick makes null of NaN: where there is no null, there was none.
    return (b"null" in line and _with_odd_number(value)) or line + b"\n"


def _with_odd_number(value: JsonObject) -> bytes | None:
    """The line of a record that holds NaN or an infinity, written unchanged; None if it holds none.

    Read like any other line, such a record is invalid, with a reason that names the field.
    """
    try:
        text = json.dumps(value, ensure_ascii=False, default=_plain)
        json.loads(text, parse_constant=_refuse)
    except _OddNumber:
        return text.encode("utf-8", "replace") + b"\n"
    except (ValueError, TypeError, RecursionError):
        pass
    return None


class _OddNumber(Exception):
    """NaN or an infinity."""


def _refuse(constant: str) -> NoReturn:
    raise _OddNumber(constant)


def _plain(value: Any) -> Any:
    """Values that `json` cannot write by itself, as `dumps` writes them."""
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else json.loads(dumps(value))
