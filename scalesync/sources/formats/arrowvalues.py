"""Arrow arrays as JSON values, decided by type: pyarrow converts what Python can hold, the rest comes from integers.

Python has no nanoseconds and no years beyond 9999, and pyarrow casts no nested type to string, so this module makes
dates, times and durations of nanoseconds from their integers, at the top and inside lists, structs and maps alike.
"""

from __future__ import annotations

import base64
import importlib
import math
import re
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

_BILLION = 1_000_000_000
_PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": _BILLION}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
OUT_OF_RANGE = "holds a value out of range"
_ZONE = re.compile(r"[A-Za-z0-9_+\-/]+")  # what a time zone can be called
_Values = list[Any]


class Unreadable:
    """Stands for a cell that JSON cannot hold.

    reason: continues 'column "x" ...'.
    """

    __slots__ = ("reason",)

    def __init__(self, reason: str) -> None:
        self.reason = reason


def trouble_in(value: Any) -> str | None:
    """The reason of the first Unreadable in a value; None if there is none."""
    if isinstance(value, Unreadable):
        return value.reason
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return next((reason for reason in map(trouble_in, inside) if reason is not None), None)


def json_values(array: Any, seconds: Any = None) -> _Values:
    """One JSON value for each of an array's; Unreadable where JSON has none.

    seconds: the same INT96 column read as whole seconds.

    Dates and times are ISO 8601, durations seconds, bytes base64, decimals and UUIDs strings, NaN null, maps objects.
    INT96 read as nanoseconds is right except for multiples of 2**64, read as seconds it is right except for the
    fraction: together they give any instant exactly.
    """
    return _Converter(importlib.import_module("pyarrow")).values(array, seconds, True)


def is_plain(kind: Any) -> bool:
    """Whether pyarrow's Python values of a type are already JSON."""
    types = importlib.import_module("pyarrow").types
    if types.is_list(kind) or types.is_large_list(kind):
        return is_plain(kind.value_type)
    if types.is_struct(kind):
        return all(is_plain(field.type) for field in kind)
    text = types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind)
    return bool(text or types.is_integer(kind) or types.is_boolean(kind) or types.is_null(kind))


class _Converter:
    def __init__(self, pyarrow: Any) -> None:
        self._pa = pyarrow
        self._compute = importlib.import_module("pyarrow.compute")

    def values(self, array: Any, seconds: Any, top: bool) -> _Values:
        """top: not inside a list, struct or map."""
        kind, types = array.type, self._pa.types
        if isinstance(kind, self._pa.BaseExtensionType):
            return self._extension(array)
        if types.is_dictionary(kind):
            return self.values(array.dictionary_decode(), None, top)
        if types.is_run_end_encoded(kind):
            return self.values(self._compute.run_end_decode(array), None, top)
        if types.is_map(kind):
            return self._maps(array, seconds)
        if types.is_nested(kind) and not types.is_struct(kind) and not types.is_union(kind):
            return self._lists(array, seconds)
        if types.is_struct(kind):
            return self._structs(array, seconds)
        return self._leaves(array, seconds, top)

    def _extension(self, array: Any) -> _Values:
        stored = self.values(array.storage, None, False)
        match array.type.extension_name:
            case "arrow.uuid":
                return [None if value is None else str(value) for value in array.to_pylist()]
            case "arrow.bool8":
                return [None if value is None else bool(value) for value in stored]
        return stored

    def _lists(self, array: Any, seconds: Any) -> _Values:
        starts, ends = self._bounds(array)
        inner = None if seconds is None else _part(seconds.values, self._bounds(seconds))
        flat = self.values(_part(array.values, (starts, ends)), inner, False)
        first = min(starts, default=0)
        return _rows(array, [flat[start - first : end - first] for start, end in zip(starts, ends, strict=True)])

    def _maps(self, array: Any, seconds: Any) -> _Values:
        starts, ends = self._bounds(array)
        keys = self.values(_part(array.keys, (starts, ends)), None, False)
        inner = None if seconds is None else _part(seconds.items, self._bounds(seconds))
        items = self.values(_part(array.items, (starts, ends)), inner, False)
        pairs = list(map(_pair, keys, items))
        first = min(starts, default=0)
        return _rows(array, [dict(pairs[start - first : end - first]) for start, end in zip(starts, ends, strict=True)])

    def _bounds(self, array: Any) -> tuple[list[int], list[int]]:
        """The begin and end of each list in the values beneath, also of null ones.

        Not `flatten`, which cannot leave out the values of null lists of every type.
        """
        types, kind = self._pa.types, array.type
        if types.is_fixed_size_list(kind):
            starts = [(array.offset + at) * kind.list_size for at in range(len(array))]
            return starts, [start + kind.list_size for start in starts]
        offsets = array.offsets.to_pylist()
        if types.is_list_view(kind) or types.is_large_list_view(kind):
            return offsets, [start + size for start, size in zip(offsets, array.sizes.to_pylist(), strict=True)]
        return offsets[:-1], offsets[1:]

    def _structs(self, array: Any, seconds: Any) -> _Values:
        names = [field.name for field in array.type]
        others = [None] * len(names) if seconds is None else seconds.flatten()
        columns = [self.values(one, other, False) for one, other in zip(array.flatten(), others, strict=True)]
        valid = array.is_valid().to_pylist()
        if not names:
            return [{} if there else None for there in valid]
        rows = zip(*columns, strict=True)
        return [dict(zip(names, row, strict=True)) if there else None for there, row in zip(valid, rows, strict=True)]

    def _leaves(self, array: Any, seconds: Any, top: bool) -> _Values:
        kind, types = array.type, self._pa.types
        whole = top and types.is_timestamp(kind) and kind.unit == "ns"  # shown in UTC whatever the zone
        if types.is_timestamp(kind) and kind.tz is not None and not whole and not self._knows(kind.tz):
            if kind.tz.upper() not in ("UTC", "Z") and _ZONE.fullmatch(kind.tz):
                # Not in UTC instead: a machine that knows the zone reads the same file, and must get the same text.
                unknown = Unreadable(f'has the time zone "{kind.tz}", which is not known here; pip install tzdata')
                return [unknown if there else None for there in array.is_valid().to_pylist()]
            array = array.cast(self._pa.timestamp(kind.unit, "+00:00"))  # a program's name for a zone, such as tzutc()
            kind = array.type
        if types.is_timestamp(kind) and kind.unit == "ns":
            return self._instants(array, seconds, top)
        if types.is_time64(kind) and kind.unit == "ns":
            return _each(_clock, array.cast("int64").to_pylist())
        if types.is_duration(kind):
            per_second = _PER_SECOND[kind.unit]
            return [None if span is None else span / per_second for span in array.cast("int64").to_pylist()]
        return _each(_plain, self._python(array))

    def _knows(self, zone: str) -> bool:
        try:
            self._pa.lib.string_to_tzinfo(zone)
        except (ValueError, KeyError, OSError, self._pa.ArrowException):
            return False
        return True

    def _python(self, array: Any) -> _Values:
        """pyarrow's Python values, Unreadable for each that Python cannot hold."""
        try:
            values: _Values = array.to_pylist()
        except (ValueError, OverflowError, self._pa.ArrowException):
            return [self._one(array.slice(at, 1)) for at in range(len(array))]
        return values

    def _one(self, array: Any) -> Any:
        try:
            return array.to_pylist()[0]
        except UnicodeDecodeError:
            return Unreadable("is not valid UTF-8")
        except (ValueError, OverflowError, self._pa.ArrowException):
            return Unreadable(OUT_OF_RANGE)

    def _instants(self, array: Any, seconds: Any, top: bool) -> _Values:
        wrapped = array.cast("int64").to_pylist()
        if seconds is not None and self._pa.types.is_timestamp(seconds.type) and seconds.type.unit == "s":
            wrapped = [_unwrapped(*both) for both in zip(wrapped, seconds.cast("int64").to_pylist(), strict=True)]
        zone = array.type.tz
        if top:
            return _each(lambda instant: _nano_text(instant, "" if zone is None else "+00:00"), wrapped)
        # Inside, whole microseconds look as Python writes them, and the zone is the column's own.
        local = None if zone is None else self._pa.lib.string_to_tzinfo(zone)
        return _each(lambda instant: _micro_text(instant, local), wrapped)


