"""What is skipped in folders and patterns, counted by reason, and the files that were opened."""

from __future__ import annotations

from collections.abc import Hashable
from enum import StrEnum

from scalesync.file_names import readable
from scalesync.text import count

SHOWN_NAMES = 3


class Reason(StrEnum):
    """Why a name is skipped, in words that follow its number."""

    HIDDEN = "hidden"
    SYSTEM = "left by the system"
    OURS = "written by scalesync"
    LINK = "link to a folder"
    SPECIAL = "pipe, socket or device"
    MET = "named more than once"
    DOUBT = "that may hold records"
    EMPTY = "without records"


_MANY = {Reason.LINK: "links to folders", Reason.SPECIAL: "pipes, sockets or devices"}
_NAMELESS = frozenset({Reason.HIDDEN})


class PassedOver:
    """What was skipped while sources were opened. It knows the opened files.

    folders: real paths of the folders with files that are read as one source.
    """

    def __init__(self) -> None:
        self.folders: list[str] = []
        self._counts: dict[Reason, int] = {}
        self._names: dict[Reason, list[str]] = {}
        self._told: set[int] = set()  # hashes of names: a pattern may come to one by two ways
        self._met: set[Hashable] = set()

    def add(self, reason: Reason, name: str) -> None:
        """One more: a file, or a folder with everything in it."""
        mark = hash((reason, name))
        if mark in self._told and reason is not Reason.MET:
            return
        self._told.add(mark)
        self._counts[reason] = self._counts.get(reason, 0) + 1
        names = self._names.setdefault(reason, [])
        if len(names) < SHOWN_NAMES:
            names.append(readable(name))

    def has(self, reason: Reason) -> bool:
        """Whether anything was skipped for it."""
        return reason in self._counts

    def named(self, reason: Reason) -> list[str]:
        """The first names that were skipped for it, with dots for the others."""
        return [*self._names.get(reason, []), *(["..."] if self._counts.get(reason, 0) > SHOWN_NAMES else [])]

    def meets(self, here: Hashable, name: str) -> bool:
        """Whether a file was opened before, under any name; then it counts as skipped.

        here: its device and inode, or its URL.
        """
        if here in self._met:
            self.add(Reason.MET, name)
            return True
        self._met.add(here)
        return False

    def enter(self, here: Hashable) -> None:
        """A file is read."""
        self._met.add(here)

    def knows(self, here: Hashable) -> bool:
        """Whether a file is read already."""
        return here in self._met

    def __bool__(self) -> bool:
        return bool(self._counts)

    def __str__(self) -> str:
        """Such as "skipped 3 files: 2 hidden, 1 written by scalesync (failed.jsonl)"."""
        parts = []
        for reason in Reason:
            number = self._counts.get(reason, 0)
            if number:
                words = _MANY.get(reason, reason) if number > 1 else reason
                parts.append(f"{number:,} {words}{self._named(reason, number)}")
        return f"skipped {count(sum(self._counts.values()), 'file')}: {', '.join(parts)}"

    def _named(self, reason: Reason, number: int) -> str:
        if reason in _NAMELESS:
            return ""
        more = ", ..." if number > SHOWN_NAMES else ""
        return f" ({', '.join(self._names[reason])}{more})"
