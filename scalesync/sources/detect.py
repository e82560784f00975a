"""The format of a source: from the caller, else from its name, else from its content."""

from __future__ import annotations

import re

from scalesync.errors import SourceError
from scalesync.jsonvalue import HOLE
from scalesync.sources.bytestream import is_packed as is_packed_data
from scalesync.sources.registry import FORMATS, ROWS, SourceFormat, find, format_of, is_packed, names, suffix_format
from scalesync.text import either

_KNOWN = (
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"PK\x03\x04", "a ZIP archive or an Excel file"),
    (b"\xd0\xcf\x11\xe0", "an old Office file"),
    (b"%PDF-", "a PDF document"),
    (b"SQLite format 3\0", "an SQLite database"),
    (b"\xfd7zXZ\0", "an xz archive"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"BZh", "a bzip2 archive"),
    (b"\x04\x22\x4d\x18", "an lz4 archive"),
    (b"Obj\x01", "an Avro file"),
    (b"ARROW1", "an Arrow file"),
    (b"\x7fELF", "a program"),
    (b"RIFF", "a media file"),
)
DESCRIBED = "; name its folder instead, to make a record of each file in it"
_MEDIA = frozenset({"a PNG image", "a JPEG image", "a GIF image", "a PDF document", "a media file"})
_NO_DATA = ("image", "PDF document", "media file", "program")
_LFS = b"version https://git-lfs.github.com/spec/"
_MARKUP = re.compile(rb"\s*<(?:!doctype html|html|\?xml)[\s>]", re.IGNORECASE)
_HOLES = re.compile(HOLE + rb"\0*")
_TAR = 257  # where a tar archive says what it is
_TEXT = bytes([7, 8, 9, 10, 11, 12, 13, 27, *range(32, 127), *range(128, 256)])


def detect(
    name: str, head: bytes, complete: bool, said: str | None, table: bool, *, packed: bool = False
) -> SourceFormat:
    """The format of a source.

    head: the first unpacked bytes.
    packed: they were compressed.
    table: the caller named a delimiter or a header.
    Raises SourceError if the content is binary, contradicts the name, or says nothing.
    """
    wanted = find(said) if said else format_of(name) or (FORMATS["csv"] if table else None)
    if (certain := _certain(name, head, wanted)) is not None:
        return certain
    strict = wanted is not None and wanted.begins is not None
    # Nothing at all under a packed name is a download that came to nothing; nothing inside is an empty file.
    if not head and not strict and ((packed and complete) or not is_packed(name)):
        return wanted or ROWS[0]
    _refuse_binary(name, head, wanted)
    if wanted is not None:
        if strict:
            raise SourceError(f"is not a {wanted.words} file", name)
        return wanted if said else _held(wanted, head, complete)
    for row in ROWS:
        if row.guess is not None and row.guess(head, complete):
            return row
    raise SourceError(f"neither its name nor its content shows the format; give --input-format {either(names())}", name)


def _certain(name: str, head: bytes, wanted: SourceFormat | None) -> SourceFormat | None:
    """The format of files that always begin like this. Raises SourceError if another one is wanted."""
    if wanted is not None and wanted.begins is not None and wanted.begins(head):
        return wanted
    for row in ROWS:
        if row.begins is not None and row.begins(head):
            if wanted is None:
                return row
            raise SourceError(f"is a {row.words} file, not {wanted.words}; give --input-format {row.name}", name)
    return None


def _held(wanted: SourceFormat, head: bytes, complete: bool) -> SourceFormat:
    """The format of the content of a file with this name."""
    for row in (FORMATS[other] for other in wanted.may_hold):
        if row.guess is not None and row.guess(head, complete):
            return row
    return wanted


def _refuse_binary(name: str, head: bytes, wanted: SourceFormat | None) -> None:
    if not head:
        raise SourceError(f"is empty, not {_word(wanted)}", name)
    for magic, words in _KNOWN:
        if head.startswith(magic):
            raise SourceError(f"is {words}, not {_word(wanted)}{_instead(words)}", name)
    if head.startswith(b"ustar", _TAR):
        raise SourceError(f"is a tar archive, not {_word(wanted)}; unpack it and import the files in it", name)
    if is_packed_data(head):
        raise SourceError(f"is packed twice; unpack it once, such as: gzip -dc < {name} > NEW", name)
    if head.startswith(_LFS):
        raise SourceError("is a pointer of Git LFS, not the file itself; git lfs pull fetches that", name)
    if _MARKUP.match(head):
        raise SourceError(
            f"is a web page or XML, not {_word(wanted)}; was an error or login page saved in its place?", name
        )
    head = _HOLES.sub(b"", head)
    if not head:
        raise SourceError("holds nothing but zero bytes: it was never written", name)
    if (order := _unmarked_utf16(head)) is not None:
        raise SourceError(f"looks like UTF-16 without a mark; give --encoding {order}", name)
    odd = len(head.translate(None, _TEXT))
    if odd >= 16 and odd > len(head) * (0.3 if is_utf8(head) else 0.05):
        raise SourceError(f"holds binary data, not {_word(wanted)}{DESCRIBED}", name)


def _instead(words: str) -> str:
    """Advice for a file that is not a source, to follow the sentence that says so; empty if there is none."""
    if "Excel" in words or "Office" in words:
        return "; save a sheet as CSV (UTF-8) and import that"
    if "archive" in words:
        return "; unpack it and import the files in it"
    return DESCRIBED if words in _MEDIA else ""


def _unmarked_utf16(head: bytes) -> str | None:
    """The byte order of text in which every other byte is zero; None for other bytes."""
    whole = head[: len(head) // 2 * 2]
    for order, zeros, others in (("utf-16-le", whole[1::2], whole[::2]), ("utf-16-be", whole[::2], whole[1::2])):
        if len(zeros) >= 8 and zeros.count(0) > 0.9 * len(zeros) and others.count(0) < 0.1 * len(others):
            return order
    return None


def is_utf8(head: bytes) -> bool:
    """Whether the beginning of a file is UTF-8, except for a character cut at its end."""
    try:
        head.decode()
    except UnicodeDecodeError as error:
        return error.reason == "unexpected end of data"  # the head may end inside a character
    return True


def is_archive(head: bytes) -> bool:
    """Whether a file is packed in a way that scalesync does not read, or is of another program for data."""
    packed = any(head.startswith(magic) for magic, words in _KNOWN if not words.endswith(_NO_DATA))
    return packed or head.startswith(b"ustar", _TAR)


def may_have_json_lines(name: str, head: bytes, said: str | None) -> bool:
    """Whether `detect` needs the whole first line, to distinguish JSON lines from objects that follow each other."""
    return said is None and suffix_format(name) in (None, "json") and head.lstrip()[:1] == b"{"


def _word(wanted: SourceFormat | None) -> str:
    return "a source of records" if wanted is None else wanted.words
