"""Cutting an export into partitions of a list, pure: where to split, what is left, whether it adds up.

A partition is one page chain over the places [lo, hi), the highest first; `ports.platform.Axis` says what a place is,
creation time in ms most often. Nobody knows how densely tasks lie, so nothing is probed in advance: the first page of
a chain brings data and, on most platforms, the filter's total at once. Whenever readers are idle, the chain with the
most left is split: it keeps the higher part of its range, continues with its own token and stops at the cut.

The server's bounds may be inclusive or not, so a chain asks one place wider and takes what falls into [lo, hi).

Where the platform sends no total, nothing can be counted. There a chain that came to its end is taken up once more
behind its last task, until that brings nothing: so a list that ended early continues.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from scalesync.stored import Form, Member

SPLIT_AT_LEAST = 200  # tasks: what is split off must be worth its first, possibly half empty, page
MOST_TIES = 100  # ids kept of tasks at one place
FAR = 3  # one part in this many reaches beyond the expected end of the tasks


@dataclass(slots=True)
class Partition:
    """One chain and how far it got.

    lo, hi: tasks taken, lo <= place < hi.
    asked_lo: where the chain's query ends (lo rises at each split).
    at: place of the last task read.
    cursor: where the next page begins.
    pages: read so far.
    inside, margin: different tasks listed at or after lo, and exactly at lo - 1.
    listed: all that the chain listed, each as often as it came.
    different: without those that came before.
    ties: ids of the tasks listed at `at`, if they are few.
    doubtful: a run that resumed the chain does not know whether some of its tasks were listed before.
    first_total, last_total: what the server counted for the chain's query.
    expected: tasks still to come, estimated.
    met: different tasks inside that any reading listed.
    outrun: of the reading before, where it listed more than a total that stood still: that total, and how many tasks it
        listed inside.
    uncounted: so did all of them.
    behind: place of the last task where a list without totals ended and the chain continued behind it.
    """

    number: int
    lo: int
    hi: int
    asked_lo: int
    at: int
    cursor: str | None = None
    pages: int = 0
    listed: int = 0
    different: int = 0
    inside: int = 0
    margin: int = 0
    first_total: int | None = None
    last_total: int | None = None
    expected: float = 0.0
    ended: bool = False
    done: bool = False
    readings: int = 1
    unsettled: bool = False
    ties: list[str] = field(default_factory=list)
    doubtful: bool = False
    met: int = 0
    outrun: list[int] | None = None
    uncounted: bool = False
    behind: int | None = None

    @classmethod
    def over(cls, number: int, lo: int, hi: int, expected: float = 0.0) -> Partition:
        """A partition that nobody has read from."""
        return cls(number, lo, hi, asked_lo=lo, at=hi, expected=expected)

    @property
    def asked_hi(self) -> int:
        """Where the chain's query begins."""
        return self.hi if self.behind is None else self.behind + 1

    @property
    def truncated(self) -> bool:
        """Whether the chain's query reaches below what the partition still takes."""
        return self.lo > self.asked_lo

    @property
    def finished(self) -> bool:
        """Whether everything of the partition was read: the chain ended, or went below its lower margin."""
        return self.ended or (self.pages > 0 and self.at < self.lo - 1)

    def took(
        self, places: Sequence[int], total: int | None, cursor: str | None, repeated: Collection[int] = ()
    ) -> None:
        """Account for one page.

        places: of its tasks.
        repeated: which of them, by number, came before.
        """
        if self.pages == 0:
            self.first_total = total
        self.last_total = total
        self.pages += 1
        self.cursor = cursor
        self.ended = cursor is None
        self.listed += len(places)
        first = [place for number, place in enumerate(places) if number not in repeated] if repeated else places
        self.different += len(first)
        self.inside += sum(place >= self.lo for place in first)
        self.margin += sum(place == self.lo - 1 for place in first)
        if places:
            self.at = min(self.at, *places)
        self.expected = self._estimate(places)

    def look_behind(self) -> bool:
        """Take a chain up again that ended, behind its last task; False when there is nothing to look for.

        For lists without totals, where nothing else shows that one ended early.
        """
        if not self.ended or self.first_total is not None or self.at <= self.lo or self.at in {self.hi, self.behind}:
            return False
        self.behind = self.at
        self.ended = False
        return True

    def restart(self) -> None:
        """Begin the chain again, in what takes the place of the list that it came from. What was listed is known."""
        self.cursor = None
        self.ended = False

    def tied(self, refs: Sequence[str], places: Sequence[int], before: int) -> None:
        """Keep the ids of the tasks at `at`: a chain that is taken up again may list them once more.

        places: of the page's tasks.
        before: `at` as it was before the page.
        """
        tied = [ref for ref, place in zip(refs, places, strict=True) if place == self.at]
        kept = dict.fromkeys([*(self.ties if self.at == before else ()), *tied])
        self.ties = list(kept)[: MOST_TIES + 1]

    @property
    def ties_known(self) -> bool:
        """Whether `ties` are all of them."""
        return len(self.ties) <= MOST_TIES and (self.pages == 0 or bool(self.ties))

    def _estimate(self, places: Sequence[int]) -> float:
        """Tasks still to come: the rest of the total or, for a range cut since the count, an estimate by density.

        Without a total, only density shows it, if it is known how far down the tasks reach.
        """
        if not places or self.ended:
            return 0.0
        by_density = max(0, self.at - self.lo) / _distance(places)
        if self.first_total is None:
            return by_density if self.lo > 0 else 0.0
        left = float(max(0, self.first_total - self.different))
        return min(left, by_density) if self.truncated else left

    def adds_up(self) -> bool:
        """For a chain read to its end: do the different tasks match the server's first or last count?"""
        if self.doubtful:
            return False
        return self.first_total is None or self.different in {self.first_total, self.last_total}

    def matches_count(self, total: int | None) -> bool:
        """For a chain that split off its end: does a count over [lo, hi) agree, whichever way the server reads lo?"""
        return not self.doubtful and (total is None or total in {self.inside, self.inside + self.margin})

    def outruns(self, total: int | None) -> bool:
        """Whether more was listed than `total`, the server's count at the end, which stood still while it was read."""
        if total is None or self.doubtful:
            return False
        return self.inside > total if not self.ended else self.different > total == self.first_total

    def bears_out(self, total: int | None) -> bool:
        """Whether this reading listed the tasks of the one before, both beyond the same total: the total is too low."""
        same = self.outrun == [total, self.inside] and self.met == self.inside
        return same and self.ended and self.outruns(total)

    def again(self, total: int | None) -> Partition:
        """The same range for another reading, with a query of its own.

        total: as counted at the end of this one.
        """
        fresh = Partition.over(self.number, self.lo, self.hi, self.inside)
        fresh.readings = self.readings + 1
        fresh.met = self.met
        fresh.outrun = [total, self.inside] if total is not None and self.outruns(total) else None
        return fresh

    def state(self) -> dict[str, Any]:
        """JSON-able, for the ledger."""
        return _FORM.write(self)

    @classmethod
    def load(cls, state: Mapping[str, Any]) -> Partition:
        """From `state`, also that of a version which counted all that was listed as different."""
        return _FORM.read({"different": state["listed"], **state} if "listed" in state else state)


