"""An export in Parquet: typed columns for main fields, JSON text for nested ones, the whole document in `task`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib import import_module
from typing import Any, BinaryIO

import msgspec

from scalesync.errors import ConfigError, RecordError
from scalesync.model.records import JsonObject
from scalesync.outputs.encoders.registry import Columns, Output
from scalesync.outputs.fields import members_of

READ_ROWS = 1_000  # documents in memory at a time while a file is read back
GROUP_BYTES = 16 * 1024 * 1024  # size of a row group in memory, uncompressed
TIMES = ("created_at", "updated_at", "completed_at")
_TEXTS = ("task_id", "unique_id", "type", "status", "project", "batch")
_JSONS = ("metadata", "params", "response")


class ParquetEncoder:
    """Turns lines into a Parquet file.

    typed: times and tags have types; a folder that was begun without them keeps strings.
    places: where documents have the values of columns, if they do not have them under their names.
    """

    def __init__(self, file: Any, *, typed: bool = True, places: Columns | None = None) -> None:
        pa, pq = arrow()
        self._pa = pa
        time = pa.timestamp("us", tz="UTC") if typed else pa.string()
        columns = [(name, pa.string()) for name in _TEXTS] + [(name, time) for name in TIMES]
        columns += [("tags", pa.list_(pa.string()))] if typed else []
        columns += [("is_test", pa.bool_()), *((name, pa.string()) for name in _JSONS)]
        more = [name for name in places or {} if name not in dict(columns)]
        columns += [(name, pa.string()) for name in (*more, "task")]
        self._readers = _readers(typed=typed, more=more)
        self._places = {name: _paths(name, places or {}) for name in self._readers}
        self._schema = pa.schema(columns)
        self._writer = pq.ParquetWriter(pa.PythonFile(file, mode="w"), self._schema, compression="zstd")
        self._lines: list[bytes] = []
        self._held = 0

    def add(self, lines: Sequence[bytes]) -> None:
        """Hold lines until they fill a row group."""
        for line in lines:
            self._lines.append(line)
            self._held += len(line)
            if self._held >= GROUP_BYTES:
                self._flush()

    def pause(self) -> None:
        """Do nothing: a Parquet file is not readable before its footer."""

    def close(self) -> None:
        """Write the lines held so far, then the footer."""
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        if self._lines:
            rows = [self._row(line) for line in self._lines]
            self._writer.write_table(self._pa.Table.from_pylist(rows, schema=self._schema))
        self._lines, self._held = [], 0

    def _row(self, line: bytes) -> JsonObject:
        row: JsonObject = {"task": line.decode("utf-8", "replace")}
        try:
            members = members_of(line)
        except RecordError:
            return row
        for name, read in self._readers.items():
            raw = _first(members, self._places[name])
            if raw is not None:
                row[name] = read(raw)
        return row


def typed(file: Output) -> ParquetEncoder:
    """Typed times, tags and flags."""
    return ParquetEncoder(file)


def with_columns(file: Output, columns: Columns) -> ParquetEncoder:
    """The same, with values at the places where the documents have them."""
    return ParquetEncoder(file, places=columns)


def untyped(file: Output) -> ParquetEncoder:
    """Times as strings and no tags, as in folders that version 0.1 began."""
    return ParquetEncoder(file, typed=False)


def documents(file: BinaryIO) -> Iterator[bytes]:
    """The documents of a file, in order."""
    _, pq = arrow()
    with pq.ParquetFile(file) as parquet:
        for batch in parquet.iter_batches(batch_size=READ_ROWS, columns=["task"]):
            for text in batch.column(0).to_pylist():
                yield text.encode()


def _readers(*, typed: bool, more: Sequence[str]) -> dict[str, Callable[[bytes], Any]]:
    """How the JSON of each column becomes its value."""
    found: dict[str, Callable[[bytes], Any]] = dict.fromkeys((*_TEXTS, *more), _text)
    found |= dict.fromkeys(TIMES, _time if typed else _text)
    found |= dict.fromkeys(_JSONS, lambda raw: raw.decode("utf-8", "replace"))
    return found | {"is_test": _flag} | ({"tags": _texts} if typed else {})


def _paths(name: str, places: Columns) -> list[list[str]]:
    return [path.split(".") for path in places.get(name, (name,))]


def _first(members: Mapping[str, bytes | msgspec.Raw], paths: Sequence[Sequence[str]]) -> bytes | None:
    """The JSON at the first path that leads to a value."""
    for path in paths:
        value = _at(members, path)
        if value not in (None, b"null"):
            return value
    return None


def _at(members: Mapping[str, bytes | msgspec.Raw], path: Sequence[str]) -> bytes | None:
    name, *rest = path
    if name not in members:
        return None
    raw = bytes(members[name])
    if not rest:
        return raw
    try:
        return _at(members_of(raw), rest)
    except RecordError:  # not an object
        return None


def _flag(raw: bytes) -> bool | None:
    return {b"true": True, b"false": False}.get(raw)


def _text(raw: bytes) -> str | None:
    """The value of a JSON string. For any other value, and for a string that UTF-8 cannot hold, the JSON itself."""
    try:
        return msgspec.json.decode(raw, type=str | None)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return raw.decode("utf-8", "replace")


def _time(raw: bytes) -> datetime | None:
    """A time in UTC; None for an invalid one, which the document in `task` still holds."""
    try:
        at = datetime.fromisoformat(_text(raw) or "")
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _texts(raw: bytes) -> list[str] | None:
    """A list of strings; None for anything else."""
    try:
        return msgspec.json.decode(raw, type=list[str] | None)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def arrow() -> tuple[Any, Any]:
    """pyarrow and its Parquet module. Raises ConfigError if they are not installed."""
    try:
        return import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError as error:
        raise ConfigError('Parquet needs pyarrow; install it with: pip install "scalesync[parquet]"') from error
