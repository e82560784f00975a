"""The state in a file: each change is appended, and a start reads the file back.

The file begins with MAGIC, so the sandbox never overwrites a file of another program. A record is its length and
its CRC-32 (4 bytes each, big-endian), then a msgpack array [world, kind, value].
A kill may leave half a record at the end; it is cut off. A file that is mostly outdated is rewritten at opening.
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
except ImportError:  # Windows has no flock; there the caller must run one server per file
    fcntl = None  # type: ignore[assignment]

HEAD = struct.Struct(">II")
MAGIC = b"scalesync-sandbox 1\n"
FLUSH_BYTES = 1 << 20
COMPACT_BYTES = 16 << 20
_encode = msgspec.msgpack.Encoder().encode


class Record(msgspec.Struct, array_like=True):
    """One entry; the module that knows the kind decodes `value`."""

    world: str
    kind: str
    value: msgspec.Raw


_decode = msgspec.msgpack.Decoder(Record).decode


class DataLog:
    """An append-only file, locked against a second server. Opening raises OSError or ValueError."""

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
        """Read every record; cut half a record at the end off."""
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
        """Write everything to the file; with `sync`, to the disk as well."""
        if not self._buffer:
            return
        while self._buffer:
            written = self.file.write(self._buffer)
            del self._buffer[:written]
        if self.sync:
            os.fsync(self.file.fileno())

    def rewrite(self, dump: Callable[[DataLog], None]) -> None:
        """Replace the file by what `dump` saves. A kill leaves the old file or the new one, never a mix."""
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
        """Flush, sync and close the file."""
        if not self.file.closed:
            self.flush()
            os.fsync(self.file.fileno())
            self.file.close()
