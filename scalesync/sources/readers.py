"""How the bytes of one file become records: its head is looked at, and the reader that fits is bound."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO, NamedTuple

from scalesync.errors import ConfigError, SourceError
from scalesync.jsonvalue import ENCODING_ADVICE, loads
from scalesync.model.records import Checkpoint, SourceRecord
from scalesync.sources.bytestream import PLAIN, ByteStream, Progress, check_encoding
from scalesync.sources.checkpoints import Fingerprint, longest_known
from scalesync.sources.detect import FORMATS, WORDS, detect, is_utf8, may_have_json_lines
from scalesync.sources.formats.dialect import LONGEST_LOOK, Sample, guess_widely
from scalesync.sources.formats.jsonarray import read_array
from scalesync.sources.formats.jsonlines import Item, Lines, read_jsonl
from scalesync.sources.formats.jsonwrapped import is_long_list, long_lists, missing_list, path_of, read_wrapped
from scalesync.sources.formats.parquet import check_parquet, read_parquet
from scalesync.sources.formats.tables import column_plan, read_table
from scalesync.sources.zstdframe import ORDINARY_WINDOW, repacking, size_words

_OBJECT_BEGINS = frozenset((b"{", b" ", b"\t", b"\r", b"\n"))
HEAD = 64 * 1024  # unpacked bytes looked at to tell format and dialect
HINTED = 4 * HEAD  # bytes of one object that are searched for long lists, which takes 0.1 s
NOTHING = "holds no record"
_NAMELESS = re.compile(r"|Unnamed: \d+(?:\.\d+)*|__index_level_\d+__")  # nothing, and what pandas calls such columns
Open = Callable[[], BinaryIO]
Read = Callable[[Progress], Generator[Item, None, None]]
Seek = Callable[[Sequence[Checkpoint]], Fingerprint | None]


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How sources are read. format: jsonl, json, csv, tsv or parquet; None: by name, then by content.

    delimiter, quotechar ("" for no quotes): of tables, None to guess. header: the column names of a table
    that has no line for them. encoding: of texts; a UTF-16 mark at the beginning is seen anyway. records: of JSON,
    the key of the list that holds the records, with dots for nested ones. skip_rows: lines before a table's header.
    """

    format: str | None = None
    delimiter: str | None = None
    quotechar: str | None = None
    header: tuple[str, ...] | None = None
    encoding: str = "utf-8"
    records: str | None = None
    skip_rows: int = 0

    def check(self) -> None:
        """Raises ConfigError for a value that cannot work."""
        if self.format is not None and self.format not in FORMATS:
            raise ConfigError(f'format "{self.format}" is not known; use {", ".join(FORMATS)}')
        if self.delimiter is not None and (len(self.delimiter) != 1 or self.delimiter in '\r\n"'):
            raise ConfigError("the delimiter must be one character")
        if self.quotechar is not None and (len(self.quotechar) > 1 or self.quotechar in ("\r", "\n")):
            raise ConfigError("the quote must be one character, or empty for none")
        check_encoding(self.encoding)
        if self.records is not None and not all(self.records.split(".")):
            raise ConfigError(f'--records takes the key of a list, such as items or data.items, not "{self.records}"')
        if self.skip_rows < 0:
            raise ConfigError(f"--skip-rows takes a number of 0 or more, not {self.skip_rows}")


class Reader(NamedTuple):
    """How a source is read, and how its beginning is recognised, where that can be.

    notes: what a person should know about how it is read, as sentences that begin behind the name.
    """

    read: Read
    seek: Seek | None = None
    notes: tuple[str, ...] = ()


class Head(NamedTuple):
    """The beginning of a file, unpacked. complete: it is the whole; window: see ByteStream."""

    data: bytes
    complete: bool
    packed: bool
    window: int


def object_in(data: bytes, options: ReadOptions) -> SourceRecord | None:
    """The one record that a file named .json holds, read as its reader would read it; None where that has to look."""
    if data[:1] not in _OBJECT_BEGINS or options.records is not None or options.encoding not in PLAIN:
        return None
    try:
        value = loads(data)
    except ValueError:
        return None
    return SourceRecord(_line_of_object(data, options), value) if type(value) is dict else None


