"""What the generated methods stand on: a call by its name, and its result as an object."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Coroutine, Mapping
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from scalesync.errors import OutcomeUnknown
from scalesync.platforms.scale.api.endpoint import Endpoint, request_of
from scalesync.platforms.scale.api.objects import Resource
from scalesync.platforms.scale.api.table import ENDPOINTS
from scalesync.scale.blocking.results import CLASSES as BLOCKING
from scalesync.scale.bound import Bound
from scalesync.scale.calls import Calls, Came
from scalesync.scale.listing import BlockingListing, Envelope, Listing, checked_limit
from scalesync.scale.pages import Pages

if TYPE_CHECKING:
    from scalesync.scale.client import AsyncScaleClient

R = TypeVar("R", bound=Resource)
T = TypeVar("T")
PAGE_MOST = 100  # what the API gives at once, and what it gives where nothing is asked for
Arguments = Mapping[str, Any]


class Base(ABC):
    """The foundation of `AsyncScaleClient`."""

    @abstractmethod
    async def _opened(self) -> Calls:
        """The calls over this client's connection, which is opened if it is not."""

    async def _make(self, endpoint: Endpoint, arguments: Arguments, **more: Any) -> Came:
        return await (await self._opened()).make(endpoint, _named(arguments), **more)

    async def _value(self, name: str, arguments: Arguments) -> Any:
        """What came, as it came."""
        return (await self._make(ENDPOINTS[name], arguments)).value

    async def _object(self, name: str, kind: type[R], arguments: Arguments) -> R:
        return kind.of((await self._make(ENDPOINTS[name], arguments)).value, self)

    async def _objects(self, name: str, kind: type[R], arguments: Arguments) -> list[R]:
        """A list that comes whole."""
        endpoint = ENDPOINTS[name]
        value = (await self._make(endpoint, arguments)).value
        items = value.get(endpoint.docs) if endpoint.docs and isinstance(value, dict) else value
        if not isinstance(items, list):
            raise OutcomeUnknown(f"{endpoint.op}: the reply is not a list", op=endpoint.op)
        if not all(isinstance(item, Mapping) for item in items):
            raise OutcomeUnknown(f"{endpoint.op}: an item of the list is not an object", op=endpoint.op)
        return [kind.of(item, self) for item in items]

    def _listing(
        self, name: str, kind: type[R], arguments: dict[str, Any], cursor: str | None, limit: int | None
    ) -> Listing[R]:
        """A list in pages. Wrong arguments raise here, before anybody iterates."""
        endpoint = ENDPOINTS[name]
        arguments = _named(arguments)
        checked_limit(endpoint.op, limit)
        if limit is not None and 0 < limit < PAGE_MOST and arguments.get("page_size", limit) is None:
            arguments["page_size"] = limit
        request_of(endpoint, arguments)
        return Listing(partial(kind.of, client=self), Pages(self._make, endpoint, arguments, cursor), limit)

    async def _total(self, name: str, arguments: Arguments) -> int:
        """How many things a list has, from one page with one of them."""
        endpoint = ENDPOINTS[name]
        total = (await self._make(endpoint, {**arguments, "page_size": 1})).value.get("total")
        if not isinstance(total, int):
            raise OutcomeUnknown(f"{endpoint.op}: the reply does not say how many there are", op=endpoint.op)
        return total


def _named(arguments: Arguments) -> dict[str, Any]:
    """The arguments with the values of enums: programs that were written for the official SDK pass `TaskType.Chat`."""
    return {name: _value_of(value) for name, value in arguments.items()}


def _value_of(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_value_of(item) for item in value]
    return value.value if isinstance(value, Enum) else value


class Blocking(ABC):
    """The foundation of `Client`."""

    _client: AsyncScaleClient

    @abstractmethod
    def _wait(self, made: Coroutine[Any, Any, T]) -> T:
        """The result of a call that runs in the background loop."""

    def _own(self, made: Coroutine[Any, Any, Any]) -> Any:
        """The same, with results whose methods need no `await`."""
        return self._owned(self._wait(made))

    def _owned(self, result: Any) -> Any:
        if isinstance(result, Bound):
            return BLOCKING[type(result).__name__].of(result.as_dict(), self)
        if isinstance(result, list):
            return [self._owned(item) for item in result]
        if isinstance(result, Envelope):
            result.docs = self._owned(result.docs)
        return result

    def _listed(self, listing: Listing[R]) -> BlockingListing[Any]:
        plain = listing.kind
        listing.kind = lambda fields: self._owned(plain(fields))
        return BlockingListing(listing, self._wait)
