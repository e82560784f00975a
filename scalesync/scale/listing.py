"""Lists as programs read them: item by item, with a cursor to continue at."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from typing import Any, Generic, TypeVar

from scalesync.errors import ConfigError
from scalesync.model.records import JsonObject
from scalesync.platforms.scale.api.objects import Resource
from scalesync.scale.pages import Pages

R = TypeVar("R", bound=Resource)
Wait = Callable[[Coroutine[Any, Any, Any]], Any]


class Listing(AsyncIterator[R], Generic[R]):
    """An `async for` over a list, which asks for a page when it needs one. Several tasks may share one.

    cursor: give it to a later call with the same filters, to continue there. It is that of the page whose items come
        now, so that nothing is missing if you stop in the middle: the items of that page come again. When all items of
        a page came, it is that of the next one. None on the first page, and at the end.
    finished: all items came.
    kind: makes an item of its JSON.
    beside: what the newest page says beside its items: `total`, the `delivery` that they are of, ... Empty before the
        first page.
    """

    def __init__(self, kind: Callable[[JsonObject], R], pages: Pages, limit: int | None = None) -> None:
        self.cursor = self._resume = pages.cursor
        self.finished = limit == 0
        self.kind = kind
        self._pages = pages
        self._left = limit
        self._items: list[R] = []
        self._one_at_a_time = asyncio.Lock()

    @property
    def beside(self) -> JsonObject:
        """What the newest page says beside its items."""
        return self._pages.beside

    async def next_page(self) -> list[R]:
        """The items of the next page; the rest of this one if some of them came already. Empty at the end.

        `cursor` is then that of the page behind it.
        """
        while not self._items and await self._fill():
            pass
        items, self._items = self._items[::-1], []
        self._gave(len(items))
        return items

    def __aiter__(self) -> Listing[R]:
        return self

    async def __anext__(self) -> R:
        while (item := self.at_hand()) is None:
            if not await self._fill():
                raise StopAsyncIteration
        return item

    def at_hand(self) -> R | None:
        """The next item, if it came already."""
        if not self._items:
            return None
        item = self._items.pop()
        self._gave(1)
        return item

    async def _fill(self) -> bool:
        """Get the next page, unless another task just did. Returns False at the end."""
        async with self._one_at_a_time:
            return bool(self._items) or await self._next_page()

    async def _next_page(self) -> bool:
        if self.finished or self._pages.finished:
            self.finished = True
            return False
        here = self._pages.cursor
        items = await self._pages.next()
        is_cut = self._left is not None and len(items) > self._left
        self._resume = here if is_cut else self._pages.cursor
        items = items[: self._left]
        self._items = [self.kind(item) for item in reversed(items)]
        self._gave(0)
        return True

    def _gave(self, count: int) -> None:
        if self._left is not None:
            self._left -= count
        if not self._items:
            self.cursor = self._resume
            self.finished = self._pages.finished or self._left == 0


class BlockingListing(Iterator[R], Generic[R]):
    """The same for a `for`. Several threads may share one. See `Listing`."""

    def __init__(self, listing: Listing[R], wait: Wait) -> None:
        self._listing = listing
        self._wait = wait
        self._one_at_a_time = threading.Lock()

    @property
    def cursor(self) -> str | None:
        """See `Listing`."""
        return self._listing.cursor

    @property
    def beside(self) -> JsonObject:
        """See `Listing`."""
        return self._listing.beside

    @property
    def finished(self) -> bool:
        """All items came."""
        return self._listing.finished

    def next_page(self) -> list[R]:
        """See `Listing.next_page`."""
        with self._one_at_a_time:
            page: list[R] = self._wait(self._listing.next_page())
        return page

    def __iter__(self) -> BlockingListing[R]:
        return self

    def __next__(self) -> R:
        with self._one_at_a_time:
            item = self._listing.at_hand()
            if item is None:
                item = self._wait(_next(self._listing))
        if item is None:
            raise StopIteration
        return item


async def _next(listing: Listing[R]) -> R | None:
    return await anext(listing, None)


class Envelope(Sequence[R], Generic[R]):
    """One page of a list as the API answers it, with its items as objects: `docs`, and the page itself is a sequence.

    next_token: of the next page of tasks. total: how many the whole list has.
    """

    def __init__(self, kind: Callable[[JsonObject], R], fields: JsonObject) -> None:
        self._fields = fields
        self.docs: list[R] = [kind(item) for item in fields.get("docs", ())]
        self.total: int | None = fields.get("total", fields.get("totalDocs"))
        self.limit: int | None = fields.get("limit")
        self.offset: int | None = fields.get("offset")
        self.has_more: bool | None = fields.get("has_more")
        self.next_token: str | None = fields.get("next_token")

    def as_dict(self) -> JsonObject:
        """The answer as it came."""
        return self._fields

    def __getitem__(self, index: Any) -> Any:
        return self.docs[index]

    def __len__(self) -> int:
        return len(self.docs)

    def __repr__(self) -> str:
        return f"Envelope({len(self.docs)} of {self.total})"


def checked_limit(op: str, limit: int | None) -> None:
    """Raise ConfigError for a limit that does not count items."""
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 0):
        raise ConfigError(f"{op}: limit must be a whole number, 0 or more, not {limit!r}")
