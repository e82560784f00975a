"""Clients at the sandbox, and a server whose answers a test writes itself."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import pytest

from scalesync.engine.backoff import RetryPolicy
from scalesync.engine.limits import EngineLimits
from scalesync.scale import AsyncScaleClient

LARGE = 2**20
KEY = "live_verysecret+/"


def hasty(client: AsyncScaleClient, patience_s: float = 5.0) -> AsyncScaleClient:
    """The client with the back-off of tests."""
    client._door._limits = EngineLimits(retry=RetryPolicy(base_s=0.005, cap_s=0.02), patience_s=patience_s)
    return client


@dataclass
class Heard:
    """A request as it arrived. body: empty for a LARGE one, which nobody keeps."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    size: int = 0

    @property
    def line(self) -> str:
        return f"{self.method} {self.target}"

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Scripted:
    """A server that gives one answer after the other: (status, JSON or bytes, headers), or None to hang up."""

    answers: list[Any] = field(default_factory=list)
    heard: list[Heard] = field(default_factory=list)
    url: str = ""

    def __call__(self, *answers: Any) -> None:
        self.answers.extend(answers)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                first, *lines = head.decode("latin-1").strip().split("\r\n")
                headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
                size = int(headers.get("content-length", 0))
                body = b"" if size > LARGE else await reader.readexactly(size)
                left = size - len(body)
                while left:
                    left -= len(await reader.read(min(left, 2**16)))
                method, target, _ = first.split(" ")
                self.heard.append(Heard(method, target, headers, body, size))
                answer = self.answers.pop(0) if self.answers else (500, {"error": "the test gave no answer"})
                if answer is None:
                    return
                writer.write(_reply(*answer))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


def _reply(status: int, value: Any, headers: dict[str, str] | None = None) -> bytes:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    lines = "".join(f"{name}: {text}\r\n" for name, text in (headers or {}).items())
    return b"HTTP/1.1 %d X\r\n%sContent-Length: %d\r\n\r\n%b" % (status, lines.encode(), len(body), body)


@pytest.fixture
async def scripted() -> AsyncIterator[Scripted]:
    server = Scripted()
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1"
    yield server
    listening.close()


@pytest.fixture
async def client_of() -> AsyncIterator[Callable[..., AsyncScaleClient]]:
    """client_of(sandbox or address, patience_s=5.0) makes a client, closed at the end of the test."""
    async with AsyncExitStack() as stack:

        def make(server: Any, patience_s: float = 5.0) -> AsyncScaleClient:
            address = server if isinstance(server, str) else getattr(server, "base_url", None) or server.url
            client = hasty(AsyncScaleClient(KEY, base_url=address), patience_s)
            stack.push_async_callback(client.close)
            return client

        yield make
