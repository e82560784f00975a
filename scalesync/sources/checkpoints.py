"""The lines of a source that were read before: a running hash of lines, and marks of it for a later reading."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import blake2b

from scalesync.model.records import Checkpoint

DIGEST_BYTES = 16


class Fingerprint:
    """The lines of a source from the first one on.

    line: how many there are so far.
    """

    __slots__ = ("_hash", "line")

    def __init__(self) -> None:
        self.line = 0
        self._hash = blake2b(digest_size=DIGEST_BYTES)

    def add(self, lines: Sequence[bytes]) -> None:
        """Take in the next lines, without their ends."""
        if lines:
            self._hash.update(b"\n".join(lines))
            self._hash.update(b"\n")
            self.line += len(lines)

    def mark(self) -> Checkpoint:
        """The mark at this line."""
        return Checkpoint(self.line, self._hash.hexdigest())

    def copy(self) -> Fingerprint:
        """A copy; both continue independently."""
        other = Fingerprint()
        other.line, other._hash = self.line, self._hash.copy()
        return other


def longest_known(batches: Iterable[list[bytes]], marks: Sequence[Checkpoint]) -> Fingerprint | None:
    """The longest beginning that still matches one of the marks (ascending); None if none does.

    It reads up to the last mark, or the first one that does not match: everything after that has changed too.
    """
    here, found = Fingerprint(), None
    wanted = iter(marks)
    mark = next(wanted, None)
    for batch in batches:
        rest = batch
        while mark is not None and mark.line <= here.line + len(rest):
            part = mark.line - here.line
            here.add(rest[:part])
            rest = rest[part:]
            if here.mark() != mark:
                return found
            found = here.copy()
            mark = next(wanted, None)
        if mark is None:
            return found
        here.add(rest)
    return found
