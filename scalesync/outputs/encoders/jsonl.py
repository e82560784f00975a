"""JSON lines: one document in each line, byte for byte as added; plain, gzip or zstd."""

from __future__ import annotations

import gzip
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib import import_module
from typing import Any, BinaryIO, Protocol, cast

from scalesync.outputs.encoders.registry import Output

AT_ONCE = 100  # lines; many small writes would cost more than the copy


class _Compressor(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...

    def flush(self) -> bytes: ...


class LineEncoder:
    """Writes one document in each line.

    compressor: makes the state of one gzip member or zstd frame; None for plain lines.
    """

    def __init__(self, file: Output, compressor: Callable[[], _Compressor] | None) -> None:
        self._file = file
        self._make = compressor
        self._compressor: _Compressor | None = None

    def add(self, lines: Sequence[bytes]) -> None:
        """Write the lines, a few at a time: all of a group in one piece would be there twice."""
        if self._make is not None:
            self._compressor = self._compressor or self._make()
        for start in range(0, len(lines), AT_ONCE):
            data = b"\n".join((*lines[start : start + AT_ONCE], b""))
            self._file.write(data if self._compressor is None else self._compressor.compress(data))

    def pause(self) -> None:
        """End the gzip member or zstd frame. A file of either format is a sequence of these, so it is whole now."""
        if self._compressor is not None:
            self._file.write(self._compressor.flush())
            self._compressor = None

    def close(self) -> None:
        """End the last member or frame; nothing follows the last line."""
        self.pause()


def plain(file: Output) -> LineEncoder:
    """Lines uncompressed."""
    return LineEncoder(file, None)


def gzipped(file: Output) -> LineEncoder:
    """Lines in gzip; the same lines give the same bytes."""
    return LineEncoder(file, lambda: zlib.compressobj(6, zlib.DEFLATED, 31))  # 31: gzip header, without name and time


def zipped(file: Output) -> LineEncoder:
    """Lines in zstd, with checksums; the same lines give the same bytes."""
    zstd = _zstd()
    return LineEncoder(file, lambda: zstd.ZstdCompressor(options={zstd.CompressionParameter.checksum_flag: 1}))


def plain_lines(file: BinaryIO) -> Iterator[bytes]:
    """The lines of a file."""
    return _lines(file)


def gzipped_lines(file: BinaryIO) -> Iterator[bytes]:
    """The lines in gzip."""
    return _lines(cast(Iterable[bytes], gzip.GzipFile(fileobj=file)))


def zipped_lines(file: BinaryIO) -> Iterator[bytes]:
    """The lines in zstd."""
    return _lines(_zstd().ZstdFile(file))


def _lines(file: Iterable[bytes]) -> Iterator[bytes]:
    for line in file:
        yield line.rstrip(b"\n")


def _zstd() -> Any:
    return import_module("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")
