"""How the bytes of one source become records: look at its head, and let its format bind the reader."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from functools import partial

from scalesync.errors import PackageFailed
from scalesync.jsonvalue import ENCODING_ADVICE, dumps
from scalesync.model.records import BadRecord, Item, SourceRecord
from scalesync.sources.bytestream import Progress
from scalesync.sources.detect import detect, is_utf8, may_have_json_lines
from scalesync.sources.formats.dialect import LONGEST_LOOK
from scalesync.sources.options import ReadOptions
from scalesync.sources.registry import FORMATS, PLUGINS, SourceFormat
from scalesync.sources.source import HEAD, Head, Open, Read, Reader, Source, holds_a_line, take_head
from scalesync.sources.zstdframe import ORDINARY_WINDOW, repacking, size_words

_MEANT_FOR = {"records": "JSON", "skip_rows": "CSV and TSV"}


def reader_for(opener: Open, name: str, options: ReadOptions, size: int | None, pipe: bool = False) -> Reader:
    """Look at the head and bind the right reader. Raises SourceError if there is none."""
    table = options.header is not None or options.delimiter is not None
    said = options.format or ("csv" if table else "json" if options.records is not None else None)
    head = _head(opener, name, options.encoding, least=1 if pipe else HEAD, said=said)
    format = detect(name, head.data, head.complete, options.format, table, packed=head.packed)
    reader = format.bind(Source(opener, name, options, head, size, pipe))
    if format.name not in FORMATS:
        reader = reader._replace(read=partial(_checked, reader.read, name, format.name))
    return reader._replace(notes=(*_general_notes(format, options, head), *reader.notes))


def _checked(read: Read, name: str, format: str, progress: Progress) -> Generator[Item, None, None]:
    """What a format of another package reads; a record of what JSON does not have is invalid.

    Raises PackageFailed for a mistake in it, and for an item of another kind: left out, it would be a lost record.
    """
    fence = PLUGINS.fence(format)
    with fence, closing(read(progress)) as items:
        for item in items:
            if not isinstance(item, SourceRecord | BadRecord):
                raise PackageFailed(
                    f"{name}: {fence.what} gave {type(item).__name__} in place of a SourceRecord or BadRecord; run the"
                    " same command again when it is fixed, and it continues"
                )
            yield _as_json(item) if isinstance(item, SourceRecord) else item


def _as_json(record: SourceRecord) -> Item:
    try:
        dumps(record.value)
    except TypeError as error:
        return BadRecord(record.line, f"holds a value that JSON does not have ({error})", "")
    except ValueError:
        return record  # too deep, or broken Unicode; the check of all records reports it
    return record


def _general_notes(format: SourceFormat, options: ReadOptions, head: Head) -> Iterator[str]:
    if head.window > ORDINARY_WINDOW:
        window = size_words(head.window)
        yield f"is packed with a window of {window}: reading it takes up to that much memory; {repacking(head.window)}"
    for option, meant in _MEANT_FOR.items():
        if getattr(options, option) not in (None, 0) and option not in format.takes:
            yield f"is {format.words}: --{option.replace('_', '-')} is for {meant} and was not used"
    if "encoding" in format.takes and not is_utf8(head.data):
        yield f"holds bytes that are not valid UTF-8: records with them are invalid; {ENCODING_ADVICE}"


def _head(opener: Open, name: str, encoding: str, least: int, said: str | None) -> Head:
    """The beginning of a file: at least this many bytes and, below HEAD, at least one line.

    said: the format, if the caller knows it.

    If the first line alone distinguishes JSON from JSON lines, it is there, up to LONGEST_LOOK. Raises SourceError if
    nothing can be unpacked.
    """

    def is_enough(parts: Sequence[bytes], size: int) -> bool:
        if size < max(least, HEAD):
            return least < HEAD and holds_a_line(parts)
        return size >= LONGEST_LOOK or not may_have_json_lines(name, b"".join(parts), said) or holds_a_line(parts)

    return take_head(opener, name, encoding, is_enough)
