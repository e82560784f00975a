"""The one narrow seam to the network: a call goes out, a reply comes back, and foreign errors are mapped here.

It retries nothing and decides nothing: every answered request is a `Reply`, whatever its status. There are two kinds of
`Exchange`: LeanExchange takes small requests with the releases of aiohttp that it was tested on, and SessionExchange
takes everything else.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import NamedTuple, Self

import aiohttp
from multidict import istr
from yarl import URL

from scalesync.errors import ConfigError, Unavailable
from scalesync.http.client_session import SessionExchange
from scalesync.http.exchange import USER_AGENT, Body, Deadlines, Gate, asked_wait_s
from scalesync.http.lean import LeanExchange, is_proven
from scalesync.http.network import is_setting, proxy_for, proxy_refusal, tls_context, translate, transport_wanted
from scalesync.http.resets import wait_in_words
from scalesync.masking import Mask
from scalesync.model.targets import RequestClass
from scalesync.ports.credential import Credential
from scalesync.times import http_date_s

OUR_HEADERS = {"Accept": "application/json", "User-Agent": USER_AGENT}
DATE = istr("Date")  # case-folded once, because each reply looks it up
MAX_REPLY_BYTES = 1024**3  # after decompression; a page of the largest tasks fits, and a zip bomb does not

Query = Sequence[tuple[str, str]]


class Reply(NamedTuple):
    """An answered request.

    body: the whole body, decompressed.
    hide: removes our credentials from a string. An error may repeat the request, and the ledger stores errors.
    where: the API root of the request.
    retry_after_s: seconds that the reply asks to wait; None if it asks for no wait.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    hide: Callable[[str], str] = str
    where: str = ""
    retry_after_s: float | None = None

    def __repr__(self) -> str:
        # Some servers repeat the key in an error, and tools that report exceptions show what a frame holds.
        return f"Reply({self.status}, {len(self.body)} bytes)"


@dataclass(slots=True)
class Counters:
    """Attempts of this process by class, and their results.

    ended: attempts that are over, whatever the result.
    throttled: answers of 429.
    server_errors: answers of 500 and above.
    """

    attempts: dict[RequestClass, int] = field(default_factory=lambda: dict.fromkeys(RequestClass, 0))
    ended: int = 0
    throttled: int = 0
    server_errors: int = 0

    @property
    def requests(self) -> int:
        """All attempts together."""
        return sum(self.attempts.values())


