"""A result file during its download: attempts add to it; at the end it is checked, decoded and renamed to its hash."""

from __future__ import annotations

import base64
import binascii
import errno
import gzip
import hashlib
import os
import re
import secrets
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from importlib import import_module
from pathlib import Path
from typing import IO, Any

from scalesync.disk import output_error, sync_folder
from scalesync.errors import OutcomeUnknown, Refused, Unavailable

CHUNK_BYTES = 256 * 1024
NO_FILES = frozenset({errno.EMFILE, errno.ENFILE})
PLAIN = frozenset({"", "identity", "aws-chunked"})  # S3 keeps the last one from an upload, but sends plain bytes
ZIPPED = frozenset({"gzip", "x-gzip"})
STRONG_AFTER_S = 60
# An object or an array with its first element: rich text also begins with a brace, and subtitles with a bracket.
_JSON = re.compile(rb'(?:\xef\xbb\xbf)?\s*(?:\{\s*(?:["}]|\Z)|\[\s*(?:[\[\]{"\d-]|true|false|null|\Z))')
_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")
_zstd = import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")


@dataclass(frozen=True, slots=True)
class Stored:
    """One stored file.

    path: relative to the folder; its name is the sha256 of its content.
    """

    path: str
    bytes: int
    sha256: str


class Partial:
    """The bytes received so far, still encoded. It blocks, so call it in a thread. Always call `drop` at the end.

    size: bytes so far.
    furthest: the largest size that any attempt reached, bytes.
    suffix: content that begins as JSON gets `.json` after its name.
    """

    def __init__(self, folder: Path, *, suffix: bool = False) -> None:
        self.size = 0
        self.furthest = 0
        self._folder = folder
        self._suffix = suffix
        self._path = folder / f".part-{secrets.token_hex(8)}"
        self._file: IO[bytes] | None = None
        self._place = ""
        self._validator: str | None = None
        self._total: int | None = None
        self._encoding = ""
        self._digests_sent: Mapping[str, str] = {}
        self._hashes: dict[str, Any] = {}

    @property
    def resumable(self) -> bool:
        """Whether the server sent a validator, which makes a request for the rest safe."""
        return self._validator is not None

    def wanted(self) -> dict[str, str]:
        """Headers that ask for the rest of the file, or for all of it."""
        if not self.size or self._validator is None:
            return {"Accept-Encoding": "gzip"}
        return {"Accept-Encoding": "gzip", "Range": f"bytes={self.size}-", "If-Range": self._validator}

    def begin(self, status: int, headers: Mapping[str, str], place: str) -> None:
        """Read the head of an answer, and continue after the bytes so far (206) or start over.

        place: the sender of the answer.
        Raises OutcomeUnknown if the answer does not fit the bytes so far; then request the whole file again.
        """
        match = _RANGE.fullmatch(headers.get("Content-Range", ""))
        rest = match is not None and match[1] != "0"  # some hosts send the rest with status 200
        if self.size and (status == 206 or (status == 200 and rest)):
            fits = match is not None and int(match[1]) == self.size and match[2] in {"*", str(self._total)}
            if not fits or place != self._place:
                self._reset()
                raise OutcomeUnknown(f"{place} sent another part of the file than requested", op="download")
            return
        if rest:
            self._reset()
            raise OutcomeUnknown(f"{place} sent a part of the file that was not requested", op="download")
        if status not in {200, 203}:
            raise OutcomeUnknown(f"{place} answered {status}", op="download", status=status)
        self._reset()
        self._place = place
        self._encoding = _encoding(headers, place)
        length = headers.get("Content-Length", "")
        if match is not None and match[2] != "*":
            length = match[2]  # of the whole file; Content-Length counts only the part
        self._total = int(length) if length.isdecimal() else None
        self._validator = _validator(headers)
        self._digests_sent = _digests(headers)
        self._hashes = {name: hashlib.new(name, usedforsecurity=False) for name in {"sha256", *self._digests_sent}}
        with self._disk():
            self._file = open(self._path, "wb")  # noqa: SIM115  closed by _reset and drop

    def append(self, chunk: bytes) -> None:
        """Write a chunk of the body."""
        assert self._file is not None
        with self._disk():
            self._file.write(chunk)
        for digest in self._hashes.values():
            digest.update(chunk)
        self.size += len(chunk)
        self.furthest = max(self.furthest, self.size)

    def keep(self) -> Stored:
        """Check the complete body, decode it and give it its name. Raises OutcomeUnknown if something is missing."""
        if self._total is not None and self.size != self._total:
            if self.size > self._total:
                self._reset()
            raise OutcomeUnknown(f"{self._place} broke off at {self.size} of {self._total} bytes", op="download")
        for name, digest in self._digests_sent.items():
            if self._hashes[name].hexdigest() != digest:
                self._reset()
                raise OutcomeUnknown(f"{self._place} sent bytes that do not match its own {name}", op="download")
        assert self._file is not None
        with self._disk():
            if self._encoding in PLAIN:
                digest, size, path = self._hashes["sha256"].hexdigest(), self.size, self._path
                self._file.flush()
                os.fsync(self._file.fileno())
            else:
                self._file.flush()
                digest, size, path = self._decode()
            return self._rename(path, digest, size)

    def drop(self) -> None:
        """Remove the part, unless `keep` stored it."""
        self._close()
        for path in (self._path, self._plain):
            path.unlink(missing_ok=True)

    # --- inside --------------------------------------------------------------------------------

    @property
    def _plain(self) -> Path:
        return self._path.with_name(f"{self._path.name}-plain")

    def _decode(self) -> tuple[str, int, Path]:
        digest, size = hashlib.sha256(), 0
        try:
            kind = gzip.GzipFile if self._encoding in ZIPPED else _zstd.ZstdFile
            with kind(self._path) as source, open(self._plain, "wb") as target:
                while chunk := source.read(CHUNK_BYTES):
                    digest.update(chunk)
                    size += len(chunk)
                    target.write(chunk)
                target.flush()
                os.fsync(target.fileno())
        except (EOFError, gzip.BadGzipFile, zlib.error, _zstd.ZstdError) as error:
            self._reset()
            raise OutcomeUnknown(f"{self._place} sent a body that is not {self._encoding}", op="download") from error
        return digest.hexdigest(), size, self._plain

    def _rename(self, path: Path, digest: str, size: int) -> Stored:
        folder = self._folder / digest[:2]
        name = digest + (".json" if self._suffix and _is_json(path) else "")
        final = folder / name
        if not _holds(final, size):  # a file of another size was cut short since, so replace it
            if not folder.is_dir():
                folder.mkdir(exist_ok=True)
                sync_folder(self._folder)
            os.replace(path, final)
            sync_folder(folder)
        return Stored(f"{self._folder.name}/{digest[:2]}/{name}", size, digest)

    def _reset(self) -> None:
        """Drop the bytes so far."""
        self._close()
        self.size = 0
        self._validator = self._total = None
        self._digests_sent = {}

    def _close(self) -> None:
        if self._file is not None:
            file, self._file = self._file, None
            with self._disk():
                file.close()

    @contextmanager
    def _disk(self) -> Iterator[None]:
        """Map errors of the disk, so that nobody takes them for errors of the network."""
        try:
            yield
        except OSError as error:
            if error.errno in NO_FILES:
                raise Unavailable("too many open files to store a result file", op="download") from error
            raise output_error(self._folder, error) from error


