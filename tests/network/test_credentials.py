"""Credentials against a server: tokens that end, renewals at the same moment, refusals, and secrets in what is said."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest
from aiohttp import web

from scalesync.errors import NotAllowed, Throttled, Unavailable
from scalesync.http.credentials import (
    RENEW_AT,
    FixedCredential,
    JwtPair,
    MachineToken,
    RenewedCredential,
    basic,
    bearer,
    header,
    life_of,
)
from scalesync.http.renewing import RenewingTransport
from scalesync.http.transport import Transport
from scalesync.masking import Mask
from scalesync.model.targets import RequestClass
from scalesync.platforms.scale.wire import error_text
from tests.network.test_never_hangs import OpenGate

CREATE, LIST, AUTH = RequestClass.CREATE, RequestClass.LIST, RequestClass.AUTH
pytestmark = pytest.mark.usefixtures("each_transport")


def jwt(number: int, life_s: float | None = 300) -> str:
    """An unsigned token that lives so long."""
    claims = {"number": number} | ({} if life_s is None else {"iat": 1000, "exp": 1000 + life_s})
    parts = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in ({}, claims)]
    return ".".join([*parts, "c2ln"])


class Clock:
    """Monotonic seconds that a test moves."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Server:
    """Gives out tokens for a key, answers 401 to every other token than the last, and echoes the head of a request."""

    def __init__(self) -> None:
        self.key = "refresh-secret"
        self.given = 0
        self.life_s: float | None = 300
        self.refusals: list[web.Response] = []  # instead of the next tokens
        self.asked: list[dict[str, Any]] = []
        self.auth_heads: list[dict[str, str]] = []
        self.seen: list[str] = []
        self.rotates = False
        self.deaf = False  # takes no token at all
        self.gate: asyncio.Event | None = None  # tokens wait for it
        self.slow: asyncio.Event | None = None  # the answer to the body "slow" waits for it

    @property
    def token(self) -> str:
        return jwt(self.given, self.life_s)

    async def refresh(self, request: web.Request) -> web.Response:
        self.asked.append(await request.json())
        self.auth_heads.append({name.lower(): value for name, value in request.headers.items()})
        if self.gate is not None:
            await self.gate.wait()
        if self.refusals:
            return self.refusals.pop(0)
        if self.key not in self.asked[-1].values():
            return web.json_response({"error": f"no such key {self.asked[-1]}"}, status=401)
        self.given += 1
        rotated = {}
        if self.rotates:
            self.key = f"refresh-{self.given}"
            rotated = {"refresh": self.key}
        return web.json_response(
            {"access": self.token, "access_token": self.token, "expires_in": self.life_s, **rotated}
        )

    async def api(self, request: web.Request) -> web.Response:
        sent = request.headers.get("Authorization", "")
        self.seen.append(sent)
        lives = not self.deaf and sent == f"Bearer {self.token}"
        if self.slow is not None and await request.read() == b"slow":
            await self.slow.wait()
        if not lives:
            return web.json_response({"error": f"{sent} is not a token that lives"}, status=401)
        return web.json_response({"body": (await request.read()).decode()})


@asynccontextmanager
async def serving(server: Server) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_post("/v1/token", server.refresh)
    app.router.add_route("*", "/v1/{rest:.*}", server.api)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert site._server is not None
    port = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
    try:
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        await runner.cleanup()


Opened = tuple[Server, RenewingTransport, Clock]


@asynccontextmanager
async def opened(
    make: Callable[[Clock], RenewedCredential] = lambda clock: JwtPair("refresh-secret", "/token", clock),
    mask: Mask | None = None,
) -> AsyncIterator[Opened]:
    server, clock = Server(), Clock()
    async with serving(server) as root, RenewingTransport(root, make(clock), OpenGate(), mask=mask) as transport:
        yield server, transport, clock


async def create(transport: Transport, text: str = "{}") -> int:
    return (await transport.call(CREATE, "POST", "/task/x", body=text.encode())).status


async def test_a_token_is_got_before_the_first_request_and_kept_for_four_fifths_of_its_life():
    async with opened() as (server, transport, clock):
        for _ in range(3):
            assert await create(transport) == 200
        assert (await transport.call(LIST, "GET", "/tasks")).status == 200
        assert server.given == 1
        clock.now += RENEW_AT * 300 - 1
        assert await create(transport) == 200
        assert server.given == 1
        clock.now += 2
        assert await create(transport) == 200
        assert (await transport.call(LIST, "GET", "/tasks")).status == 200
        assert server.given == 2
        assert server.asked == [{"refresh": "refresh-secret"}] * 2
        assert transport.counters.attempts[AUTH] == 2
        assert transport.counters.requests == 9
        assert all("authorization" not in head for head in server.auth_heads), "a token is asked for without one"


