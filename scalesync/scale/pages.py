"""The pages of one list, one after the other. Each list of the API continues in its own way."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from scalesync.errors import ConfigError, OutcomeUnknown
from scalesync.model.records import JsonObject
from scalesync.platforms.scale.api.endpoint import Endpoint
from scalesync.platforms.scale.api.endpoint import Pages as Way

MOST_EMPTY_PAGES = 50  # of a list in a row, before it counts as one without end


class Pages:
    """A walk through one list.

    make: makes the call, with `more` of the query; its result has the JSON as `value`.
    cursor: of an earlier walk with the same arguments, to continue there; then that of the next page.
    finished: the last page came.
    beside: what the newest page says beside its items and the next cursor, such as `total` or `delivery`.
    Raises ConfigError for a cursor that is not of this list.
    """

    def __init__(
        self,
        make: Callable[..., Awaitable[Any]],
        endpoint: Endpoint,
        arguments: Mapping[str, Any],
        cursor: str | None = None,
    ) -> None:
        if cursor is not None and (
            endpoint.pages is Way.NONE or (endpoint.pages is Way.OFFSET and not (cursor.isascii() and cursor.isdigit()))
        ):
            raise ConfigError(f"{endpoint.op}: this list has no cursor {cursor!r}; use one that this list gave")
        self.cursor = cursor
        self.finished = False
        self.beside: JsonObject = {}
        self._make = make
        self._endpoint = endpoint
        self._arguments = arguments
        self._seen: set[str] = set()
        self._names: frozenset[Any] = frozenset()
        self._empty = 0

    async def next(self) -> list[Any]:
        """The items of the next page.

        Raises OutcomeUnknown for an answer that is not a list, for a list that leads in a circle, and for one that
        continues without an item.
        """
        value = (await self._make(self._endpoint, self._arguments, more=self._continued())).value
        items = self._items(value)
        cursor = self._next(value, len(items))
        self._check(cursor, items)
        self.cursor = cursor
        self.finished = cursor is None
        if isinstance(value, dict):
            here = {self._endpoint.docs, "next_token"}
            self.beside = {name: each for name, each in value.items() if name not in here}
        return self._new(items)

    def _continued(self) -> Sequence[tuple[str, str]]:
        if self.cursor is None:
            return ()
        return [("offset" if self._endpoint.pages is Way.OFFSET else "next_token", self.cursor)]

    def _items(self, value: Any) -> list[Any]:
        docs = self._endpoint.docs
        found = value.get(docs) if docs and isinstance(value, dict) else value
        if not isinstance(found, list) or (docs and found is value):
            raise self._wrong("the reply is not a list")
        if self._endpoint.returns and not all(isinstance(item, dict) for item in found):
            raise self._wrong("an item of the list is not an object")
        return found

    def _next(self, value: Any, items: int) -> str | None:
        """The cursor of the next page. A list by token ends where the token is missing, or where it says that it ends.

        One that says that it continues, without a token, must not look finished.
        """
        match self._endpoint.pages:
            case Way.CURSOR:
                token, more = value.get("next_token"), value.get("has_more")
                if more and not token:
                    raise self._wrong("the list says that it continues, without saying where")
                return str(token) if token and more is not False else None
            case Way.OFFSET:
                return str(int(self.cursor or 0) + items) if items and value.get("has_more") else None
        return None

    def _check(self, cursor: str | None, items: list[Any]) -> None:
        self._empty = 0 if items else self._empty + 1
        if cursor is None:
            return
        if cursor in self._seen:
            raise self._wrong("the list leads to a page that came already; begin it again")
        if self._empty >= MOST_EMPTY_PAGES:
            raise self._wrong(f"the list had {self._empty} empty pages in a row; begin it again")
        self._seen.add(cursor)

    def _new(self, items: list[Any]) -> list[Any]:
        """The items that the page before did not hold.

        A list by offset is shifted by what is created meanwhile: the end of a page stands on the next one again.
        """
        if self._endpoint.pages is not Way.OFFSET:
            return items
        names, before = frozenset(item.get("name") for item in items if isinstance(item, dict)), self._names
        self._names = names
        return [item for item in items if not isinstance(item, dict) or item.get("name") not in before]

    def _wrong(self, words: str) -> OutcomeUnknown:
        return OutcomeUnknown(f"{self._endpoint.op}: {words}", op=self._endpoint.op)
