"""What the next run reads in the manifest of an export: the run that made it, the form, the numbers in use."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from scalesync.errors import ConfigError
from scalesync.flows.runtime.options import ExportOptions
from scalesync.flows.runtime.setup.services import default_spec
from scalesync.model.records import JsonObject
from scalesync.model.targets import Target
from scalesync.outputs.manifest import PLATFORM, STAGES, FileEntry, Manifest
from scalesync.times import iso

RUN_ID = "run_id"
UNSETTLED_FROM = "unsettled_from"
CURSOR = "cursor"
NUMBERS = "numbers"  # numbers of files; each is used once
_NUMBERED = re.compile(r"([a-z]+)-(\d{5,})\.")


def kind(manifest: Manifest) -> str:
    """The command that made the folder: `export`, `backfill` or `compact`."""
    return "backfill" if "windows" in manifest.extra else "compact" if "source" in manifest.extra else "export"


def must_be_export(manifest: Manifest, out: Path) -> None:
    """Raise ConfigError for the folder of another command: its job may have the name that was asked for."""
    if (made := kind(manifest)) != "export":
        article = "a backfill" if made == "backfill" else "what compact wrote"
        raise ConfigError(f"{out} holds {article}, not an export; choose another --out")


def highest(manifest: Manifest | None, paths: Iterable[str] = ()) -> dict[str, int]:
    """The highest number for each stem that the manifest or `paths` hold.

    A program may know by a file's name that it has read the file, so no other file may ever get that name.
    """
    found = dict(manifest.extra.get(NUMBERS, {})) if manifest is not None else {}
    for path in (*paths, *(manifest.paths() if manifest is not None else ())):
        match = _NUMBERED.match(path.rpartition("/")[2])
        if match is not None:
            found[match[1]] = max(found.get(match[1], 0), int(match[2]))
    return found


def larger(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    """The larger number of each stem."""
    return {stem: max(one.get(stem, 0), other.get(stem, 0)) for stem in (*one, *other)}


def platform_of(target: Target) -> JsonObject:
    """The platform of these tasks for the manifest; empty for the platform of all older folders."""
    return {} if target.platform == default_spec().name else {PLATFORM: target.platform}


def shape_of(options: ExportOptions) -> JsonObject:
    """The options that set the form of the files."""
    return {"format": options.format, "fields": list(options.fields), "responses": options.download_responses}


def runs_of(manifest: Manifest | None) -> int:
    """How many runs made this manifest."""
    return 0 if manifest is None else int(manifest.extra.get("runs", 1))


def stages_of(manifest: Manifest | None) -> list[FileEntry]:
    """The files of parts that were delivered apart."""
    return [entry for entry in manifest.files if entry.kind == STAGES] if manifest is not None else []


def is_of(manifest: Manifest | None, plan: JsonObject) -> bool:
    """Whether the manifest is the one that a run committed."""
    if manifest is None or manifest.watermark is None:
        return False
    if RUN_ID in manifest.extra and RUN_ID in plan:
        return bool(manifest.extra[RUN_ID] == plan[RUN_ID])
    return manifest.watermark == iso(plan["started_ms"]) and runs_of(manifest) == plan.get("run", runs_of(manifest))


def keeps_versions(manifest: Manifest | None, plan: JsonObject) -> bool:
    """Whether the ledger's versions are those of the folder's files.

    Only an increment writes versions, and they belong to the manifest that it committed. After a plain export,
    `--again`, or a run with another ledger the files must be read back.
    """
    return bool(plan["form"]["incremental"]) and is_of(manifest, plan)


def name_of(manifest: Manifest | None) -> str:
    """A string that identifies the state of a folder."""
    if manifest is None:
        return ""
    return str(manifest.extra.get(RUN_ID) or f"{manifest.watermark} {runs_of(manifest)}")


def goes_with(manifest: Manifest | None, plan: JsonObject) -> bool:
    """Whether a stopped run still continues the folder's manifest: another ledger may have changed it."""
    return plan.get("behind", name_of(manifest)) == name_of(manifest) or is_of(manifest, plan)


def since_of(manifest: Manifest | None) -> JsonObject | None:
    """The cursor from which an increment by version asks; None for everything, also after a run with an unsettled
    partition.
    """
    if manifest is None or manifest.extra.get("unsettled"):
        return None
    found: JsonObject | None = manifest.extra.get(CURSOR)
    return found