def _is_json(path: Path) -> bool:
    """Whether the first bytes are JSON. The name depends only on the content, so one content has one name."""
    with open(path, "rb") as file:
        return _JSON.match(file.read(64)) is not None


def _holds(path: Path, size: int) -> bool:
    try:
        return path.stat().st_size == size
    except FileNotFoundError:
        return False


def _encoding(headers: Mapping[str, str], place: str) -> str:
    """The coding to decode; "" for none. Raises Refused for one that cannot be decoded."""
    names = [name.strip().lower() for name in headers.get("Content-Encoding", "").split(",")]
    codings = [name for name in names if name not in PLAIN]
    if len(codings) > 1 or (codings and codings[0] not in {*ZIPPED, "zstd"}):
        raise Refused(f"{place} comes as {', '.join(codings)}, which cannot be decoded", op="download")
    return codings[0] if codings else ""


def _validator(headers: Mapping[str, str]) -> str | None:
    """The validator for a request for the rest: a strong ETag, or a Last-Modified that is old enough.

    Source: RFC 9110, sections 8.8.1 and 13.1.5; "old enough" is a minute here, where the RFC has a second.
    """
    if headers.get("Accept-Ranges", "").strip().lower() == "none":
        return None
    tag = headers.get("ETag", "").strip()
    if tag:
        return tag if tag.startswith('"') else None
    changed, now = headers.get("Last-Modified", ""), headers.get("Date", "")
    try:
        age = parsedate_to_datetime(now) - parsedate_to_datetime(changed)
    except (ValueError, TypeError):
        return None
    return changed if age.total_seconds() >= STRONG_AFTER_S else None


def _digests(headers: Mapping[str, str]) -> dict[str, str]:
    """The server's digests of the whole body: name of the hash -> hex.

    Sources: RFC 9530, 3230 and 1864; the documentation of Google Cloud Storage.
    """
    found: dict[str, str] = {}
    places: list[tuple[str, str, str, Callable[[str], str]]] = [
        ("Repr-Digest", "sha-256", "sha256", lambda text: text.strip(":")),
        ("Digest", "sha-256", "sha256", str),
        ("X-Goog-Hash", "md5", "md5", str),
    ]
    for header, label, name, plain in places:
        for part in headers.get(header, "").split(","):
            key, _, value = part.strip().partition("=")
            if key.lower() == label:
                found[name] = plain(value)
    if "Content-MD5" in headers:
        found["md5"] = headers["Content-MD5"].strip()
    sizes = {"sha256": 64, "md5": 32}
    shown = {name: _hex(text) for name, text in found.items()}
    return {name: text for name, text in shown.items() if len(text) == sizes[name]}


def _hex(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).hex()
    except (binascii.Error, ValueError):
        return ""
