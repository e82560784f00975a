"""The parts of an export run: its folder, its plan, and its manifest."""

from __future__ import annotations

import secrets
from bisect import bisect_right
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

import anyio

from scalesync.engine.partitions import Partition
from scalesync.errors import ConfigError
from scalesync.flows.exports import filters
from scalesync.flows.exports.commit_log import CommitLog
from scalesync.flows.exports.origin import Origin
from scalesync.flows.exports.reader import Already, Ranges
from scalesync.flows.exports.run_plan import NUMBERS, highest, larger
from scalesync.flows.runtime.options import ExportOptions
from scalesync.flows.runtime.setup.services import default_spec
from scalesync.model.exports import StoredRun
from scalesync.model.records import JsonObject
from scalesync.model.selection import Selection
from scalesync.model.targets import Target
from scalesync.model.task_view import TaskView
from scalesync.outputs.fields import FieldPicker
from scalesync.outputs.manifest import (
    LAYOUT,
    PLATFORM,
    TASKS,
    FileEntry,
    Manifest,
    check_folder,
    hidden,
    remove_orphans,
    under_of,
)
from scalesync.outputs.reader import views_of
from scalesync.outputs.writer import SegmentWriter, clean_parts
from scalesync.ports.export_ledger import ExportLedger
from scalesync.ports.platform import Axis, Changes, Lister, Span
from scalesync.stored import Form, Member
from scalesync.times import iso, milliseconds

STEMS = ("tasks", "left", "responses")
RUN_ID = "run_id"
UNSETTLED_FROM = "unsettled_from"
READ_BACK = 5_000  # lines of a file read back at a time
CURSOR = "cursor"


class Folder:
    """The folder of an export.

    manifest: the existing one, after `check`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.responses = path / "responses"
        self.manifest: Manifest | None = None

    def check(self, job: str, target: Target, *, begun: bool) -> Manifest | None:
        """Check that the folder is this job's. Raises ConfigError naming the obstacle."""
        manifest = check_folder(self.path, job, stems=STEMS, begun=begun)
        if manifest is not None and (manifest.target, manifest.mode) != (target.base_url, target.mode.value):
            raise ConfigError(
                f"{self.path} holds an export from {manifest.target} ({manifest.mode}), not from"
                f" {target.base_url} ({target.mode}); choose another --out"
            )
        self.manifest = manifest
        return manifest

    def clean(self, known: set[str], going_on: set[str]) -> None:
        """Remove what killed runs left: hidden files except those to continue, and data files that nobody recorded."""
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

    def already(self, store: ExportLedger, lister: Lister, view: Callable[[bytes], TaskView]) -> Already:
        """Asks for the refs that this run's files hold, by range; a ValueError when the lines do not show it."""

        async def look(ranges: Ranges) -> AsyncIterator[tuple[int, Sequence[str]]]:
            whole = [(self.path / entry["path"], None) for entry in await store.files("tasks")]
            parts = [(hidden(self.path, entry["name"]), entry["bytes"]) for entry in await store.files("tasks:open")]
            batches = _ids_in([*whole, *parts], ranges, lister, view)
            while (batch := await anyio.to_thread.run_sync(next, batches, None)) is not None:
                for number, refs in batch.items():
                    yield number, refs

        return look


def platform_of(target: Target) -> JsonObject:
    """For the manifest: the platform of these tasks, if it is not the one of all older folders."""
    return {} if target.platform == default_spec().name else {PLATFORM: target.platform}