_FORM = Form(
    Partition,
    "a part of an export",
    [
        *(Member(name) for name in ("number", "lo", "hi", "asked_lo", "at")),
        Member("cursor", absent=None),
        *(Member(name, absent=0) for name in ("pages", "listed", "different", "inside", "margin")),
        Member("first_total", absent=None),
        Member("last_total", absent=None),
        Member("expected", absent=0.0),
        Member("ended", absent=False),
        Member("done", absent=False),
        Member("readings", absent=1),
        Member("unsettled", absent=False),
        Member("ties", absent=(), read=list),
        Member("doubtful", absent=False),
        Member("met", absent=0),
        Member("outrun", absent=None),
        Member("uncounted", absent=False),
        Member("behind", absent=None),
    ],
)


def _distance(page: Sequence[int]) -> float:
    """From one task to the next, in places, as the page shows it; at least 1."""
    return max(1.0, (page[0] - page[-1]) / len(page))


def split(partition: Partition, page: Sequence[int], parts: int, numbers: Iterable[int]) -> list[Partition]:
    """Cut the unread rest of a partition into `parts`; the partition keeps the highest, the others are returned.

    page: places of its last page, which show how dense the tasks lie here. Where the range is too short to cut, fewer
        parts come back, down to none.
    """
    if parts < 2 or not page or partition.ended:
        return []
    rest = partition.at - partition.lo
    each = partition.expected / parts
    reach = min(float(rest), partition.expected * _distance(page) * 1.1)
    cuts = _cuts(partition.at, partition.lo, reach, parts)
    if not cuts:
        return []
    split_off = []
    upper = cuts[0]
    for cut, number in zip([*cuts[1:], partition.lo], numbers, strict=False):
        if cut < upper:
            split_off.append(Partition.over(number, cut, upper, each))
            upper = cut
    partition.lo = cuts[0]
    partition.expected = each
    partition.margin = 0  # all that was read so far lies above the cut
    return split_off


def _cuts(at: int, lo: int, reach: float, parts: int) -> list[int]:
    """Up to parts - 1 points below `at` and above `lo`, highest first.

    Most lie evenly over the reach in which the rest is expected; some go out beyond it, each twice as far, for the
    guess may be wrong and the range open.
    """
    far = 0 if reach >= at - lo else max(1, (parts - 1) // FAR)
    near = parts - 1 - far
    distances = (
        [reach * (step + 1) / (near + 1) for step in range(near)]
        if far == 0
        else [reach * (step + 1) / max(near, 1) for step in range(near)]
    )
    farthest = distances[-1] if distances else reach
    for step in range(far):
        distances.append(max(farthest, 1.0) * 2 ** (step + 1))
    cuts: list[int] = []
    for distance in distances:
        cut = at - int(distance)
        if lo < cut < at and (not cuts or cut < cuts[-1]):
            cuts.append(cut)
    return cuts


def parts_for(partition: Partition, running: Collection[Partition], idle: int, readers: int) -> int:
    """Into how many parts a partition that just got a page may be cut; below 2 it keeps its range.

    idle: readers without work, of `readers` in all. Every reader should end with about the same share of what is left.
        A partition with much less than the largest one leaves the idle readers to that.
    """
    if idle <= 0 or partition.expected < 2 * SPLIT_AT_LEAST:
        return 0
    if 2 * partition.expected < max(other.expected for other in running):
        return 0
    share = sum(other.expected for other in running) / readers
    wanted = max(2, round(partition.expected / max(share, SPLIT_AT_LEAST)))
    return min(idle + 1, wanted, int(partition.expected // SPLIT_AT_LEAST))
