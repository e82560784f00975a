"""JSON objects kept as the bytes of the client, so 10.0 stays 10.0 and 2^70 stays 2^70."""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec
import orjson

from scalesync.sandbox.core.wire.errors import ApiError

_members = msgspec.json.Decoder(dict[str, msgspec.Raw])


def members(body: bytes) -> dict[str, bytes]:
    """The members of a JSON object as raw JSON; an empty body is `{}` (the official SDK sends it so).

    Raises ApiError 400 when the body is not a JSON object in UTF-8.
    """
    if not body:
        return {}
    try:
        if not body.isascii():
            body.decode()
        return {name: bytes(raw) for name, raw in _members.decode(body).items()}
    except UnicodeDecodeError as error:
        raise ApiError(400, NO_OBJECT) from error
    except (msgspec.MsgspecError, RecursionError):  # the cause may be a lone surrogate, which JSON allows
        return _slow_members(body.decode())


_MARKS = {mark: re.compile(rf"[ \t\r\n]*{re.escape(mark)}[ \t\r\n]*") for mark in "{:,}"}
NO_OBJECT = "The request body must be a JSON object."


def _slow_members(text: str) -> dict[str, bytes]:
    decoder = json.JSONDecoder(parse_constant=_no_constant)
    found: dict[str, bytes] = {}
    try:
        end = _after(text, 0, "{")
        while True:
            name, end = decoder.raw_decode(text, end)
            if not isinstance(name, str):
                raise ApiError(400, NO_OBJECT)
            start = _after(text, end, ":")
            _, end = decoder.raw_decode(text, start)
            found[name] = text[start:end].encode()
            comma = _MARKS[","].match(text, end)
            if comma is None:
                break
            end = comma.end()
        end = _after(text, end, "}")
    except (ValueError, RecursionError) as error:
        raise ApiError(400, NO_OBJECT) from error
    if end != len(text):
        raise ApiError(400, NO_OBJECT)
    return found


def _after(text: str, place: int, mark: str) -> int:
    """The place after `mark` and the spaces around it. Raises ValueError if `mark` is not there."""
    found = _MARKS[mark].match(text, place)
    if found is None:
        raise ValueError(f"expected {mark}")
    return found.end()


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def loads(raw: bytes) -> Any:
    """Decode any JSON value. The stdlib reads lone surrogates and huge integers, which orjson refuses or rounds."""
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        return json.loads(raw)


def dumps(value: object) -> bytes:
    """Encode as compact JSON in UTF-8. The stdlib writes surrogates and huge integers, which orjson cannot write."""
    try:
        return orjson.dumps(value)
    except (orjson.JSONEncodeError, TypeError):
        return json.dumps(value, separators=(",", ":")).encode()


def text(value: str) -> bytes:
    """A JSON string."""
    return dumps(value)


def join(fields: dict[str, bytes]) -> bytes:
    """A JSON object of raw members."""
    return b"{" + b",".join(text(name) + b":" + raw for name, raw in fields.items()) + b"}"
