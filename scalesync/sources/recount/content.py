"""The content of a file for its second count, unpacked and decoded without the readers."""

from __future__ import annotations

import gzip
import importlib
import io
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, TextIO, cast

from scalesync.sources.options import ReadOptions
from scalesync.sources.source import HEAD

GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


def _zstd() -> Any:
    return importlib.import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")


def _damage() -> tuple[type[Exception], ...]:
    try:
        return (gzip.BadGzipFile, zlib.error, EOFError, _zstd().ZstdError)
    except ImportError:
        return (gzip.BadGzipFile, zlib.error, EOFError)


DAMAGE = _damage()  # what unpackers raise over a file that is cut or damaged
_UNREADABLE: tuple[type[BaseException], ...] = (OSError, *DAMAGE)


def unpacked(path: str) -> IO[bytes]:
    """The bytes of a file, unpacked with the module for its packing."""
    with open(path, "rb") as file:
        magic = file.read(4)
    if magic.startswith(GZIP):
        return cast(IO[bytes], gzip.open(path, "rb"))
    if magic == ZSTD:
        module = _zstd()
        return cast(IO[bytes], module.open(path, "rb", options={module.DecompressionParameter.window_log_max: 31}))
    return open(path, "rb")


def head_of(path: str, size: int = HEAD) -> tuple[bytes, bool]:
    """The first bytes of a file as they are, and whether they are the whole."""
    with open(path, "rb") as file:
        head = file.read(size)
        return head, not file.read(1)


def text_head(head: bytes, complete: bool, path: str, options: ReadOptions, size: int = HEAD) -> tuple[bytes, bool]:
    """The beginning as UTF-8 and whether it is the whole, as `detect` needs it."""
    if head.startswith((GZIP, ZSTD)):
        head, complete = _unpacked_head(path, size)
    encoding = encoding_of(head, options)
    if encoding == "utf-8":
        return head.removeprefix(b"\xef\xbb\xbf"), complete
    return head.decode(encoding, "replace").encode("utf-8", "replace"), complete


def _unpacked_head(path: str, size: int) -> tuple[bytes, bool]:
    """Like `head_of`; of a damaged file, the part before the damage."""
    head = bytearray()
    try:
        with unpacked(path) as file:
            while len(head) < size:
                piece: bytes = cast(Any, file).read1(HEAD)
                if not piece:
                    return bytes(head), True
                head += piece
    except _UNREADABLE:
        pass
    return bytes(head), False


def encoding_of(head: bytes, options: ReadOptions) -> str:
    """The encoding of a text that begins like this."""
    return "utf-16" if head.startswith(_UTF16) else options.encoding.lower().replace("_", "-")


@contextmanager
def text_of(path: str, options: ReadOptions, newline: str | None = None) -> Iterator[TextIO]:
    """The unpacked text.

    newline: as `open` takes it.
    """
    with unpacked(path) as file:
        encoding = encoding_of(file.read(2), options)
    known = "utf-8-sig" if encoding == "utf-8" else encoding
    with unpacked(path) as file, io.TextIOWrapper(cast(Any, file), known, errors="replace", newline=newline) as text:
        yield text