def _line_of_object(data: bytes, options: ReadOptions) -> int:
    """The line of an object on one line, which is read as JSON lines are; else 1, for it is the first element."""
    text = data.strip()
    if options.format == "json" or b"\n" in text:
        return 1
    return 1 + data.count(b"\n", 0, data.index(text))


def is_plain_object(data: bytes, options: ReadOptions) -> bool:
    """Whether the whole of a file named .json is one object, of which nothing is to be said.

    Then it is one record whatever else could be told of it, and telling that takes a tenth of the look of `reader_for`.
    """
    if data[:1] != b"{" or options.format not in (None, "json") or options.skip_rows:
        return False
    record = object_in(data, options)
    return record is not None and not any(type(one) is list and is_long_list(one) for one in record.value.values())


def reader_for(opener: Open, name: str, options: ReadOptions, size: int | None, pipe: bool = False) -> Reader:
    """Look at the head and bind the reader that fits. Raises SourceError when none does."""
    table = options.header is not None or options.delimiter is not None
    said = options.format or ("csv" if table else "json" if options.records is not None else None)
    head = _head(opener, name, options.encoding, least=1 if pipe else HEAD, said=said)
    kind = detect(name, head.data, head.complete, options.format, table, packed=head.packed)
    if kind == "parquet":
        reader = _parquet(opener, name, size, pipe)
    elif kind in ("json", "jsonl"):
        reader = _json(kind, opener, name, options, head)
    else:
        reader = _table(opener, name, options, head, default="\t" if kind == "tsv" else None, pipe=pipe)
    return reader._replace(notes=(*_general_notes(kind, options, head), *reader.notes))


def _general_notes(kind: str, options: ReadOptions, head: Head) -> Iterator[str]:
    if head.window > ORDINARY_WINDOW:
        window = size_words(head.window)
        yield f"is packed with a window of {window}: reading it takes up to so much memory; {repacking(head.window)}"
    if options.records is not None and kind not in ("json", "jsonl"):
        yield f"is {WORDS[kind]}: --records is for JSON and was not used"
    if options.skip_rows and kind not in ("csv", "tsv"):
        yield f"is {WORDS[kind]}: --skip-rows is for CSV and TSV and was not used"
    if kind != "parquet" and not is_utf8(head.data):
        yield f"holds bytes that are not valid UTF-8: records with them are invalid; {ENCODING_ADVICE}"


def _parquet(opener: Open, name: str, size: int | None, pipe: bool) -> Reader:
    notes: list[str] = []
    if not pipe:
        facts = check_parquet(opener, name)
        if not facts.rows:
            notes.append(f"{NOTHING}: it has no rows")
        if facts.row_numbers:
            named = " and ".join(f'"{column}"' for column in facts.row_numbers)
            notes.append(f"{named} holds the row numbers of pandas and is left out")
        notes += _unnamed([column for column in facts.numbers if _NAMELESS.fullmatch(column)])
    return Reader(lambda progress: read_parquet(opener, name, progress, size), notes=tuple(notes))


def _json(kind: str, opener: Open, name: str, options: ReadOptions, head: Head) -> Reader:
    text = head.data.strip()
    notes: list[str] = []
    if head.complete and (not text or (kind == "json" and not text.strip(b"[ \t\r\n]"))):
        notes = [NOTHING if text else f"{NOTHING}: it is empty"]
    if options.records is not None:
        path, told = path_of(head.data, options.records)
        trouble = missing_list(text, path) if head.complete and text else None
        if trouble is not None:
            raise SourceError(trouble, name)
        notes += [told] if told else []
        parse = partial(read_wrapped, path=path)
        return Reader(partial(_read_text, opener, options.encoding, parse), notes=tuple(notes))
    # Of a pipe only the first line may have come: whether it is the only one cannot be told.
    alone = kind == "json" or (b"\n" not in text and (head.complete or b"\n" not in head.data))
    if lists := long_lists(head.data[:HINTED], head.complete and len(head.data) <= HINTED) if alone else []:
        named = ", ".join(f'"{one}"' for one in lists)
        notes.append(f"is one record, with a long list under {named}; --records {lists[0]} makes each element a record")
    if kind == "json":
        return Reader(partial(_read_text, opener, options.encoding, read_array), notes=tuple(notes))
    if text.startswith(b"[") or text.partition(b"\n")[0].strip() == b"{":
        notes.append(
            "begins as JSON that goes over several lines, not as JSON lines; --input-format json reads such a file"
        )
    seek = partial(_seek_line, opener, options.encoding)
    return Reader(partial(_read_text, opener, options.encoding, read_jsonl), seek, tuple(notes))


