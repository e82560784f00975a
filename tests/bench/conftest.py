"""The sandbox as a server of the benchmarks: in this process, in the test's loop, a new one for every run."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from benchmarks.imports import Serve
from benchmarks.nginx import Seen
from scalesync.sandbox import Sandbox, SandboxConfig


@dataclass
class SandboxServer:
    """Answers as benchmarks.nginx.Nginx does; called from another thread than the loop's."""

    loop: asyncio.AbstractEventLoop
    stack: AsyncExitStack
    sandboxes: list[Sandbox] = field(default_factory=list)
    env: Mapping[str, str] = field(default_factory=dict)
    store_env: Mapping[str, str] = field(default_factory=dict)

    @property
    def base_url(self) -> str:
        return self.sandboxes[-1].base_url

    def seen(self, *, reset: bool = False) -> Seen:
        """A reset is a new sandbox: the ids of the run before are free again."""
        if reset:
            starting = asyncio.run_coroutine_threadsafe(self._start(), self.loop)
            starting.result(10)
        creates = sum(1 for _ in self.sandboxes[-1].store.world("live").tasks)
        return Seen(creates, 0.0, time.time(), 0, 0)

    async def _start(self) -> None:
        self.sandboxes.append(await self.stack.enter_async_context(Sandbox(SandboxConfig(journal_size=0))))

    def cpu_s(self) -> float:
        return 0.0


@pytest.fixture
async def serve_sandbox() -> AsyncIterator[Serve]:
    """What the benchmarks call to have a server."""
    async with AsyncExitStack() as stack:
        server = SandboxServer(asyncio.get_running_loop(), stack)

        @contextmanager
        def serve(**_: Any) -> Any:
            yield server

        yield serve
