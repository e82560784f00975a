"""Parts of tasks that a service delivers apart, such as the stages of a task: a line for each delivery, none twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from scalesync.flows.exports.folder.commit_log import CommitLog, PageCommit
from scalesync.jsonvalue import as_text
from scalesync.model.task_view import Part, TaskView
from scalesync.outputs.manifest import STAGES
from scalesync.times import milliseconds

PartsOf = Callable[[TaskView, bytes], Sequence[Part]]


class Deliveries:
    """Puts the deliveries of the tasks that an export keeps into their own lines.

    A delivery is a part of a task with the time when it was delivered. One that is older than the newest written one of
    its part comes from a list that lags, and is not written.
    """

    def __init__(self, parts_of: PartsOf, log: CommitLog) -> None:
        self._parts_of = parts_of
        self._log = log

    async def take(self, kept: Sequence[tuple[bytes, TaskView]], entry: PageCommit) -> None:
        """Add lines for what is new in these tasks, and what has to be remembered of it."""
        found = [(head.ref, part) for raw, head in kept for part in self._parts_of(head, raw)]
        if not found:
            return
        known = await self._log.parts(list(dict.fromkeys(ref for ref, _ in found)))
        lines = []
        for ref, part in found:
            before = known[ref].get(part.name)
            if before is None or _is_newer(part.at, before):
                lines.append(_line(ref, part))
                known[ref][part.name] = part.at
                entry.parts.setdefault(ref, {})[part.name] = part.at
        entry.lines[STAGES] = lines


def deliveries_of(parts_of: PartsOf | None, log: CommitLog) -> Deliveries | None:
    """The deliveries of a platform's tasks; None if it delivers nothing apart."""
    return None if parts_of is None else Deliveries(parts_of, log)


def _is_newer(at: str, before: str) -> bool:
    """Whether a time is behind another one; where nobody can read it, whether it is another one."""
    at_ms = milliseconds(at)
    return (at_ms, at) > (milliseconds(before), before) if at_ms else at != before


def _line(ref: str, part: Part) -> bytes:
    """A line, whose last member holds the bytes that the service sent."""
    head = {"task_id": ref, "stage": part.name, "delivered_at": part.at, **part.of}
    return b"".join([as_text(head).encode()[:-1], b',"delivery":', part.document, b"}"])
