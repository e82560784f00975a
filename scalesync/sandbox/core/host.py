"""An emulated platform in a running loop, and as a blocking server."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
import ssl
import sys
from collections.abc import Callable
from types import TracebackType
from typing import Self

from scalesync.sandbox.core.engine import Engine
from scalesync.sandbox.core.faults import FaultPlan
from scalesync.sandbox.core.journal import Journal
from scalesync.sandbox.core.server import Server

logger = logging.getLogger("scalesync.sandbox")


class Host:
    """One app on a port of this machine, for `async with`.

    Entering raises OSError when the address is taken; the app is closed then.
    """

    def __init__(self, engine: Engine, host: str, port: int, ssl_context: ssl.SSLContext | None) -> None:
        self.engine = engine
        self.host = host
        self.port = port
        self._ssl = ssl_context
        self._server: Server | None = None
        self._flusher: asyncio.Task[None] | None = None

    @property
    def origin(self) -> str:
        """`http://127.0.0.1:PORT`; the control routes are below it, under /_sandbox/."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self._ssl else 'http'}://{host}:{self.port}"

    @property
    def base_url(self) -> str:
        """The root of the API: the base URL of a client."""
        return f"{self.origin}{self.engine.app.root}"

    @property
    def faults(self) -> FaultPlan:
        """The schedule in force."""
        return self.engine.faults

    @property
    def journal(self) -> Journal:
        """The requests seen."""
        return self.engine.journal

    def revoke(self, key: str) -> None:
        """Answer 401 to this key from now on."""
        self.engine.access.revoke(key)

    def restore(self, key: str) -> None:
        """Accept a revoked or refused key again."""
        self.engine.access.restore(key)

    async def __aenter__(self) -> Self:
        app = self.engine.app
        self._server = Server(self.engine)
        try:
            self.port = await self._server.start(self.host, self.port, self._ssl)
        except BaseException:
            await self._server.stop()
            app.close()
            raise
        app.listening(self.origin)
        if self.engine.config.data is not None:
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
        self.engine.app.close()

    async def _flush(self) -> None:
        while True:
            await asyncio.sleep(self.engine.config.data_flush_s)
            try:
                self.engine.app.flush()
            except OSError:  # someone may free space on a full disk; until then the buffer keeps everything
                logger.exception("The data file cannot be written")


def serve_until_signal(make: Callable[[], Host], announce: Callable[[str], None]) -> None:
    """Serve the host that `make` returns, until SIGINT or SIGTERM. `announce` gets its base URL once it listens.

    Blocks; must run in the main thread. Raises OSError if the address is taken, and what `make` raises.
    """

    async def run() -> None:
        stopped = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            try:
                loop.add_signal_handler(number, stopped.set)
            except NotImplementedError:  # Windows has only Python's own handlers
                signal.signal(number, lambda *_: loop.call_soon_threadsafe(stopped.set))
        host = make()
        gc.freeze()  # the loaded state stays, and collections that scan it cost pauses
        async with host:
            announce(host.base_url)
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
