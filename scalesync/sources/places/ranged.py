"""A file of a web server, read in parts: each answer must be the part that was asked for, of the file that it began as.

fsspec takes what a server sends for what it asked for. An empty part, another part, an error page or a newer
file would go into tasks, or end the file early, silently.
"""

from __future__ import annotations

import asyncio
import importlib
import io
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from scalesync.errors import SourceError
from scalesync.sources.places.downloaded import BLOCK

ATTEMPTS = 4
WAIT_S = 0.5  # before the second attempt; twice as long before each further one
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
CHANGED = "changed while it was read, by its ETag, date or size; run the same command again, or download it first"


class Part(NamedTuple):
    """One part of a file. size: of the whole file. mark: what says that the file is still the same."""

    data: bytes
    size: int
    mark: tuple[str | None, str | None]


class WebFile(NamedTuple):
    """Where a file is. system: fsspec's of the web. name: for errors."""

    system: Any
    url: str
    name: str


class Unlike(Exception):
    """An answer that is not the part that was asked for. words: what it was."""


async def fetch(file: WebFile, start: int, end: int, first: Part | None = None) -> Part | None:
    """Bytes from `start` up to `end`. first: the part that the file began with.

    Returns None where the server gives no parts of the file. A fault that may pass is asked again about, a few times.
    Raises SourceError, or what aiohttp raises.
    """
    aiohttp = importlib.import_module("aiohttp")
    wait_s = WAIT_S
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return await _ask(file, start, end, first)
        except (Unlike, aiohttp.ClientConnectionError, aiohttp.ClientPayloadError, TimeoutError) as error:
            if attempt == ATTEMPTS:
                if isinstance(error, Unlike):
                    raise SourceError(str(error), file.name) from None
                raise
        except aiohttp.ClientResponseError as error:
            if attempt == ATTEMPTS or error.status not in _AGAIN:
                raise
        await asyncio.sleep(wait_s)
        wait_s *= 2
    raise AssertionError("the last attempt returns or raises")


async def _ask(file: WebFile, start: int, end: int, first: Part | None) -> Part | None:
    system = file.system
    headers = {**system.kwargs.get("headers", {}), "Range": f"bytes={start}-{end - 1}", "Accept-Encoding": "identity"}
    session = await system.set_session()
    async with session.get(system.encode_url(file.url), headers=headers) as reply:
        if first is not None and reply.status in {200, 416}:
            raise SourceError(CHANGED, file.name)
        if reply.status == 416:
            return Part(b"", 0, (None, None))  # an empty file has no first byte
        reply.raise_for_status()
        if reply.status != 206 or reply.headers.get("Content-Encoding", "identity") != "identity":
            return None
        part = _part(await reply.read(), reply.headers, start, end, first)
    if part is not None and first is not None and (part.size, part.mark) != (first.size, first.mark):
        raise SourceError(CHANGED, file.name)
    return part


def _part(data: bytes, headers: Mapping[str, str], start: int, end: int, first: Part | None) -> Part | None:
    said = _RANGE.fullmatch(headers.get("Content-Range", ""))
    if said is None:
        if first is None:
            return None
        raise Unlike("its server does not say which part of the file it gives")
    size, mark = int(said[3]), (headers.get("ETag"), headers.get("Last-Modified"))
    if first is not None and size != first.size:
        return Part(data, size, mark)  # another file: its parts have other borders
    wanted = min(end, size) - start
    if int(said[1]) != start or int(said[2]) + 1 - start != wanted:
        raise Unlike(f"its server gives another part of the file than bytes {start:,} to {start + wanted:,}")
    if len(data) != wanted:
        raise Unlike(f"its server gives {len(data):,} bytes where it announces {wanted:,}")
    return Part(data, size, mark)


class RangedFile(io.RawIOBase):
    """The file. first: its first block, as `fetch` gave it."""

    def __init__(self, file: WebFile, first: Part) -> None:
        self._file = file
        self._first = first
        self._at = 0
        self._start, self._data = 0, first.data

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        """Where the next byte is read."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Move; nothing is asked for."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._first.size}[whence]
        self._at = max(0, base + offset)
        return self._at

    def read(self, size: int = -1, /) -> bytes:
        """Up to `size` bytes, fewer only at the end of the file. Raises SourceError."""
        end = self._first.size if size < 0 else min(self._first.size, self._at + size)
        parts = []
        while self._at < end:
            if not self._start <= self._at < self._start + len(self._data):
                self._load(end)
            inside = self._at - self._start
            part = self._data[inside : inside + end - self._at]
            parts.append(part)
            self._at += len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _load(self, end: int) -> None:
        until = min(self._first.size, max(end, self._at + BLOCK))
        run = importlib.import_module("fsspec.asyn").sync
        part = run(self._file.system.loop, fetch, self._file, self._at, until, self._first)
        if part is None:
            raise SourceError(CHANGED, self._file.name)
        self._start, self._data = self._at, part.data
