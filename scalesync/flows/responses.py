"""Result files of an export: found in the tasks, fetched with a width of their own, listed beside the tasks."""

from __future__ import annotations

import random
from collections.abc import Sequence

import anyio
import orjson

from scalesync.engine.retry import RetryPolicy
from scalesync.errors import OutcomeUnknown, Refused, RemoteError, Unavailable
from scalesync.model import JsonObject, Presence
from scalesync.platforms.download import Downloader, Stored
from scalesync.ports import TaskLister, TaskView

WIDTH = 16
ATTEMPTS = 4


class ResponseStore:
    """Fetches what `response.*.url` points at. Counts stored and failed ones over the run."""

    def __init__(self, downloader: Downloader, platform: TaskLister) -> None:
        self.stored = 0
        self.failed = 0
        self._downloader = downloader
        self._platform = platform
        self._width = anyio.CapacityLimiter(WIDTH)
        self._retry = RetryPolicy(max_attempts=ATTEMPTS)
        self._rng = random.Random()

    async def fetch(self, documents: Sequence[TaskView]) -> list[bytes]:
        """Fetch for a page of tasks; returns one index line per URL, in the order of the tasks."""
        wanted = [(document, place, url) for document in documents for place, url in document.urls()]
        lines: list[bytes] = [b""] * len(wanted)

        async def one(number: int, document: TaskView, place: str, url: str) -> None:
            async with self._width:
                lines[number] = orjson.dumps(await self._line(document, place, url))

        async with anyio.create_task_group() as group:
            for number, (document, place, url) in enumerate(wanted):
                group.start_soon(one, number, document, place, url)
        return lines

    async def _line(self, document: TaskView, place: str, url: str) -> JsonObject:
        line: JsonObject = {"task_id": document.task_id, "updated_at": document.updated_at, "field": place}
        try:
            stored = await self._fetch(document, place, url)
        except RemoteError as error:
            self.failed += 1
            return line | {"path": None, "error": str(error)}
        self.stored += 1
        return line | {"path": stored.path, "bytes": stored.bytes, "sha256": stored.sha256}

    async def _fetch(self, document: TaskView, place: str, url: str) -> Stored:
        refreshed = False
        attempt = 0
        while True:
            attempt += 1
            try:
                return await self._downloader.fetch(url)
            except Refused:
                # Links may be signed for a short time: the task is read again for a fresh one, once.
                fresh = None if refreshed else await self._fresh_url(document.task_id, place)
                if fresh is None:
                    raise
                refreshed, url = True, fresh
            except (OutcomeUnknown, Unavailable):
                if not self._retry.may_retry(attempt):
                    raise
                await anyio.sleep(self._retry.wait_s(attempt, self._rng))

    async def _fresh_url(self, task_id: str, place: str) -> str | None:
        try:
            finding = await self._platform.read(task_id)
        except RemoteError:
            return None
        if finding.presence is not Presence.FOUND or finding.task is None:
            return None
        document = self._platform.head(orjson.dumps({"task_id": task_id, "response": finding.task.get("response")}))
        return dict(document.urls()).get(place)