def _ids_in(
    files: Sequence[tuple[Path, int | None]], ranges: Ranges, lister: Lister, view: Callable[[bytes], TaskView]
) -> Iterator[dict[int, list[str]]]:
    """Batches of refs by the number of their range.

    ranges: none overlaps another.
    """
    ordered = sorted((lo, hi, number) for number, (lo, hi) in enumerate(ranges))
    starts = [lo for lo, _, _ in ordered]
    for path, limit in files:
        tasks = views_of(path, view, limit)
        while group := list(islice(tasks, READ_BACK)):
            batch: dict[int, list[str]] = {}
            for task in group:
                place = lister.place_of(task)
                if lister.axis is Axis.CREATED and not place:
                    raise ValueError(f"{path}: holds a line without its time of creation")
                lo, hi, number = ordered[max(0, bisect_right(starts, place) - 1)]
                if lo <= place < hi:
                    batch.setdefault(number, []).append(task.ref)
            yield batch


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
    finished = stored is not None and (stored.done or _is_of(manifest, stored.plan))
    if stored is not None and not finished and stored.plan["form"] == form and _goes_with(folder.manifest, stored.plan):
        taken_up = await _take_up(options, store, folder, stored, origin.changes)
        if taken_up is not None:
            return taken_up
    first = _window_start(options, manifest)
    run = _runs(manifest) + 1
    plan_json = {"form": form, "run": run, "started_ms": now_ms, "first_ms": first, "section": _SECTION.write(section)}
    plan_json[LAYOUT] = int(bool(under_of(folder.manifest)))
    plan_json |= {RUN_ID: secrets.token_hex(8), "behind": _name_of(folder.manifest)}
    plan_json["ages_ms"] = _ages_from(options, manifest, now_ms)
    plan_json[NUMBERS] = await _numbers(store, folder, stored)
    cursor = await origin.cursor() if options.incremental else None
    if cursor is not None:
        plan_json |= {CURSOR: cursor, "since": _since(manifest)}
    await store.begin_run(iso(now_ms), plan_json)
    await anyio.to_thread.run_sync(folder.clean, set(), set())
    plan = _plan(options, store, folder, plan_json, origin.changes)
    plan.fresh = True
    plan.versions_hold = stored is not None and finished and _keeps_versions(manifest, stored.plan)
    plan.partitions = _partitions(await origin.span(plan.selection, now_ms))
    return plan


def _partitions(span: Span) -> list[Partition]:
    """All of it; separately what may follow the last task, so that the part to divide is known."""
    if span.last is None or not span.lo < span.last < span.hi:
        return [Partition.over(1, span.lo, span.hi)]
    return [Partition.over(1, span.last, span.hi), Partition.over(2, span.lo, span.last)]


async def _numbers(store: ExportLedger, folder: Folder, stored: StoredRun | None) -> dict[str, int]:
    """The numbers of files that are taken, also if only the ledger still knows them."""
    before = stored.plan.get(NUMBERS) if stored is not None else None
    recorded = [entry["path"] for kind in STEMS for entry in await store.files(kind)]
    return larger(before or {}, highest(folder.manifest, recorded))


def _runs(manifest: Manifest | None) -> int:
    """How many runs a manifest is the result of."""
    return 0 if manifest is None else int(manifest.extra.get("runs", 1))


def _is_of(manifest: Manifest | None, plan: JsonObject) -> bool:
    """Whether the manifest is the one that a run committed."""
    if manifest is None or manifest.watermark is None:
        return False
    if RUN_ID in manifest.extra and RUN_ID in plan:
        return bool(manifest.extra[RUN_ID] == plan[RUN_ID])
    return manifest.watermark == iso(plan["started_ms"]) and _runs(manifest) == plan.get("run", _runs(manifest))


def _keeps_versions(manifest: Manifest | None, plan: JsonObject) -> bool:
    """Whether the ledger's versions are those of the folder's files.

    Only an increment writes versions, and they apply to the manifest that it committed: after a plain export,
    `--again`, or a run of another ledger the files must be read back.
    """
    return bool(plan["form"]["incremental"]) and _is_of(manifest, plan)


def _name_of(manifest: Manifest | None) -> str:
    """What distinguishes the state of a folder from every other one."""
    if manifest is None:
        return ""
    return str(manifest.extra.get(RUN_ID) or f"{manifest.watermark} {_runs(manifest)}")


