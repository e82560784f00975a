"""Files of a folder that no format claims by name, but that may hold records all the same."""

from __future__ import annotations

import os
import re
from collections import Counter

from scalesync.errors import SourceError
from scalesync.sources.bytestream import is_packed
from scalesync.sources.detect import detect, is_archive
from scalesync.sources.registry import suffix_format

_SECTION = re.compile(rb"\s*\[+\s*[A-Za-z]")  # of a TOML or INI file: no list of records begins so
LOOK = 16_384  # bytes
PATIENCE = 20  # files of one kind that hold none: the others of this kind are not opened


class Doubtful:
    """Knows such files from those without records by the name beneath the last ending, else by how they begin."""

    def __init__(self) -> None:
        self._without: Counter[str] = Counter()

    def has(self, path: str) -> bool:
        """Whether the file may hold records: `part-00000` with JSON lines, `a.jsonl.bz2`, a workbook."""
        stem, kind = os.path.splitext(os.path.basename(path))
        if kind and suffix_format(stem) is not None:
            return True
        if self._without[kind] >= PATIENCE:
            return False
        found = _begins_like_records(path)
        self._without[kind] += not found
        return found


def _begins_like_records(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            head = file.read(LOOK)
    except OSError:
        return False
    if not head or _SECTION.match(head):
        return False
    if is_packed(head) or is_archive(head):
        return True
    try:
        detect("", head, len(head) < LOOK, None, table=False)
    except SourceError:
        return False
    return True
