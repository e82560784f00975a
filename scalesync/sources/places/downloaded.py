"""Files of web servers that give a file from its beginning only: read as a stream, and kept on disk once they are long.

Plain servers, such as Python's http.server, ignore the header Range. A long import would hold their connection for as
long as it sends, and Parquet begins at its end: so what is read beyond the first block is downloaded whole.
"""

from __future__ import annotations

import errno
import io
import shutil
import tempfile
from typing import Any, BinaryIO

from scalesync.errors import SourceError

BLOCK = 1024 * 1024


class Downloaded(io.RawIOBase):
    """A stream as a file.

    name: for errors. Nothing is kept of a file if only its first block is read.
    """

    def __init__(self, stream: Any, name: str) -> None:
        self._stream = stream
        self._name = name
        self._head = bytearray()
        self._whole: BinaryIO | None = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        """Bytes of the stream, or of the copy on disk. Raises SourceError when the copy does not fit."""
        if self._whole is None and 0 <= size <= BLOCK - len(self._head):
            data: bytes = self._stream.read(size)
            self._head += data
            return data
        return self._copy().read(size)

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Move within the copy on disk."""
        return self._copy().seek(offset, whence)

    def tell(self) -> int:
        """Where the next byte is read."""
        return len(self._head) if self._whole is None else self._whole.tell()

    def close(self) -> None:
        """Close the stream, and remove the copy."""
        if not self.closed:
            self._stream.close()
            if self._whole is not None:
                self._whole.close()
        super().close()

    def _copy(self) -> BinaryIO:
        if self._whole is None:
            whole = tempfile.TemporaryFile(prefix="scalesync-")  # noqa: SIM115  closed with this file
            try:
                whole.write(self._head)
                shutil.copyfileobj(self._stream, whole, BLOCK)
            except OSError as error:
                whole.close()
                if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
                    raise
                words = f"its server gives no parts of it, and a copy does not fit into {tempfile.gettempdir()}"
                more = "set TMPDIR to a folder with more room, or download it first"
                raise SourceError(f"{words}; {more}", self._name) from error
            whole.seek(len(self._head))
            self._whole = whole
        return self._whole
