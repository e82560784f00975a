"""Files of a folder that are read elsewhere: under another name in it, in another folder, or because they are named."""

from __future__ import annotations

import os

from scalesync.file_names import is_hidden, is_of_the_system
from scalesync.sources.places.passed_over import PassedOver


def is_read_in(path: str, folder: str) -> bool:
    """Whether the reading of `folder` reaches a file or a folder. Both are real paths."""
    if path == folder:
        return True
    start = os.path.join(folder, "")
    if not path.startswith(start):
        return False
    parts = path[len(start) :].split(os.sep)
    return not any(is_hidden(part) or is_of_the_system(part) for part in parts)


class Overlap:
    """Knows which files of one folder are read elsewhere.

    A link counts as its target. Links into hidden folders, as git-annex and DVC make them, are the only way to those
    files, so they are read.
    """

    def __init__(self, folder: str, passed: PassedOver) -> None:
        self._folder = os.path.realpath(folder)
        self._passed = passed
        self._whole = any(is_read_in(self._folder, earlier) for earlier in passed.folders)
        self._below = [earlier for earlier in passed.folders if is_read_in(earlier, self._folder)]

    def has(self, path: str, inside: str, info: os.stat_result, *, link: bool) -> bool:
        """Whether the file at `path` was, or will be, read under another name.

        inside: its path in the folder.
        """
        here = (info.st_dev, info.st_ino)
        if self._whole or self._passed.knows(here):
            return True
        if link:
            real = os.path.realpath(path)
            if is_read_in(real, self._folder) or any(is_read_in(real, earlier) for earlier in self._passed.folders):
                return True
        elif self._below:
            real = os.path.join(self._folder, inside)
            if any(is_read_in(real, earlier) for earlier in self._below):
                return True
        if link or info.st_nlink > 1:
            self._passed.enter(here)  # it may come again under its other name; a file with one name cannot
        return False
