"""Result files that an earlier run could not get, or that are gone since: the next run fetches them, and nothing else.

index with gaps --> its lines, a group at a time --> task read again for a fresh link --> file --> a new index
                                                                                                       |
manifest.json with the new index in place of the old one: the one commit point <-----------------------+
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path

import anyio
import orjson

from scalesync.errors import Refused
from scalesync.flows.exports.folder.export_folder import Folder
from scalesync.flows.exports.folder.finished import is_lost, lacks_files, lost_results
from scalesync.flows.exports.folder.manifests import highest
from scalesync.flows.exports.result_files import ResponseStore, without_file
from scalesync.flows.runtime.options import ExportOptions
from scalesync.flows.runtime.wiring import Connection
from scalesync.model.exports import Version
from scalesync.model.records import JsonObject
from scalesync.model.task_view import TaskView
from scalesync.outputs.manifest import Manifest
from scalesync.outputs.reader import lines_of
from scalesync.outputs.writer import Placing, SegmentWriter
from scalesync.ports.export_ledger import ExportLedger
from scalesync.times import milliseconds

GROUP = 500  # lines of an index held at a time
GONE = "the task no longer points to that file"
LOST = "the file was removed from the folder, and the task has a newer version"


class Gaps:
    """Fills the gaps of a committed manifest.

    responses: counts fetched and still missing files, beside its earlier counts.
    """

    def __init__(self, folder: Folder, responses: ResponseStore, connection: Connection, store: ExportLedger) -> None:
        self._folder = folder
        self._responses = responses
        self._connection = connection
        self._store = store

    async def fill(self, manifest: Manifest, before: Manifest) -> Manifest:
        """Fetch what the indexes of an earlier manifest lack; returns the new manifest."""
        indexes = {entry["path"] for entry in before.responses["files"]}
        number = 1 + highest(manifest).get("responses", 0)
        writer = SegmentWriter(self._folder.path, "responses", placing=Placing(number))
        entries: list[JsonObject] = []
        try:
            for entry in manifest.responses["files"]:
                filled = await self._index(entry, writer) if entry["path"] in indexes else None
                entries.append(filled or entry)
        except BaseException:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(writer.abort)
            raise
        counts = {
            "responses_downloaded": self._responses.stored,
            "responses_failed": self._responses.failed,
        }
        made = replace(manifest, responses={"files": entries}, extra={**manifest.extra, **counts})
        await anyio.to_thread.run_sync(self._folder.commit, made)
        return made

    async def _index(self, entry: JsonObject, writer: SegmentWriter) -> JsonObject | None:
        """Write an index again, with the missing files; None if nothing in it changed."""
        changed = False
        groups = _groups(self._folder.path / entry["path"])
        while (group := await anyio.to_thread.run_sync(next, groups, None)) is not None:
            lines = [orjson.loads(line) for line in group]
            for place, line in await self._filled(lines):
                changed = changed or line["path"] != lines[place]["path"]
                group[place] = orjson.dumps(line)
            await anyio.to_thread.run_sync(writer.write, group)
        if not changed:
            await anyio.to_thread.run_sync(writer.abort)
            return None
        made = await anyio.to_thread.run_sync(writer.finish)
        return None if made is None else made.to_json()

    async def _filled(self, lines: Sequence[JsonObject]) -> list[tuple[int, JsonObject]]:
        """The gaps among some lines, and the result of each.

        It tries those that still matter once more: a newer version brought its own files, and a task that left needs
        none.
        """
        gaps = [(place, line) for place, line in enumerate(lines) if line["path"] is None]
        lost = await anyio.to_thread.run_sync(self._lost, lines)
        self._responses.stored -= len(lost)
        gaps += [(place, without_file(line, LOST)) for place, line in lost]
        known = await self._store.versions([line["task_id"] for _, line in gaps])
        wanted = [(place, line) for place, line in gaps if _matters(line, known.get(line["task_id"]))]
        return [*gaps, *await self._fetched(wanted)]

    def _lost(self, lines: Sequence[JsonObject]) -> list[tuple[int, JsonObject]]:
        return [(place, line) for place, line in enumerate(lines) if is_lost(self._folder.path, line)]

    async def _fetched(self, gaps: Sequence[tuple[int, JsonObject]]) -> list[tuple[int, JsonObject]]:
        """Each gap tried once more, with its new line."""
        found: list[tuple[int, JsonObject]] = []

        async def one(place: int, line: JsonObject) -> None:
            found.append((place, await self._responses.fetch_missing(line, self._read)))

        async with anyio.create_task_group() as group:
            for place, line in gaps:
                group.start_soon(one, place, line)
        return found

    async def _read(self, ref: str, field: str) -> tuple[TaskView, str]:
        """The current task, with a fresh link. Raises Refused if there is none."""
        lister = self._connection.platform.lister
        result = await self._connection.call(partial(lister.read, ref))
        url = None if result.view is None else dict(result.view.urls()).get(field)
        if result.view is None or url is None:
            raise Refused(GONE, op="read task")
        return result.view, url


async def has_gaps(folder: Folder, manifest: Manifest, options: ExportOptions) -> bool:
    """Whether result files are missing: they could not be fetched, or were removed since."""
    if not options.download_responses:
        return False
    return lacks_files(manifest) or await anyio.to_thread.run_sync(lost_results, folder.path, manifest)


def _matters(line: JsonObject, version: Version | None) -> bool:
    at_ms = milliseconds(line["updated_at"])
    return version is None or (version.matched and (not at_ms or version.updated_ms <= at_ms))


def _groups(path: Path) -> Iterator[list[bytes]]:
    lines = lines_of(path)
    while group := list(islice(lines, GROUP)):
        yield group
