"""Toy in the test's loop, and a plain client of it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest

from scalesync.sandbox.core.faults import FaultRule
from tests.toy.server.app import Toy
from tests.toy.server.config import ToyConfig

PROJECT = "letters"
MakeToy = Callable[..., Any]


@pytest.fixture
async def make_toy() -> AsyncIterator[MakeToy]:
    """make_toy(faults=(), **switches) starts one with a project `letters`."""
    async with AsyncExitStack() as stack:

        async def make(faults: Iterable[FaultRule] = (), **switches: Any) -> Toy:
            config = ToyConfig(**{"journal_size": 100_000, "seed": 7, **switches})
            return await stack.enter_async_context(Toy(config, faults, (PROJECT,)))

        yield make


class Client:
    """Calls as anybody would make them; the program's own client is not asked."""

    def __init__(self, toy: Toy, session: aiohttp.ClientSession) -> None:
        self.toy = toy
        self.token: str | None = None
        self._session = session

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """Status and JSON of a reply; the raw bytes of one that is not JSON."""
        if self.token is not None:
            headers["Authorization"] = f"Bearer {self.token}"
        url = (self.toy.origin if path.startswith("/_") else self.toy.base_url) + path
        async with self._session.request(method, url, json=body, headers=headers) as reply:
            data = await reply.read()
            return reply.status, json.loads(data) if data and "ndjson" not in reply.content_type else data

    async def enter(self, key: str = "toy_k") -> None:
        """Get a token."""
        status, told = await self.ask("POST", "/token", {"key": key})
        assert status == 200, told
        self.token = told["token"]

    async def send(self, *labels: str | None, **more: Any) -> tuple[int, Any]:
        """Import items of these labels in one chunk."""
        items = [{"data": {"text": f"of {label}", **more}, "label": label} for label in labels]
        return await self.ask("POST", f"/projects/{PROJECT}/items:import", {"items": items})


@pytest.fixture
async def client_of() -> AsyncIterator[Callable[..., Any]]:
    """client_of(toy): one that has a token."""
    async with aiohttp.ClientSession() as session:

        async def make(toy: Toy) -> Client:
            client = Client(toy, session)
            await client.enter()
            return client

        yield make
