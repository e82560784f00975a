"""The sandbox in a running loop, and as a blocking server."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
import ssl
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from types import TracebackType

from scalesync.sandbox.core.engine import Engine
from scalesync.sandbox.core.faults import FaultPlan, FaultRule
from scalesync.sandbox.core.journal import Journal
from scalesync.sandbox.core.server import Server
from scalesync.sandbox.scale.config import SandboxConfig
from scalesync.sandbox.scale.store import Store
from scalesync.sandbox.scale.tasks.lifecycle import annotate

logger = logging.getLogger("scalesync.sandbox")


class Sandbox:
    """An emulated API on a port of this machine, for `async with`.

    Entering raises OSError when the address is taken and ValueError when the data file cannot be used.
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
        self.faults = FaultPlan(faults, self.config.seed, self.config.monotonic)
        self.store = Store(self.config)
        self.engine = Engine(self.config, self.faults, self.store)
        self.host = host
        self.port = port
        self._ssl = ssl_context
        self._server: Server | None = None
        self._flusher: asyncio.Task[None] | None = None

    @property
    def origin(self) -> str:
        """`http://127.0.0.1:PORT`; the control routes are under /_sandbox/ of it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self._ssl else 'http'}://{host}:{self.port}"

    @property
    def base_url(self) -> str:
        """The v1 root, as a client wants it."""
        return f"{self.origin}/v1"

    @property
    def journal(self) -> Journal:
        """The requests seen."""
        return self.engine.journal

    def annotate(self, count: int | None = None) -> int:
        """Complete up to `count` pending live tasks now (None: all), oldest first; returns how many."""
        return annotate(self.store.world("live"), count)

    def revoke(self, key: str) -> None:
        """Answer 401 to this key from now on."""
        self.engine.access.revoke(key)

    def restore(self, key: str) -> None:
        """Let a revoked or refused key in again."""
        self.engine.access.restore(key)

    async def __aenter__(self) -> Sandbox:
        self._server = Server(self.engine)
        try:
            self.port = await self._server.start(self.host, self.port, self._ssl)
        except BaseException:
            await self._server.stop()
            self.store.close()
            raise
        self.store.set_base_url((self.config.result_base_url or self.origin).rstrip("/"))
        if self.config.data is not None:
            self._flusher = asyncio.create_task(self._flush())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._flusher is not None:
            self._flusher.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._flusher
        if self._server is not None:
            await self._server.stop()
        self.store.close()

    async def _flush(self) -> None:
        while True:
            await asyncio.sleep(self.config.data_flush_s)
            try:
                self.store.flush()
            except OSError:  # a full disk may be emptied; nothing is dropped meanwhile
                logger.exception("The data file cannot be written")


def serve(
    config: SandboxConfig,
    faults: Iterable[FaultRule],
    host: str,
    port: int,
    announce: Callable[[str], None],
    *,
    ssl_context: ssl.SSLContext | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM; `announce` gets the v1 root as soon as it listens.

    Blocks; must run in the main thread. Raises OSError when the address is taken and ValueError when
    the data file cannot be used.
    """

    async def run() -> None:
        stopped = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            try:
                loop.add_signal_handler(number, stopped.set)
            except NotImplementedError:  # Windows: only Python's own handlers
                signal.signal(number, lambda *_: loop.call_soon_threadsafe(stopped.set))
        settings = config if config.journal_size is not None else replace(config, journal_size=0)
        sandbox = Sandbox(settings, faults, host, port, ssl_context)
        gc.freeze()  # what was loaded stays; looking through it again and again costs pauses
        async with sandbox:
            announce(sandbox.base_url)
            await stopped.wait()

    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(run())


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    if sys.platform == "win32":
        return None
    try:
        import uvloop  # noqa: PLC0415 - not on every platform
    except ImportError:
        return None
    return uvloop.new_event_loop
