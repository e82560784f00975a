"""JSON as Scale sends it: decoded tolerantly, and cut into parts by hand where a strict decoder refuses it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import orjson

from scalesync.jsonvalue import has_long_digits

_decoder = json.JSONDecoder()
_SPACE = re.compile(r"[ \t\r\n]*")


def loads(body: bytes) -> Any:
    """Decode JSON with integers of any size: with orjson, and with the standard library if orjson refuses.

    Raises ValueError for bytes that are not JSON, and for JSON that is nested too deep.
    """
    try:
        value = orjson.loads(body)
        # orjson reads integers beyond 64 bits as floats; the standard library keeps them whole.
        if not has_long_digits(body):
            return value
    except orjson.JSONDecodeError:
        pass
    return slow_loads(body)


def slow_loads(body: bytes) -> Any:
    """`loads` with the standard library alone."""
    try:
        return json.loads(body.decode("utf-8", "surrogatepass"))
    except RecursionError:
        raise ValueError("nested too deep") from None


def members(text: str) -> Iterator[tuple[str, int, int]]:
    """(name, start, end) of each member of a JSON object. Raises ValueError if the text is not an object."""
    at = _skip(text, 0, "{")
    while text[at : at + 1] != "}":
        name, behind = _decoder.raw_decode(text, at)
        start = _skip(text, behind, ":")
        _, end = _decoder.raw_decode(text, start)
        yield str(name), start, end
        at = _next(text, end, "}")


def items(text: str) -> Iterator[tuple[int, int]]:
    """(start, end) of each element of a JSON array."""
    at = _skip(text, 0, "[")
    while text[at : at + 1] != "]":
        _, end = _decoder.raw_decode(text, at)
        yield at, end
        at = _next(text, end, "]")


def _skip(text: str, at: int, mark: str) -> int:
    """The place after the mark and the white space around it. Raises ValueError if the mark is missing."""
    at = _space(text, at)
    if text[at : at + 1] != mark:
        raise ValueError(f"{mark} is missing")
    return _space(text, at + 1)


def _next(text: str, at: int, close: str) -> int:
    at = _space(text, at)
    return at if text[at : at + 1] == close else _skip(text, at, ",")


def _space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    return found.end() if found else at