async def test_many_that_need_a_token_at_once_get_one():
    async with opened() as (server, transport, _):
        server.gate = asyncio.Event()
        calls = [asyncio.create_task(create(transport, str(number))) for number in range(40)]
        while not server.asked:
            await asyncio.sleep(0.001)
        server.gate.set()
        assert await asyncio.gather(*calls) == [200] * 40
        assert server.given == 1
        assert server.seen == [f"Bearer {server.token}"] * 40


async def test_while_a_token_lives_nobody_waits_for_the_next_one():
    async with opened() as (server, transport, clock):
        assert await create(transport) == 200
        clock.now += 250
        server.gate = asyncio.Event()
        first = asyncio.create_task(create(transport))
        while len(server.asked) < 2:
            await asyncio.sleep(0.001)
        assert await create(transport) == 200
        assert not first.done()
        server.gate.set()
        assert await first == 200
        assert server.given == 2


async def test_a_token_that_the_server_forgot_is_renewed_once_for_all_and_the_calls_are_made_again():
    async with opened() as (server, transport, _):
        assert await create(transport) == 200
        server.given += 1  # another token is the good one now
        assert await asyncio.gather(*(create(transport, str(number)) for number in range(20))) == [200] * 20
        assert len(server.asked) == 2
        assert server.seen.count(f"Bearer {server.token}") == 20


async def test_a_401_that_comes_after_the_token_was_renewed_renews_nothing():
    async with opened() as (server, transport, _):
        assert await create(transport) == 200
        server.given += 1
        server.slow = asyncio.Event()
        late = asyncio.create_task(create(transport, "slow"))
        while len(server.seen) < 2:
            await asyncio.sleep(0.001)
        assert await create(transport) == 200
        server.slow.set()
        assert await late == 200
        assert len(server.asked) == 2


async def test_a_second_401_is_the_answer():
    async with opened() as (server, transport, _):
        server.deaf = True
        assert await create(transport) == 401
        assert len(server.seen) == 2
        assert len(server.asked) == 2, "once before the first request, once for its 401"


async def test_where_no_token_is_given_the_refusal_is_the_answer_and_nothing_is_sent():
    async with opened() as (server, transport, _):
        server.key = "another"
        reply = await transport.call(CREATE, "POST", "/task/x", body=b"{}")
        assert reply.status == 401
        assert "no such key" in error_text(reply)
        assert server.seen == []


async def test_who_waited_for_a_renewal_that_was_refused_asks_no_more():
    async with opened() as (server, transport, _):
        server.key = "another"
        server.gate = asyncio.Event()
        calls = [asyncio.create_task(create(transport)) for _ in range(10)]
        while not server.asked:
            await asyncio.sleep(0.001)
        server.gate.set()
        assert await asyncio.gather(*calls) == [401] * 10
        assert len(server.asked) == 1
        assert await create(transport) == 401, "the next one asks again"
        assert len(server.asked) == 2


@pytest.mark.parametrize(("status", "kind"), [(500, Unavailable), (429, Throttled), (302, Unavailable)])
async def test_trouble_while_a_token_lives_is_skipped_else_reported(status: int, kind: type[Exception]):
    async with opened() as (server, transport, clock):
        server.refusals = [web.json_response({}, status=status)]
        with pytest.raises(kind):
            await create(transport)
        assert server.seen == []
        assert await create(transport) == 200
        clock.now += 250
        server.refusals = [web.json_response({}, status=status)]
        assert await create(transport) == 200, "the old token still lives"
        assert await create(transport) == 200
        assert len(server.asked) == 3, "and is not renewed at each request"
        clock.now += 100
        server.refusals = [web.json_response({}, status=status)]
        with pytest.raises(kind):
            await create(transport)
        assert await create(transport) == 200


async def test_an_answer_without_a_token_is_no_token():
    async with opened() as (server, transport, _):
        server.refusals = [web.Response(text=text) for text in ("<html>", "[]", '{"access": ""}', '{"access": 7}')]
        for _ in range(4):
            with pytest.raises(Unavailable, match="the answer holds no access"):
                await create(transport)
        assert await create(transport) == 200


