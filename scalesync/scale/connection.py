"""The settings of a client, and its connection: opened at the first call, closed once."""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack
from dataclasses import replace

from scalesync.config.settings import Settings
from scalesync.engine.limits import EngineLimits
from scalesync.errors import ConfigError
from scalesync.events import Observer, Silent
from scalesync.flows.runtime.setup.services import resolve_settings, spec_of
from scalesync.flows.runtime.wiring import connect
from scalesync.model.targets import RequestClass
from scalesync.scale.calls import Calls

PLATFORM = "scale"


def settings_of(
    api_key: str | None,
    *,
    base_url: str | None,
    profile: str | None,
    rate: str | None,
    rate_all: str | None,
    concurrency: int | None,
    allow_http: bool,
) -> Settings:
    """The settings of a client: arguments, named profile, environment, default profile, default, in this order.

    Raises ConfigError, with a sentence that never holds the key.
    """
    if not isinstance(base_url, str | None):
        raise ConfigError(f"base_url must be text such as https://api.scale.com/v1, not {type(base_url).__name__}")
    spec = spec_of(PLATFORM)
    settings = resolve_settings(
        need_key=api_key is None,
        environ=os.environ,
        platform=PLATFORM,
        base_url=base_url,
        profile=profile,
        rate=rate,
        rate_all=rate_all,
        concurrency=concurrency,
        allow_http=allow_http,
    )
    if api_key is None:
        return settings
    if not isinstance(api_key, str) or not api_key.isascii() or not api_key.isprintable() or " " in api_key:
        raise ConfigError("api_key must be a string without spaces, line breaks and non-ASCII letters")
    if not api_key:
        raise ConfigError(f"api_key is empty; leave it out to use {spec.variables.key} or a profile")
    return replace(settings, api_key=api_key, mode=spec.mode_of(api_key))


class Door:
    """The connection of a client, which many calls may want at once. It belongs to the event loop of the first one."""

    def __init__(self, settings: Settings, patience_s: float, observer: Observer | None) -> None:
        if isinstance(patience_s, bool) or not isinstance(patience_s, int | float) or not patience_s >= 0:
            raise ConfigError(f"patience_s must be a number of seconds, 0 or more, not {patience_s!r}")
        self._settings = settings
        self._limits = EngineLimits(patience_s=patience_s)
        self._observer = observer or Silent()
        self._stack = AsyncExitStack()
        self._calls: Calls | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._opening: asyncio.Lock | None = None
        self._closed = False

    async def open(self) -> Calls:
        """The calls. Raises ConfigError once it is closed, and in another event loop than the first call's."""
        loop = asyncio.get_running_loop()
        if self._calls is not None and loop is self._loop:
            return self._calls
        if self._closed:
            raise ConfigError("the client is closed; make another one")
        if self._opening is None:
            self._loop, self._opening = loop, asyncio.Lock()
        if loop is not self._loop:
            raise ConfigError(
                "the client was first used in another event loop; make one client for each loop, or use"
                " scalesync.scale.Client"
            )
        async with self._opening:
            if self._calls is None:
                self._calls = await self._connected()
        return self._calls

    async def _connected(self) -> Calls:
        for note in self._settings.notes:
            self._observer.note(note)
        connection = await self._stack.enter_async_context(
            connect(self._settings.way, self._observer, paced=RequestClass.CREATE, limits=self._limits)
        )
        return Calls(connection, self._settings.base_url.removesuffix("/v1"))

    async def close(self) -> None:
        """Close the connection; a second time does nothing."""
        self._closed, self._calls = True, None
        await self._stack.aclose()

    def __repr__(self) -> str:
        state = "closed" if self._closed else f"{self._settings.mode} key"
        return f"{self._settings.base_url}, {state}"
