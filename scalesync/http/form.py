"""A body of multipart/form-data (RFC 7578) with one file, which is read while it is sent, never into memory whole."""

from __future__ import annotations

import asyncio
import io
import mimetypes
import secrets
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import BinaryIO

from scalesync.errors import ConfigError

PIECE = 256 * 1024  # bytes read at a time


class Form:
    """Fields and a file. The body can be sent again: each sending starts where the file stood when this was made.

    fields: name -> value.
    file: open for reading in binary; it is not closed.
    filename: what the server hears of its name.
    failure: why the file could not be read to its end, empty if it could; what was sent is then no whole body.
    Raises ConfigError for a file whose length is unknown, such as a pipe, and for one that was opened as text.
    """

    def __init__(self, fields: Mapping[str, str], file: BinaryIO, filename: str, *, member: str = "file") -> None:
        self.failure = ""
        self._name = filename
        self._file = file
        self._start, self._size = _extent(file, filename)
        boundary = secrets.token_hex(16)
        self.content_type = f"multipart/form-data; boundary={boundary}"
        kind = mimetypes.guess_type(filename)[0] or "application/octet-stream"
        heads = [(f'name="{_quoted(name)}"', value) for name, value in fields.items()]
        before = "".join(
            f"--{boundary}\r\nContent-Disposition: form-data; {head}\r\n\r\n{value}\r\n" for head, value in heads
        )
        before += (
            f'--{boundary}\r\nContent-Disposition: form-data; name="{member}"; filename="{_quoted(filename)}"\r\n'
            f"Content-Type: {kind}\r\n\r\n"
        )
        self._before = before.encode("utf-8", "surrogatepass")
        self._after = f"\r\n--{boundary}--\r\n".encode()
        self.length = len(self._before) + self._size + len(self._after)

    async def parts(self) -> AsyncIterator[bytes]:
        """The body in pieces. Raises OSError if the file cannot be read to its end; `failure` says why."""
        yield self._before
        left = self._size
        while left:
            piece = await asyncio.to_thread(self._piece, self._size - left, min(left, PIECE))
            left -= len(piece)
            yield piece
        yield self._after

    def _piece(self, at: int, size: int) -> bytes:
        try:
            if not at:
                self._file.seek(self._start)
            piece = self._file.read(size)
        except (OSError, ValueError) as error:  # ValueError: somebody closed it
            self.failure = f"{self._name}: cannot be read: {getattr(error, 'strerror', None) or error}"
            raise OSError(self.failure) from None
        if not piece:
            self.failure = f"{self._name}: became shorter while it was sent"
            raise OSError(self.failure)
        return piece


def opened(path: Path) -> BinaryIO:
    """A file of this machine, open. Raises ConfigError; a pipe is refused, because it opens when a writer does."""
    try:
        if path.exists() and not path.is_file():
            raise ConfigError(f"{path}: is not a file")
        return open(path, "rb")
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        raise ConfigError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None


def _extent(file: BinaryIO, filename: str) -> tuple[int, int]:
    """Where the file stands, and how many bytes follow."""
    if isinstance(file, io.TextIOBase):
        raise ConfigError(f"{filename}: the file is open as text; open it with mode 'rb'")
    if getattr(file, "closed", False):
        raise ConfigError(f"{filename}: the file is closed; open it again")
    try:
        start = file.tell()
        size = file.seek(0, io.SEEK_END) - start
        file.seek(start)
    except (OSError, AttributeError, ValueError) as error:
        raise ConfigError(f"{filename}: the length of the file is unknown; write it to disk first") from error
    return start, max(0, size)


def _quoted(name: str) -> str:
    """A name between quotes in a header, as browsers write it (WHATWG, multipart/form-data encoding)."""
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