async def test_a_refresh_token_that_rotates_is_used_from_then_on():
    async with opened() as (server, transport, clock):
        server.rotates = True
        for _ in range(3):
            assert await create(transport) == 200
            clock.now += 301
        assert [asked["refresh"] for asked in server.asked] == ["refresh-secret", "refresh-1", "refresh-2"]


async def test_a_program_gets_its_token_for_a_secret_and_its_life_is_reported():
    asked = {"client_id": "us", "client_secret": "refresh-secret"}
    make = partial(MachineToken, "/token", asked, "refresh-secret")
    async with opened(lambda clock: make(clock=clock)) as (server, transport, clock):
        server.life_s = 100
        assert await create(transport) == 200
        clock.now += 79
        assert await create(transport) == 200
        assert server.given == 1
        clock.now += 2
        assert await create(transport) == 200
        assert server.asked == [asked, asked]


async def test_a_token_whose_life_is_not_reported_lives_until_it_is_refused():
    async with opened() as (server, transport, clock):
        server.life_s = None
        assert await create(transport) == 200
        clock.now += 10**9
        assert await create(transport) == 200
        server.given += 1
        assert await create(transport) == 200
        assert len(server.asked) == 2


async def test_tokens_may_be_given_out_elsewhere():
    elsewhere, server, clock = Server(), Server(), Clock()
    async with serving(elsewhere) as there, serving(server) as here:
        credential = JwtPair("refresh-secret", f"{there}/token", clock)
        async with RenewingTransport(here, credential, OpenGate()) as transport:
            server.given = 1  # which is the token that the other one gives
            assert await create(transport) == 200
            assert (len(elsewhere.asked), len(server.asked)) == (1, 0)


async def test_every_secret_is_hidden_before_it_is_used():
    mask = Mask()
    async with opened(mask=mask) as (server, transport, clock):
        server.rotates = True
        told: list[str] = []
        for _ in range(3):
            await create(transport)
            server.deaf = True
            reply = await transport.call(LIST, "GET", "/tasks")
            told.append(error_text(reply))
            server.deaf = False
            clock.now += 301
        server.key = "refresh-never-given"
        told.append(error_text(await transport.call(LIST, "GET", "/tasks")))
        secrets = [*(jwt(number) for number in range(1, server.given + 1)), "refresh-secret", "refresh-1", "refresh-5"]
        assert server.given == 6
        assert "is not a token that lives" in told[0]
        assert "no such key" in told[-1]
        assert not [secret for secret in secrets for text in told if secret in text]
        assert not [secret for secret in secrets if secret in mask(" ".join(secrets))]


async def test_a_cancelled_renewal_is_taken_up_by_the_next_in_line():
    async with opened() as (server, transport, _):
        server.gate = asyncio.Event()
        first = asyncio.create_task(create(transport))
        while not server.asked:
            await asyncio.sleep(0.001)
        second = asyncio.create_task(create(transport))
        await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        server.gate.set()
        assert await second == 200


@pytest.mark.parametrize(
    ("credential", "headers"),
    [
        (bearer("k1"), {"Authorization": "Bearer k1"}),
        (basic("k1"), {"Authorization": "Basic azE6"}),
        (basic("me", "pass"), {"Authorization": "Basic bWU6cGFzcw=="}),
        (header("apikey", "k1"), {"apikey": "k1"}),
        (header("Authorization", "Token k1"), {"Authorization": "Token k1"}),
    ],
)
def test_fixed_headers(credential: FixedCredential, headers: dict[str, str]):
    assert dict(credential.headers()) == headers
    assert not credential.renews
    assert not credential.is_due
    shown = Transport("http://127.0.0.1:1", credential, OpenGate()).hide(" ".join(headers.values()))
    assert not {"k1", "azE6", "bWU6cGFzcw==", "pass"} & set(shown.split())


@pytest.mark.parametrize("token", ["", "a.b", "a.b.c", "a.e30.c", "a.W10.c", "a.!!!.c"])
def test_a_token_that_tells_no_end(token: str):
    assert life_of(token) is None


def test_the_life_of_a_token_is_from_its_issue_to_its_end():
    assert life_of(jwt(1, 300)) == 300
    assert life_of(jwt(1, -5)) == 0


async def test_a_refusal_in_the_line_is_an_error_for_programs():
    async def refuse(where: str, body: bytes) -> Any:
        return web.Response(status=403)

    with pytest.raises(NotAllowed):
        await JwtPair("r", "/token").renew(refuse, refused=False)
