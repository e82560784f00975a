"""Result files of an export: found in the tasks, fetched with their own width, listed beside the tasks."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Mapping, Sequence

import anyio
import orjson

from scalesync.engine.backoff import RetryPolicy
from scalesync.engine.calls import too_long
from scalesync.engine.waits import Waits
from scalesync.errors import OutcomeUnknown, Refused, RemoteError, Unavailable
from scalesync.http.download import Downloader, Partial, Stored
from scalesync.model.records import JsonObject
from scalesync.model.targets import RequestClass
from scalesync.model.task_view import TaskView
from scalesync.ports.pacing import Pacing
from scalesync.ports.platform import Lister

ReadAgain = Callable[[str, str], Awaitable[tuple[TaskView, str]]]  # ref, field -> the task now, its link

WIDEST = 64
ATTEMPTS = 4  # in a row that brought nothing more of the file
PATIENCE_S = 300.0  # with a wait that a host asks for: as long as a run waits for the platform


class ResponseStore:
    """Downloads the files of `response.*.url`, and counts stored and failed ones over the run.

    pacing: how many files may be fetched at once; they have their own class, so pages continue beside them.
    headers: what a request for an address carries, beside the usual.
    """

    def __init__(
        self,
        downloader: Downloader,
        lister: Lister,
        pacing: Pacing,
        waits: Waits | None = None,
        *,
        headers: Callable[[str], Mapping[str, str]] = lambda url: {},
    ) -> None:
        self.stored = 0
        self.failed = 0
        self._downloader = downloader
        self._lister = lister
        self._pacing = pacing
        self._headers = headers
        self._waits = waits or Waits()
        self._width = anyio.CapacityLimiter(1)
        self._retry = RetryPolicy(max_attempts=ATTEMPTS)
        self._rng = random.Random()

    def figures(self) -> JsonObject:
        """The counts of stored and failed files, stored with the run."""
        return {"stored": self.stored, "failed": self.failed}

    def count_from(self, figures: JsonObject) -> None:
        """Continue counting where a stopped run was."""
        self.stored, self.failed = figures.get("stored", 0), figures.get("failed", 0)

    async def fetch(self, documents: Sequence[TaskView]) -> list[bytes]:
        """Download the files of a page of tasks. Returns one index line for each URL, in the order of the tasks."""
        wanted = [(document, place, url) for document in documents for place, url in document.urls()]
        lines: list[bytes] = [b""] * len(wanted)

        async def one(number: int, document: TaskView, place: str, url: str) -> None:
            self._follow_pace()
            async with self._width:
                lines[number] = orjson.dumps(await self._line(document, place, url))

        async with anyio.create_task_group() as group:
            for number, (document, place, url) in enumerate(wanted):
                group.start_soon(one, number, document, place, url)
        return lines

    async def fetch_missing(self, line: JsonObject, read: ReadAgain) -> JsonObject:
        """Download a file that an earlier run could not get, by a fresh link. Returns the new line for the index."""
        self._follow_pace()
        async with self._width:
            try:
                document, url = await read(line["task_id"], line["field"])
            except Refused as error:
                self.failed += 1
                return without_file(line, str(error))
            return await self._line(document, line["field"], url, fresh=True)

    def _follow_pace(self) -> None:
        self._width.total_tokens = max(1, min(WIDEST, self._pacing.width(RequestClass.FILES)))

    async def _line(self, document: TaskView, place: str, url: str, *, fresh: bool = False) -> JsonObject:
        line: JsonObject = {"task_id": document.ref, "updated_at": document.updated_at, "field": place}
        try:
            async with self._downloader.partial() as part:
                stored = await self._fetch(document, place, url, part, refreshed=fresh)
        except RemoteError as error:
            self.failed += 1
            return line | {"path": None, "error": str(error)}
        self.stored += 1
        return line | {"path": stored.path, "bytes": stored.bytes, "sha256": stored.sha256}

    async def _fetch(self, document: TaskView, place: str, url: str, part: Partial, *, refreshed: bool) -> Stored:
        attempt = 0
        while True:
            attempt += 1
            before = part.furthest
            try:
                stored = await self._downloader.fetch(url, part, headers=self._headers(url))
            except Refused:
                # Signed links expire soon, so the task is read again once for a fresh link.
                fresh = None if refreshed else await self._fresh_url(document.ref, place)
                if fresh is None:
                    raise
                refreshed, url = True, fresh
            except (OutcomeUnknown, Unavailable) as error:
                asked_s = error.retry_after_s
                if asked_s is not None and asked_s > PATIENCE_S:
                    raise too_long(error, asked_s, PATIENCE_S) from error
                self._waits.met(
                    RequestClass.FILES,
                    str(error),
                    patience_s=PATIENCE_S,
                    asked_s=asked_s,
                    busy=lambda: self._width.borrowed_tokens > 0,
                )
                if part.resumable and part.furthest > before:
                    attempt = 1
                if not self._retry.may_retry(attempt):
                    raise
                await anyio.sleep(self._retry.wait_s(attempt, self._rng))
            else:
                self._waits.passes += 1
                return stored
            finally:
                self._follow_pace()

    async def _fresh_url(self, ref: str, place: str) -> str | None:
        try:
            result = await self._lister.read(ref)
        except RemoteError:
            return None
        return None if result.view is None else dict(result.view.urls()).get(place)


def without_file(line: JsonObject, why: str) -> JsonObject:
    """The line of an index for a missing result file."""
    kept = {name: member for name, member in line.items() if name not in {"bytes", "sha256"}}
    return kept | {"path": None, "error": why}
