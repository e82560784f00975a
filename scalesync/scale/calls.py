"""One call of the API from arguments to what came: repeated where that is safe, in the caller's event loop."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial
from typing import Any, BinaryIO, NamedTuple, TypeVar
from urllib.parse import urljoin

from scalesync.engine.calls import Change
from scalesync.errors import BudgetUsed, ConfigError, KeyRefused, LongPause, OutcomeUnknown, RemoteError
from scalesync.events import duration
from scalesync.flows.runtime.wiring import Connection
from scalesync.http.answers import unanswered
from scalesync.http.form import Form
from scalesync.http.transport import Reply
from scalesync.platforms.scale.api.endpoint import Again, Endpoint, In, Request, request_of
from scalesync.platforms.scale.api.errors import ScaleTooManyRequests, error_of
from scalesync.platforms.scale.jsonbytes import loads
from scalesync.scale.pages import Pages
from scalesync.scale.unclear import CHECKED, before, read_back, with_doubt

T = TypeVar("T")
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


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
        self.connection = connection
        self._root = root
        connection.pace.patience_s = connection.call.patience_s

    async def make(
        self,
        endpoint: Endpoint,
        arguments: Mapping[str, Any],
        *,
        again: Again | None = None,
        more: Sequence[tuple[str, str]] = (),
        file: tuple[BinaryIO, str] | None = None,
    ) -> Came:
        """Make a call.

        again: instead of the endpoint's own. more: what the query of a list's next page has more.
        file: to upload, and its name.
        Raises ConfigError before anything leaves if an argument is wrong, the exceptions of `api.errors` for what the
        server answers, Unavailable and OutcomeUnknown if it answers nothing for as long as the client waits.
        """
        request = request_of(endpoint, arguments)
        if more:
            request = request._replace(query=[*request.query, *more])
        if endpoint.name in CHECKED:
            await before(self, endpoint, arguments)
        key = named(endpoint, arguments)
        again = again or endpoint.again
        if again is Again.NAMED and not key:
            again = Again.ONCE
        body = Form(request.fields, *file) if file is not None else request.body
        change = Change(partial(self._once, endpoint, request, body, key))
        try:
            value = await self._repeated(change, again)
        except RemoteError as error:
            if not change.unclear or endpoint.method == "GET":
                raise
            found = await read_back(self, endpoint, arguments, error)
            if found is None:
                raise with_doubt(error, endpoint.op) from None
            return Came(found, unclear=True)
        return Came(value, change.unclear)

    async def _once(self, endpoint: Endpoint, request: Request, body: bytes | Form | None, key: str) -> Any:
        root = self._root if endpoint.version != "v1" else None
        try:
            reply = await self.connection.transport.call(
                endpoint.request, request.method, request.path, query=request.query, body=body, root=root
            )
        except LongPause as pause:
            raise ScaleTooManyRequests(
                f"{endpoint.op}: {pause}", op=endpoint.op, retry_after_s=pause.retry_after_s
            ) from None
        except RemoteError as error:
            if isinstance(body, Form) and body.failure:
                raise ConfigError(f"{endpoint.op}: {body.failure}; nothing was uploaded") from None
            error.op = endpoint.op
            error.args = (f"{endpoint.op}: {error}",)
            # aiohttp's exceptions may show the request with its headers, and so the key.
            error.__cause__ = error.__context__ = None
            raise
        if 200 <= reply.status < 300:
            return _decoded(endpoint, reply)
        if endpoint.redirects and reply.status in _REDIRECTS and "Location" in reply.headers:
            return urljoin(self._root + request.path, reply.headers["Location"])
        raise error_of(reply, endpoint.op, key)

    async def _repeated(self, change: Change[T], again: Again) -> T:
        async def attempt() -> T:
            try:
                return await change()
            except OutcomeUnknown as error:
                raise _NotAgain(error) from error

        try:
            return await self.connection.call(attempt if again is Again.ONCE else change)
        except _NotAgain as stopped:
            failure: RemoteError = stopped.error
        except (BudgetUsed, KeyRefused, ConfigError) as given_up:
            # A run would be resumed; a program wants to know what the last attempt met.
            if not isinstance(given_up.__cause__, RemoteError):
                raise
            failure = given_up.__cause__
            if failure.retry_after_s and isinstance(given_up, BudgetUsed) and failure.status is not None:
                failure.args = (f"{failure}; the server asks you to wait for {duration(failure.retry_after_s)}",)
        raise failure  # out here, so that it does not lead in a circle to what it was taken from

    async def pages(
        self, endpoint: Endpoint, arguments: Mapping[str, Any], cursor: str | None = None
    ) -> AsyncIterator[tuple[list[Any], str | None]]:
        """The pages of a list: items, and the cursor of the next page, None at the end. See `Pages`."""
        pages = Pages(self.make, endpoint, arguments, cursor)
        while not pages.finished:
            items = await pages.next()
            yield items, pages.cursor


def named(endpoint: Endpoint, arguments: Mapping[str, Any]) -> str:
    """The name that no two things share, from the arguments; empty if there is none."""
    if not endpoint.named_by:
        return ""
    rest = (arguments.get(param.name) for param in endpoint.params if param.place is In.REST)
    found = arguments.get(endpoint.named_by) or next((each.get(endpoint.named_by) for each in rest if each), None)
    return str(found or "")


def _decoded(endpoint: Endpoint, reply: Reply) -> Any:
    """The JSON of an answer. Some calls are answered with plain text; then it is None, unless an object was to come."""
    try:
        value = loads(reply.body)
    except ValueError:
        if endpoint.returns or endpoint.redirects:
            raise unanswered(reply, endpoint.op, "the reply is not JSON") from None
        return None
    if endpoint.returns and not endpoint.is_list and not isinstance(value, dict):
        raise OutcomeUnknown(f"{endpoint.op}: the reply is not an object", op=endpoint.op)
    return value
