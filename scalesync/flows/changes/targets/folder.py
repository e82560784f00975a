"""Tasks that the files of an export hold, as its manifest lists them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from scalesync.errors import ConfigError
from scalesync.flows.changes.targets.target import PAGE, Named, Row, Rows
from scalesync.flows.runtime.threads import in_daemon
from scalesync.model.records import JsonObject
from scalesync.model.task_view import TaskView
from scalesync.outputs.manifest import Manifest, load
from scalesync.outputs.reader import left_lines_of, views_of


class ExportFolder:
    """The tasks of an export: each task of its files, but those that left it later."""

    def __init__(self, folder: Path, manifest: Manifest, view: Callable[[bytes], TaskView]) -> None:
        self._folder = folder
        self._manifest = manifest
        self._view = view

    def sources(self) -> Sequence[tuple[str, JsonObject]]:
        """The files, all that the manifest lists."""
        return [(entry.path, _facts(self._folder / entry.path)) for entry in self._manifest.files]

    async def rows(self) -> Rows:
        """Every task, in the order of the files; a later line of a task, or that it left, counts at collection."""
        found = self._rows(await in_daemon(self._left))
        while page := await in_daemon(lambda: _page(found)):
            yield page

    def _left(self) -> dict[str, int]:
        """Task -> the place, in the manifest, of the last file that says that it left."""
        left: dict[str, int] = {}
        for place, entry in enumerate(self._manifest.files):
            if entry.kind == "left":
                left.update((line.task_id, place) for line in left_lines_of(self._folder / entry.path))
        return left

    def _rows(self, left: dict[str, int]) -> Iterator[Row]:
        for place, entry in enumerate(self._manifest.files):
            if entry.kind is not None:
                continue
            for line, task in enumerate(views_of(self._folder / entry.path, self._view), start=1):
                if left.get(task.ref, -1) < place:
                    yield Named(task.ref, None, {}, place + 1, line)


def _facts(path: Path) -> JsonObject:
    return {"name": str(path), "path": str(path.absolute())}


def _page(rows: Iterator[Row]) -> Sequence[Row]:
    page = []
    for row in rows:
        page.append(row)
        if len(page) == PAGE:
            break
    return page


def open_folder(folder: Path, platform: str, view: Callable[[bytes], TaskView]) -> ExportFolder:
    """Read the manifest. Raises ConfigError if this is not an export of this platform."""
    manifest = load(folder)
    if manifest is None:
        raise ConfigError(f"--from {folder}: there is no manifest.json, so it is not an export")
    if manifest.platform not in {None, platform}:
        raise ConfigError(f"--from {folder} is an export of {manifest.platform}, not of {platform}")
    return ExportFolder(folder, manifest, view)
