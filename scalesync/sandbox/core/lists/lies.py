"""What a list says that is not so: repeats, gaps, circles, empty pages, wrong totals, pages of another question."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from scalesync.sandbox.core.faults import FaultRule
from scalesync.sandbox.core.wire.messages import Call
from scalesync.sandbox.scale.state.model import Task
from scalesync.sandbox.scale.state.world import World

NOT_FIRST = ("repeat", "gap", "circle")  # what needs a page before it, unless a rule names its pages


@dataclass
class Page:
    """One page of a list, before it is written. seqs[low:high] match; seqs[begin:end] are the page, newest last.

    tasks: in the order shown. total, more: as told. after: the task behind which the next page begins, None for the
    very beginning. nonce: makes its token another one.
    """

    seqs: Sequence[int]
    low: int
    high: int
    begin: int
    end: int
    limit: int
    tasks: list[Task]
    total: int
    more: bool
    after: Task | None
    nonce: float | None = None

    @property
    def number(self) -> int:
        """Which page of its chain this is, from 1."""
        return (self.high - self.end) // self.limit + 1


def lie(world: World, call: Call, page: Page) -> None:
    """Let the rules that strike this request change the page."""
    for rule in call.lies:
        default = page.number > 1 or rule.kind not in NOT_FIRST
        if page.number in rule.pages if rule.pages is not None else default:
            LIARS[rule.kind](world, page, rule, call.draw)


def _repeat(world: World, page: Page, rule: FaultRule, _: float) -> None:
    if rule.back == 0:
        page.tasks += page.tasks[: rule.count]
        return
    first = page.end + (rule.back - 1) * page.limit
    page.tasks[:0] = _known(world, reversed(page.seqs[first : min(first + rule.count, page.high)]))


def _gap(world: World, page: Page, rule: FaultRule, _: float) -> None:
    own = {task.seq for task in _known(world, page.seqs[page.begin : page.begin + rule.count])}
    page.tasks = [task for task in page.tasks if task.seq not in own]


def _circle(world: World, page: Page, rule: FaultRule, draw: float) -> None:
    first_page = page.seqs[max(page.low, page.high - page.limit) : page.high]
    page.after = next(iter(_known(world, first_page)), None)
    page.more, page.nonce = True, draw if rule.fresh else None


def _empty(world: World, page: Page, rule: FaultRule, draw: float) -> None:
    page.after = next(iter(_known(world, page.seqs[page.end : page.high])), None)
    page.tasks, page.more, page.nonce = [], True, draw if rule.fresh else None


def _total(_: World, page: Page, rule: FaultRule, draw: float) -> None:
    page.total = max(0, page.total + (round((2 * draw - 1) * rule.by) if rule.moving else rule.by))


def _foreign(world: World, page: Page, _: FaultRule, __: float) -> None:
    ours = set(page.seqs[page.low : page.high])
    others = (task for task in reversed(world.by_seq) if task is not None and task.listed and task.seq not in ours)
    found = [task for task, _ in zip(others, range(page.limit), strict=False)]
    page.tasks = found or page.tasks


def _known(world: World, seqs: Iterable[int]) -> list[Task]:
    return [task for seq in seqs if (task := world.by_seq[seq]) is not None]


LIARS: dict[str, Callable[[World, Page, FaultRule, float], None]] = {
    "repeat": _repeat,
    "gap": _gap,
    "circle": _circle,
    "empty": _empty,
    "total": _total,
    "foreign": _foreign,
}
