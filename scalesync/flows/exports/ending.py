"""The end of an export run: its manifest, its findings, and the sentence about it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from scalesync.errors import RemoteError, ScalesyncError
from scalesync.flows.exports import filters
from scalesync.flows.exports.chains.findings import Figures
from scalesync.flows.exports.checks import as_typed
from scalesync.flows.exports.folder.manifests import CURSOR, RUN_ID, UNSETTLED_FROM, platform_of, runs_of, shape_of
from scalesync.flows.exports.plan import ExportPlan
from scalesync.flows.exports.result_files import ResponseStore
from scalesync.flows.runtime.options import ExportOptions
from scalesync.model.records import JsonObject
from scalesync.model.summaries import ExportSummary
from scalesync.model.targets import Target
from scalesync.outputs.manifest import STAGES, FileEntry, Manifest
from scalesync.ports.export_ledger import ExportLedger
from scalesync.text import count
from scalesync.times import iso


async def finished_run(
    plan: ExportPlan,
    store: ExportLedger,
    manifest: Manifest | None,
    *,
    job: str,
    target: Target,
    options: ExportOptions,
    stages: Sequence[FileEntry] = (),
) -> Manifest:
    """The manifest after this run: its files. For an increment, they follow the files of earlier runs.

    stages: files of a run before that stay listed although this one replaces its tasks.
    """
    before = manifest if options.incremental else None
    files = list(before.files) if before else list(stages)
    files += [FileEntry.from_json(entry) for entry in await store.files("tasks")]
    files += [FileEntry.from_json(entry | {"kind": "left"}) for entry in await store.files("left")]
    files += [FileEntry.from_json(entry | {"kind": STAGES}) for entry in await store.files(STAGES)]
    responses = list(before.responses["files"]) if before else []
    responses += await store.files("responses")
    full_at = before.extra.get("full_at", before.started_at) if before and not plan.full_check else None
    return Manifest(
        job=job,
        target=target.base_url,
        mode=target.mode.value,
        filters=filters.typed(options),
        watermark=iso(plan.started_ms),
        started_at=before.started_at if before else iso(plan.started_ms),
        files=files,
        responses={"files": responses},
        extra={
            "form": shape_of(options),
            "full_at": full_at or iso(plan.started_ms),
            "runs": runs_of(before) + 1,
            **({RUN_ID: plan.run_id} if plan.run_id else {}),
            **({CURSOR: plan.cursor} if plan.cursor is not None else {}),
            **platform_of(target),
        },
    )


def findings(
    plan: ExportPlan, before: Manifest | None, figures: Figures, responses: ResponseStore | None
) -> JsonObject:
    """The findings for the manifest: counts of this run that do not match, and result files of all runs so far.

    before: for an increment, the manifest before it.
    """
    missing_before = before.extra.get("responses_failed", 0) if before is not None else 0
    found: JsonObject = {
        "unsettled": figures.unsettled,
        "responses_downloaded": responses.stored if responses else 0,
        "responses_failed": missing_before + (responses.failed if responses else 0),
        **uncounted(figures),
    }
    if figures.unsettled:
        found[UNSETTLED_FROM] = 0 if plan.window is None or plan.full_check else plan.window[0]
    return found


def uncounted(figures: Figures) -> dict[str, int]:
    """The number, for the manifest, of partitions in which the server lists more than it counts; empty for none."""
    return {"uncounted": figures.uncounted} if figures.uncounted else {}


def left_behind(number: int) -> str:
    """The sentence about changed tasks that no longer match an increment; empty for none."""
    if not number:
        return ""
    match, them = ("matches", "it") if number == 1 else ("match", "them")
    return f"{count(number, 'task')} exported before no longer {match}: left-*.jsonl lists {them} with the reason"


def nothing_matched(made: Manifest, before: Manifest | None) -> str:
    """The sentence about a run that wrote no task.

    before: for an increment, the manifest before it.
    """
    if before is not None:
        return f"nothing that matches is new or changed from {before.watermark} to {made.watermark}"
    match = f"0 tasks match {as_typed(made.filters)}" if made.filters else "there are 0 tasks"
    return f"{match}, up to {made.watermark}"


def stop_of(reason: ScalesyncError) -> tuple[int, str]:
    """Exit code and sentence of a stopped run."""
    if isinstance(reason, RemoteError):
        return 3, f"{reason}; run the same command again to resume, or choose another --out if it stops there again"
    return max(reason.exit_code, 1), str(reason)


def figures_of(summary: ExportSummary) -> dict[str, Any]:
    """The figures of a run in the ledger."""
    names = ("tasks", "files", "bytes", "requests", "retries", "throttled", "seconds")
    return {name: getattr(summary, name) for name in names}
