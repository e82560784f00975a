"""One call of the API from arguments to what came: repeated where that is safe, in the caller's event loop."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeVar

from scalesync.engine.calls import Change
from scalesync.errors import BudgetUsed, ConfigError, KeyRefused, OutcomeUnknown, RemoteError
from scalesync.flows.runtime.wiring import Connection
from scalesync.http.answers import unanswered
from scalesync.http.transport import Reply
from scalesync.platforms.scale.api.endpoint import Again, Endpoint, Pages, Request, request_of
from scalesync.platforms.scale.api.errors import error_of
from scalesync.platforms.scale.wire import loads

T = TypeVar("T")
MOST_EMPTY_PAGES = 50  # of a list in a row, before it counts as one without end


class Came(NamedTuple):
    """The JSON of an answer, None where it is plain text such as `OK`.

    unclear: an earlier attempt of the call may have taken effect.
    """

    value: Any
    unclear: bool


class _NotAgain(Exception):
    """The request may have been carried out and must not be sent a second time."""

    def __init__(self, error: OutcomeUnknown) -> None:
        self.error = error


class Calls:
    """Calls over one connection. root: the address of the host, below which version 2 lives."""

    def __init__(self, connection: Connection, root: str) -> None:
        self._connection = connection
        self._root = root

    async def make(
        self,
        endpoint: Endpoint,
        arguments: Mapping[str, Any],
        *,
        again: Again | None = None,
        more: Sequence[tuple[str, str]] = (),
    ) -> Came:
        """Make a call. again: instead of the endpoint's own. more: what the query of a list's next page has more.

        Raises ConfigError before anything leaves if an argument is wrong, the exceptions of `api.errors` for what the
        server answers, Unavailable and OutcomeUnknown if it answers nothing for as long as the client waits.
        """
        request = request_of(endpoint, arguments)
        request = request._replace(query=[*request.query, *more])
        key = str(arguments.get("unique_id") or arguments.get("name") or arguments.get("batch_name") or "")
        change = Change(partial(self._once, endpoint, request, key))
        reply = await self._repeated(change, again or endpoint.again)
        return Came(_decoded(endpoint, reply), change.unclear)

    async def _once(self, endpoint: Endpoint, request: Request, key: str) -> Reply:
        reply = await self._connection.transport.call(
            endpoint.request,
            request.method,
            request.path,
            query=request.query,
            body=request.body,
            root=self._root if endpoint.version != "v1" else None,
        )
        if 200 <= reply.status < 300 or (endpoint.redirects and reply.status in {301, 302, 303, 307, 308}):
            return reply
        raise error_of(reply, endpoint.op, key)

    async def _repeated(self, change: Change[T], again: Again) -> T:
        async def attempt() -> T:
            try:
                return await change()
            except OutcomeUnknown as error:
                if again is Again.ONCE:
                    raise _NotAgain(error) from error
                raise

        try:
            return await self._connection.call(attempt)
        except _NotAgain as stopped:
            raise stopped.error from None
        except (BudgetUsed, KeyRefused, ConfigError) as given_up:
            # A run would be resumed; a program wants to know what the last attempt met.
            if isinstance(given_up.__cause__, RemoteError):
                raise given_up.__cause__ from None
            raise

    async def pages(
        self, endpoint: Endpoint, arguments: Mapping[str, Any], cursor: str | None = None
    ) -> AsyncIterator[tuple[list[Any], str | None]]:
        """The pages of a list: items, and the cursor of the next page, None at the end.

        cursor: of an earlier call, to continue there with the same arguments.
        Raises OutcomeUnknown for an answer that is not a list, for a list that leads in a circle, and for one that
            continues without an item.
        """
        seen: set[str] = set()
        empty = 0
        while True:
            value = (await self.make(endpoint, arguments, more=_continued(endpoint, cursor))).value
            items = _items(endpoint, value)
            cursor = _next(endpoint, value, len(items), cursor)
            yield items, cursor
            if cursor is None:
                return
            empty = 0 if items else empty + 1
            if cursor in seen or empty >= MOST_EMPTY_PAGES:
                what = "leads to a page that came already" if cursor in seen else f"had {empty} empty pages in a row"
                raise OutcomeUnknown(f"{endpoint.op}: the list {what}; begin it again", op=endpoint.op)
            seen.add(cursor)


def _decoded(endpoint: Endpoint, reply: Reply) -> Any:
    """The JSON of an answer. Some calls are answered with plain text; then it is None, unless an object was to come."""
    if endpoint.redirects:
        return reply.headers.get("Location")
    try:
        return loads(reply.body)
    except ValueError:
        if endpoint.returns:
            raise unanswered(reply, endpoint.op, "the reply is not JSON") from None
        return None


def _items(endpoint: Endpoint, value: Any) -> list[Any]:
    found = value.get(endpoint.docs) if endpoint.docs and isinstance(value, dict) else value
    if not isinstance(found, list):
        raise OutcomeUnknown(f"{endpoint.op}: the reply is not a list", op=endpoint.op)
    return found


def _continued(endpoint: Endpoint, cursor: str | None) -> Sequence[tuple[str, str]]:
    return [("offset" if endpoint.pages is Pages.OFFSET else "next_token", cursor)] if cursor is not None else []


def _next(endpoint: Endpoint, value: Any, items: int, cursor: str | None) -> str | None:
    """The cursor of the next page. A list by token ends where the token is missing, or where it says that it ends."""
    match endpoint.pages:
        case Pages.CURSOR:
            token = value.get("next_token")
            return token if isinstance(token, str) and token and value.get("has_more") is not False else None
        case Pages.OFFSET:
            return str(int(cursor or 0) + items) if items and value.get("has_more") else None
    return None
