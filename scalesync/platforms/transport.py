"""The one narrow seam to the network: a call goes out, a reply comes back, foreign errors are mapped here.

Nothing is retried here and nothing is judged: every answered request is a `Reply`, whatever its status.
"""

from __future__ import annotations

import asyncio
import email.utils
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace, TracebackType
from typing import Protocol, Self

import aiohttp
from multidict import CIMultiDictProxy
from yarl import URL

from scalesync.errors import ConfigError, OutcomeUnknown, Refused, Unavailable
from scalesync.masking import mask_of
from scalesync.model import RequestClass
from scalesync.platforms.network import is_setting, proxy_for, proxy_refusal, tls_context, translate

USER_AGENT = "scalesync/0.1.0"
MAX_REPLY_BYTES = 1024**3  # after decompression: a bomb ends in words, a page of the largest tasks fits

Query = Sequence[tuple[str, str]]


class Gate(Protocol):
    """What the transport asks before an attempt leaves, and tells after it."""

    async def admit(self, cls: RequestClass) -> None:
        """Wait until an attempt of this class may leave; `leave` follows."""

    def leave(self) -> None:
        """The attempt is over."""

    @property
    def counts_handovers(self) -> bool:
        """Whether `handover` wants to be called."""

    async def handover(self, cls: RequestClass) -> None:
        """The connection is there, the request goes out as soon as this returns."""

    def answered(self, cls: RequestClass, status: int, latency_s: float, retry_after: str | None) -> None:
        """An attempt was answered."""

    def unanswered(self, cls: RequestClass, latency_s: float) -> None:
        """An attempt timed out, was reset, or found no connection."""


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds. connect: name look-up, proxy and TLS included. first_byte also bounds every gap in an answer.

    attempt bounds the whole attempt, from its turn on.
    """

    connect: float = 10.0
    first_byte: float = 40.0
    attempt: float = 120.0


@dataclass(frozen=True, slots=True)
class Reply:
    """An answered request. body: the whole of it, decompressed.

    hide: takes our credentials out of a text of it. An error may repeat what was sent, and errors are kept.
    """

    status: int
    headers: CIMultiDictProxy[str]
    body: bytes
    hide: Callable[[str], str] = str


@dataclass(slots=True)
class Counters:
    """Attempts handed to the network by this process, by class, and answers that asked to slow down."""

    attempts: dict[RequestClass, int] = field(default_factory=lambda: dict.fromkeys(RequestClass, 0))
    throttled: int = 0

    @property
    def requests(self) -> int:
        """All attempts together."""
        return sum(self.attempts.values())


class AttemptClock:
    """The deadline of one attempt. It stands still while the attempt waits for its moment at the socket.

    attempt_s: for what follows that moment, None for no bound.
    """

    __slots__ = ("_attempt_s", "_timer", "cls", "connected")

    def __init__(self, cls: RequestClass, attempt_s: float | None) -> None:
        self.cls = cls
        self.connected = False
        self._attempt_s = attempt_s
        self._timer = asyncio.timeout(None)

    def start(self, seconds: float | None) -> asyncio.Timeout:
        """The timer, to be entered at once."""
        self._timer = asyncio.timeout(seconds)
        return self._timer

    async def hand_over(self, gate: Gate) -> None:
        """There is a connection: wait for the moment, then the attempt has its whole time."""
        self._timer.reschedule(None)
        await gate.handover(self.cls)
        self.connected = True
        if self._attempt_s is not None:
            self._timer.reschedule(asyncio.get_running_loop().time() + self._attempt_s)


class Transport:
    """aiohttp's ClientSession behind one method. Use as an async context manager."""

    def __init__(
        self,
        base_url: str,
        authorization: str,
        gate: Gate,
        *,
        deadlines: Deadlines | None = None,
        ssl_context: ssl.SSLContext | None = None,
        max_reply_bytes: int = MAX_REPLY_BYTES,
    ) -> None:
        self.counters = Counters()
        self._base = base_url.rstrip("/")
        self._headers = {"Authorization": authorization, "Accept": "application/json", "User-Agent": USER_AGENT}
        self._mask = mask_of(authorization)
        self._gate = gate
        self._deadlines = deadlines or Deadlines()
        self._ssl = ssl_context
        self._proxy = proxy_for(base_url)
        self._most = max_reply_bytes
        self._session: aiohttp.ClientSession | None = None
        self._answered = False
        self._date = ""
        self._server_ms = 0
        self._server_at: float | None = None

    async def __aenter__(self) -> Self:
        limits = self._deadlines
        secure = self._base.startswith("https:")
        connector = aiohttp.TCPConnector(
            limit=0,  # the engine bounds what is in flight; a second bound would only park waiters in the pool
            ttl_dns_cache=60,
            keepalive_timeout=30,
            ssl=self._ssl or (tls_context() if secure else True),
        )
        paced = self._gate.counts_handovers
        timeout = aiohttp.ClientTimeout(
            total=None,
            connect=None if paced else limits.connect,  # with hooks, AttemptClock bounds it: they wait inside of it
            sock_connect=limits.connect,
            sock_read=limits.first_byte,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            trace_configs=[handover_trace(self._gate)] if paced else [],
            timeout=timeout,
            headers=self._headers,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=True,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    def hide(self, text: str) -> str:
        """The text without our credentials."""
        return self._mask(text)

    @property
    def server_now_ms(self) -> int:
        """The server's clock as its Date headers tell it, to about a second; the local clock before any reply.

        Between replies it runs on with the monotonic clock: somebody may set the local one meanwhile.
        """
        if self._server_at is None:
            return time.time_ns() // 1_000_000
        return self._server_ms + int((time.monotonic() - self._server_at) * 1000)

    async def call(
        self, cls: RequestClass, method: str, path: str, *, query: Query = (), body: bytes | None = None
    ) -> Reply:
        """Make one attempt. path: below the API root, already percent-encoded.

        Raises Unavailable when no connection was made, OutcomeUnknown when the reply did not come or was cut short,
        Refused (413) for a list that is too large to hold, and ConfigError when, before anything ever got through,
        the settings are at fault.
        """
        url = URL(self._base + path, encoded=True)
        if query:
            url = url.extend_query(list(query))
        await self._gate.admit(cls)
        self.counters.attempts[cls] += 1
        started = time.monotonic()
        clock = AttemptClock(cls, self._deadlines.attempt)
        try:
            reply = await self._exchange(clock, method, url, body)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            self._gate.unanswered(cls, time.monotonic() - started)
            raise self._in_words(error, f"{method} {path}", clock) from error
        finally:
            self._gate.leave()
        self._note(cls, reply, time.monotonic() - started)
        if reply.status == 407 and self._proxy is not None:
            kind = Unavailable if self._answered else ConfigError
            raise kind(proxy_refusal(407, self._proxy))
        self._answered = True
        return reply

    async def _exchange(self, clock: AttemptClock, method: str, url: URL, body: bytes | None) -> Reply:
        assert self._session is not None, "the transport is used as a context manager"
        limits = self._deadlines
        async with (
            clock.start(limits.connect if self._gate.counts_handovers else limits.attempt),
            self._session.request(
                method,
                url,
                data=body,
                headers={"Content-Type": "application/json"} if body is not None else None,
                proxy=self._proxy,
                allow_redirects=False,
                trace_request_ctx=clock,
            ) as response,
        ):
            data = await self._read(response, clock.cls)
        return Reply(response.status, response.headers, data, self._mask)

    async def _read(self, response: aiohttp.ClientResponse, cls: RequestClass) -> bytes:
        """The whole body, as far as it can be held."""
        parts: list[bytes] = []
        size = 0
        async for part in response.content.iter_any():
            size += len(part)
            if size > self._most:
                response.close()
                words = f"the reply is larger than {self._most // 1024**2:,} MB and was not read on"
                if cls is RequestClass.LIST:
                    raise Refused(f"{words}; ask for fewer tasks at a time", op="read", status=413)
                raise OutcomeUnknown(words, op="read", status=response.status)
            parts.append(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _in_words(self, error: Exception, op: str, clock: AttemptClock) -> Exception:
        if isinstance(error, TimeoutError) and self._gate.counts_handovers and not clock.connected:
            error = aiohttp.ConnectionTimeoutError()
        said = translate(error, op, self._base, self._proxy)
        if isinstance(said, Unavailable) and is_setting(error) and not self._answered:
            return ConfigError(str(said))
        if isinstance(said, ConfigError) and self._answered:
            return Unavailable(str(said), op=op)
        return said

    def _note(self, cls: RequestClass, reply: Reply, latency_s: float) -> None:
        if reply.status == 429:
            self.counters.throttled += 1
        self._gate.answered(cls, reply.status, latency_s, reply.headers.get("Retry-After"))
        date = reply.headers.get("Date", "")
        if date and date != self._date:
            self._date = date
            if (told := _server_time(date)) is not None:
                self._server_ms, self._server_at = told, time.monotonic()


def handover_trace(gate: Gate) -> aiohttp.TraceConfig:
    """Hooks that aiohttp awaits between having a connection and writing the request to it."""
    trace = aiohttp.TraceConfig()

    async def hand_over(session: aiohttp.ClientSession, context: SimpleNamespace, params: object) -> None:
        await context.trace_request_ctx.hand_over(gate)

    trace.on_connection_reuseconn.append(hand_over)
    trace.on_connection_create_end.append(hand_over)
    return trace


def _server_time(date: str) -> int | None:
    try:
        return int(email.utils.parsedate_to_datetime(date).timestamp() * 1000)
    except (ValueError, TypeError, OverflowError):
        return None
