"""What one run of an export reads, and the manifest after it: a new plan, or that of the run that was stopped."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import count as counted
from itertools import pairwise

import anyio

from scalesync.engine.partitions import Partition
from scalesync.flows.exports import filters
from scalesync.flows.exports.chains.origin import Origin
from scalesync.flows.exports.folder.commit_log import CommitLog
from scalesync.flows.exports.folder.export_folder import STEMS, Folder
from scalesync.flows.exports.folder.manifests import (
    CURSOR,
    NUMBERS,
    RUN_ID,
    UNSETTLED_FROM,
    goes_with,
    highest,
    is_of,
    keeps_versions,
    larger,
    name_of,
    runs_of,
    shape_of,
    since_of,
)
from scalesync.flows.runtime.options import ExportOptions
from scalesync.model.exports import StoredRun
from scalesync.model.records import JsonObject
from scalesync.model.selection import Selection
from scalesync.outputs.encoders.registry import of_lines
from scalesync.outputs.fields import FieldPicker
from scalesync.outputs.manifest import LAYOUT, STAGES, TASKS, Manifest, under_of
from scalesync.outputs.writer import Placing, SegmentWriter
from scalesync.ports.export_ledger import ExportLedger
from scalesync.ports.platform import Span
from scalesync.stored import Form, Member
from scalesync.times import iso, milliseconds


@dataclass(slots=True)
class ExportPlan:
    """What one run reads: its server time, filters, partitions and output.

    window: of updates, for an increment.
    cursor: of changes, for the next increment, if they go by version.
    figures: of result files that the run had fetched before it stopped.
    fresh: started over.
    versions_hold: the ledger's versions are those of the manifest's files.
    run_id: names the run.
    """

    started_ms: int
    run_id: str
    selection: Selection
    asked: Selection
    partitions: list[Partition]
    log: CommitLog
    window: tuple[int, int] | None
    cursor: JsonObject | None = None
    full_check: bool = False
    figures: JsonObject = field(default_factory=dict)
    fresh: bool = False
    versions_hold: bool = False

    def full_check_due(self, options: ExportOptions, manifest: Manifest | None) -> bool:
        """Whether --full-every asks for a check of everything in this run."""
        if options.full_every is None or manifest is None:
            return False
        last = milliseconds(manifest.extra.get("full_at") or manifest.started_at)
        self.full_check = self.started_ms - last >= filters.duration_ms(options.full_every, "--full-every")
        return self.full_check


@dataclass(frozen=True, slots=True)
class Section:
    """A part of an export that is its own run.

    route: under which its files are listed.
    bounds: as in Selection.
    """

    route: str
    bounds: Mapping[str, int]


WHOLE = Section("", {})
_SECTION = Form(Section, "a section of an export", [Member("route", absent=""), Member("bounds", write=dict)])


async def begin(
    options: ExportOptions,
    store: ExportLedger,
    folder: Folder,
    manifest: Manifest | None,
    now_ms: int,
    *,
    origin: Origin,
    section: Section = WHOLE,
) -> ExportPlan:
    """Resume the unfinished run if it asks the same question, else start over at the server's time."""
    form = form_of(options, section)
    stored = await store.stored_run()
    # Killed between the manifest's rename and its record: that run is finished all the same.
    finished = stored is not None and (stored.done or is_of(manifest, stored.plan))
    if stored is not None and not finished and stored.plan["form"] == form and goes_with(folder.manifest, stored.plan):
        taken_up = await _take_up(options, store, folder, stored, origin)
        if taken_up is not None:
            return taken_up
    first = _window_start(options, manifest)
    run = runs_of(manifest) + 1
    plan_json = {"form": form, "run": run, "started_ms": now_ms, "first_ms": first, "section": _SECTION.write(section)}
    plan_json[LAYOUT] = int(bool(under_of(folder.manifest)))
    plan_json |= {RUN_ID: secrets.token_hex(8), "behind": name_of(folder.manifest)}
    plan_json["ages_ms"] = _ages_from(options, manifest, now_ms)
    plan_json[NUMBERS] = await _numbers(store, folder, stored)
    cursor = await origin.cursor() if options.incremental else None
    if cursor is not None:
        plan_json |= {CURSOR: cursor, "since": since_of(manifest)}
    await store.begin_run(iso(now_ms), plan_json)
    await anyio.to_thread.run_sync(folder.clean, set(), set())
    plan = _plan(options, store, folder, plan_json, origin)
    plan.fresh = True
    plan.versions_hold = stored is not None and finished and keeps_versions(manifest, stored.plan)
    plan.partitions = partitions_of(await origin.span(plan.asked, now_ms), counted(1).__next__)
    return plan


