"""A TCP relay before the sandbox that treats replies as bad networks do."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

# (number of the connection, number of the request on it, method, path) -> one of the manners below
Choose = Callable[[int, int, str, str], str]

TICK_S = 0.02
MANNERS = ("mute", "lost", "slow head", "slow body", "half body", "half closed", "reset")


@dataclass
class Relay:
    """Requests go to `upstream`, replies come back in the manner that `choose` says.

    ok: as they are. mute: the request is not passed on and never answered. lost: passed on, never answered. slow head,
    slow body: a byte at a time, for ever. half body: then silence. half closed: our half, without an answer.
    reset: passed on, then broken. closing: answered as if the connection would stay, then closed.
    """

    upstream: str
    choose: Choose
    connections: int = 0
    seen: list[tuple[str, str]] = field(default_factory=list)
    base_url: str = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        number = self.connections
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            for request in range(1, 1_000_000):
                head = await reader.readuntil(b"\r\n\r\n")
                method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
                body = await reader.readexactly(length_of(head))
                self.seen.append((method, target))
                manner = self.choose(number, request, method, target.partition("?")[0])
                if not await self._treat(manner, head + body, reader, writer):
                    break
        writer.close()

    async def _treat(
        self, manner: str, request: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Answer one request; whether the connection goes on."""
        if manner == "half closed":
            writer.write_eof()
        if manner in {"mute", "half closed"}:
            await reader.read()
            return False
        if manner.startswith("slow head"):
            await trickle(b"HTTP/1.1 200 OK\r\nX-Slow: ", reader, writer)
            return False
        reply = await self._ask(request)
        end = reply.index(b"\r\n\r\n") + 4
        if manner in {"ok", "closing"}:
            writer.write(reply)
            await writer.drain()
            return manner == "ok"
        if manner == "reset":
            writer.transport.abort()
            return False
        if manner == "half body":
            writer.write(reply[: (len(reply) + end) // 2])
        elif manner == "slow body":
            await trickle(reply[:end], reader, writer)
            return False
        await reader.read()
        return False

    async def _ask(self, request: bytes) -> bytes:
        parts = urlsplit(self.upstream)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        try:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            return head + await reader.readexactly(length_of(head))
        finally:
            writer.close()


def length_of(head: bytes) -> int:
    """Content-Length of a head, 0 without."""
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    return 0


async def trickle(first: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Some bytes, then one more every few ms until the other side gives up."""
    writer.write(first)
    while not reader.at_eof():
        writer.write(b"a")
        await writer.drain()
        await asyncio.sleep(TICK_S)


@asynccontextmanager
async def listening(serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], object]) -> AsyncIterator[int]:
    """A raw server on a free port of this machine; connections still open at the end are cut."""
    tasks: set[asyncio.Task[None]] = set()

    async def guarded(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await serve(reader, writer)
        finally:
            writer.transport.abort()
            tasks.discard(task)

    server = await asyncio.start_server(guarded, "127.0.0.1", 0, limit=2**22)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@asynccontextmanager
async def relaying(upstream: str, choose: Choose) -> AsyncIterator[Relay]:
    """A relay before `upstream`, an API root."""
    relay = Relay(upstream, choose)
    async with listening(relay.serve) as port:
        relay.base_url = f"http://127.0.0.1:{port}/v1"
        yield relay
