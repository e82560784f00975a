"""The state in a file: records appended as they happen, read back at the start.

The file begins with MAGIC, so that no foreign file is ever touched. A record is its length and
CRC-32 (4 bytes each, big-endian) and a msgpack array [world, kind, value].
A tail torn by a kill is cut off. A file that is mostly outdated is rewritten when it is opened.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import msgspec

try:
    import fcntl
except ImportError:  # Windows has no flock; there the caller must see to one server per file
    fcntl = None  # type: ignore[assignment]

HEAD = struct.Struct(">II")
MAGIC = b"scalesync-sandbox 1\n"
FLUSH_BYTES = 1 << 20
COMPACT_BYTES = 16 << 20
_encode = msgspec.msgpack.Encoder().encode


class Record(msgspec.Struct, array_like=True):
    """One entry; `value` is decoded by the module that knows the kind."""

    world: str
    kind: str
    value: msgspec.Raw


_decode = msgspec.msgpack.Decoder(Record).decode


class DataLog:
    """An append-only file, locked against a second server. Raises OSError and ValueError at opening."""

    def __init__(self, path: str | Path, *, sync: bool) -> None:
        self.path = Path(path)
        self.sync = sync
        self.file: BinaryIO = self.path.open("a+b", buffering=0)
        self._buffer = bytearray()
        if fcntl is not None:
            try:
                fcntl.flock(self.file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                self.file.close()
                raise ValueError(f"{self.path} is in use by another sandbox") from error

    def records(self) -> Iterator[Record]:
        """Everything in the file; cuts a torn tail off."""
        with self.path.open("rb") as source:
            start = source.read(len(MAGIC))
            if not MAGIC.startswith(start):
                raise ValueError("this is not a data file of the sandbox, or one of another version")
            good = len(MAGIC) if start == MAGIC else 0
            while len(head := source.read(HEAD.size)) == HEAD.size:
                length, check = HEAD.unpack(head)
                data = source.read(length)
                if len(data) < length or zlib.crc32(data) != check:
                    break
                good += HEAD.size + length
                yield _decode(data)
        self.file.truncate(good)
        if not good:
            self.file.write(MAGIC)

    def save(self, world: str, kind: str, value: object) -> None:
        """Append one record."""
        data = _encode((world, kind, value))
        self._buffer += HEAD.pack(len(data), zlib.crc32(data))
        self._buffer += data
        if len(self._buffer) > FLUSH_BYTES:
            self.flush()

    def flush(self) -> None:
        """Hand everything to the operating system; with `sync`, to the disk."""
        if not self._buffer:
            return
        while self._buffer:
            written = self.file.write(self._buffer)
            del self._buffer[:written]
        if self.sync:
            os.fsync(self.file.fileno())

    def rewrite(self, dump: Callable[[DataLog], None]) -> None:
        """Replace the file by what `dump` saves; a kill leaves the old one or the new one."""
        new = self.path.with_name(self.path.name + ".new")
        new.unlink(missing_ok=True)
        fresh = DataLog(new, sync=self.sync)
        fresh.file.write(MAGIC)
        dump(fresh)
        fresh.flush()
        os.fsync(fresh.file.fileno())
        os.replace(new, self.path)
        self.file.close()
        self.file = fresh.file

    def close(self) -> None:
        """Flush, sync and let go of the file."""
        if not self.file.closed:
            self.flush()
            os.fsync(self.file.fileno())
            self.file.close()