def partitions_of(span: Span, number: Callable[[], int]) -> list[Partition]:
    """All of it, cut where the span says; separately what may follow the last task, so the part to divide is known.

    number: gives an unused number.
    """
    if span.last is not None and span.lo < span.last < span.hi:
        return [Partition.over(number(), span.last, span.hi), Partition.over(number(), span.lo, span.last)]
    edges = [span.hi, *sorted({cut for cut in span.cuts if span.lo < cut < span.hi}, reverse=True), span.lo]
    return [Partition.over(number(), lo, hi) for hi, lo in pairwise(edges)]


async def _numbers(store: ExportLedger, folder: Folder, stored: StoredRun | None) -> dict[str, int]:
    """The numbers of files that are taken, also if only the ledger still knows them."""
    before = stored.plan.get(NUMBERS) if stored is not None else None
    recorded = [entry["path"] for kind in STEMS for entry in await store.files(kind)]
    return larger(before or {}, highest(folder.manifest, recorded))


def form_of(options: ExportOptions, section: Section = WHOLE) -> JsonObject:
    """Equal for two runs with the same question."""
    form = {"typed": filters.typed(options), "incremental": options.incremental, **shape_of(options)}
    form |= {"via": options.via} if options.via == "job" else {}
    return form | ({"bounds": dict(section.bounds)} if section.bounds else {})


def _window_start(options: ExportOptions, manifest: Manifest | None) -> int:
    """The start of an increment's window: the last watermark less the overlap; 0 for the first one.

    If a partition of an earlier run was unsettled, it is the start of that run's window: the increment asks again until
    the counts agree.
    """
    if not options.incremental or manifest is None:
        return 0
    start_ms = max(0, milliseconds(manifest.watermark) - filters.duration_ms(options.overlap, "--overlap"))
    if not manifest.extra.get("unsettled"):
        return start_ms
    return min(start_ms, int(manifest.extra.get(UNSETTLED_FROM, 0)))


def _ages_from(options: ExportOptions, manifest: Manifest | None, now_ms: int) -> int:
    """The moment that ages count from: one that moved with each increment would leave tasks behind silently."""
    if not options.incremental or manifest is None:
        return now_ms
    return milliseconds(manifest.started_at) or now_ms


async def _take_up(
    options: ExportOptions, store: ExportLedger, folder: Folder, stored: StoredRun, origin: Origin
) -> ExportPlan | None:
    """The stopped run, with its open files cut to their durable length; None if a file is missing."""
    known = {entry["path"] for kind in STEMS for entry in await store.files(kind)}
    going_on = {entry["name"] for kind in STEMS for entry in await store.files(f"{kind}:open")}
    if not stored.partitions or not all((folder.path / path).exists() for path in known):
        return None
    await anyio.to_thread.run_sync(folder.clean, known, going_on)
    plan = _plan(options, store, folder, stored.plan, origin)
    await plan.log.take_up()
    if not plan.log.complete:
        return None
    plan.figures = stored.progress
    plan.partitions = [Partition.load(state) for state in stored.partitions]
    return plan


def _plan(
    options: ExportOptions, store: ExportLedger, folder: Folder, plan_json: JsonObject, origin: Origin
) -> ExportPlan:
    started_ms = plan_json["started_ms"]
    section = _SECTION.read(plan_json["section"]) if "section" in plan_json else WHOLE
    counted_from = plan_json.get("ages_ms") or started_ms
    selection = filters.narrowed(filters.selection(options, counted_from), section.bounds)
    route = section.route or None
    window = (plan_json["first_ms"], started_ms) if options.incremental else None
    selection = replace(selection, judged_here=window is not None)
    picker = FieldPicker(",".join(options.fields)) if options.fields else None
    first = {stem: 1 + (plan_json.get(NUMBERS) or {}).get(stem, 0) for stem in STEMS}
    layout = bool(plan_json.get(LAYOUT))
    tasks = SegmentWriter(
        folder.path,
        "tasks",
        options.format,
        fields=picker,
        placing=Placing(first["tasks"], route, TASKS if layout else ""),
        typed=layout,
        columns=origin.spec.columns,
    )
    stages = Placing(first[STAGES], route)
    writers = {"tasks": tasks, STAGES: SegmentWriter(folder.path, STAGES, of_lines(options.format), placing=stages)}
    if options.incremental:
        writers["left"] = SegmentWriter(folder.path, "left", placing=Placing(first["left"]))
    if options.download_responses:
        writers["responses"] = SegmentWriter(folder.path, "responses", placing=Placing(first["responses"], route))
    stays = options.reading.stays
    asked = filters.asked(selection, window=window, by=origin.changes, since=plan_json.get("since"), stays=stays)
    judged = selection.without(options.reading.unseen)
    plan = ExportPlan(started_ms, plan_json.get(RUN_ID, ""), judged, asked, [], CommitLog(writers, store), window)
    plan.cursor = plan_json.get(CURSOR)
    return plan
