"""The content of a record, which its task is made for: 16 bytes of a hash, then the name of its batch, if any."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Any

HASH_BYTES = 16  # of a content; behind them stands the name of the record's batch


def covers(known: bytes, asked: bytes) -> bool:
    """Whether a task made for the content `known` fits `asked`; without a batch it may be in any."""
    return known == asked or (len(asked) == HASH_BYTES and known[:HASH_BYTES] == asked)


def batch_in(content: bytes) -> str | None:
    """The batch in a content; None if it has none."""
    return content[HASH_BYTES:].decode("utf-8", "replace") or None


def all_named(batches: Iterable[str | None]) -> frozenset[str] | None:
    """The batches of some records, None if one of the records has none."""
    found = frozenset(batches)
    named = frozenset(name for name in found if name is not None)
    return named if len(named) == len(found) else None


def terms(theirs: Mapping[str, Any]) -> dict[str, str]:
    """The values of a task that a record accepts although its own are others, by field, as digests."""
    return {
        name: blake2b(json.dumps(value, sort_keys=True, default=str).encode(), digest_size=HASH_BYTES).hexdigest()
        for name, value in theirs.items()
    }


def terms_in(detail: Mapping[str, Any] | None) -> dict[str, str] | None:
    """The same of the differences in the detail of an outcome; None if it has none."""
    told = (detail or {}).get("differences")
    return None if told is None else terms({name: one.get("task") for name, one in told.items()})


def open_batch(known: bytes, asked: bytes) -> bool:
    """Whether they differ only in the batch, and nobody asked which one the task is in."""
    return len(known) == HASH_BYTES < len(asked) and asked[:HASH_BYTES] == known


def batches_apart(known: bytes, asked: bytes) -> Mapping[str, Any] | None:
    """The batches of both contents as a difference, None if `asked` fits the other's."""
    theirs, ours = batch_in(known), batch_in(asked)
    return None if ours is None or ours == theirs else {"batch": {"record": ours, "task": theirs}}
