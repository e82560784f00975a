"""Result files: downloaded without the API key and written to disk, each whole or not at all."""

from __future__ import annotations

import ssl
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urljoin, urlsplit

import aiohttp
import anyio
from yarl import URL

from scalesync.config.base_url import is_loopback
from scalesync.errors import ConfigError, OutcomeUnknown, Refused, RemoteError
from scalesync.http.client_session import AttemptClock, handover_trace
from scalesync.http.exchange import HEADER_BYTES, USER_AGENT, Deadlines, Gate, asked_wait_s
from scalesync.http.network import proxy_for, shown, tls_context, translate
from scalesync.http.partial_file import CHUNK_BYTES, Partial, Stored
from scalesync.model.targets import RequestClass

__all__ = ["Downloader", "Partial", "Stored"]

MAX_REDIRECTS = 5
REDIRECTS = frozenset({301, 302, 303, 307, 308})
FILES = RequestClass.FILES


class Downloader:
    """Downloads URLs into a folder; each file's name is the hash of its content. Memory holds one chunk of a body.

    It has a client of its own, because results are on other hosts, and none of them may get the API key. Each request
    passes the gate in the class FILES.

    allow_http: follow redirects to plain http on other machines.
    suffix: content that begins as JSON gets `.json` after its name.
    """

    def __init__(
        self,
        folder: Path,
        gate: Gate,
        *,
        allow_http: bool = False,
        suffix: bool = False,
        deadlines: Deadlines | None = None,
    ) -> None:
        self._folder = folder
        self._gate = gate
        self._allow_http = allow_http
        self._suffix = suffix
        self._deadlines = deadlines or Deadlines()
        self._session: aiohttp.ClientSession | None = None
        self._tls: ssl.SSLContext | None = None

    async def __aenter__(self) -> Self:
        limits = self._deadlines
        counted = self._gate.counts_handovers
        # No bound on the whole download: a file of many GB may take hours on a slow line, if bytes keep coming.
        timeout = aiohttp.ClientTimeout(
            total=None,
            connect=None if counted else limits.connect,  # the hooks wait inside `connect`, so AttemptClock bounds it
            sock_connect=limits.connect,
            sock_read=limits.first_byte,
        )
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            timeout=timeout,
            trace_configs=[handover_trace(self._gate)] if counted else [],
            headers={"User-Agent": USER_AGENT},
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,  # lengths, ranges and digests count the bytes as sent
            max_line_size=HEADER_BYTES,
            max_field_size=HEADER_BYTES,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    @asynccontextmanager
    async def partial(self) -> AsyncIterator[Partial]:
        """A file to download in one or more attempts. At the end it is removed, unless it was stored."""
        part = Partial(self._folder, suffix=self._suffix)
        try:
            yield part
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(part.drop)

    async def fetch(self, url: str, part: Partial | None = None, *, headers: Mapping[str, str] | None = None) -> Stored:
        """Download and store the file at `url`.

        part: resumes an earlier attempt, if the server allows it.
        headers: sent to this address only, such as a credential; no redirect gets them.
        Raises Refused for a 4xx (an expired link is a 403) or a redirect that is not allowed, DiskFull if the disk
            cannot store it, else OutcomeUnknown or Unavailable; their messages never hold the link's signature.
        """
        if part is None:
            async with self.partial() as own:
                return await self.fetch(url, own, headers=headers)
        here, more = url, headers or {}
        for _ in range(MAX_REDIRECTS + 1):
            onward = await self._visit(here, part, more)
            if onward is None:
                return await anyio.to_thread.run_sync(part.keep)
            here, more = onward, {}
        raise Refused(f"{shown(url)} redirects more than {MAX_REDIRECTS} times", op="download")

    def _trust(self, url: str, proxy: str | None) -> ssl.SSLContext | bool:
        """This machine's certificates, read when the first request needs them. Most exports download no file."""
        if not (url.startswith("https:") or (proxy or "").startswith("https:")):
            return True
        self._tls = self._tls or tls_context()
        return self._tls

    async def _visit(self, url: str, part: Partial, headers: Mapping[str, str]) -> str | None:
        """Make one request and write its body to the part. Returns the target of a redirect, else None."""
        assert self._session is not None, "the downloader is used as a context manager"
        where = shown(url)
        proxy = proxy_for(url)
        trust = self._trust(url, proxy)
        await self._gate.acquire(FILES)
        started = time.monotonic()
        clock = AttemptClock(FILES, None)
        try:
            request = self._session.get(
                _as_given(url),
                headers={**headers, **part.wanted()},
                proxy=proxy,
                ssl=trust,
                allow_redirects=False,
                trace_request_ctx=clock,
            )
            connect_s = self._deadlines.connect if self._gate.counts_handovers else None
            async with clock.start(connect_s), request as response:
                asked_s = asked_wait_s(response.status, response.headers, time.time())
                self._gate.answered(FILES, response.status, time.monotonic() - started, asked_s)
                if response.status in REDIRECTS:
                    return self._onward(url, response.headers.get("Location", ""))
                _check(response.status, where, asked_s)
                await anyio.to_thread.run_sync(part.begin, response.status, response.headers, where)
                async for chunk in response.content.iter_chunked(CHUNK_BYTES):
                    await anyio.to_thread.run_sync(part.append, chunk)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            self._gate.unanswered(FILES, time.monotonic() - started)
            raise _in_words(error, where, url) from error
        else:
            return None
        finally:
            self._gate.release()

    def _onward(self, url: str, location: str) -> str:
        """The target of a redirect. Raises Refused if it is not allowed."""
        where = shown(url)
        try:
            target = urljoin(url, location)
            parts = urlsplit(target)
            host = parts.hostname or ""
        except ValueError:
            host = ""
        if not location or not host:
            raise Refused(f"{where} redirects to nowhere", op="download")
        if "@" in parts.netloc:
            raise Refused(f"{where} redirects to an address with a user name", op="download")
        at_home = is_loopback(host) and is_loopback(urlsplit(url).hostname or "")
        if parts.scheme == "https" or (parts.scheme == "http" and (at_home or self._allow_http)):
            return target
        hint = "; --allow-http follows it" if parts.scheme == "http" else ""
        raise Refused(f"{where} redirects to {shown(target)}, which is not https{hint}", op="download")


def _as_given(url: str) -> URL:
    """The URL exactly as given, because its signature covers each character."""
    return URL(url, encoded=url.isascii() and url.isprintable() and " " not in url)


def _check(status: int, where: str, asked_s: float | None) -> None:
    if 200 <= status < 300:
        return
    again = {408, 416, 425, 429} | ({413} if asked_s is not None else set())  # 416: the server's file has changed
    kind: type[RemoteError] = Refused if 400 <= status < 500 and status not in again else OutcomeUnknown
    raise kind(f"{where} answered {status}", op="download", status=status, retry_after_s=asked_s)


def _in_words(error: Exception, where: str, url: str) -> Exception:
    """Map an error. A link that cannot be followed is one failed file, not a wrong setting of the whole run."""
    said = translate(error, f"GET {where}", url)
    return Refused(f"{where} is not a usable link", op="download") if isinstance(said, ConfigError) else said