def _each(convert: Callable[[Any], Any], values: Sequence[Any]) -> _Values:
    return [None if value is None else _tried(convert, value) for value in values]


def _tried(convert: Callable[[Any], Any], value: Any) -> Any:
    try:
        return convert(value)
    except (ValueError, OverflowError):
        return Unreadable(OUT_OF_RANGE)


def _plain(value: Any) -> Any:
    match value:
        case str() | bool() | int() | Unreadable():
            return value
        case float():
            if math.isinf(value):
                return Unreadable("holds an infinite number")
            return None if math.isnan(value) else value
        case datetime() | date() | time():
            return value.isoformat()
        case Decimal():
            return format(value, "f")
        case bytes():
            return base64.b64encode(value).decode()
    return Unreadable(f"holds a value that is not JSON ({type(value).__name__})")


def _part(values: Any, bounds: tuple[list[int], list[int]]) -> Any:
    first = min(bounds[0], default=0)
    return values.slice(first, max(bounds[1], default=0) - first)


def _rows(array: Any, rows: _Values) -> _Values:
    return [row if there else None for row, there in zip(rows, array.is_valid().to_pylist(), strict=True)]


def _pair(key: Any, value: Any) -> tuple[str, Any]:
    """A member of a map's object. A key that cannot be read makes the record invalid: its value carries the reason."""
    return ("", key) if isinstance(key, Unreadable) else (_key_text(key), value)


def _key_text(key: Any) -> str:
    if isinstance(key, bool):
        return "true" if key else "false"
    return str(key)


def _unwrapped(nanoseconds: int | None, seconds: int | None) -> Any:
    if nanoseconds is None or seconds is None:
        return None
    fraction = (nanoseconds - seconds * _BILLION) % 2**64
    return seconds * _BILLION + fraction if fraction < _BILLION else Unreadable(OUT_OF_RANGE)


def _nano_text(instant: Any, zone: str) -> Any:
    if isinstance(instant, Unreadable):
        return instant
    seconds, rest = divmod(instant, _BILLION)
    moment = _EPOCH + timedelta(seconds=seconds)
    digits = f".{rest:09d}".rstrip("0").rstrip(".")
    return f"{moment.replace(tzinfo=None).isoformat()}{digits}{zone}"


def _micro_text(instant: Any, zone: Any) -> Any:
    if isinstance(instant, Unreadable):
        return instant
    micro, rest = divmod(instant, 1000)
    moment = _EPOCH + timedelta(microseconds=micro)
    local = moment.replace(tzinfo=None) if zone is None else moment.astimezone(zone)
    if not rest:
        return local.isoformat()
    whole = local.replace(microsecond=0).isoformat()
    return f"{whole[:19]}.{local.microsecond:06d}{rest:03d}{whole[19:]}"


def _clock(nanoseconds: int) -> str:
    micro, rest = divmod(nanoseconds, 1000)
    moment = (datetime.min + timedelta(microseconds=micro)).time()
    if not rest:
        return moment.isoformat()
    return f"{moment.replace(microsecond=0).isoformat()}.{moment.microsecond:06d}{rest:03d}"
