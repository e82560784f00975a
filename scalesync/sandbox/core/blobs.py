"""Files that clients uploaded: one file on disk each, in a folder beside the data file or in a temporary one."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import weakref
from collections.abc import Iterable, Iterator
from pathlib import Path

from scalesync.sandbox.core.wire.messages import Upload

CHUNK = 256 * 1024


class Blobs:
    """Bytes by name. Names are made by the program, so that no client chooses a path.

    folder: where they survive a restart; None makes a temporary folder with the first blob, and `close` removes it.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._remove: weakref.finalize[[Path], Blobs] | None = None

    @property
    def folder(self) -> Path:
        """Where the blobs are; made at the first use."""
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="scalesync-sandbox-"))
            # The program may end without `close`, as tests do that hold no server.
            self._remove = weakref.finalize(self, _remove_folder, self._folder)
        self._folder.mkdir(exist_ok=True)
        return self._folder

    def keep(self, name: str, upload: Upload) -> None:
        """Take the file of an upload. Raises OSError."""
        upload.take(self.folder / name)

    def read(self, name: str) -> Iterator[bytes] | None:
        """The bytes in pieces; None if there is no such blob. Opens it at once, so a later `drop` does no harm."""
        try:
            file = (self.folder / name).open("rb")
        except OSError:
            return None

        def pieces() -> Iterator[bytes]:
            with file:
                while piece := file.read(CHUNK):
                    yield piece

        return pieces()

    def drop(self, name: str) -> None:
        """Remove a blob, if it is there."""
        with contextlib.suppress(OSError):
            (self.folder / name).unlink()

    def keep_only(self, names: Iterable[str]) -> None:
        """Remove blobs that nothing names: a kill may come between a blob and its record."""
        if self._folder is None or not self._folder.is_dir():
            return
        wanted = set(names)
        for path in self._folder.iterdir():
            if path.name not in wanted:
                self.drop(path.name)

    def close(self) -> None:
        """Remove the folder if it is a temporary one."""
        if self._remove is not None:
            self._remove()


def _remove_folder(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
