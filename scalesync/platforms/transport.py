"""The one narrow seam to the network: a call goes out, a reply comes back, foreign errors are mapped here.

Nothing is retried here and nothing is judged: every answered request is a `Reply`, whatever its status.
"""

from __future__ import annotations

import asyncio
import email.utils
import ssl
import time
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace, TracebackType
from typing import Protocol, Self
from urllib.parse import urlsplit

import aiohttp
from multidict import CIMultiDictProxy
from yarl import URL

from scalesync.errors import ConfigError, OutcomeUnknown, Unavailable
from scalesync.model import RequestClass

USER_AGENT = "scalesync/0.1.0"

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
    """Seconds. first_byte also bounds every gap in an answer; attempt bounds the whole attempt."""

    connect: float = 10.0
    first_byte: float = 40.0
    attempt: float = 120.0


@dataclass(frozen=True, slots=True)
class Reply:
    """An answered request. body: the whole of it, decompressed."""

    status: int
    headers: CIMultiDictProxy[str]
    body: bytes


@dataclass(slots=True)
class Counters:
    """Attempts handed to the network by this process, by class, and answers that asked to slow down."""

    attempts: dict[RequestClass, int] = field(default_factory=lambda: dict.fromkeys(RequestClass, 0))
    throttled: int = 0

    @property
    def requests(self) -> int:
        """All attempts together."""
        return sum(self.attempts.values())


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
    ) -> None:
        self.counters = Counters()
        self._base = base_url.rstrip("/")
        self._headers = {"Authorization": authorization, "Accept": "application/json", "User-Agent": USER_AGENT}
        self._gate = gate
        self._deadlines = deadlines or Deadlines()
        self._ssl = ssl_context
        self._proxy = proxy_for(base_url)
        self._session: aiohttp.ClientSession | None = None
        self._date = ""
        self._clock_offset_ms = 0

    async def __aenter__(self) -> Self:
        limits = self._deadlines
        connector = aiohttp.TCPConnector(
            limit=0,  # the engine bounds what is in flight; a second bound would only park waiters in the pool
            ttl_dns_cache=60,
            keepalive_timeout=30,
            ssl=self._ssl if self._ssl is not None else True,
        )
        timeout = aiohttp.ClientTimeout(total=limits.attempt, sock_connect=limits.connect, sock_read=limits.first_byte)
        traces = [_handover_trace(self._gate)] if self._gate.counts_handovers else []
        self._session = aiohttp.ClientSession(
            connector=connector,
            trace_configs=traces,
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

    @property
    def server_now_ms(self) -> int:
        """The server's clock as its Date headers tell it, to about a second; the local clock before any reply."""
        return time.time_ns() // 1_000_000 + self._clock_offset_ms

    async def call(
        self, cls: RequestClass, method: str, path: str, *, query: Query = (), body: bytes | None = None
    ) -> Reply:
        """Make one attempt. path: below the API root, already percent-encoded.

        Raises Unavailable when no connection was made, OutcomeUnknown when the reply did not come or was cut short.
        """
        assert self._session is not None, "the transport is used as a context manager"
        url = URL(self._base + path, encoded=True)
        if query:
            url = url.extend_query(list(query))
        headers = {"Content-Type": "application/json"} if body is not None else None
        await self._gate.admit(cls)
        self.counters.attempts[cls] += 1
        started = time.monotonic()
        try:
            async with self._session.request(
                method,
                url,
                data=body,
                headers=headers,
                proxy=self._proxy,
                allow_redirects=False,
                trace_request_ctx=cls,
            ) as response:
                reply = Reply(response.status, response.headers, await response.read())
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self._gate.unanswered(cls, time.monotonic() - started)
            raise translate(error, f"{method} {path}", self._base) from error
        finally:
            self._gate.leave()
        self._note(cls, reply, time.monotonic() - started)
        return reply

    def _note(self, cls: RequestClass, reply: Reply, latency_s: float) -> None:
        if reply.status == 429:
            self.counters.throttled += 1
        self._gate.answered(cls, reply.status, latency_s, reply.headers.get("Retry-After"))
        date = reply.headers.get("Date", "")
        if date and date != self._date:
            self._date = date
            self._clock_offset_ms = _offset_ms(date, self._clock_offset_ms)


def _handover_trace(gate: Gate) -> aiohttp.TraceConfig:
    """Hooks that aiohttp awaits between having a connection and writing the request to it."""
    trace = aiohttp.TraceConfig()

    async def hand_over(session: aiohttp.ClientSession, context: SimpleNamespace, params: object) -> None:
        await gate.handover(context.trace_request_ctx)

    trace.on_connection_reuseconn.append(hand_over)
    trace.on_connection_create_end.append(hand_over)
    return trace


def _offset_ms(date: str, before: int) -> int:
    try:
        server = email.utils.parsedate_to_datetime(date).timestamp()
    except (ValueError, TypeError):
        return before
    return int(server * 1000) - time.time_ns() // 1_000_000


def proxy_for(base_url: str) -> str | None:
    """The proxy that the environment asks for (HTTPS_PROXY, HTTP_PROXY, ALL_PROXY, NO_PROXY), if any.

    Resolved here and not by aiohttp's trust_env, because that also reads ~/.netrc, whose entry for the host would
    replace the API key.
    """
    parts = urlsplit(base_url)
    proxies: Mapping[str, str] = urllib.request.getproxies()
    if urllib.request.proxy_bypass(parts.hostname or ""):
        return None
    return proxies.get(parts.scheme) or proxies.get("all")


def translate(error: Exception, op: str, base_url: str) -> Exception:
    """Map what aiohttp raises to the engine's errors; the words never hold a query or a header."""
    host = urlsplit(base_url).netloc.rpartition("@")[2]
    if isinstance(error, aiohttp.InvalidURL):
        return ConfigError(f"{base_url} is not a usable API address")
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError):
        return Unavailable(f"cannot make a TLS connection to {host}: {_cause(error)}", op=op)
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        return Unavailable(f"cannot reach {host}: {_cause(error)}", op=op)
    if isinstance(error, asyncio.TimeoutError):
        return OutcomeUnknown(f"{host} did not answer in time", op=op)
    return OutcomeUnknown(f"{host} broke the connection ({type(error).__name__})", op=op)


def _cause(error: Exception) -> str:
    inner = getattr(error, "os_error", None) or getattr(error, "certificate_error", None) or error
    return str(getattr(inner, "strerror", None) or inner) or "no answer in time"
