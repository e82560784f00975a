"""Result files: fetched without the API key, straight to disk, whole or not at all."""

from __future__ import annotations

import hashlib
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import aiohttp
import anyio

from scalesync.errors import OutcomeUnknown, Refused, RemoteError
from scalesync.platforms.transport import USER_AGENT, Deadlines, proxy_for, translate

CHUNK_BYTES = 256 * 1024
MAX_REDIRECTS = 5


@dataclass(frozen=True, slots=True)
class Stored:
    """One stored file. path: relative to the folder; its name is the sha256 of its content."""

    path: str
    bytes: int
    sha256: str


class Downloader:
    """Fetches URLs into a folder, named by content. Holds one chunk of a body in memory, never the whole.

    A client of its own: results lie on other hosts, and the API key goes to none of them.
    """

    def __init__(self, folder: Path, *, deadlines: Deadlines | None = None) -> None:
        self._folder = folder
        self._deadlines = deadlines or Deadlines()
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        limits = self._deadlines
        # No bound on the whole: a file of many GB on a slow line is fine as long as bytes keep coming.
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=limits.connect, sock_read=limits.first_byte)
        self._session = aiohttp.ClientSession(
            timeout=timeout, headers={"User-Agent": USER_AGENT}, cookie_jar=aiohttp.DummyCookieJar()
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def fetch(self, url: str) -> Stored:
        """Store what `url` points at. Raises Refused for a 4xx (an expired link is a 403), else OutcomeUnknown."""
        assert self._session is not None, "the downloader is used as a context manager"
        part = self._folder / f".part-{secrets.token_hex(8)}"
        host = url.split("?", maxsplit=1)[0]
        try:
            async with self._session.get(url, proxy=proxy_for(url), max_redirects=MAX_REDIRECTS) as response:
                _check(response.status, host)
                digest, size = await self._write(response, part)
            return await anyio.to_thread.run_sync(self._keep, part, digest, size)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise translate(error, f"GET {host}", url) from error
        finally:
            await anyio.to_thread.run_sync(lambda: part.unlink(missing_ok=True))

    async def _write(self, response: aiohttp.ClientResponse, part: Path) -> tuple[str, int]:
        digest = hashlib.sha256()
        size = 0
        async with await anyio.open_file(part, "wb") as file:
            async for chunk in response.content.iter_chunked(CHUNK_BYTES):
                digest.update(chunk)
                size += len(chunk)
                await file.write(chunk)
            await file.flush()
            await anyio.to_thread.run_sync(os.fsync, file.wrapped.fileno())
        return digest.hexdigest(), size

    def _keep(self, part: Path, digest: str, size: int) -> Stored:
        folder = self._folder / digest[:2]
        folder.mkdir(exist_ok=True)
        path = folder / digest
        if path.exists():
            part.unlink()
        else:
            os.replace(part, path)
        return Stored(f"{self._folder.name}/{digest[:2]}/{digest}", size, digest)


def _check(status: int, where: str) -> None:
    if 200 <= status < 300:
        return
    kind: type[RemoteError] = Refused if 400 <= status < 500 and status not in {408, 429} else OutcomeUnknown
    raise kind(f"{where} answered {status}", op="download", status=status)
