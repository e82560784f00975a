"""Bytes of a source as plain UTF-8 pieces, without gzip, zstd, byte order marks and other encodings."""

from __future__ import annotations

import codecs
import importlib
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, BinaryIO

from scalesync.errors import ConfigError
from scalesync.model.records import Checkpoint
from scalesync.sources.checkpoints import Fingerprint
from scalesync.sources.zstdframe import (
    HEADER_BYTES,
    WINDOW_LOG_MAX,
    FrameHeader,
    is_zstd,
    read_header,
    repacking,
    size_words,
)

CHUNK = 256 * 1024
OUT = 256 * 1024  # most bytes taken from a decompressor at once: a bomb cannot fill the memory
GZIP = b"\x1f\x8b"
_BOM = codecs.BOM_UTF8
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_UTF32 = (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)
PLAIN = frozenset({"utf-8", "utf-8-sig", "ascii"})


def _mark(error: UnicodeError) -> tuple[str, int]:
    # A lone surrogate becomes the byte 0xff below, which no reader takes for UTF-8: the line is reported as bad.
    return "\udcff", getattr(error, "end", 0)


codecs.register_error("scalesync.mark", _mark)


class Progress:
    """The progress of a reader.

    consumed: bytes of the file.
    weight: bytes after decompression.
    lines: those read by an earlier run, which JSON lines begin after, then those given out.
    mark: of the last of them.
    """

    __slots__ = ("consumed", "lines", "mark", "weight")

    def __init__(self, lines: Fingerprint | None = None) -> None:
        self.consumed = 0
        self.weight = 0
        self.lines = lines.copy() if lines is not None else Fingerprint()
        self.mark: Checkpoint | None = None


class Replay:
    """A stream that cannot seek, read once for a look at its head and then again from the start."""

    def __init__(self, stream: BinaryIO, own: bool = False) -> None:
        self._stream = stream
        self._own = own
        self._read: Callable[[int], bytes] = getattr(stream, "read1", stream.read)
        self._kept: list[bytes] = []
        self._looking = True

    def read(self, size: int) -> bytes:
        """At most `size` bytes as soon as some are there; empty at the end."""
        if not self._looking and self._kept:
            return self._kept.pop(0)
        data = self._read(size)
        if self._looking and data:
            self._kept.append(data)
        return data

    def rewind(self) -> None:
        """End the look: reading starts over."""
        self._looking = False

    def close(self) -> None:
        """After the second reading, close a stream that is ours; a caller's stays open."""
        if self._own and not self._looking:
            self._stream.close()


def check_encoding(name: str) -> str:
    """The canonical name of an encoding. Raises ConfigError for an unknown text encoding."""
    try:
        info = codecs.lookup(name)
        "".encode(info.name)
    except LookupError:
        raise ConfigError(f'encoding "{name}" is not known; try utf-8, latin-1, cp1252 or utf-16') from None
    return info.name


