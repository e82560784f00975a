"""Templates: the fields of a task, with placeholders for the values of a record."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, datetime, time
from hashlib import blake2b
from math import isfinite
from pathlib import Path
from typing import Any, ClassVar

from scalesync.errors import ConfigError, RecordError
from scalesync.jsonvalue import kind, loads, strict_loads
from scalesync.mapping.expressions import MISSING, Expression, Fill
from scalesync.mapping.identity import canonical
from scalesync.model.records import JsonObject

_KEYS = ("task", "keep", "json")
_AT_LINE = re.compile(r" \(at line (\d+), column (\d+)\)$")


class Template:
    """A compiled template.

    keep: fields of the record that go into the body unchanged; None for all.
    json_columns: columns with JSON in their cells.
    unique_id: the expression under task.unique_id, if any.
    names: the fields in its other placeholders.
    """

    __slots__ = ("_columns", "_constant", "_fill", "_mapping", "json_columns", "keep", "names", "unique_id")
    EMPTY: ClassVar[Template]

    def __init__(self, task: JsonObject, keep: tuple[str, ...] | None, json_columns: tuple[str, ...]) -> None:
        self._mapping: JsonObject = {"task": task}
        if keep is not None:
            self._mapping["keep"] = list(keep)
        if json_columns:
            self._mapping["json"] = list(json_columns)
        self.keep = keep
        self.json_columns = json_columns
        fields = dict(task)
        self.unique_id: str | None = _own_id(fields)
        self.names = frozenset(name for expression in _expressions(fields) for name in expression.names)
        self._columns = [(name, name.split(".")) for name in json_columns]
        fill = _compile(fields)
        self._fill: Fill | None = fill
        self._constant: JsonObject = {}
        if fill is None:
            self._constant = _unescape(fields)

    @classmethod
    def load(cls, path: str | Path) -> Template:
        """Read a .toml or .json file. Raises ConfigError with file and line if it cannot be used."""
        import tomllib  # noqa: PLC0415  most imports have no template

        try:
            data = Path(path).read_bytes()
        except OSError as error:
            raise ConfigError(f"template {path} cannot be read: {error.strerror}") from None
        try:
            if str(path).lower().endswith(".json"):
                mapping = loads(data.removeprefix(b"\xef\xbb\xbf"))
            else:
                mapping = tomllib.loads(data.decode("utf-8-sig"))
        except tomllib.TOMLDecodeError as error:
            raise ConfigError(_toml_words(str(path), str(error))) from None
        except ValueError as error:
            raise ConfigError(f"template {path}: {error}") from None
        try:
            return cls.from_mapping(mapping)
        except ConfigError as error:
            raise ConfigError(f"template {path}: {error}") from None

    @classmethod
    def from_mapping(cls, mapping: JsonObject) -> Template:
        """Build from `as_mapping()` or a parsed file. Raises ConfigError for unknown keys and wrong types."""
        if type(mapping) is not dict:
            raise ConfigError(f"a template is a table, not {kind(mapping)}")
        unknown = [key for key in mapping if key not in _KEYS]
        if unknown:
            raise ConfigError(f'unknown key "{unknown[0]}"; a template has task, keep and json (fields go under task)')
        task = mapping.get("task", {})
        if type(task) is not dict:
            raise ConfigError(f"task is a table, not {kind(task)}")
        keep = _names(mapping, "keep")
        return cls(_plain(task, "task"), keep, _names(mapping, "json") or ())

    def as_mapping(self) -> JsonObject:
        """The template as JSON data, for the ledger and for `from_mapping`."""
        return self._mapping

    def fingerprint(self) -> str:
        """32 hexadecimal digits that change with the meaning of the template."""
        return blake2b(canonical(self._mapping), digest_size=16).hexdigest()

    @property
    def constant(self) -> JsonObject | None:
        """The fields of every body if the template has no placeholder, else None. Do not change them."""
        return self._constant if self._fill is None else None

    def decode(self, record: JsonObject) -> JsonObject:
        """The record with the cells of `json` columns parsed; an empty cell counts as absent.

        Raises a RecordError that names the column with a cell that is not JSON. It does not change the record itself.
        """
        for name, path in self._columns:
            record = _decoded(record, [name] if name in record else path, name)
        return record

    def salvage(self, record: JsonObject) -> JsonObject:
        """`decode` for a record that it refuses: leaves out a column with a cell that is not JSON."""
        for name, path in self._columns:
            steps = [name] if name in record else path
            try:
                record = _decoded(record, steps, name)
            except RecordError:
                record = {key: value for key, value in record.items() if key != steps[0]}
        return record

    def fill_one(self, field: str, record: JsonObject) -> Any:
        """Fill in one field, for a record whose other fields cannot be filled in; MISSING if the field is absent."""
        value = self._mapping["task"].get(field, MISSING)
        fill = None if value is MISSING else _compile(value)
        return _unescape(value) if fill is None else fill(record)

    def render(self, record: JsonObject) -> JsonObject:
        """The body's fields for a record. Raises a RecordError that names a missing column."""
        return self.fill(self.decode(record))

    def fill(self, record: JsonObject) -> JsonObject:
        """Like `render`, for a record from `decode`. All bodies share the constant parts, so do not change them."""
        if self._fill is None:
            return self._constant
        filled: JsonObject = self._fill(record)
        return filled


