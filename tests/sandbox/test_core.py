"""The core under a platform that is not Scale: another root, another key, another envelope."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from scalesync.sandbox.core.access import Access
from scalesync.sandbox.core.app import App, Caller
from scalesync.sandbox.core.config import EmulatorConfig
from scalesync.sandbox.core.engine import Engine
from scalesync.sandbox.core.faults import FaultPlan, FaultRule
from scalesync.sandbox.core.host import Host
from scalesync.sandbox.core.wire.errors import ApiError
from scalesync.sandbox.core.wire.messages import Call, Reply, ok
from scalesync.sandbox.core.wire.rawjson import dumps, loads

Notes = list[Any]


class Notebook:
    """Keeps notes for each key: POST /api/note adds one, GET /api/notes lists them once the time has passed."""

    root = "/api"
    key_header = "apikey"

    def __init__(self, config: EmulatorConfig) -> None:
        self.access = Access(config, {401: "who are you?"})
        self.notes: dict[str, Notes] = {}
        self.advanced: list[str] = []
        self.origin = ""
        self.flushed = self.closed = 0

    def classify(self, method: str, target: str) -> tuple[str, Call]:
        if not target.startswith("/api/"):
            return "other", Call(method, target, outside=True)
        return "create" if method == "POST" else "list", Call(method, target[4:])

    def challenge(self, call: Call, kind: str, authorization: str | None) -> Caller[str]:
        if call.outside:
            return Caller("", "")
        if authorization is None or authorization.startswith("bad"):
            raise ApiError(401, "who are you?")
        self.access.check(authorization, kind)
        return Caller(authorization, authorization)

    def advance(self, world: str) -> None:
        self.advanced.append(world)

    def answer(self, world: str, call: Call) -> Reply:
        notes = self.notes.setdefault(world, [])
        if call.outside:
            return self.refusal(404)
        if call.method == "POST":
            sent = loads(call.body)
            notes.extend((sent if isinstance(sent, list) else [sent])[: call.only])
        return ok(notes)

    def refusal(self, status: int, text: str | None = None) -> Reply:
        return Reply(status, dumps({"detail": text or "no"}))

    def control(self, call: Call) -> Reply | None:
        if call.path[1:] != ("forget",):
            return None
        self.notes.clear()
        return ok({})

    def stats(self) -> dict[str, object]:
        return {"notes": sum(map(len, self.notes.values()))}

    def listening(self, origin: str) -> None:
        self.origin = origin

    def flush(self) -> None:
        self.flushed += 1

    def close(self) -> None:
        self.closed += 1


class Place:
    """A notebook that is served, and a client of it."""

    def __init__(self, app: Notebook, host: Host, session: aiohttp.ClientSession) -> None:
        self.app, self.host, self.session = app, host, session

    async def ask(self, method: str, path: str, body: Any = None, key: str | None = "k") -> tuple[int, Any]:
        headers = {} if key is None else {"apikey": key}
        async with self.session.request(method, self.host.origin + path, json=body, headers=headers) as reply:
            return reply.status, json.loads(await reply.read())


@pytest.fixture
async def place() -> AsyncIterator[Any]:
    """place(faults, **settings): a Place that ends with the test."""
    async with AsyncExitStack() as stack:

        async def make(faults: Iterable[FaultRule] = (), **settings: Any) -> Place:
            config = EmulatorConfig(**settings)
            app = Notebook(config)
            as_app: App[str] = app
            host = Host(Engine(config, FaultPlan(faults, 0, config.monotonic), as_app), "127.0.0.1", 0, None)
            await stack.enter_async_context(host)
            return Place(app, host, await stack.enter_async_context(aiohttp.ClientSession()))

        yield make


async def test_it_is_served_under_its_own_root_and_by_its_own_key(place):
    at = await place()
    assert at.host.base_url == f"{at.host.origin}/api" == f"{at.app.origin}/api"
    assert await at.ask("POST", "/api/note", "one", key="a") == (200, ["one"])
    assert await at.ask("GET", "/api/notes", key="b") == (200, [])
    assert at.app.advanced == ["a", "b"]
    assert await at.ask("GET", "/api/notes", key=None) == (401, {"detail": "who are you?"})
    assert await at.ask("GET", "/elsewhere", key=None) == (404, {"detail": "no"})
    assert [(seen.kind, seen.status) for seen in at.host.journal] == [
        ("create", 200),
        ("list", 200),
        ("list", 401),
        ("other", 404),
    ]


async def test_limits_faults_and_big_bodies_are_answered_in_its_envelope(place):
    at = await place(
        [FaultRule(kind="error", on="list", status=503)], rate=1, rate_period_s=3600, retry_after=7, max_body_bytes=100
    )
    assert (await at.ask("POST", "/api/note", 1))[0] == 200
    assert await at.ask("POST", "/api/note", 2) == (429, {"detail": "Too many requests"})
    assert (await at.ask("POST", "/api/note", 2, key="another"))[0] == 200
    assert await at.ask("GET", "/api/notes") == (503, {"detail": "no"})
    assert await at.ask("POST", "/api/note", "x" * 200, key="third") == (413, {"detail": "Payload Too Large"})
    assert at.app.notes == {"k": [1], "another": [2]}


async def test_a_late_request_is_carried_out_when_its_client_is_gone(place):
    late = FaultRule(kind="late", on="create", seconds=0.5, times=1)
    at = await place([late, FaultRule(kind="late", on="create", seconds=0.1, status=0, times=1)])
    assert await at.ask("POST", "/api/note", "first") == (504, {"detail": "no"})
    with pytest.raises(aiohttp.ClientConnectionError):
        await at.ask("POST", "/api/note", "second")
    assert (await at.ask("POST", "/api/note", "third"))[1] == ["third"]
    async with asyncio.timeout(10):
        while len((await at.ask("GET", "/api/notes"))[1]) < 3:
            await asyncio.sleep(0.01)
    assert at.app.notes == {"k": ["third", "second", "first"]}
    assert (at.host.journal.faults["late"], at.host.journal.count("create", 504)) == (2, 1)


async def test_a_late_request_is_refused_at_once_where_it_may_not_be_made(place):
    at = await place([FaultRule(kind="late", on="create", seconds=0)], rate=1, rate_period_s=3600)
    assert [(await at.ask("POST", "/api/note", 1))[0] for _ in range(2)] == [504, 429]
    assert (await at.ask("POST", "/api/note", 1, key="bad"))[0] == 401


async def test_what_was_to_land_late_is_lost_with_the_server(place):
    at = await place([FaultRule(kind="late", on="create", seconds=600)])
    assert (await at.ask("POST", "/api/note", "lost"))[0] == 504
    await at.host.__aexit__(None, None, None)
    assert at.app.notes == {}


async def test_a_part_of_a_chunk_is_made(place):
    at = await place([FaultRule(kind="partial", count=2, times=1), FaultRule(kind="partial", status=0, times=1)])
    assert (await at.ask("POST", "/api/note", ["a", "b", "c"]))[0] == 500
    assert at.app.notes == {"k": ["a", "b"]}
    with pytest.raises(aiohttp.ClientConnectionError):
        await at.ask("POST", "/api/note", "d")
    assert await at.ask("POST", "/api/note", ["e", "f"]) == (200, ["a", "b", "d", "e", "f"])


async def test_a_request_without_a_key_is_not_limited(place):
    at = await place(rate_all=1, rate_period_s=3600)
    assert [(await at.ask("GET", "/elsewhere"))[0] for _ in range(3)] == [404, 404, 404]
    assert [(await at.ask("GET", "/api/notes"))[0] for _ in range(2)] == [200, 429]


async def test_the_control_plane_is_the_same_and_the_platform_adds_to_it(place):
    at = await place()
    await at.ask("POST", "/api/note", 1)
    status, stats = await at.ask("GET", "/_sandbox/stats", key=None)
    assert (status, stats["notes"], stats["requests"]) == (200, 1, [{"kind": "create", "status": 200, "count": 1}])
    assert await at.ask("POST", "/_sandbox/forget", key=None) == (200, {})
    assert at.app.notes == {}
    unknown = {"status_code": 404, "error": "Cannot POST /_sandbox/annotate"}
    assert await at.ask("POST", "/_sandbox/annotate", key=None) == (404, unknown)
    assert await at.ask("POST", "/_sandbox/keys", {"refuse": {"k": 401}}) == (200, {"refused": 1})
    assert (await at.ask("GET", "/api/notes"))[0] == 401
    at.host.restore("k")
    assert (await at.ask("GET", "/api/notes"))[0] == 200


async def test_its_state_is_flushed_and_closed(place, tmp_path: Path):
    at = await place(data=tmp_path / "any", data_flush_s=0.01)
    async with asyncio.timeout(5):
        while not at.app.flushed:
            await asyncio.sleep(0.005)
    await at.host.__aexit__(None, None, None)
    assert at.app.closed == 1
    synced = await place(data_sync=True)
    await synced.ask("GET", "/api/notes")
    assert synced.app.flushed == 1
