from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest

from scalesync.sandbox import FaultRule, Sandbox, SandboxConfig

from .support import basic, sessions_closed

Start = Callable[..., Awaitable[Sandbox]]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Start sandboxes in the test's loop; they stop at its end."""
    async with AsyncExitStack() as stack:

        async def make(faults: Iterable[FaultRule] = (), **settings: Any) -> Sandbox:
            return await stack.enter_async_context(Sandbox(SandboxConfig(**settings), faults))

        yield make


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    """A client with a live key."""
    async with aiohttp.ClientSession(headers={"Authorization": basic("live_key")}) as session:
        yield session


@pytest.fixture
def closed_sessions(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The official SDK leaves a session open per call; closed here, so that no socket is left to the collector."""
    with sessions_closed(monkeypatch):
        yield
