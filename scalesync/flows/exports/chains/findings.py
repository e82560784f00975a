"""The findings about partitions: figures, and a sentence for each partition whose count does not match."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from scalesync.engine.partitions import Partition
from scalesync.ports.platform import Axis, mirrored
from scalesync.text import count
from scalesync.times import iso


@dataclass(slots=True)
class Figures:
    """The figures of this run.

    probes: requests that only counted, or brought nothing.
    uncounted: partitions in which the server lists more than it counts, the same at each reading.
    """

    pages: int = 0
    probes: int = 0
    unsettled: int = 0
    uncounted: int = 0
    listed: int = 0


class Findings:
    """Counts the partitions that do not add up, and reports them.

    axis: by what the lists are ordered.
    """

    def __init__(self, axis: Axis, note: Callable[[str], None]) -> None:
        self.figures = Figures()
        self._axis = axis
        self._note = note
        self._reported_uncounted = False

    def begin(self, partitions: Sequence[Partition]) -> None:
        """Add the findings of earlier runs about these partitions."""
        self.figures.unsettled += sum(partition.unsettled for partition in partitions)
        self.figures.uncounted += sum(partition.uncounted for partition in partitions)

    def unsettled(self, partition: Partition, total: int | None) -> None:
        """Report a list that never shows as many tasks as the server counts.

        total: None if it is unknown what an earlier run wrote.
        """
        partition.unsettled = True
        self.figures.unsettled += 1
        listed = partition.different if partition.ended else partition.inside
        twice = partition.listed - partition.different
        repeats = f" ({twice:,} of them came more than once)" if twice else ""
        these = self._in_words(partition)
        self._note(
            f"unsettled: of {these} the server listed {listed:,} different ones{repeats} but counts {total:,},"
            f" even when asked {count(partition.readings, 'time')}"
            if total is not None
            else f"unsettled: which of {these} an earlier run wrote is unknown"
        )

    def uncounted(self, partition: Partition, total: int | None) -> None:
        """Report once that no count exists to check the list against. It concerns the server, not the partition."""
        partition.uncounted = True
        self.figures.uncounted += 1
        if not self._reported_uncounted:
            self._reported_uncounted = True
            self._note(
                f"the server's totals are too low: of {self._in_words(partition)}"
                f" it counts {total:,} and lists {partition.different:,}, the same ones each time; the list ended"
                " normally and counts as complete, because there is no count to compare it with"
            )

    def _in_words(self, partition: Partition) -> str:
        match self._axis:
            case Axis.CREATED:
                return f"the tasks created from {iso(partition.lo)} to {iso(partition.hi)}"
            case Axis.NUMBER:
                first, last = mirrored(partition.hi) + 1, mirrored(partition.lo)
                return f"the tasks with ids from {first} to {last if partition.lo else 'the last'}"
            case Axis.VERSIONS:
                return f"the versions of tasks from {iso(partition.lo)} to {iso(partition.hi)}"
            case Axis.NONE:
                return "the tasks"
