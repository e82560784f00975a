"""The identity of a record: its canonical form, its hash, and the unique_id derived from it."""

from __future__ import annotations

import re
from functools import lru_cache
from hashlib import blake2b
from typing import Any

import orjson

from scalesync.jsonvalue import check_depth, slow_dumps
from scalesync.model.records import JsonObject
from scalesync.model.targets import DEFAULT_PLATFORM
from scalesync.signatures import unsigned

CONTENT_BYTES = 16
_DIGITS = bytes.maketrans(b"123456789", b"000000000")
_SIGNED = re.compile(rb"[?&](?:x-amz-|x-goog-|signature=|sig=)", re.IGNORECASE)


def canonical(value: Any) -> bytes:
    """JSON bytes that are equal for equal values: keys sorted, numbers by value (10 == 10.0), strings as they are.

    Raises ValueError if the value is nested too deep.
    """
    try:
        data = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        return _slow(value)
    if b".0" in data and (b".0," in data or b".0}" in data or b".0]" in data or data.endswith(b".0")):
        return _slow(value)
    if b"e+" in data and b"0e+" in data.translate(_DIGITS):
        return _slow(value)
    return data


def _slow(value: Any) -> bytes:
    check_depth(value)
    plain = _whole_numbers(value)
    try:
        return orjson.dumps(plain, option=orjson.OPT_SORT_KEYS)
    except TypeError:
        return slow_dumps(plain, sort_keys=True)


def _whole_numbers(value: Any) -> Any:
    if type(value) is float:
        return int(value) if value.is_integer() else value
    if type(value) is dict:
        return {key: _whole_numbers(inner) for key, inner in value.items()}
    if type(value) is list:
        return [_whole_numbers(inner) for inner in value]
    return value


def content_hash(project: str | None, type: str, record: JsonObject, platform: str = DEFAULT_PLATFORM) -> bytes:
    """The 16-byte hash of a source record for one project of a platform; signatures of URLs do not count.

    Raises ValueError if the record is nested too deep.
    """
    data = canonical(record)
    if b"?" in data and _SIGNED.search(data):
        data = canonical(unsigned(record))
    digest = _scope(platform, project, type).copy()
    digest.update(data)
    return digest.digest()


@lru_cache(maxsize=256)
def _scope(platform: str, project: str | None, type: str) -> blake2b:
    # Existing ledgers hold hashes from the time of one platform, so the hashes of that platform leave its name out.
    parts = [project, type] if platform == DEFAULT_PLATFORM else [platform, project, type]
    return blake2b(orjson.dumps(parts) + b"\n", digest_size=CONTENT_BYTES)


def derived_unique_id(content: bytes) -> str:
    """The unique_id of a record that has none: its content hash, 32 hexadecimal digits."""
    return content.hex()
