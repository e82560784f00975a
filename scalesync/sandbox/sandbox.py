"""Which platform is served."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable
from dataclasses import replace
from types import TracebackType
from typing import Self

from scalesync.sandbox.core.engine import Engine
from scalesync.sandbox.core.faults import FaultPlan, FaultRule
from scalesync.sandbox.core.host import Host, serve_until_signal
from scalesync.sandbox.scale.app import ScaleApp
from scalesync.sandbox.scale.config import SandboxConfig
from scalesync.sandbox.scale.courier import Courier
from scalesync.sandbox.scale.tasks.lifecycle import annotate
from scalesync.sandbox.scale.v2 import due


class Sandbox(Host):
    """An emulated API on a port of this machine, for `async with`.

    Raises ValueError if the data file cannot be used; entering raises OSError if the address is taken.
    """

    def __init__(
        self,
        config: SandboxConfig | None = None,
        faults: Iterable[FaultRule] = (),
        host: str = "127.0.0.1",
        port: int = 0,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self.config = config or SandboxConfig()
        app = ScaleApp(self.config)
        self.store = app.store
        plan = FaultPlan(faults, self.config.seed, self.config.monotonic)
        super().__init__(Engine(self.config, plan, app), host, port, ssl_context)

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        self._courier = await Courier(self.store).__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._courier.__aexit__(kind, error, trace)
        finally:  # a run that is being cancelled must not leave the server's sockets open
            await super().__aexit__(kind, error, trace)

    def annotate(self, count: int | None = None) -> int:
        """Complete up to `count` pending live tasks now (None: all), oldest first. Returns how many it completed."""
        due.run(self.store.genai("live"))
        return annotate(self.store.world("live"), count)


def serve(
    config: SandboxConfig,
    faults: Iterable[FaultRule],
    host: str,
    port: int,
    announce: Callable[[str], None],
    *,
    ssl_context: ssl.SSLContext | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM. `announce` gets the v1 root once the server listens.

    Blocks; must run in the main thread. Raises OSError if the address is taken, and ValueError if
    the data file cannot be used.
    """
    settings = config if config.journal_size is not None else replace(config, journal_size=0)
    serve_until_signal(lambda: Sandbox(settings, faults, host, port, ssl_context), announce)
