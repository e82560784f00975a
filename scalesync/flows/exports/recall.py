"""What a run knows of its folder before it reads: the versions of tasks, and the parts that were delivered apart."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from scalesync.errors import OutcomeUnknown
from scalesync.flows.exports.chains.origin import Origin
from scalesync.flows.exports.folder.export_folder import Folder
from scalesync.flows.exports.folder.read_back import recall_parts, recall_versions
from scalesync.flows.exports.plan import ExportPlan
from scalesync.outputs.manifest import FileEntry, Manifest
from scalesync.ports.export_ledger import ExportLedger
from scalesync.ports.spec import PlatformSpec


class Recall:
    """Makes sure that a run that starts over knows exactly what is in the folder's files.

    The ledger may be new or lost, may be behind the folder, or may know versions of a run that ended before its files
    counted. Then the files are read again.
    """

    def __init__(self, spec: PlatformSpec, origin: Origin, job: ExportLedger, note: Callable[[str], None]) -> None:
        self._spec = spec
        self._origin = origin
        self._job = job
        self._note = note

    async def versions(self, plan: ExportPlan, folder: Folder, manifest: Manifest | None) -> None:
        """The newest version of each task."""
        if _is_unsure(plan):
            if manifest is not None:
                self._note("reading the versions back from the files of this folder")
            await recall_versions(self._job, folder.path, manifest, version=self._version_in_line)

    async def parts(self, plan: ExportPlan, folder: Folder, files: Sequence[FileEntry]) -> None:
        """The deliveries of parts in the files that stay."""
        if self._spec.parts is not None and _is_unsure(plan):
            await recall_parts(self._job, folder.path, files)

    def _version_in_line(self, line: bytes) -> tuple[str, int]:
        """The ref and the version of the task in a line. Raises ValueError if there is none."""
        try:
            task = self._spec.view(line)
        except OutcomeUnknown as error:
            raise ValueError("it holds a line without the id of its task") from error
        return task.ref, self._origin.lister.version_of(task, line)


def _is_unsure(plan: ExportPlan) -> bool:
    return plan.fresh and not plan.versions_hold
