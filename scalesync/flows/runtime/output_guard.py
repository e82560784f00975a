"""Files that a report must not replace: the ledger, a job's sources, files of another program."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Set
from pathlib import Path

from scalesync.disk import output_error
from scalesync.errors import ConfigError

LONGEST_LINE = 16 * 1024 * 1024
# SQLite's files beside the ledger, and the quota file with its own.
COMPANIONS = tuple(f"{kind}{end}" for kind in ("", ".quota") for end in ("", "-wal", "-shm", "-journal"))


def spare_inputs(path: Path, ledger: Path, sources: Iterable[str]) -> None:
    """Raise ConfigError if `path`, in any spelling, is the ledger or one of the sources."""
    if any(same_file(path, f"{ledger}{companion}") for companion in COMPANIONS):
        raise ConfigError(f"{path} belongs to the ledger {ledger}; choose another --out")
    for source in sources:
        if same_file(path, source):
            raise ConfigError(f"{path} is a source of the job ({source}); choose another --out")


def is_report(path: Path, keys: Set[str], *, whole: bool = False) -> bool:
    """Whether a file's first line, or each line, is a JSON object with these keys; an empty file counts too.

    Raises ConfigError if it cannot be read.
    """
    try:
        if not path.is_file():
            return False
        with open(path, "rb") as lines:
            while line := lines.readline(LONGEST_LINE):
                if not _has(line, keys):
                    return False
                if not whole:
                    break
    except OSError as error:
        raise output_error(path, error) from error
    return True


def _has(line: bytes, keys: Set[str]) -> bool:
    try:
        value = json.loads(line)
    except ValueError:
        return False
    return isinstance(value, dict) and keys <= value.keys()


def same_file(path: Path, other: str) -> bool:
    """Whether two paths name the same file, which need not exist."""
    try:
        return os.path.samefile(path, other)
    except (OSError, ValueError):
        return os.path.abspath(path) == os.path.abspath(other)
