"""A folder with a finished export: its content, reported without a request, after a check of its files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from scalesync.flows.exports import filters
from scalesync.flows.exports.folder.export_folder import Folder
from scalesync.flows.exports.folder.manifests import stages_of
from scalesync.flows.runtime.options import ExportOptions
from scalesync.model.records import JsonObject
from scalesync.model.summaries import ExportSummary
from scalesync.model.targets import Target
from scalesync.outputs.manifest import NAME, FileEntry, Manifest
from scalesync.outputs.reader import lines_of
from scalesync.text import count

NO_REQUESTS: Mapping[str, Any] = {
    "requests": 0,
    "retries": 0,
    "throttled": 0,
    "seconds": 0.0,
    "server_errors": 0,
    "retry_after_seconds": 0.0,
    "waited_seconds": 0.0,
    "limit_per_second": None,
}
AGAIN = "restore it from a copy, or export everything again with --again"


def lacks_files(manifest: Manifest) -> bool:
    """Whether result files are missing because they could not be fetched."""
    return bool(manifest.extra.get("responses_failed"))


def lost_files(folder: Path, manifest: Manifest) -> dict[str, str]:
    """Files of the manifest that are missing or have another size: path -> the problem."""
    listed = {entry.path: entry.bytes for entry in manifest.files}
    listed |= {entry["path"]: entry["bytes"] for entry in manifest.responses["files"]}
    found = {path: _wrong(folder / path, size) for path, size in listed.items()}
    return {path: wrong for path, wrong in found.items() if wrong}


def stages_that_stay(
    folder: Folder,
    manifest: Manifest | None,
    options: ExportOptions,
    note: Callable[[str], None],
    *,
    route: str | None = None,
) -> list[FileEntry]:
    """The files of stage deliveries that a run keeps: all of them, because no list has earlier deliveries any longer.

    manifest: the one that the run continues; None if it replaces the tasks of the folder, as --again does. With other
        filters it replaces everything.
    note: gets a sentence about files that do not stay, and about those that stay beside new tasks.
    route: of the part of a divided export that is read again.
    """
    there = manifest or folder.manifest
    if there is None:
        return []
    stages = [entry for entry in stages_of(there) if entry.route == route]
    if manifest is None and there.filters != filters.typed(options):
        if stages:
            note(f"the filters are others, so this folder loses {_deliveries(stages)}, corrected ones for good")
        return []
    lost = {entry.path: wrong for entry in stages if (wrong := _wrong(folder.path / entry.path, entry.bytes))}
    if lost:
        note(loss(folder.path, lost, "its deliveries are written again, but not those that were corrected since"))
    kept = [entry for entry in stages if entry.path not in lost]
    if manifest is None and kept:
        note(f"this folder keeps {_deliveries(kept)}; new ones are added")
    return kept


def _deliveries(entries: Sequence[FileEntry]) -> str:
    return count(sum(entry.rows for entry in entries), "delivery of stages", "deliveries of stages")


def lost_results(folder: Path, manifest: Manifest) -> bool:
    """Whether an index of the folder lists a result file that is missing or has another size."""
    paths = (folder / entry["path"] for entry in manifest.responses["files"])
    return any(is_lost(folder, orjson.loads(line)) for path in paths for line in lines_of(path))


def is_lost(folder: Path, line: JsonObject) -> bool:
    """Whether the result file in a line of an index is missing or has another size."""
    return line["path"] is not None and bool(_wrong(folder / line["path"], line["bytes"]))


def _wrong(path: Path, size: int) -> str:
    try:
        there = path.stat().st_size
    except OSError:
        return "is missing"
    return "" if there == size else f"has {there:,} bytes, not {size:,}"


def loss(folder: Path, lost: Mapping[str, str], advice: str) -> str:
    """One sentence on lost files."""
    first, *more = lost
    others = f", and {len(more):,} more listed there are damaged or missing" if more else ""
    return f"{folder / first}: {lost[first]}, and {NAME} lists it{others}; {advice}"


def finished_already(
    manifest: Manifest, target: Target, message: str | None = None, *, exit_code: int | None = None
) -> ExportSummary:
    """The summary of a finished export: nothing is sent.

    message, exit_code: if there is more to say.
    """
    tasks = [entry for entry in manifest.files if entry.kind is None]
    stages = sum(entry.rows for entry in stages_of(manifest))
    extra = manifest.extra
    nothing = (
        f"nothing to do: this export was finished at {manifest.finished_at};"
        " --again repeats it, --incremental adds what is new"
    )
    findings = int(bool(extra.get("unsettled") or extra.get("responses_failed")))
    return ExportSummary(
        job=manifest.job,
        target=target.base_url,
        mode=target.mode.value,
        tasks=sum(entry.rows for entry in tasks),
        files=len(manifest.files),
        bytes=sum(entry.bytes for entry in manifest.files),
        responses_downloaded=extra.get("responses_downloaded", 0),
        responses_failed=extra.get("responses_failed", 0),
        unsettled=extra.get("unsettled", 0),
        stages=stages,
        **NO_REQUESTS,
        watermark=manifest.watermark,
        message=message or nothing,
        exit_code=findings if exit_code is None else exit_code,
    )
