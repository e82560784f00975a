"""Paths as the ledger keeps them: those beneath its folder relative to it, so that they move and are copied with it."""

from __future__ import annotations

import os
from pathlib import Path


class Home:
    """The folder of a ledger.

    folder: absolute, however it was given.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = os.path.abspath(folder)
        self._beneath = os.path.join(self.folder, "")
        self._real: dict[str, str] = {}

    def told(self, path: str) -> str:
        """An absolute path as it is kept: relative if it is beneath the folder, by its name or behind links."""
        if path == self.folder:
            return os.curdir
        if path.startswith(self._beneath):
            return path.removeprefix(self._beneath)
        # The last name stays as it is: a link beneath the folder is a name there, wherever it leads.
        folder, name = os.path.split(path)
        real, beneath = os.path.join(self._behind(folder), name), os.path.join(self._behind(self.folder), "")
        if real.startswith(beneath):
            return real.removeprefix(beneath)
        return os.curdir if os.path.realpath(path) == self._behind(self.folder) else path

    def place(self, told: str) -> str:
        """Where a path that was kept is now: an absolute one as it is."""
        return os.path.normpath(os.path.join(self.folder, told))

    def shown(self, typed: str, kept: str) -> str:
        """What a person calls a path: as typed, unless that is the whole path to a place that moved.

        kept: the path as the ledger has it.
        """
        return self.place(kept) if os.path.isabs(typed) and not os.path.isabs(kept) else typed

    def _behind(self, folder: str) -> str:
        if folder not in self._real:
            self._real[folder] = os.path.realpath(folder)
        return self._real[folder]
