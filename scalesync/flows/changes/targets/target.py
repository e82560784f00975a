"""One row that names a task or batch, whatever it came from."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from scalesync.model.records import JsonObject

PAGE = 1_000  # rows that are collected together


class Named(NamedTuple):
    """A row that names what to change.

    ref: the platform's id of a task, or the name of a batch; None if the row names the key.
    key: the unique_id, where the row names that.
    row: columns, for arguments; empty if there are none.
    expected: what a plan showed before the change; None without a plan.
    source, line: where the row stands; 0 and its number where no file holds it.
    """

    ref: str | None
    key: str | None
    row: JsonObject
    source: int
    line: int
    expected: JsonObject | None = None


@dataclass(frozen=True, slots=True)
class Unusable:
    """A row that names nothing.

    reason: one sentence.
    raw: the row as found, cut.
    """

    source: int
    line: int
    reason: str
    raw: str = ""
    key: str | None = None


Row = Named | Unusable
Rows = AsyncIterator[Sequence[Row]]
