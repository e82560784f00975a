"""The HTTP server: reads requests, lets faults strike, writes replies."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import ipaddress
import socket
import ssl
import struct
from typing import Any

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import StreamReader
from aiohttp.web_protocol import RequestHandler

from scalesync.sandbox.core import control
from scalesync.sandbox.core.app import Caller
from scalesync.sandbox.core.engine import Engine
from scalesync.sandbox.core.faults import Decision, FaultRule
from scalesync.sandbox.core.forms import KIND, BadForm, read_form
from scalesync.sandbox.core.journal import Seen
from scalesync.sandbox.core.ratelimit import retry_after
from scalesync.sandbox.core.wire.messages import Call, Reply
from scalesync.sandbox.core.wire.times import http_date

BROKEN = ("reset", "hang")  # nothing reaches the client
STATUSES = {"outage": 503, "late": 504}  # if the rule names no status; 500 for other kinds
POLL_S = 0.1  # a hanging request checks this often whether its client is still connected
GZIP_FROM = 1024
BAD_GATEWAY = (
    b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n"
    b"<center><h1>502 Bad Gateway</h1></center>\r\n<hr><center>cloudflare</center>\r\n</body>\r\n</html>\r\n"
)


class Gone(Exception):
    """The connection was dropped on purpose."""


class Server:
    """Serves one engine on one address."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._closing = asyncio.Event()
        self._landing: set[asyncio.Task[None]] = set()
        self._runner: web.ServerRunner | None = None

    async def start(self, host: str, port: int, ssl_context: ssl.SSLContext | None) -> int:
        """Listen; returns the port. Raises OSError when the address is taken."""
        server = web.Server(
            self._handle,
            request_factory=self._request,
            access_log=None,
            keepalive_timeout=self.engine.config.keepalive_s,
        )
        self._runner = web.ServerRunner(server, shutdown_timeout=1.0)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port, ssl_context=ssl_context, backlog=1024)
        await site.start()
        address = self._runner.addresses[0]
        return int(address[1])

    async def stop(self) -> None:
        """Stop listening. Open requests get one second; requests of the fault `late` that are still due are lost."""
        self._closing.set()
        await asyncio.gather(*self._landing)
        if self._runner is not None:
            await self._runner.cleanup()

    def _request(
        self,
        message: RawRequestMessage,
        payload: StreamReader,
        protocol: RequestHandler,
        writer: AbstractStreamWriter,
        task: asyncio.Task[None],
    ) -> web.BaseRequest:
        loop = asyncio.get_running_loop()
        limit = self.engine.config.max_body_bytes
        return web.BaseRequest(message, payload, protocol, writer, task, loop, client_max_size=limit)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        raw = request.raw_path
        journal = self.engine.journal
        journal.enter()
        at_s = self.engine.config.monotonic()
        controls = raw.startswith(control.ROOT)
        if controls:
            kind, call = "other", Call(request.method, raw, outside=True)
        else:
            kind, call = self.engine.app.classify(request.method, raw)
        status, decision = 0, Decision()
        try:
            if not controls:
                decision = self.engine.faults.decide(kind)
            response = await self._receive(request, call, kind, decision)
            status = response.status
        except Gone:
            return web.Response(status=499)
        else:
            return response
        finally:
            cut = decision.rule is not None and decision.rule.kind == "cut"
            path, _, query = raw.partition("?")
            journal.leave(Seen(request.method, path, query, kind, 0 if cut else status, decision.name, at_s))

    async def _receive(self, request: web.BaseRequest, call: Call, kind: str, decision: Decision) -> web.StreamResponse:
        """Read the body, and serve the request."""
        try:
            if request.headers.get("Content-Type", "").startswith(KIND):
                call.form = await read_form(request, self.engine.config.max_file_bytes)
            else:
                call.body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            return await self._respond(request, self.engine.app.refusal(413, "Payload Too Large"), None)
        except BadForm as error:
            return await self._respond(request, self.engine.app.refusal(400, f"The form is broken: {error}."), None)
        try:
            return await self._serve(request, call, kind, decision)
        finally:
            # A request of the fault `late` still needs its files; it removes them itself.
            if call.form is not None and (decision.rule is None or decision.rule.kind != "late"):
                call.form.discard()

    async def _serve(self, request: web.BaseRequest, call: Call, kind: str, decision: Decision) -> web.StreamResponse:
        if decision.latency_s:
            await self._pause(decision.latency_s)
        rule = decision.rule
        if rule is not None and not _later(rule):
            return await self._strike(request, rule)
        if rule is not None and rule.kind == "partial":
            call.only = rule.count
        call.idempotency_key, call.range = request.headers.get("Idempotency-Key"), request.headers.get("Range")
        call.visible_after_s, call.lies, call.draw = decision.lag_s, decision.lies, decision.draw
        if rule is not None and rule.kind == "late":
            return await self._leave(request, call, kind, rule)
        reply = self._answer(request, call, kind)
        if rule is not None and rule.kind != "cut":
            return await self._strike(request, rule)
        return await self._respond(request, reply, rule)

    def _answer(self, request: web.BaseRequest, call: Call, kind: str) -> Reply:
        engine = self.engine
        if call.outside and call.target.startswith(control.ROOT) and is_loopback(request.remote):
            return control.answer(engine, call)
        reply = engine.api(call, kind, request.headers.get(engine.app.key_header))
        if engine.config.data_sync:
            engine.app.flush()
        return reply

    async def _leave(self, request: web.BaseRequest, call: Call, kind: str, rule: FaultRule) -> web.StreamResponse:
        """Answer the client first, and carry its request out later."""
        caller = self.engine.admit(call, kind, request.headers.get(self.engine.app.key_header))
        if isinstance(caller, Reply):
            if call.form is not None:
                call.form.discard()
            return await self._respond(request, caller, None)
        landing = asyncio.create_task(self._land(caller, call, rule.seconds or 0.0))
        self._landing.add(landing)
        landing.add_done_callback(self._landing.discard)
        return await self._strike(request, rule)

    async def _land(self, caller: Caller[Any], call: Call, after_s: float) -> None:
        await self._pause(after_s)
        if not self._closing.is_set():
            self.engine.carry_out(caller, call)
            if self.engine.config.data_sync:
                self.engine.app.flush()
        if call.form is not None:
            call.form.discard()

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._closing.wait(), seconds)

    async def _strike(self, request: web.BaseRequest, rule: FaultRule) -> web.StreamResponse:
        if rule.kind == "hang":
            await self._hang(request, rule.seconds)
        if rule.kind in BROKEN or rule.status == 0:
            drop(request)
            raise Gone
        if rule.kind == "html502":
            return await self._respond(request, Reply(502, BAD_GATEWAY, "text/html"), None)
        status = rule.status or STATUSES.get(rule.kind, 500)
        reply = self.engine.app.refusal(status)
        if rule.retry_after is not None:
            reply.headers["Retry-After"] = retry_after(self.engine.config, rule.retry_after)
        return await self._respond(request, reply, None)

    async def _hang(self, request: web.BaseRequest, seconds: float | None) -> None:
        loop = asyncio.get_running_loop()
        until = None if seconds is None else loop.time() + seconds
        while not self._closing.is_set():
            transport = request.transport
            if transport is None or transport.is_closing() or (until is not None and loop.time() >= until):
                return
            await self._pause(POLL_S)

    async def _respond(self, request: web.BaseRequest, reply: Reply, rule: FaultRule | None) -> web.StreamResponse:
        headers = {
            "Content-Type": reply.kind,
            "Date": http_date(self.engine.config.clock() // 1000),
            "Server": "scalesync-sandbox",
            **reply.headers,
        }
        body = reply.body
        if self.engine.config.page_gzip and reply.stream is None and len(body) >= GZIP_FROM:
            headers["Vary"] = "Accept-Encoding"
            if "gzip" in request.headers.get("Accept-Encoding", ""):
                body = gzip.compress(body, 1)
                headers["Content-Encoding"] = "gzip"
        if reply.stream is None and rule is None:
            return web.Response(status=reply.status, body=body, headers=headers)
        return await _stream(request, reply, body, headers, cut=rule is not None)


async def _stream(
    request: web.BaseRequest, reply: Reply, body: bytes, headers: dict[str, str], *, cut: bool
) -> web.StreamResponse:
    response = web.StreamResponse(status=reply.status, headers=headers)
    if reply.stream is None:
        response.content_length = len(body)
        await response.prepare(request)
        await response.write(body[: len(body) // 2] or b" ")
        drop(request)
        raise Gone
    await response.prepare(request)
    for number, piece in enumerate(reply.stream):
        if cut and number:
            drop(request)
            raise Gone
        if piece:
            await response.write(piece)
    await response.write_eof()
    return response


def is_loopback(address: str | None) -> bool:
    """Whether a peer is this machine; only this machine may use the control plane."""
    return address is not None and ipaddress.ip_address(address).is_loopback


def _later(rule: FaultRule) -> bool:
    """Whether the rule strikes after the request was carried out."""
    return rule.kind in ("cut", "late", "partial") or rule.after_write


def drop(request: web.BaseRequest) -> None:
    """Close the connection with a reset instead of a FIN."""
    transport = request.transport
    if transport is None:
        return
    sock = transport.get_extra_info("socket")
    if sock is not None:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
