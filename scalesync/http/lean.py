"""LeanExchange: small requests on aiohttp's connector and parser, without ClientSession.

ClientSession builds a request, a response, a writer and several timers for each call; this is two thirds of the cost of
a create. Here the head that all requests share is built once, each connection carries one exchange after the other, and
one timer watches all deadlines.

It depends on undocumented parts of aiohttp: `ClientRequest` as the key of a connection, the protocol's
`set_response_params`, `read` and `should_close`, the pieces of a body. So the program uses it only with the releases
of aiohttp that the tests ran on. ClientSession serves other releases, proxies and all other requests.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import aiohttp
from aiohttp.client_reqrep import ClientRequest
from aiohttp.http_exceptions import HttpProcessingError
from yarl import URL

from scalesync.http.deadlines import DeadlineWatch
from scalesync.http.exchange import HEADER_BYTES, Answer, Body, Deadlines, Gate, too_large
from scalesync.model.targets import RequestClass

# The contract and fault suites ran on releases from the first up to, but without, the last.
PROVEN = ((3, 14, 5), (3, 15))
MOST_BODY = 64 * 1024  # a longer body may be slow to send, and its time to the first byte starts after it was sent
IDLE_S = 30.0


def is_proven(version: str = aiohttp.__version__) -> bool:
    """Whether the tests of this module ran on this release of aiohttp."""
    numbers = []
    for part in version.split("."):
        if not part.isdigit():
            return False
        numbers.append(int(part))
    return PROVEN[0] <= tuple(numbers) < PROVEN[1]


class _Line:
    """One connection and its exchange. Times are of the loop's clock.

    began: when the request was written.
    moved_at: when the answer last grew.
    """

    __slots__ = ("began", "connection", "idle_since", "limits", "moved_at", "payload", "protocol", "received")

    def __init__(self, connection: Any, limits: Deadlines) -> None:
        self.connection = connection
        self.limits = limits
        self.protocol = connection.protocol
        self.payload: Any = None
        self.began = self.moved_at = self.idle_since = 0.0
        self.received = 0

    def look(self, now: float) -> bool:
        """See `Watched`. Late means that a gap in the answer, or the whole attempt, takes too long."""
        if self.payload is not None and self.payload.total_bytes != self.received:
            self.received = self.payload.total_bytes
            self.moved_at = now
        if now - self.moved_at <= self.limits.first_byte and now - self.began <= self.limits.attempt:
            return True
        error = aiohttp.SocketTimeoutError("no answer in time")
        self.protocol.set_exception(error)
        if self.payload is not None:
            self.payload.set_exception(error)
        return False


class LeanExchange:
    """Small requests to one origin.

    connector: shared with the session, which closes it; so enter the session first.
    headers: sent with every request, as the session sends them.
    """

    def __init__(
        self,
        connector: aiohttp.TCPConnector,
        headers: Mapping[str, str],
        gate: Gate,
        deadlines: Deadlines,
        *,
        most: int,
    ) -> None:
        self._connector = connector
        self._headers = headers
        self._gate = gate
        self._counts = gate.counts_handovers
        self._deadlines = deadlines
        self._most = most
        self._timeout = aiohttp.ClientTimeout(total=None, connect=deadlines.connect, sock_connect=deadlines.connect)
        self._key: ClientRequest | None = None  # of the connections; with it goes the head that all requests share
        self._shared = b""
        # The last address and its head: a run posts to few addresses, and making a head costs more than the look here.
        self._last: tuple[URL, str, bool] | None = None
        self._head = b""
        self._idle: deque[_Line] = deque()
        self._unwritten: list[tuple[Any, bytes]] = []
        self._watch = DeadlineWatch(deadlines)
        self._busy = self._watch.watched

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._watch.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._watch.stop()
        for line in self._idle:
            line.connection.release()  # into the connector's pool, which closes TLS properly
        self._idle.clear()

    def carry(self, headers: Mapping[str, str]) -> None:
        """See `Exchange`. The prepared heads hold the old headers, so they are dropped."""
        self._headers = headers
        self._key = self._last = None

    @staticmethod
    def takes(body: Body) -> bool:
        """Whether a call with this body is a small one."""
        return body is None or (isinstance(body, bytes) and len(body) <= MOST_BODY)

    async def __call__(self, cls: RequestClass, method: str, url: URL, body: Body) -> Answer:
        """One attempt; see `Exchange`."""
        assert body is None or isinstance(body, bytes), "only small requests come here"
        last = self._last
        if last is None or url is not last[0] or method != last[1] or (body is None) != last[2]:
            self._head, self._last = self._head_of(method, url, body), (url, method, body is None)
        request = self._head if body is None else b"%b%d\r\n\r\n%b" % (self._head, len(body), body)
        line = await self._line()
        # If the server closed it while it was idle, reading again does no harm; ClientSession does the same.
        again = method == "GET" and bool(line.idle_since)
        while True:  # no method of its own for an attempt: a coroutine more costs each create one per cent
            try:
                if self._counts:
                    await self._gate.handover(cls)
                    while not line.protocol.is_connected():  # it closed during our wait; nothing was written to it
                        line.connection.close()
                        line = await self._line()
                        await self._gate.handover(cls)
                answer = await self._converse(line, cls, request)
                break
            except HttpProcessingError as error:
                line.connection.close()
                raise aiohttp.ClientPayloadError(f"the answer is not HTTP: {error.message}") from error
            except BaseException as error:
                line.connection.close()
                if not (again and isinstance(error, aiohttp.ServerDisconnectedError | aiohttp.ClientOSError)):
                    raise
                again = False
            finally:
                self._busy.discard(line)
            line = await self._connected()
        if line.protocol.should_close:
            line.connection.close()
        else:
            line.idle_since = self._loop.time()
            self._idle.append(line)
        return answer

    async def _converse(self, line: _Line, cls: RequestClass, request: bytes) -> Answer:
        """Write the request and read the answer."""
        protocol = line.protocol
        line.payload, line.received = None, 0
        line.began = line.moved_at = self._loop.time()
        self._busy.add(line)
        if not self._unwritten:
            self._loop.call_soon(self._write)
        self._unwritten.append((protocol, request))
        message, payload = await protocol.read()
        while message.code < 200 and message.code != 101:
            message, payload = await protocol.read()
        if payload.is_eof():
            data = _whole(protocol, payload)
        else:
            line.payload = payload
            data = await self._read(payload, cls, message.code)
        if len(data) > self._most:
            raise too_large(cls, message.code, self._most)
        return Answer(message.code, message.headers, data)

    async def _read(self, payload: aiohttp.StreamReader, cls: RequestClass, status: int) -> bytes:
        """Read a body that did not arrive in one piece with its head."""
        parts: list[bytes] = []
        size = 0
        async for part in payload.iter_any():
            size += len(part)
            if size > self._most:
                raise too_large(cls, status, self._most)
            parts.append(part)
        return b"".join(parts)

    def _write(self) -> None:
        """Write all requests of this turn of the loop at once, so the server wakes once instead of once a request."""
        waiting, self._unwritten = self._unwritten, []
        for protocol, request in waiting:
            if protocol.is_connected():
                protocol.transport.write(request)

    # --- connections ---------------------------------------------------------------------------

    async def _line(self) -> _Line:
        """An idle connection, the most recently used first; a new one if none is idle."""
        oldest = self._loop.time() - IDLE_S
        while self._idle:
            line = self._idle.pop()
            if line.protocol.is_connected() and not line.protocol.should_close and line.idle_since > oldest:
                return line
            line.connection.close()
        return await self._connected()

    async def _connected(self) -> _Line:
        assert self._key is not None, "the head of the request comes first"
        try:
            async with asyncio.timeout(self._deadlines.connect):
                connection = await self._connector.connect(self._key, [], self._timeout)
        except TimeoutError:
            raise aiohttp.ConnectionTimeoutError from None
        line = _Line(connection, self._deadlines)
        line.protocol.set_response_params(
            read_until_eof=True, auto_decompress=True, max_line_size=HEADER_BYTES, max_field_size=HEADER_BYTES
        )
        return line

    def _head_of(self, method: str, url: URL, body: Body) -> bytes:
        """The head of a request: whole without a body, else up to, but without, the value of Content-Length."""
        if self._key is None:
            self._key = ClientRequest("GET", url, headers=self._headers, loop=self._loop)
            fields = {"Host": self._key.headers["Host"], **self._headers}
            self._shared = _encoded("".join(f"{name}: {value}\r\n" for name, value in fields.items()), len(fields))
        begin = _encoded(f"{method} {url.raw_path_qs} HTTP/1.1\r\n", 1) + self._shared
        if body is not None:
            return begin + b"Content-Type: application/json\r\nContent-Length: "
        return begin + (b"Accept-Encoding: gzip, deflate\r\n\r\n" if method == "GET" else b"Content-Length: 0\r\n\r\n")


def _encoded(lines: str, count: int) -> bytes:
    if lines.count("\n") != count or lines.count("\r") != count:
        raise ValueError("a header holds a line break")
    return lines.encode("ascii")


def _whole(protocol: Any, payload: Any) -> bytes:
    """The body of a complete answer.

    `read_nowait` would also make the protocol resume reading, and the parser run on no bytes. Only a long body, which
    made the protocol pause, needs that.
    """
    if not protocol._reading_paused and payload.total_bytes and payload.exception() is None:
        pieces = payload._buffer
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)
    data: bytes = payload.read_nowait()
    return data
