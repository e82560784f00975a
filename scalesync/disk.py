"""The disk beneath ledger and output: names made durable, and its errors in words."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

from scalesync.errors import ConfigError, DiskFull, ScalesyncError


def sync_folder(folder: Path) -> None:
    """Make renames and new names in the folder durable, where the system can."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def output_error(folder: Path, error: OSError) -> ScalesyncError:
    """The error of ours that tells a person what could not be written and what to do."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull(f"{folder}: no space left; free some, then run the same command again to carry on")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return ConfigError(f"{folder}: not allowed to write there; change its permissions or choose another --out")
    return ScalesyncError(f"{folder}: cannot write: {error.strerror or error}; mend that, then run the command again")


@contextmanager
def replacing(*paths: Path) -> Iterator[Sequence[BinaryIO]]:
    """A file beside each path, and in its place when all went well; what breaks off leaves the paths as they were.

    They take their places in the order given. Raises ConfigError, DiskFull or ScalesyncError in words.
    """
    parts: list[Path] = []
    path = paths[0]
    try:
        with ExitStack() as stack:
            files = []
            for path in paths:
                handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
                parts.append(Path(name))
                files.append(stack.enter_context(os.fdopen(handle, "wb")))
            yield files
        for part, path in zip(parts, paths, strict=True):
            os.replace(part, path)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ConfigError(f"{path}: there is no such folder; make it or choose another --out") from error
    except OSError as error:
        raise output_error(path.absolute().parent, error) from error
    finally:
        for part in parts:
            part.unlink(missing_ok=True)
