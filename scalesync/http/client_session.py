"""SessionExchange: aiohttp's ClientSession, for every method, also through proxies."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Mapping
from types import SimpleNamespace, TracebackType
from typing import Self

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from scalesync.http.deadlines import DeadlineWatch
from scalesync.http.exchange import HEADER_BYTES, Answer, Body, Deadlines, Gate, too_large
from scalesync.http.form import Form
from scalesync.model.targets import RequestClass

JSON_BODY = CIMultiDict({"Content-Type": "application/json"})
SHORT_BODY = 64 * 1024


class AttemptClock:
    """The deadline of one download. It does not run while the attempt waits for its hand-over.

    attempt_s: seconds for the time after the hand-over; None for no bound.
    """

    __slots__ = ("_attempt_s", "_timer", "cls", "connected")

    def __init__(self, cls: RequestClass, attempt_s: float | None) -> None:
        self.cls = cls
        self.connected = False
        self._attempt_s = attempt_s
        self._timer = asyncio.timeout(None)

    def start(self, seconds: float | None) -> asyncio.Timeout:
        """Return the timer; the caller enters it at once."""
        self._timer = asyncio.timeout(seconds)
        return self._timer

    async def hand_over(self, gate: Gate) -> None:
        """There is a connection: wait for the moment, then the attempt has its whole time."""
        self._timer.reschedule(None)
        await gate.handover(self.cls)
        self.connected = True
        if self._attempt_s is not None:
            self._timer.reschedule(asyncio.get_running_loop().time() + self._attempt_s)


class _Attempt:
    """One exchange under a DeadlineWatch: each phase has a deadline, and so has the time after the hand-over.

    limit_s: seconds for the phase that began at `since`; None while no deadline runs. A late exchange cancels its task,
        and `SessionExchange` turns that into a TimeoutError, as asyncio.timeout does.
    """

    __slots__ = ("began", "cls", "connected", "is_late", "limit_s", "limits", "loop", "since", "task")

    def __init__(
        self, cls: RequestClass, limits: Deadlines, loop: asyncio.AbstractEventLoop, limit_s: float | None
    ) -> None:
        self.cls = cls
        self.limits = limits
        self.loop = loop
        self.since = self.began = loop.time()
        self.limit_s = limit_s
        self.connected = self.is_late = False
        self.task = asyncio.current_task(loop)  # without `loop`, each call asks the system for the process id

    async def hand_over(self, gate: Gate) -> None:
        """There is a connection: wait for the moment, then the attempt has its whole time."""
        self.limit_s = None
        self.began = math.inf
        await gate.handover(self.cls)
        self.connected = True
        self.began = self.since = self.loop.time()
        self.limit_s = self.limits.first_byte

    async def sending(self, form: Form) -> AsyncIterator[bytes]:
        """The pieces of a form. The deadlines begin again with each piece, because a large file may take hours."""
        async for piece in form.parts():
            self.began = self.since = self.loop.time()
            self.limit_s = self.limits.first_byte
            yield piece

    def look(self, now: float) -> bool:
        """See `Watched`."""
        in_phase = self.limit_s is None or now - self.since <= self.limit_s
        if in_phase and now - self.began <= self.limits.attempt:
            return True
        self.is_late = True
        if self.task is not None:
            self.task.cancel()
        return False


class SessionExchange:
    """Exchanges of every kind. It closes `connector` when it closes.

    headers: sent with every request.
    proxy: as `proxy_for` returns it.
    most: largest body to read, bytes.
    """

    def __init__(
        self,
        connector: aiohttp.TCPConnector,
        headers: Mapping[str, str],
        gate: Gate,
        deadlines: Deadlines,
        *,
        proxy: str | None,
        most: int,
    ) -> None:
        self._gate = gate
        self._deadlines = deadlines
        self._proxy = proxy
        self._most = most
        self._watch = DeadlineWatch(deadlines)
        paced = gate.counts_handovers
        timeout = aiohttp.ClientTimeout(
            total=None,
            connect=None if paced else deadlines.connect,  # the hooks wait inside `connect`, so the watch bounds it
            sock_connect=deadlines.connect,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            trace_configs=[handover_trace(gate)] if paced else [],
            timeout=timeout,
            headers=headers,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=True,
            max_line_size=HEADER_BYTES,
            max_field_size=HEADER_BYTES,
        )

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._watch.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._watch.stop()
        await self._session.close()

    def carry(self, headers: Mapping[str, str]) -> None:
        """See `Exchange`."""
        self._session.headers.clear()
        self._session.headers.update(headers)

    async def __call__(self, cls: RequestClass, method: str, url: URL, body: Body) -> Answer:
        """One attempt; see `Exchange`."""
        attempt = _Attempt(cls, self._deadlines, self._loop, self._first_limit_s(body))
        self._watch.watched.add(attempt)
        try:
            return await self._converse(attempt, method, url, body)
        except asyncio.CancelledError:
            if not attempt.is_late or attempt.task is None or attempt.task.uncancel() > 0:
                raise
            connecting = self._gate.counts_handovers and not attempt.connected
            raise (aiohttp.ConnectionTimeoutError() if connecting else TimeoutError()) from None
        finally:
            self._watch.watched.discard(attempt)

    def _first_limit_s(self, body: Body) -> float | None:
        """Seconds for the first phase: up to the first byte of the answer, or up to the connection if the gate counts.

        Without such a gate no hook shows when the connection is there. A long body may take long to send; then only the
        deadline of the attempt counts. A form shows how far it is.
        """
        limits = self._deadlines
        if self._gate.counts_handovers:
            return limits.connect
        is_long = isinstance(body, bytes) and len(body) > SHORT_BODY
        return None if is_long else limits.connect + limits.first_byte

    async def _converse(self, attempt: _Attempt, method: str, url: URL, body: Body) -> Answer:
        response = await self._session.request(
            method,
            url,
            data=attempt.sending(body) if isinstance(body, Form) else body,
            headers=_headers(body),
            proxy=self._proxy,
            allow_redirects=False,
            trace_request_ctx=attempt,
        )
        content = response.content
        if content.is_eof():
            data = content.read_nowait()
            if len(data) > self._most:
                raise too_large(attempt.cls, response.status, self._most)
        else:
            data = await self._read(attempt, response)
        return Answer(response.status, response.headers, data)

    async def _read(self, attempt: _Attempt, response: aiohttp.ClientResponse) -> bytes:
        """Read the whole body. Raises the error of `too_large` for a body above the limit."""
        attempt.since, attempt.limit_s = self._loop.time(), self._deadlines.first_byte
        parts: list[bytes] = []
        size = 0
        try:
            async for part in response.content.iter_any():
                attempt.since = self._loop.time()
                size += len(part)
                parts.append(part)
                if size > self._most:
                    break
        except BaseException:
            response.close()
            raise
        if size > self._most:
            response.close()
            raise too_large(attempt.cls, response.status, self._most)
        return parts[0] if len(parts) == 1 else b"".join(parts)


def _headers(body: Body) -> Mapping[str, str] | None:
    if isinstance(body, Form):
        return {"Content-Type": body.content_type, "Content-Length": str(body.length)}
    return JSON_BODY if body is not None else None


def handover_trace(gate: Gate) -> aiohttp.TraceConfig:
    """Hooks that aiohttp awaits after it has a connection and before it writes the request."""
    trace = aiohttp.TraceConfig()

    async def hand_over(session: aiohttp.ClientSession, context: SimpleNamespace, params: object) -> None:
        await context.trace_request_ctx.hand_over(gate)

    trace.on_connection_reuseconn.append(hand_over)
    trace.on_connection_create_end.append(hand_over)
    return trace
