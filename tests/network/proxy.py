"""A small proxy: CONNECT and plain forwarding, for names that only it knows."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from tests.network.relay import length_of


@dataclass
class Proxy:
    """Takes every request to `port` of this machine. password: "user:password" that it wants, None for nobody."""

    port: int
    password: str | None = None
    refuse: int | None = None
    seen: list[str] = field(default_factory=list)
    heads: list[bytes] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection of a client."""
        head = await reader.readuntil(b"\r\n\r\n")
        method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
        self.seen.append(f"{method} {target}")
        self.heads.append(head)
        status = self.refuse or (407 if not self._known(head) else None)
        if status is not None:
            body = await reader.readexactly(length_of(head))
            writer.write(b"HTTP/1.1 %d No\r\nContent-Length: 4\r\nConnection: close\r\n\r\nnope" % status)
            await writer.drain()
            del body
            return
        there, back = await asyncio.open_connection("127.0.0.1", self.port)
        if method == "CONNECT":
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            path = urlsplit(target)
            line = f"{method} {path.path}{'?' + path.query if path.query else ''} HTTP/1.1\r\nConnection: close\r\n"
            rest = b"".join(
                part + b"\r\n"
                for part in head.split(b"\r\n")[1:-2]
                if not part.lower().startswith((b"proxy-", b"connection"))
            )
            back.write(line.encode() + rest + b"\r\n")
        try:
            await asyncio.gather(pump(reader, back), pump(there, writer))
        finally:
            back.close()

    def _known(self, head: bytes) -> bool:
        if self.password is None:
            return True
        return b"Basic " + b64encode(self.password.encode()) in head


async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Bytes from one side to the other until the end."""
    while data := await source.read(65536):
        sink.write(data)
        await sink.drain()
    if sink.can_write_eof():
        sink.write_eof()
