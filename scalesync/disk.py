"""The disk beneath ledger and output: names made durable, and its errors in words."""

from __future__ import annotations

import errno
import os
from pathlib import Path

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
