"""Files that scalesync wrote, recognised by their content: they are not sources of records, unless one is named
exactly.

failures --out X        X beside X.reasons.jsonl, whose lines have file, line and reason of each of X; X.bad.txt alike
verify                  lines that are findings
export, compact, ...    what the manifest.json of a folder lists, and names of that kind that a killed run left
ledgers, quota files    SQLite files with tables of ours, and SQLite's own files beside them
sandbox --data          a file that begins with its name

Packed copies of these are recognised, too.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

from scalesync.errors import ConfigError
from scalesync.outputs import manifest
from scalesync.outputs.encoders.registry import is_data_name
from scalesync.sources.bytestream import ByteStream, Progress
from scalesync.sources.registry import PACKED, suffix_format

REASONS = frozenset({"unique_id", "file", "line", "reason", "task_id"})  # in each line of a file of reasons
FINDINGS = frozenset({"kind", "unique_id", "task_id", "file", "line", "detail"})  # in each line of verify's file
REASONS_END = ".reasons.jsonl"
_LONGEST_LINE = 1024 * 1024
_SIP = 8 * 1024  # a folder may hold a million files, and a few bytes of each are enough
LEVELS = 4  # folders from a file up, itself included, in which its manifest may stand
_SQLITE = b"SQLite format 3\0"
_SQLITE_ENDS = ("-wal", "-shm", "-journal")
_SCHEMA_BYTES = 256 * 1024  # in which the first tables of a file are described
_TABLES = (
    (b"CREATE TABLE targets (", b"CREATE TABLE splits (", b"CREATE TABLE other_records ("),
    (b"CREATE TABLE shelf (name TEXT PRIMARY KEY, data BLOB NOT NULL)",),
)
_SANDBOX = b"scalesync-sandbox "
_NOT_OURS = (".json", ".png", ".jpg")  # a folder may hold a million of these; the name alone decides
# Not looked into for tables: a folder may hold a million of these.
_MEDIA = re.compile(
    r"\.(?:png|jpe?g|gif|webp|bmp|tiff?|heic|svg|dcm|pcd|ply|bin|las|laz|npy|npz|wav|mp3|flac|ogg|m4a|mp4|mov|avi|mkv"
    r"|webm|txt|md|html?|xml|pdf|ya?ml|json)$",
    re.IGNORECASE,
)


class ExportFolder:
    """The files of the export in a folder with one of our manifests."""

    def __init__(self, listed: Collection[str]) -> None:
        self._listed = listed

    @classmethod
    def at(cls, folder: str) -> ExportFolder | None:
        """The export in a folder, None if there is none, or if its manifest is not one of ours."""
        try:
            found = manifest.load(Path(folder))
        except ConfigError:
            return None
        return None if found is None else cls(found.paths())

    @classmethod
    def of(cls, text: bytes) -> ExportFolder | None:
        """The same from the text of a manifest elsewhere."""
        try:
            value = json.loads(text)
            if not all(name in value for name in ("version", "job", "target", "mode", "watermark")):
                return None
            listed = [*value["files"], *value.get(manifest.RESPONSES, {}).get("files", ())]
            return cls({str(entry["path"]) for entry in listed})
        except (ValueError, TypeError, KeyError, AttributeError):
            return None

    def holds(self, inside: str) -> bool:
        """Whether a file belongs to the export.

        inside: its path in the folder, with slashes.
        """
        top, _, rest = inside.partition("/")
        return (
            inside in self._listed
            or inside == manifest.NAME
            or top == manifest.RESPONSES
            or (not rest and is_data_name(top, manifest.STEMS))
            or (top in manifest.STEMS and is_data_name(rest, manifest.STEMS))
        )


class OwnFiles:
    """Recognises files that scalesync wrote; it keeps what it found about a folder for the next file."""

    def __init__(self) -> None:
        self._folder: str | None = None
        self._beside: Collection[str] = ()
        self._exports: list[tuple[ExportFolder, str]] = []

    def enter(self, folder: str, names: Collection[str] | None = None) -> None:
        """Start with this folder.

        names: everything in it, if at hand.
        """
        if folder == self._folder:
            return
        self._folder = folder
        try:
            self._beside = frozenset(os.listdir(folder or ".")) if names is None else names
        except OSError:
            self._beside = ()
        self._exports = []
        place, inside = os.path.abspath(folder), ""
        for _ in range(LEVELS):
            if os.path.isfile(os.path.join(place, manifest.NAME)) and (export := ExportFolder.at(place)):
                self._exports.append((export, inside))
            place, name = os.path.split(place)
            if not name:
                break
            inside = f"{name}/{inside}"

    def wrote(self, name: str) -> bool:
        """Whether scalesync wrote the file of this name in the folder of `enter`."""
        if any(export.holds(inside + name) for export, inside in self._exports):
            return True
        return _wrote(os.path.join(self._folder or "", name), name, self._beside)


def _wrote(path: str, name: str, beside: Collection[str]) -> bool:
    """Whether scalesync wrote a file, except exports.

    beside: the names in its folder.
    """
    folder = path[: len(path) - len(name)]
    if any(reasons in beside and _tells(f"{folder}{reasons}", REASONS, empty=True) for reasons in reasons_of(name)):
        return True
    plain = _without_packing(name)
    if name.endswith(_NOT_OURS):
        return False
    if suffix_format(name) == "jsonl":
        return _tells(path, REASONS, empty=plain.endswith(REASONS_END)) or _tells(path, FINDINGS)
    if suffix_format(name) is not None or _MEDIA.search(plain):
        return False
    for end in _SQLITE_ENDS:
        main = name.removesuffix(end)
        if main != name and main in beside:
            return _is_our_database(path.removesuffix(end))
    return _is_our_database(path)


def _without_packing(name: str) -> str:
    ends = (end for end in PACKED if name.lower().endswith(end))
    return name[: -len(next(ends, "")) or None]


def reasons_of(name: str) -> Iterator[str]:
    """The names that a file of reasons for the records of a file may have: both as they were written, or packed."""
    for written in dict.fromkeys((name, _without_packing(name))):
        for end in ("", *PACKED):
            yield f"{written}{REASONS_END}{end}"


def _tells(path: str, keys: Collection[str], *, empty: bool = False) -> bool:
    """Whether the first line is an object with these keys.

    empty: an empty file counts too.
    """
    if not os.path.isfile(path):  # a pipe would be waited for
        return False
    try:
        with open(path, "rb", buffering=0) as file:
            text = beginning(file, _LONGEST_LINE, b"\n")
    except OSError:
        return False
    return _has(text.partition(b"\n")[0], keys) if text else empty


class _Sips:
    """Reads a file in small pieces."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def read(self, size: int) -> bytes:
        """At most `size` bytes."""
        data: bytes = self._file.read(min(size, _SIP))
        return data


