"""Backfill: an export over a past period, in windows, each window once.

    period --> windows, less those in the manifest --> one at a time: partitions --> files --> manifest.json

Each window is its own export run; the manifest's rename commits it. A backfill reads and writes no watermark.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

import anyio

from scalesync.config.settings import Settings, Way
from scalesync.disk import holding_folder
from scalesync.events import Observer, Progress
from scalesync.flows.exports import filters
from scalesync.flows.exports.backfill.plan import (
    WITH_FINDINGS,
    Asked,
    BackfillOptions,
    BackfillSummary,
    check_backfill,
    done_windows,
    may_be_missing,
    row_of,
    same_backfill,
    totals,
)
from scalesync.flows.exports.backfill.windows import Window
from scalesync.flows.exports.checks import as_typed, first_look
from scalesync.flows.exports.ending import uncounted
from scalesync.flows.exports.folder.export_folder import Folder
from scalesync.flows.exports.folder.finished import NO_REQUESTS, loss, lost_files, stages_that_stay
from scalesync.flows.exports.folder.manifests import platform_of, shape_of
from scalesync.flows.exports.folder.moved import as_stored
from scalesync.flows.exports.job_run import ExportRun
from scalesync.flows.exports.plan import ExportPlan, Section, begin, form_of
from scalesync.flows.exports.run import with_reading
from scalesync.flows.exports.select import Timeless
from scalesync.flows.runtime.identity import derived_name, export_target
from scalesync.flows.runtime.ledgers import open_ledger
from scalesync.flows.runtime.setup.offers import require
from scalesync.flows.runtime.setup.services import spec_of
from scalesync.flows.runtime.wiring import Connection, connect
from scalesync.http.download import Downloader
from scalesync.model.exports import WindowRow
from scalesync.model.jobs import JobSpec
from scalesync.model.records import JsonObject
from scalesync.model.summaries import ExportSummary
from scalesync.model.targets import RequestClass, Target
from scalesync.outputs.manifest import STAGES, FileEntry, Manifest
from scalesync.ports.export_ledger import ExportLedger
from scalesync.ports.ledger import Ledger
from scalesync.times import iso


async def run_backfill(
    options: BackfillOptions, settings: Settings, observer: Observer, *, signals: bool = True
) -> BackfillSummary:
    """Read every window that is not done yet.

    Raises ConfigError before anything is written; a run stopped later returns its summary with exit_code 3.
    """
    platform = spec_of(settings.platform)
    require(platform, "export", "backfill export")
    options = replace(options, export=with_reading(options.export, platform, settings, observer))
    check_backfill(options, platform)
    ledger = open_ledger(settings.ledger, note=observer.note)
    try:
        with holding_folder(options.export.out):
            spec = backfill_job(options, export_target(settings.target, platform, options.export.project))
            return await _backfill(options, spec, settings.way, observer, ledger, signals=signals)
    finally:
        ledger.close()


async def _backfill(
    options: BackfillOptions, spec: JobSpec, way: Way, observer: Observer, ledger: Ledger, *, signals: bool
) -> BackfillSummary:
    spec = await as_stored(ledger, spec, options.export.out, options.export.job)
    found = await ledger.find_job(spec.target, spec.name)
    begun = found is not None and dict(found.identity) == dict(spec.identity)
    folder = Folder(options.export.out)
    manifest = folder.check(spec.name, spec.target, begun=begun)
    lost: Mapping[str, str] = {}
    if manifest is not None:
        same_backfill(manifest, options)
        lost = lost_files(folder.path, manifest)
        if not may_be_missing(options, manifest, lost):
            return _finished_already(manifest, spec.target)
    memory = await ledger.learned_limits(spec.target)
    namespace = spec.target.namespace
    async with connect(way, observer, namespace=namespace, paced=RequestClass.LIST, memory=memory) as connection:
        await first_look(connection, options.export, observer.note)
        asked = Asked(options, manifest, connection.platform.server_now_ms, lost)
        job = await ledger.open_export(spec)
        run = BackfillRun(options, connection, job, observer, asked=asked)
        return run.with_windows(await run.go(folder, manifest, signals=signals))


def backfill_job(options: BackfillOptions, target: Target) -> JobSpec:
    """The job of a backfill: its identity is the target, with its namespace, and the folder; the period may grow."""
    export = options.export
    identity = {"out": str(export.out.absolute())}
    name = export.job or derived_name("backfill", target, identity, export.out.name)
    settings = {"filters": filters.typed(export), "by": options.by, **shape_of(export)}
    return JobSpec(name=name, command="backfill", target=target, identity=identity, settings=settings)


def _finished_already(manifest: Manifest, target: Target) -> BackfillSummary:
    return BackfillSummary(
        **totals(manifest),
        job=manifest.job,
        target=target.base_url,
        mode=target.mode.value,
        **NO_REQUESTS,
        watermark=None,
        message=f"nothing to send: every window of this period was read, the last one at {manifest.finished_at}",
        windows=len(manifest.extra["windows"]),
    )


class BackfillRun(ExportRun):
    """One run: window after window, each with its own plan, partitions and commit."""

    def __init__(
        self,
        options: BackfillOptions,
        connection: Connection,
        job: ExportLedger,
        observer: Observer,
        *,
        asked: Asked,
    ) -> None:
        super().__init__(replace(options.export, via="pages"), connection, job, observer)
        self._backfill = options
        self._asked = asked
        self._manifest: Manifest | None = None
        self._finished = 0
        self._timeless = Timeless(observer.note)

    def with_windows(self, summary: ExportSummary) -> BackfillSummary:
        """The summary with the windows."""
        values = {item.name: getattr(summary, item.name) for item in fields(ExportSummary)}
        return BackfillSummary(**values, windows=len(done_windows(self._manifest)), windows_read=self._finished)

    async def _work(self, folder: Folder, manifest: Manifest | None) -> ExportSummary:
        self._manifest = manifest
        if self._asked.cut_short:
            self._observer.note(f"--to is in the future; reading up to {iso(self._asked.now_ms)}, the server's time")
        todo = await self._open_one_first()
        await self._job.replace_windows(self._table(todo))
        async with self._downloader(folder) as downloader:
            for window in todo:
                await self._one(window, folder, downloader)
        findings = any(totals(self._manifest)[name] for name in WITH_FINDINGS)
        message = "" if todo else "nothing to do: every window of this period was read"
        if todo and not totals(self._manifest)["tasks"]:
            chosen = filters.typed(self._options)
            message = f"0 tasks of this period match {as_typed(chosen)}" if chosen else "0 tasks are in this period"
        elsewhere = self._asked.elsewhere
        if elsewhere:
            message = loss(folder.path, elsewhere, "extend --from and --to to its window to read it again")
        return await self._summary(0, int(findings or bool(elsewhere)), message)

    async def _open_one_first(self) -> list[Window]:
        """A window that a stopped run was reading continues before the others begin."""
        stored = await self._job.stored_run()
        forms = [form_of(self._options, self._section(window)) for window in self._asked.todo]
        begun = stored is not None and not stored.done and stored.plan["form"] in forms
        first = forms.index(stored.plan["form"]) if stored is not None and begun else 0
        todo = list(self._asked.todo)
        return [*todo[first : first + 1], *todo[:first], *todo[first + 1 :]]

    def _section(self, window: Window) -> Section:
        by = self._backfill.by
        return Section(window.name, {f"{by}_after": window.lo, f"{by}_before": window.hi})

    def _table(self, todo: Sequence[Window]) -> list[WindowRow]:
        done = {entry["start"]: row_of(entry) for entry in done_windows(self._manifest)}
        pending = {window.name: WindowRow(window.name, iso(window.hi), "pending") for window in todo}
        return sorted((pending | done).values(), key=lambda row: row.start)

    # --- one window ----------------------------------------------------------------------------

    async def _one(self, window: Window, folder: Folder, downloader: Downloader) -> None:
        await self._job.update_window(WindowRow(window.name, iso(window.hi), "open"))
        plan = self._plan = await begin(
            self._options,
            self._job,
            folder,
            self._manifest,
            self._asked.now_ms,
            origin=self._origin,
            section=self._section(window),
        )
        note = self._observer.note
        stages = stages_that_stay(folder, self._manifest, self._options, note, route=window.name)
        await self._recall().parts(plan, folder, stages)
        self._keep_responses(downloader, plan, folder)
        await self._read(plan, folder, None, await self._take(plan, self._timeless))
        made = await self._with(window, plan, stages)
        await anyio.to_thread.run_sync(folder.commit, made)
        self._manifest = made
        self._finished += 1
        self._plan = self._reader = self._responses = None
        await self._job.end_run()
        (entry,) = [entry for entry in made.extra["windows"] if entry["start"] == window.name]
        await self._job.update_window(row_of(entry))

    async def _with(self, window: Window, plan: ExportPlan, stages: Sequence[FileEntry]) -> Manifest:
        """The manifest with this window, in place of an earlier reading of it; the deliveries of that one stay."""
        assert self._reader is not None
        before = self._manifest
        files = [FileEntry.from_json(entry) for entry in await self._job.files("tasks")]
        delivered = [
            *stages,
            *(FileEntry.from_json(entry | {"kind": STAGES}) for entry in await self._job.files(STAGES)),
        ]
        entry: JsonObject = {
            "start": window.name,
            "end": iso(window.hi),
            "tasks": sum(file.rows for file in files),
            "files": len(files) + len(delivered),
            "bytes": sum(file.bytes for file in (*files, *delivered)),
            "unsettled": self._reader.figures.unsettled,
            "responses_downloaded": self._responses.stored if self._responses else 0,
            "responses_failed": self._responses.failed if self._responses else 0,
            **uncounted(self._reader.figures),
        }
        windows = [other for other in done_windows(before) if other["start"] != window.name]
        windows = sorted([*windows, entry], key=lambda other: str(other["start"]))
        kept = [file for file in before.files if file.route != window.name] if before else []
        responses = [file for file in before.responses["files"] if file.get("route") != window.name] if before else []
        sums = ("unsettled", "responses_downloaded", "responses_failed")
        return Manifest(
            job=self._job.name,
            target=self._target.base_url,
            mode=self._target.mode.value,
            filters=filters.typed(self._options),
            watermark=None,
            started_at=before.started_at if before else iso(plan.started_ms),
            finished_at=iso(self._connection.platform.server_now_ms),
            files=[*kept, *files, *delivered],
            responses={"files": [*responses, *await self._job.files("responses")]},
            extra={
                "by": self._backfill.by,
                "windows": windows,
                "form": shape_of(self._options),
                **platform_of(self._target),
                **{name: sum(other[name] for other in windows) for name in sums},
            },
        )

    # --- figures -------------------------------------------------------------------------------

    async def _summary(self, unsettled: int, exit_code: int, message: str) -> ExportSummary:
        summary = await super()._summary(unsettled, exit_code, message)
        sums: dict[str, Any] = totals(self._manifest)
        return replace(summary, **sums)

    def _progress(self) -> Progress:
        inner = super()._progress()
        windows = max(1, len(self._asked.todo))
        done = totals(self._manifest)["tasks"] + inner.done
        return replace(
            inner,
            phase="backfill",
            done=done,
            total=None,
            share=min(1.0, (self._finished + (inner.share or 0)) / windows),
        )
