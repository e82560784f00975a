"""The disk beneath ledger and output: names made durable, and its errors in words."""

from __future__ import annotations

import errno
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from scalesync.errors import ConfigError, DiskFull, JobRunning, ScalesyncError, StopRun

if sys.platform != "win32":
    import fcntl


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
    """Our error that says what could not be written and what to do."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull(f"{folder}: no space left; free some, then run the same command again to resume")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return ConfigError(f"{folder}: not allowed to write there; change its permissions or choose another --out")
    return StopRun(f"{folder}: cannot write: {error.strerror or error}; fix that, then run the same command again")


def no_such_folder(path: Path) -> ConfigError:
    """The error of ours where the folder of a file that would be written does not exist."""
    return ConfigError(f"{path.parent}: there is no such folder; make it or choose another --out")


def unusable_folder(folder: Path, error: OSError) -> ScalesyncError:
    """The error of ours where a folder cannot be made or written to before anything else was done."""
    told = output_error(folder, error)
    if isinstance(told, ConfigError | DiskFull):
        return told
    return ConfigError(f"{folder}: cannot be written to ({error.strerror or error}); choose another --out")


@contextmanager
def holding_folder(folder: Path) -> Iterator[None]:
    """Keep other runs out of a folder that this one writes to: of any ledger, job and command.

    The kernel holds the lock, on the folder itself: a killed run leaves none behind, and no file. A missing folder is
    made, and removed again if it stays empty. Raises JobRunning when another run is there. Where the file system
    cannot lock folders, as with NFS, nobody is kept out.
    """
    made = _make(folder)
    handle = _lock(folder)
    try:
        yield
    finally:
        with suppress(OSError):
            for path in made:
                path.rmdir()
        if handle is not None:
            os.close(handle)


def _make(folder: Path) -> Sequence[Path]:
    """Make it with its parents; what was made, the innermost first."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:  # the next writer in this folder reports it
        return []
    return missing


def _lock(folder: Path) -> int | None:
    if sys.platform == "win32":
        return None
    while True:
        try:
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except OSError:
            return None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(handle), os.stat(folder)):
                return handle
        except BlockingIOError:
            os.close(handle)
            raise JobRunning(
                f"{folder}: another run is writing there; wait for it or stop it, then run the same command"
            ) from None
        except OSError:
            os.close(handle)
            return None
        os.close(handle)  # another run removed the empty folder, and somebody created it again


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
        raise no_such_folder(path) from error
    except OSError as error:
        raise output_error(path.absolute().parent, error) from error
    finally:
        for part in parts:
            part.unlink(missing_ok=True)
