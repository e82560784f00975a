"""The folder of an export: its job, the remains of killed runs, and the commit of its manifest."""

from __future__ import annotations

from pathlib import Path

from scalesync.errors import ConfigError
from scalesync.flows.exports.folder.manifests import NUMBERS, highest
from scalesync.model.targets import Target
from scalesync.outputs.manifest import LAYOUT, STAGES, TASKS, Manifest, check_folder, remove_orphans, under_of
from scalesync.outputs.writer import clean_parts

STEMS = ("tasks", "left", STAGES, "responses")


class Folder:
    """The folder of an export.

    manifest: the existing one, after `check`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.responses = path / "responses"
        self.manifest: Manifest | None = None

    def check(self, job: str, target: Target, *, begun: bool) -> Manifest | None:
        """Check that the folder belongs to this job. Raises a ConfigError that names the file in the way."""
        manifest = check_folder(self.path, job, stems=STEMS, begun=begun)
        if manifest is not None and (manifest.target, manifest.mode) != (target.base_url, target.mode.value):
            raise ConfigError(
                f"{self.path} holds an export from {manifest.target} ({manifest.mode}), not from"
                f" {target.base_url} ({target.mode}); choose another --out"
            )
        self.manifest = manifest
        return manifest

    def clean(self, known: set[str], going_on: set[str]) -> None:
        """Remove the remains of killed runs: hidden files except those to continue, and unrecorded data files."""
        clean_parts(self.path, going_on)
        clean_parts(self.responses)
        remove_orphans(self.path, known | going_on, stems=STEMS)

    def commit(self, manifest: Manifest) -> None:
        """Publish the manifest, then remove the files that it no longer lists."""
        manifest.extra[NUMBERS] = highest(self.manifest, manifest.paths())
        tasks = [entry.path for entry in manifest.files if entry.kind is None]
        if under_of(self.manifest) and all(path.startswith(TASKS) for path in tasks):
            manifest.extra[LAYOUT] = 1
        manifest.commit(self.path)
        self.manifest = manifest
        remove_orphans(self.path, set(), stems=STEMS)
