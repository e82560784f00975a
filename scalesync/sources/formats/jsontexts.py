"""How JSON text is read: as lines, as an array or objects in a row, or as a list in an object."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from scalesync.errors import SourceError
from scalesync.jsonvalue import loads
from scalesync.model.records import Checkpoint, SourceRecord
from scalesync.sources.bytestream import PLAIN, ByteStream, Progress
from scalesync.sources.checkpoints import Fingerprint, longest_known
from scalesync.sources.formats.jsonarray import read_array
from scalesync.sources.formats.jsonlines import Lines, read_jsonl
from scalesync.sources.formats.jsonwrapped import is_long_list, long_lists, missing_list, path_of, read_wrapped
from scalesync.sources.options import ReadOptions
from scalesync.sources.source import HEAD, NOTHING, Open, Reader, Source

HINTED = 4 * HEAD  # bytes of one object that are searched for long lists, which takes 0.1 s
_OBJECT_BEGINS = frozenset((b"{", b" ", b"\t", b"\r", b"\n"))


def bind_lines(source: Source) -> Reader:
    """Lines, or a list in objects if --records names one. Raises SourceError for an object that lacks it."""
    if source.options.records is not None:
        return _wrapped(source, source.options.records, _emptiness(source, b""))
    text, head = source.head.data.strip(), source.head
    notes = _emptiness(source, b"")
    # Only the first line of a pipe may have arrived, so nobody knows whether it is the only one.
    if b"\n" not in text and (head.complete or b"\n" not in head.data):
        notes += _lists_in(source)
    if text.startswith(b"[") or text.partition(b"\n")[0].strip() == b"{":
        notes.append(
            "begins as JSON that goes over several lines, not as JSON lines; --input-format json reads such a file"
        )
    seek = partial(_seek_line, source.open, source.options.encoding)
    return Reader(source.reads(read_jsonl), seek, tuple(notes))


def bind_array(source: Source) -> Reader:
    """Elements of an array, objects in a row, or a list in objects. Raises SourceError like `bind_lines`."""
    notes = _emptiness(source, b"[ \t\r\n]")
    if source.options.records is not None:
        return _wrapped(source, source.options.records, notes)
    return Reader(source.reads(read_array), notes=(*notes, *_lists_in(source)))


def _emptiness(source: Source, brackets: bytes) -> list[str]:
    """The note about a text without a record.

    brackets: bytes that alone do not make a record either.
    """
    text = source.head.data.strip()
    if not source.head.complete or text.strip(brackets or None):
        return []
    return [NOTHING if text else f"{NOTHING}: it is empty"]


def _lists_in(source: Source) -> list[str]:
    """The hint that a text is one object with a long list in it."""
    head = source.head
    lists = long_lists(head.data[:HINTED], head.complete and len(head.data) <= HINTED)
    if not lists:
        return []
    named = ", ".join(f'"{one}"' for one in lists)
    return [f"is one record, with a long list under {named}; --records {lists[0]} makes each element a record"]


def _wrapped(source: Source, key: str, notes: list[str]) -> Reader:
    text, head = source.head.data.strip(), source.head
    path, told = path_of(head.data, key)
    trouble = missing_list(text, path) if head.complete and text else None
    if trouble is not None:
        raise SourceError(trouble, source.name)
    notes += [told] if told else []
    return Reader(source.reads(partial(read_wrapped, path=path)), notes=tuple(notes))


def _seek_line(opener: Open, encoding: str, marks: Sequence[Checkpoint]) -> Fingerprint | None:
    raw = opener()
    try:
        return longest_known(Lines(ByteStream(raw, Progress(), encoding)), marks)
    finally:
        raw.close()


def object_in(data: bytes, options: ReadOptions) -> SourceRecord | None:
    """The one record of a file named .json, read as its reader would read it; None if the reader must look."""
    if data[:1] not in _OBJECT_BEGINS or options.records is not None or options.encoding not in PLAIN:
        return None
    try:
        value = loads(data)
    except ValueError:
        return None
    return SourceRecord(_line_of_object(data, options), value) if type(value) is dict else None


def _line_of_object(data: bytes, options: ReadOptions) -> int:
    """The line of an object on one line, read like JSON lines; else 1, because it is the first element."""
    text = data.strip()
    if options.format == "json" or b"\n" in text:
        return 1
    return 1 + data.count(b"\n", 0, data.index(text))


def is_plain_object(data: bytes, options: ReadOptions) -> bool:
    """Whether the whole of a file named .json is one object that needs no note.

    Then it is one record in any case, and this check takes a tenth of the look of `reader_for`.
    """
    if data[:1] != b"{" or options.format not in (None, "json") or options.skip_rows:
        return False
    record = object_in(data, options)
    return record is not None and not any(type(one) is list and is_long_list(one) for one in record.value.values())
