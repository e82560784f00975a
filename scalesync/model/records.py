"""The content of a source, and a record on its way to the platform."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class SourceRecord(NamedTuple):
    """One record as the source holds it.

    line: 1-based line (text) or record number (others).
    about: the description of the record's file in a folder, which is not part of the record; see sources/about.py.
    before: the record as earlier versions read it, if it was another one to them.
    inner: of a record in a folder, its line or number in its own file.
    """

    line: int
    value: JsonObject
    about: JsonObject | None = None
    before: JsonObject | None = None
    inner: int = 1


@dataclass(frozen=True, slots=True)
class BadRecord:
    """A place in a source that is not a record.

    raw: the text as found, cut to 4,096 characters.
    whole: all of its bytes, None where they are not at hand: longer than a record may be, or no text.
    """

    line: int
    reason: str
    raw: str
    whole: bytes | None = field(default=None, compare=False, repr=False)


Item = SourceRecord | BadRecord


class Checkpoint(NamedTuple):
    """The lines of a source from the first to `line`, as the digest of all of them."""

    line: int
    digest: str


@dataclass(frozen=True, slots=True)
class Block:
    """Some consecutive records of one source; `consumed` is bytes of the file read so far.

    mark: a checkpoint: this block and earlier ones hold everything up to its line. None for a source without lines.
    source: its number.
    last: the source is read to its end; where that shows too late, an empty block says so.
    """

    records: Sequence[Item]
    consumed: int
    mark: Checkpoint | None = None
    source: int = 1
    last: bool = False


Load = Sequence[Block]


class Former(NamedTuple):
    """How an older version knew a record.

    content: as in `Outgoing`.
    key: its unique_id, if that was another.
    """

    content: bytes
    key: str | None


@dataclass(slots=True)
class Outgoing:
    """One record on its way to the platform.

    key: unique_id.
    content: 16-byte hash of the canonical source record, then the name of its batch, if it has one.
    body: the encoded create call.
    shape: the same number for bodies with the same fields.
    intent_ms: when the intent became durable, server time in ms.
    attempts: requests sent so far by this run.
    unclear: those of them whose outcome was not known; one more when an earlier run left the record in doubt.
    former: where an older version had another content for the same record.
    inside: of a folder, the file in it, and the line or number there.
    """

    key: str
    content: bytes
    body: bytes
    source: int
    line: int
    project: str | None = None
    batch: str | None = None
    shape: int = -1
    intent_ms: int = 0
    attempts: int = 0
    unclear: int = 0
    former: Former | None = None
    inside: tuple[str, int] | None = None


JsonObject = dict[str, Any]
