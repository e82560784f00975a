"""One JSON value from bytes: strict, exact for integers of any size, with errors in plain words."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any

import orjson

from scalesync.model.records import BadRecord, JsonObject, SourceRecord

DEPTH_LIMIT = 254  # levels of a record, the most that orjson writes
RAW_LIMIT = 4096  # characters of a bad line that are kept
SIZE_LIMIT = 64 * 1024 * 1024  # bytes of one record

NOT_UTF_8 = "is not valid UTF-8"
ENCODING_ADVICE = "if the file has another encoding, give it, such as --encoding cp1252"

_DIGITS = bytes.maketrans(b"123456789", b"000000000")
_RUN = b"0" * 19
_LONG_NUMBER = re.compile(rb"(?:^|[\s:,\[])-?[0-9]{19}")
_PLACE = re.compile(r"[,:]? ?line (\d+) column (\d+) \(char \d+\)$")
_NAMES = {list: "a list", str: "a string", bool: "true or false", int: "a number", float: "a number"}
# What joined files and text sequences (RFC 7464) carry around records: marks of UTF-8, U+001E, a DOS file's end.
_AROUND = re.compile(rb"\A(?:\xef\xbb\xbf|\x1e)+|\x1a\s*\Z")
_BLANK = re.compile(rb"(?:\xef\xbb\xbf|[\s\x1a\x1e])*")
HOLE = bytes(16)  # no text holds this many zeros in a row
_LITERAL = re.compile(r"Infinity|NaN")


def has_long_digits(data: bytes) -> bool:
    """True when `data` holds 19 digits in a row: an integer in it may be beyond 64 bits."""
    return _RUN in data.translate(_DIGITS)


def loads(data: bytes, exact: bool = True) -> Any:
    """The value of a JSON text. Raises ValueError with a sentence when it is none.

    exact: look for integers beyond 64 bits; callers that know there are none spare the search.
    """
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise ValueError(_reason(data, error)) from None
    if exact and has_long_digits(data) and _LONG_NUMBER.search(data):
        try:
            value = json.loads(data)
        except RecursionError:
            raise ValueError("nested too deep") from None
        except ValueError:
            raise ValueError("a number has too many digits") from None
    return value


def as_item(data: bytes, line: int, exact: bool = True) -> SourceRecord | BadRecord:
    """A record from the JSON text of one object, or the complaint why it is none."""
    try:
        value = loads(data, exact)
    except ValueError as error:
        if (bare := _AROUND.sub(b"", data)) != data:
            return as_item(bare, line, exact)
        advice = f"; {ENCODING_ADVICE}" if str(error).startswith(NOT_UTF_8) else ""
        return BadRecord(line, f"{error}{advice}", cut(data), data)
    if type(value) is dict:
        return SourceRecord(line, value)
    return BadRecord(line, f"is {kind(value)}, not an object", cut(data), data)


def is_blank(line: bytes) -> bool:
    """Whether a line holds nothing: white space, and marks that joined files leave."""
    return _BLANK.fullmatch(line) is not None


def zeros(data: bytes) -> str | None:
    """The complaint about a line with a hole, None where there is none.

    Where a machine died, or a log was emptied while it was written, a file holds zeros in place of what was never
    written.
    """
    return f"holds {data.count(0):,} zero bytes, where the file was not written" if HOLE in data else None


def kind(value: Any) -> str:
    """A JSON value's type in words."""
    if value is None:
        return "null"
    return _NAMES.get(type(value), "an object")


def cut(data: bytes) -> str:
    """The text as found, for the record of bad lines: at most 4,096 characters."""
    return data[: RAW_LIMIT * 4].decode("utf-8", "replace")[:RAW_LIMIT]


def as_text(value: Any) -> str:
    """A value as JSON text for people and the ledger, escaped where it must be; "" when it is nested too deep."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        pass
    try:
        return json.dumps(value)
    except (ValueError, TypeError, RecursionError):
        return ""


def dumps(value: JsonObject) -> bytes:
    """Compact JSON; integers of any size. Raises ValueError for more than 254 levels or broken Unicode."""
    try:
        # orjson's own bytes keep the buffer that it wrote into, 4 kB or more. Records wait by the thousand: a copy is
        # as long as the text.
        return b"".join((orjson.dumps(value), b""))
    except TypeError:
        return slow_dumps(value)


def slow_dumps(value: Any, sort_keys: bool = False) -> bytes:
    """`dumps` by the standard library, for what orjson refuses."""
    check_depth(value)
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False, sort_keys=sort_keys)
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise ValueError("holds a string that is not valid Unicode") from None


def check_depth(value: Any) -> None:
    """Raises ValueError when the value is nested deeper than orjson writes; needs no stack itself."""
    level = [value]
    for _ in range(DEPTH_LIMIT):
        level = [inner for outer in level if isinstance(outer, (dict, list)) for inner in _inside(outer)]
        if not level:
            return
    if any(isinstance(inner, (dict, list)) for inner in level):
        raise ValueError(f"nested too deep (more than {DEPTH_LIMIT} levels)")


def _inside(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value


def strict_loads(text: str) -> Any:
    """`loads` for a text typed by a person or read from a cell."""
    try:
        data = text.encode()
    except UnicodeEncodeError:
        raise ValueError("is not valid Unicode") from None
    return loads(data)


def _reason(data: bytes, error: orjson.JSONDecodeError) -> str:
    try:
        text = data.decode()
    except UnicodeDecodeError as bad:
        return f"{NOT_UTF_8} (byte 0x{data[bad.start]:02x} at byte {bad.start + 1})"
    if (hole := zeros(data)) is not None:
        return hole
    words = _PLACE.sub("", str(error))
    if "surrogate" in words:
        words = "half of a surrogate pair stands alone"
    if "depth" in words:
        return "nested too deep"
    if "infinity" in words:
        words = "a number is too large (1.8e308, or 308 digits, is the most)"
    if _LITERAL.match(text, max(error.pos, 0)):  # a place in characters, not in bytes
        words = "NaN and Infinity are not JSON"
    place = f"column {error.colno}" if error.lineno == 1 else f"line {error.lineno} of the record"
    if words.startswith("NaN") and (path := _path_of_literal(data)):
        # A name is shown as JSON has it: it may hold line ends, which a sentence must not.
        place = f"field {json.dumps(path, ensure_ascii=False)}, {place}".encode("utf-8", "backslashreplace").decode()
    return f"is not valid JSON: {words} ({place})"


def _path_of_literal(data: bytes) -> str:
    """The names that lead to the first NaN or infinity of a text, "" if unknown."""
    odd = object()
    try:
        level = [("", json.loads(data, parse_constant=lambda _: odd))]
    except (ValueError, RecursionError):
        return ""
    while level:
        path, value = level.pop()
        if value is odd:
            return path
        inside = [(".".join(filter(None, (path, name))), inner) for name, inner in _members(value)]
        level.extend(reversed(inside))
    return ""


def _members(value: Any) -> Iterable[tuple[str, Any]]:
    """What lies inside a value, with the names in objects; elements of a list go by the name of the list."""
    if isinstance(value, dict):
        return value.items()
    return [("", inner) for inner in value] if isinstance(value, list) else ()