def beginning(file: Any, size: int, mark: bytes | None = None) -> bytes:
    """At least the first `size` bytes of a file, unpacked, or those up to a mark; fewer if it ends or is damaged."""
    text = bytearray()
    try:
        for piece in ByteStream(_Sips(file), Progress(), None).unpacked():
            text += piece
            if len(text) >= size or (mark is not None and mark in piece):
                break
    except ConfigError:  # without the module for zstd; the file cannot be read as a source either, which says so
        return b""
    return bytes(text)


def is_report_line(head: bytes) -> bool:
    """Whether a file that begins like this, packed or not, holds findings, or reasons of failures."""
    line = beginning(BytesIO(head), _LONGEST_LINE, b"\n").partition(b"\n")[0]
    return _has(line, REASONS) or _has(line, FINDINGS)


def _has(line: bytes, keys: Collection[str]) -> bool:
    """Whether a line is an object with these keys."""
    if b'"task_id"' not in line:
        return False
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(value, dict) and all(key in value for key in keys)


def _is_our_database(path: str) -> bool:
    """Whether a file is a ledger, a quota file or the data of a sandbox."""
    if not os.path.isfile(path):
        return False
    try:
        with open(path, "rb", buffering=0) as file:
            head = beginning(file, len(_SANDBOX))
            if not head.startswith(_SQLITE):
                return head.startswith(_SANDBOX)
            file.seek(0)
            if _holds_our_tables(beginning(file, _SCHEMA_BYTES)):
                return True
        # The tables of a new ledger are only in the write-ahead log.
        with open(f"{path}-wal", "rb") as file:
            return _holds_our_tables(file.read(_SCHEMA_BYTES))
    except OSError:
        return False


def _holds_our_tables(pages: bytes) -> bool:
    """Whether these pages of SQLite hold the statements that made our tables; SQLite keeps them as typed."""
    return any(all(text in pages for text in texts) for texts in _TABLES)
