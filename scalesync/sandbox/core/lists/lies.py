"""Faults of lists: repeats, gaps, circles, empty pages, wrong totals, pages of another query."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from scalesync.sandbox.core.faults import FaultRule
from scalesync.sandbox.core.wire.messages import Call

NOT_FIRST = ("repeat", "gap", "circle")  # unless a rule names its pages, these need a page before them


class Item(Protocol):
    """One entry of a list."""

    @property
    def seq(self) -> int:
        """Its number, rising with creation."""

    @property
    def listed(self) -> bool:
        """Whether lists show it by now."""


T = TypeVar("T", bound=Item)


@dataclass
class Page(Generic[T]):
    """One page of a list, before it is written. seqs[low:high] match; seqs[begin:end] are the page, newest last.

    items: all items by number; None for a removed one.
    shown: the items of the page, in the order of the page.
    total: the total that the page reports.
    more: whether the page says that more follow.
    after: the next page begins after this item; None is the beginning of the list.
    nonce: makes the token differ from other tokens of the same place.
    """

    items: Sequence[T | None]
    seqs: Sequence[int]
    low: int
    high: int
    begin: int
    end: int
    limit: int
    shown: list[T]
    total: int
    more: bool
    after: T | None
    nonce: float | None = None

    @property
    def number(self) -> int:
        """The number of this page in its chain, from 1."""
        return (self.high - self.end) // self.limit + 1


def lie(call: Call, page: Page[Any]) -> None:
    """Apply the list faults that strike this request to the page."""
    for rule in call.lies:
        default = page.number > 1 or rule.kind not in NOT_FIRST
        if page.number in rule.pages if rule.pages is not None else default:
            LIARS[rule.kind](page, rule, call.draw)


def _repeat(page: Page[Any], rule: FaultRule, _: float) -> None:
    if rule.back == 0:
        page.shown += page.shown[: rule.count]
        return
    first = page.end + (rule.back - 1) * page.limit
    page.shown[:0] = _known(page, reversed(page.seqs[first : min(first + rule.count, page.high)]))


def _gap(page: Page[Any], rule: FaultRule, _: float) -> None:
    own = {item.seq for item in _known(page, page.seqs[page.begin : page.begin + rule.count])}
    page.shown = [item for item in page.shown if item.seq not in own]


def _circle(page: Page[Any], rule: FaultRule, draw: float) -> None:
    first_page = page.seqs[max(page.low, page.high - page.limit) : page.high]
    page.after = next(iter(_known(page, first_page)), None)
    page.more, page.nonce = True, draw if rule.fresh else None


def _empty(page: Page[Any], rule: FaultRule, draw: float) -> None:
    page.after = next(iter(_known(page, page.seqs[page.end : page.high])), None)
    page.shown, page.more, page.nonce = [], True, draw if rule.fresh else None


def _total(page: Page[Any], rule: FaultRule, draw: float) -> None:
    page.total = max(0, page.total + (round((2 * draw - 1) * rule.by) if rule.moving else rule.by))


def _foreign(page: Page[Any], _: FaultRule, __: float) -> None:
    ours = set(page.seqs[page.low : page.high])
    others = (item for item in reversed(page.items) if item is not None and item.listed and item.seq not in ours)
    found = [item for item, _ in zip(others, range(page.limit), strict=False)]
    page.shown = found or page.shown


def _known(page: Page[T], seqs: Iterable[int]) -> list[T]:
    return [item for seq in seqs if (item := page.items[seq]) is not None]


LIARS: dict[str, Callable[[Page[Any], FaultRule, float], None]] = {
    "repeat": _repeat,
    "gap": _gap,
    "circle": _circle,
    "empty": _empty,
    "total": _total,
    "foreign": _foreign,
}