class ByteStream:
    """Iterates over the decompressed UTF-8 text of `raw`, in pieces of at most a few hundred kilobytes.

    It drops the byte order mark.

    encoding: of the text; None for bytes as they are.
    damage: after the last piece, one sentence if the compressed data was broken, else None; everything before the
        damage has been given.
    packed: whether it was compressed.
    window: bytes of memory that the largest zstd frame so far takes.
    """

    def __init__(self, raw: Any, progress: Progress, encoding: str | None = "utf-8") -> None:
        self.damage: str | None = None
        self.packed = False
        self.window = 0
        self._raw = raw
        self.progress = progress
        self._encoding = encoding

    def __iter__(self) -> Iterator[bytes]:
        whole = self.unpacked() if self._encoding is None else self._text(self._encoding)
        for piece in filter(None, whole):
            self.progress.weight += len(piece)
            yield piece

    def _text(self, encoding: str) -> Iterator[bytes]:
        pieces = _fill(self.unpacked(), 4)
        first = next(pieces, b"")
        if first.startswith(_UTF32):  # before UTF-16, whose mark it begins with
            encoding = "utf-32"
        elif first.startswith(_UTF16):
            encoding = "utf-16"
        whole = _chain(first, pieces)
        if encoding not in PLAIN:
            whole = _fill(_transcode(whole, encoding), 3)
            first = next(whole, b"")
            whole = _chain(first, whole)
        if first.startswith(_BOM):
            next(whole)
            whole = _chain(first[len(_BOM) :], whole)
        return whole

    def unpacked(self) -> Iterator[bytes]:
        """The pieces after decompression only, bytes as they are (for binary formats)."""
        pieces = _fill(self._raw_pieces(), 4)
        first = next(pieces, b"")
        whole = _chain(first, pieces)
        self.packed = is_packed(first)
        if first.startswith(GZIP):
            return self._gunzip(whole)
        if is_zstd(first):
            return self._unzstd(whole)
        return whole

    def _raw_pieces(self) -> Iterator[bytes]:
        while data := self._raw.read(CHUNK):
            self.progress.consumed += len(data)
            yield data

    def _gunzip(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        engine = zlib.decompressobj(31)
        for piece in pieces:
            data = piece
            while data:
                if engine.eof:
                    data = data.lstrip(b"\0")  # tapes and some tools pad with zeros
                    engine = zlib.decompressobj(31) if data[:1] == GZIP[:1] else engine
                if engine.eof:
                    break
                backup = engine.copy()
                try:
                    out = engine.decompress(data, OUT)
                except zlib.error:
                    yield _salvage(backup, data)
                    self.damage = "the gzip data is damaged; what follows cannot be read"
                    return
                if out:
                    yield out
                data = engine.unused_data if engine.eof else engine.unconsumed_tail
            if data:
                self.damage = "the gzip data is followed by other bytes"
                return
        if not engine.eof:
            yield engine.flush()
            self.damage = "the gzip data ends too early (file cut off?)"

    def _unzstd(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        module = _zstd_module()
        options = {module.DecompressionParameter.window_log_max: WINDOW_LOG_MAX}
        engine = module.ZstdDecompressor(options=options)
        head = b""  # of the present frame
        for piece in pieces:
            data = piece
            while data or not engine.needs_input:
                if len(head) < HEADER_BYTES:
                    head += data[: HEADER_BYTES - len(head)]
                    self.window = max(self.window, read_header(head).window)
                try:
                    out = engine.decompress(data, OUT)
                except (module.ZstdError, MemoryError) as error:
                    self.damage = _zstd_damage(read_header(head), error)
                    return
                if out:
                    yield out
                data = b""
                if engine.eof:
                    data = engine.unused_data
                    engine = module.ZstdDecompressor(options=options)
                    head = b""
        if head:
            self.damage = "the zstd data ends too early (file cut off?)"


def _zstd_module() -> Any:
    name = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"
    try:
        return importlib.import_module(name)
    except ImportError:
        raise ConfigError(f"a .zst file needs {name}: pip install backports.zstd") from None


def is_packed(head: bytes) -> bool:
    """Whether bytes begin as gzip or zstd."""
    return head.startswith(GZIP) or is_zstd(head)


def _zstd_damage(frame: FrameHeader, error: Exception) -> str:
    if frame.dictionary:
        return (
            f"the zstd data needs dictionary {frame.dictionary}, which is not in the file;"
            " unpack it with zstd -d -D DICTIONARY and import that"
        )
    if isinstance(error, MemoryError) or "memory" in str(error):
        return (
            f"the zstd data needs a window of {size_words(frame.window)}, for which there is not enough memory;"
            f" {repacking(frame.window)}"
        )
    return "the zstd data is damaged; what follows cannot be read"


def _salvage(engine: Any, data: bytes) -> bytes:
    """The bytes that a gzip engine gives before the byte at which it fails."""
    out = bytearray()
    try:
        for at in range(len(data)):
            out += engine.decompress(data[at : at + 1])
    except zlib.error:
        pass
    return bytes(out)


def _transcode(pieces: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(encoding)(errors="scalesync.mark")
    for piece in pieces:
        if text := decoder.decode(piece):
            yield text.encode("utf-8", "surrogateescape")
    if text := decoder.decode(b"", True):
        yield text.encode("utf-8", "surrogateescape")


def _fill(pieces: Iterator[bytes], least: int) -> Iterator[bytes]:
    """The same bytes, the first piece at least `least` long unless the whole is shorter."""
    first = b""
    while len(first) < least:
        piece = next(pieces, None)
        if piece is None:
            break
        first += piece
    return _chain(first, pieces)


def _chain(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    if first:
        yield first
    yield from rest
