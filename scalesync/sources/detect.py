"""Which format a source has: what the caller says, else its name, else its content."""

from __future__ import annotations

import re

from scalesync.errors import SourceError
from scalesync.jsonvalue import HOLE, loads
from scalesync.sources.bytestream import is_packed as is_packed_data
from scalesync.sources.formats.dialect import LONGEST_LOOK, Sample, looks_like_table

FORMATS = ("jsonl", "json", "csv", "tsv", "parquet")
WORDS = {"jsonl": "JSON lines", "json": "JSON", "csv": "CSV", "tsv": "TSV", "parquet": "Parquet"}
_SUFFIXES = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".parquet": "parquet",
    ".pq": "parquet",
}
_PACKED = (".gz", ".zst")
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
_LFS = b"version https://git-lfs.github.com/spec/"
_MARKUP = re.compile(rb"\s*<(?:!doctype html|html|\?xml)[\s>]", re.IGNORECASE)
_HOLES = re.compile(HOLE + rb"\0*")
_TAR = 257  # where a tar archive says what it is
_PARQUET = b"PAR1"
_TEXT = bytes([7, 8, 9, 10, 11, 12, 13, 27, *range(32, 127), *range(128, 256)])


def suffix_format(name: str) -> str | None:
    """The format that a file's name tells, looking under .gz and .zst; None when it tells none."""
    low = name.lower()
    for packed in _PACKED:
        low = low.removesuffix(packed)
    dot = low.rfind(".")
    return _SUFFIXES.get(low[dot:]) if dot > low.rfind("/") else None


def is_packed(name: str) -> bool:
    """True for names that end in .gz or .zst."""
    return name.lower().endswith(_PACKED)


def detect(name: str, head: bytes, complete: bool, said: str | None, table: bool, *, packed: bool = False) -> str:
    """One of FORMATS. head: the first unpacked bytes; packed: they were compressed.

    table: the caller named a delimiter or a header.
    Raises SourceError when the content is binary rubbish, contradicts the name, or tells nothing.
    """
    wanted = said or suffix_format(name) or ("csv" if table else None)
    if head.startswith(_PARQUET):
        if wanted in (None, "parquet"):
            return "parquet"
        raise SourceError(f"is a Parquet file, not {_word(wanted)}; give --input-format parquet", name)
    # Nothing at all under a packed name is a download that came to nothing; nothing inside is an empty file.
    if not head and wanted != "parquet" and ((packed and complete) or not is_packed(name)):
        return wanted or "jsonl"
    _refuse_binary(name, head, wanted)
    if wanted == "parquet":
        raise SourceError("is no Parquet file", name)
    text = head.lstrip()
    if wanted == "json":
        return "jsonl" if said is None and _has_json_lines(text, complete) else "json"
    if wanted is not None:
        return wanted
    if text[:1] == b"[":
        return "json"
    if text[:1] == b"{":
        return "jsonl" if _has_json_lines(text, complete) else "json"
    if looks_like_table(Sample(head.decode("utf-8", "replace"), complete)):
        return "csv"
    raise SourceError(
        "neither its name nor its content tells the format; give --input-format jsonl, json, csv, tsv or parquet", name
    )


def _refuse_binary(name: str, head: bytes, wanted: str | None) -> None:
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
    """What to do with a file that is no source, to follow the sentence that says so; empty where nothing helps."""
    if "Excel" in words or "Office" in words:
        return "; save a sheet as CSV (UTF-8) and import that"
    if "archive" in words:
        return "; unpack it and import the files in it"
    return DESCRIBED if words in _MEDIA else ""


def _unmarked_utf16(head: bytes) -> str | None:
    """The byte order of text in which every other byte is zero; None where that is not so."""
    whole = head[: len(head) // 2 * 2]
    for order, zeros, others in (("utf-16-le", whole[1::2], whole[::2]), ("utf-16-be", whole[::2], whole[1::2])):
        if len(zeros) >= 8 and zeros.count(0) > 0.9 * len(zeros) and others.count(0) < 0.1 * len(others):
            return order
    return None


def is_utf8(head: bytes) -> bool:
    """Whether the beginning of a file is UTF-8, but for a character that it may end in."""
    try:
        head.decode()
    except UnicodeDecodeError as error:
        return error.reason == "unexpected end of data"  # the head may end inside a character
    return True


def may_have_json_lines(name: str, head: bytes, said: str | None) -> bool:
    """Whether `detect` has to see all of the first line, to tell JSON lines from objects that follow each other."""
    return said is None and suffix_format(name) in (None, "json") and head.lstrip()[:1] == b"{"


def _has_json_lines(text: bytes, complete: bool) -> bool:
    """True when the first line is an object by itself: lines then recover better than a stream of objects.

    A longer line than the longest look is none, however much a caller happens to have read.
    """
    line, newline, _ = text.partition(b"\n")
    if not (newline or complete) or text[:1] != b"{" or len(line) >= LONGEST_LOOK:
        return False
    try:
        loads(line, False)
    except ValueError:
        return False
    return True


def _word(wanted: str | None) -> str:
    return WORDS.get(wanted or "", "a source of records")