def _expressions(value: Any) -> Iterator[Expression]:
    """The strings with placeholders in a value, at any depth."""
    if type(value) is str:
        yield Expression(value)
    elif type(value) in (dict, list):
        for inner in value.values() if type(value) is dict else value:
            yield from _expressions(inner)


def _compile(value: Any) -> Fill | None:
    """A function that fills in a value; None if the value is constant."""
    if type(value) is str:
        expression = Expression(value)
        return expression.fill if expression.names else None
    if type(value) is dict:
        return _compile_object(value)
    if type(value) is list:
        return _compile_list(value)
    return None


def _compile_object(value: JsonObject) -> Fill | None:
    fills = {key: _compile(inner) for key, inner in value.items()}
    moving = [(key, fill) for key, fill in fills.items() if fill is not None]
    if not moving:
        return None
    fixed = {key: _unescape(inner) for key, inner in value.items() if fills[key] is None}

    def fill_object(record: JsonObject) -> JsonObject:
        filled = fixed.copy()
        for key, fill in moving:
            inner = fill(record)
            if inner is not MISSING:
                filled[key] = inner
        return filled

    return fill_object


def _compile_list(value: list[Any]) -> Fill | None:
    fills = [_compile(inner) for inner in value]
    if all(fill is None for fill in fills):
        return None
    parts = [(fill, _unescape(inner) if fill is None else None) for fill, inner in zip(fills, value, strict=True)]

    def fill_list(record: JsonObject) -> list[Any]:
        filled = (fixed if fill is None else fill(record) for fill, fixed in parts)
        return [inner for inner in filled if inner is not MISSING]

    return fill_list


def _unescape(value: Any) -> Any:
    """A constant part, with "{{" and "}}" replaced by single braces."""
    if type(value) is str:
        return Expression(value).fill({})
    if type(value) is dict:
        return {key: _unescape(inner) for key, inner in value.items()}
    if type(value) is list:
        return [_unescape(inner) for inner in value]
    return value


def _decoded(record: JsonObject, path: list[str], name: str) -> JsonObject:
    """A copy of the record, along the path only, with the cell parsed."""
    first, *rest = path
    cell = record.get(first)
    if rest:
        return {**record, first: _decoded(cell, rest, name)} if type(cell) is dict else record
    if type(cell) is not str:
        return record
    if not cell.strip():
        return {key: value for key, value in record.items() if key != first}
    try:
        return {**record, first: strict_loads(cell)}
    except ValueError as error:
        raise RecordError(f'column "{name}" {error}') from None


def _own_id(fields: JsonObject) -> str | None:
    own = fields.pop("unique_id", None)
    if own is not None and type(own) is not str:
        raise ConfigError(f"task.unique_id is a string with placeholders, not {kind(own)}")
    return own


def _names(mapping: JsonObject, key: str) -> tuple[str, ...] | None:
    value = mapping.get(key)
    if value is None:
        return None
    if type(value) is not list or not all(type(name) is str for name in value):
        raise ConfigError(f"{key} is a list of column names")
    return tuple(value)


def _plain(value: Any, where: str) -> Any:
    """TOML's own types as JSON. Raises ConfigError for a value that JSON cannot hold."""
    if type(value) is dict:
        return {key: _plain(inner, f"{where}.{key}") for key, inner in value.items()}
    if type(value) is list:
        return [_plain(inner, where) for inner in value]
    if isinstance(value, (datetime, date, time)):
        return value.isoformat()
    if type(value) is float and not isfinite(value):
        raise ConfigError(f"{where} is not a finite number")
    return value


def _toml_words(path: str, error: str) -> str:
    match = _AT_LINE.search(error)
    if match is None:
        return f"template {path}: {error}"
    return f"template {path}:{match[1]}: {error[: match.start()]} (column {match[2]})"


Template.EMPTY = Template({}, None, ())