def _goes_with(manifest: Manifest | None, plan: JsonObject) -> bool:
    """Whether a stopped run still continues the folder's manifest: another ledger may have changed it."""
    return plan.get("behind", _name_of(manifest)) == _name_of(manifest) or _is_of(manifest, plan)


def form_of(options: ExportOptions, section: Section = WHOLE) -> JsonObject:
    """Equal for two runs with the same question."""
    form = {"typed": filters.typed(options), "incremental": options.incremental, **shape_of(options)}
    form |= {"via": options.via} if options.via == "job" else {}
    return form | ({"bounds": dict(section.bounds)} if section.bounds else {})


def shape_of(options: ExportOptions) -> JsonObject:
    """The form of the files, whatever they hold."""
    return {"format": options.format, "fields": list(options.fields), "responses": options.download_responses}


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


def _since(manifest: Manifest | None) -> JsonObject | None:
    """The cursor from which an increment by version asks; None for everything, also after a run with an unsettled
    partition.
    """
    if manifest is None or manifest.extra.get("unsettled"):
        return None
    found: JsonObject | None = manifest.extra.get(CURSOR)
    return found


def _ages_from(options: ExportOptions, manifest: Manifest | None, now_ms: int) -> int:
    """The moment that ages count from: one that moved with each increment would leave tasks behind silently."""
    if not options.incremental or manifest is None:
        return now_ms
    return milliseconds(manifest.started_at) or now_ms


async def _take_up(
    options: ExportOptions, store: ExportLedger, folder: Folder, stored: StoredRun, by: Changes
) -> ExportPlan | None:
    """The stopped run, with its open files cut to their durable length; None if a file is missing."""
    kinds = ("tasks", "left", "responses")
    known = {entry["path"] for kind in kinds for entry in await store.files(kind)}
    going_on = {entry["name"] for kind in kinds for entry in await store.files(f"{kind}:open")}
    if not stored.partitions or not all((folder.path / path).exists() for path in known):
        return None
    await anyio.to_thread.run_sync(folder.clean, known, going_on)
    plan = _plan(options, store, folder, stored.plan, by)
    await plan.log.take_up()
    if not plan.log.complete:
        return None
    plan.figures = stored.progress
    plan.partitions = [Partition.load(state) for state in stored.partitions]
    return plan


def _plan(
    options: ExportOptions, store: ExportLedger, folder: Folder, plan_json: JsonObject, by: Changes
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
        number=first["tasks"],
        route=route,
        under=TASKS if layout else "",
        typed=layout,
    )
    writers = {"tasks": tasks}
    if options.incremental:
        writers["left"] = SegmentWriter(folder.path, "left", number=first["left"])
    if options.download_responses:
        writers["responses"] = SegmentWriter(folder.path, "responses", number=first["responses"], route=route)
    asked = filters.asked(selection, window=window, by=by, since=plan_json.get("since"))
    plan = ExportPlan(started_ms, plan_json.get(RUN_ID, ""), selection, asked, [], CommitLog(writers, store), window)
    plan.cursor = plan_json.get(CURSOR)
    return plan


async def finished_run(
    plan: ExportPlan,
    store: ExportLedger,
    manifest: Manifest | None,
    *,
    job: str,
    target: Target,
    options: ExportOptions,
) -> Manifest:
    """The manifest after this run: its own files, for an increment after those of the runs before."""
    before = manifest if options.incremental else None
    files = list(before.files) if before else []
    files += [FileEntry.from_json(entry) for entry in await store.files("tasks")]
    files += [FileEntry.from_json(entry | {"kind": "left"}) for entry in await store.files("left")]
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
            "runs": _runs(before) + 1,
            **({RUN_ID: plan.run_id} if plan.run_id else {}),
            **({CURSOR: plan.cursor} if plan.cursor is not None else {}),
            **platform_of(target),
        },
    )
