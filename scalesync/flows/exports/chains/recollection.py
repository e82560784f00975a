"""The memory of partitions: tasks that this run met, and tasks that earlier runs wrote, read back from files."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

import anyio

from scalesync.engine.partitions import Partition
from scalesync.flows.exports.chains.sightings import EARLIER, Sightings
from scalesync.flows.exports.folder.read_back import Already
from scalesync.mapping.seen import Sight


@dataclass(slots=True)
class Resumed:
    """A partition that an earlier run began.

    at: the place that the run reached.
    recalled: whether its lines are known.
    """

    partition: Partition
    at: int
    ties_known: bool
    recalled: bool = False

    @classmethod
    def of(cls, partition: Partition) -> Resumed:
        """Make it from a partition in the ledger."""
        return cls(partition, partition.at if partition.pages else sys.maxsize, partition.ties_known)

    def late(self, places: Sequence[int]) -> set[int]:
        """The numbers of the page's tasks that the earlier run may have met; it met all tasks above `at`."""
        beyond = self.at if self.ties_known else self.at - 1
        return {number for number, place in enumerate(places) if place > beyond}


class Recollection:
    """The tasks that each partition has met.

    already: refs that earlier runs wrote in some ranges, by the range's number; raises ValueError if unknown.
    """

    def __init__(self, already: Already) -> None:
        self._already = already
        self._met: dict[int, Sightings] = {}
        self._resumed: dict[int, Resumed] = {}
        self._recalling = anyio.Lock()

    def begin(self, partitions: Sequence[Partition]) -> None:
        """Begin with the partitions to read; earlier runs began some of them."""
        begun = (partition for partition in partitions if partition.pages or partition.readings > 1)
        self._resumed = {partition.number: Resumed.of(partition) for partition in begun}

    async def take_up(self, partition: Partition) -> bool:
        """Resume a partition. False if a repeated reading needs the lines of the one before and they are unknown."""
        if partition.number not in self._resumed:
            return True
        self._met.setdefault(partition.number, Sightings()).add(partition.ties, partition.readings)
        return partition.readings == 1 or await self.recall(partition)

    async def sights(
        self, partition: Partition, refs: Sequence[str], places: Sequence[int], *, counted: bool
    ) -> list[Sight]:
        """What this partition has met of the page's tasks.

        counted: the server sends a total.

        If an earlier run began the chain, that run may have met a task above its place: then the files show it, and
        what they do not hold leaves the partition's count unclear.
        """
        met = self._met.setdefault(partition.number, Sightings())
        resumed = self._resumed.get(partition.number)
        late = resumed.late(places) if resumed is not None else set()
        remembered = await self._remember() if late and partition.readings == 1 else True
        sights = met.meet(refs, partition.readings)
        unclear = [number for number in late if sights[number] is not Sight.SAME]
        partition.doubtful = partition.doubtful or (bool(unclear) and (counted or not remembered))
        for number in () if remembered else unclear:
            sights[number] = Sight.SAME  # the files may hold it, and no task is ever written twice
        return sights

    async def recall(self, partition: Partition) -> bool:
        """Prepare another reading: read back what was written. False if an earlier run's part is unknown."""
        return partition.number not in self._resumed or await self._remember()

    async def _remember(self) -> bool:
        """Read back all lines that earlier runs wrote for partitions that they began. False if they are unknown."""
        async with self._recalling:
            missing = {number: resumed for number, resumed in self._resumed.items() if not resumed.recalled}
            if not missing:
                return True
            begun = list(missing.values())
            try:
                async for number, refs in self._already([(one.partition.lo, one.partition.hi) for one in begun]):
                    one = begun[number].partition
                    met = self._met.setdefault(one.number, Sightings())
                    met.add(refs, EARLIER if one.readings > 1 else one.readings)
            except ValueError:
                return False
            for resumed in begun:
                resumed.recalled = True
            return True

    def read_again(self, partition: Partition) -> None:
        """Begin another reading in this run, whose chain belongs to no earlier run."""
        self._resumed.pop(partition.number, None)

    def forget(self, partition: Partition) -> None:
        """Forget a finished partition."""
        self._met.pop(partition.number, None)
        self._resumed.pop(partition.number, None)