def _table(opener: Open, name: str, options: ReadOptions, head: Head, *, default: str | None, pipe: bool) -> Reader:

    def look(size: int) -> Sample:
        nonlocal head
        if size > HEAD and not pipe:
            head = _head(opener, name, options.encoding, least=size, said="csv")
        columns = None if options.header is None else len(options.header)
        return Sample(head.data.decode("utf-8", "replace"), head.complete, columns, options.skip_rows)

    guessed = guess_widely(look, HEAD, options.delimiter, options.quotechar, default)
    dialect, notes = guessed.dialect, list(guessed.notes)
    if options.header is not None:
        column_plan(options.header, name)
    elif head.complete or _holds_a_line([head.data]):  # complains of an unusable header now, before anything is sent
        next(read_table(ByteStream(io.BytesIO(head.data), Progress()), dialect, None, name), None)
        header = guessed.header if len(guessed.header) > 1 else ()
        nameless = [name or f"column_{place}" for place, name in enumerate(header, 1) if _NAMELESS.fullmatch(name)]
        notes += _unnamed(nameless)
    parse = partial(read_table, dialect=dialect, header=options.header, file=name)
    if head.complete and next(parse(ByteStream(io.BytesIO(head.data), Progress())), None) is None:
        notes.append(f"{NOTHING}: {_why_nothing(head, options, guessed.header)}")
    return Reader(partial(_read_text, opener, options.encoding, parse), notes=tuple(notes))


def _why_nothing(head: Head, options: ReadOptions, header: Sequence[str]) -> str:
    if not head.data.strip():
        return "it is empty"
    if options.skip_rows and not header:
        return f"--skip-rows {options.skip_rows} passes over all of it"
    return "it has a header and no rows"


def _seek_line(opener: Open, encoding: str, marks: Sequence[Checkpoint]) -> Fingerprint | None:
    raw = opener()
    try:
        return longest_known(Lines(ByteStream(raw, Progress(), encoding)), marks)
    finally:
        raw.close()


def _head(opener: Open, name: str, encoding: str, least: int, said: str | None) -> Head:
    """The beginning of a file: at least so many bytes, and of fewer than HEAD at least one line.

    said: the format, where the caller knows it. Where JSON can be told from JSON lines by the first line alone, that
    is there, up to LONGEST_LOOK. Raises SourceError where nothing can be unpacked.
    """

    def is_enough() -> bool:
        if size < max(least, HEAD):
            return least < HEAD and _holds_a_line(parts)
        return size >= LONGEST_LOOK or not may_have_json_lines(name, b"".join(parts), said) or _holds_a_line(parts)

    raw = opener()
    try:
        parts: list[bytes] = []
        size = 0
        stream = ByteStream(raw, Progress(), encoding)
        for piece in stream:
            parts.append(piece)
            size += len(piece)
            if is_enough():
                return Head(b"".join(parts), False, stream.packed, stream.window)
        if stream.damage is not None and not parts:
            raise SourceError(stream.damage, name)
        return Head(b"".join(parts), stream.damage is None, stream.packed, stream.window)
    finally:
        raw.close()


def _holds_a_line(parts: Sequence[bytes]) -> bool:
    """Whether a whole line stands there, blank ones apart: the header of a table may be cut behind a blank line."""
    return b"\n" in b"".join(parts).lstrip(b" \t\r\n")


def _unnamed(names: Sequence[str]) -> Iterator[str]:
    """What a person should know of columns that number the rows, as many programs write them."""
    if names:
        named = f'"{names[0]}"' if len(names) == 1 else f'"{names[0]}" and {len(names) - 1} more'
        yield (
            f"has a column without a name: it goes into tasks and derived ids as {named};"
            " row numbers are better left out of the file (pandas: index=False)"
        )


def _read_text(
    opener: Open, encoding: str, parse: Callable[[ByteStream], Iterator[Item]], progress: Progress
) -> Generator[Item, None, None]:
    raw = opener()
    try:
        yield from parse(ByteStream(raw, progress, encoding))
    finally:
        raw.close()