class Transport:
    """Calls below one API root. Use as an async context manager.

    credential: requests carry the headers that it has now.
    mask: hides secrets; the credential's secrets join it.
    """

    def __init__(
        self,
        base_url: str,
        credential: Credential,
        gate: Gate,
        *,
        deadlines: Deadlines | None = None,
        ssl_context: ssl.SSLContext | None = None,
        max_reply_bytes: int = MAX_REPLY_BYTES,
        mask: Mask | None = None,
    ) -> None:
        self.counters = Counters()
        self._base = base_url.rstrip("/")
        self._credential = credential
        self._headers = {**credential.headers(), **OUR_HEADERS}
        self._mask = mask or Mask()
        for secret in credential.secrets:
            self._mask.add(secret)
        self._gate = gate
        self._deadlines = deadlines or Deadlines()
        self._ssl = ssl_context
        self._proxy = proxy_for(base_url)
        self._most = max_reply_bytes
        self._stack = AsyncExitStack()
        self._session: SessionExchange | None = None
        self._lean: LeanExchange | None = None
        self._urls: dict[str, URL] = {}
        self._answered = False
        self._date = ""
        self._server_ms = 0
        self._server_at: float | None = None

    @property
    def base_url(self) -> str:
        """The API address, without a slash at its end."""
        return self._base

    async def __aenter__(self) -> Self:
        is_lean = self._is_lean()
        limits = self._deadlines
        secure = self._base.startswith("https:")
        connector = aiohttp.TCPConnector(
            limit=0,  # the engine bounds the requests in flight; a bound here would only make waiters queue in the pool
            ttl_dns_cache=60,
            keepalive_timeout=30,
            ssl=self._ssl or (tls_context() if secure else True),
        )
        session = SessionExchange(connector, self._headers, self._gate, limits, proxy=self._proxy, most=self._most)
        self._session = await self._stack.enter_async_context(session)
        if is_lean:
            lean = LeanExchange(connector, self._headers, self._gate, limits, most=self._most)
            self._lean = await self._stack.enter_async_context(lean)
        return self

    def _is_lean(self) -> bool:
        wanted = transport_wanted()
        if wanted == "lean" and self._proxy is not None:
            raise ConfigError("SCALESYNC_TRANSPORT=lean does not go through a proxy; unset it")
        return wanted == "lean" or (wanted == "auto" and self._proxy is None and is_proven())

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    def credential_headers(self) -> Mapping[str, str]:
        """The current headers of the credential, for a download from the platform by its address."""
        return self._credential.headers()

    def _set_headers(self, headers: Mapping[str, str]) -> None:
        """Send these headers with every request from now on."""
        self._headers = {**headers, **OUR_HEADERS}
        for way in (self._session, self._lean):
            if way is not None:
                way.carry(self._headers)

    def hide(self, text: str) -> str:
        """The string without our credentials."""
        return self._mask(text)

    @property
    def server_now_ms(self) -> int:
        """The server's clock in ms, from its Date headers, to about a second. Before any reply, the local clock.

        Between replies the monotonic clock counts on, because somebody may set the local clock.
        """
        if self._server_at is None:
            return time.time_ns() // 1_000_000
        return self._server_ms + int((time.monotonic() - self._server_at) * 1000)

    async def call(
        self,
        cls: RequestClass,
        method: str,
        path: str,
        *,
        query: Query = (),
        body: Body = None,
        root: str | None = None,
    ) -> Reply:
        """Make one attempt.

        path: below the API root, already percent-encoded.
        body: JSON, or a form with a file, which is read while it is sent.
        root: another root on the same host, where a service has several versions of its API.
        Raises Unavailable if no connection was made, OutcomeUnknown if no reply came or it was cut short, and Refused
            (413) for a list that is too large. Raises ConfigError if the settings are wrong and no request of this run
            got an answer.
        """
        url = self._url(path, query) if root is None else _below(root, path, query)
        if not self._gate.admit_now(cls):
            await self._gate.acquire(cls)
        self.counters.attempts[cls] += 1
        started = time.monotonic()
        try:
            lean = self._lean
            if lean is not None and lean.takes(body):
                answer = await lean(cls, method, url, body)
            else:
                assert self._session is not None, "the transport is used as a context manager"
                answer = await self._session(cls, method, url, body)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            self._gate.unanswered(cls, time.monotonic() - started)
            raise self._in_words(error, f"{method} {path}") from error
        finally:
            self.counters.ended += 1
            self._gate.release()
        status, headers, data = answer
        latency_s = time.monotonic() - started
        asked_s = None
        if status < 300 and data[:1] != b"<":
            self._gate.answered(cls, status, latency_s, None)
            self._answered = True
        else:
            asked_s = self._odd(cls, status, headers, data, latency_s)
        self._note_time(headers)
        if status == 407 and self._proxy is not None:
            kind = Unavailable if self._answered else ConfigError
            raise kind(proxy_refusal(407, self._proxy))
        self._answered = self._answered or status >= 400
        return Reply(status, headers, data, self._mask, self._base, asked_s)

    def _url(self, path: str, query: Query) -> URL:
        """The address below the API root. Addresses without a query are few, so they are cached."""
        url = self._urls.get(path)
        if url is None:
            url = URL(self._base + path, encoded=True)
            if len(self._urls) < 64:
                self._urls[path] = url
        return url.extend_query(list(query)) if query else url

    def _in_words(self, error: Exception, op: str) -> Exception:
        said = translate(error, op, self._base, self._proxy)
        if isinstance(said, Unavailable) and is_setting(error) and not self._answered:
            return ConfigError(str(said))
        if isinstance(said, ConfigError) and self._answered:
            return Unavailable(str(said), op=op)
        return said

    def _odd(
        self, cls: RequestClass, status: int, headers: Mapping[str, str], data: bytes, latency_s: float
    ) -> float | None:
        """Report an error or a web page to the gate. Returns the wait that the answer asks for."""
        self.counters.throttled += status == 429
        self.counters.server_errors += status >= 500
        asked_s = asked_wait_s(status, headers, self.server_now_ms / 1000)
        if asked_s is None:
            date_s = http_date_s(headers.get(DATE))
            asked_s = wait_in_words(status, data, self.server_now_ms / 1000 if date_s is None else date_s)
        if status < 300:  # a web page instead of JSON; its sender answers every other request with it as well
            self._gate.unanswered(cls, latency_s)
        else:
            self._gate.answered(cls, status, latency_s, asked_s)
        return asked_s

    def _note_time(self, headers: Mapping[str, str]) -> None:
        date = headers.get(DATE, "")
        if date and date != self._date:
            self._date = date
            if (date_s := http_date_s(date)) is not None:
                self._server_ms, self._server_at = int(date_s * 1000), time.monotonic()


def _below(root: str, path: str, query: Query) -> URL:
    return URL(root.rstrip("/") + path, encoded=True).extend_query(list(query))
