"""Whether a text begins as JSON, and whether as JSON lines: the first line alone distinguishes the two."""

from __future__ import annotations

from scalesync.jsonvalue import loads
from scalesync.sources.formats.dialect import LONGEST_LOOK


def is_lines(head: bytes, complete: bool) -> bool:
    """True if the first line is an object by itself: lines then recover better than a stream of objects.

    A line longer than the longest look does not count, however much a caller has read.
    """
    text = head.lstrip()
    line, newline, _ = text.partition(b"\n")
    if not (newline or complete) or text[:1] != b"{" or len(line) >= LONGEST_LOOK:
        return False
    try:
        loads(line, False)
    except ValueError:
        return False
    return True


def is_json(head: bytes, complete: bool) -> bool:
    """True if it begins as an array or an object."""
    return head.lstrip()[:1] in (b"[", b"{")
