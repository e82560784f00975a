"""One run of one export job: what it reads, what it keeps, how it ends.

    plan --> partitions --> reader --> take --> commit log --> manifest

A backfill is such a run too, window after window.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import anyio

from scalesync.errors import ConfigError, ScalesyncError
from scalesync.events import Observer, Progress
from scalesync.flows.exports import filters
from scalesync.flows.exports.chains.origin import Origin
from scalesync.flows.exports.chains.reader import Inquiry, PartitionReader
from scalesync.flows.exports.chains.recollection import Recollection
from scalesync.flows.exports.checks import as_typed
from scalesync.flows.exports.ending import figures_of, findings, finished_run, left_behind, nothing_matched, stop_of
from scalesync.flows.exports.folder.commit_log import PageCommit
from scalesync.flows.exports.folder.export_folder import Folder
from scalesync.flows.exports.folder.finished import NO_REQUESTS, finished_already, stages_that_stay
from scalesync.flows.exports.folder.read_back import already
from scalesync.flows.exports.missing_files import Gaps, has_gaps
from scalesync.flows.exports.parts import deliveries_of
from scalesync.flows.exports.plan import ExportPlan, begin
from scalesync.flows.exports.recall import Recall
from scalesync.flows.exports.recheck import check_everything, everything
from scalesync.flows.exports.result_files import ResponseStore
from scalesync.flows.exports.select import Beside, TakeMatching, TakeNew, TakeNewest, Timeless
from scalesync.flows.runtime.options import ExportOptions
from scalesync.flows.runtime.rate_meter import RateMeter
from scalesync.flows.runtime.run import guarded, heartbeat, plain_errors, report, save_limits, taking_signals
from scalesync.flows.runtime.wiring import Connection
from scalesync.http.download import Downloader
from scalesync.model.records import JsonObject
from scalesync.model.summaries import ExportSummary
from scalesync.outputs.manifest import STAGES, STEMS, FileEntry, Manifest, under_of
from scalesync.ports.export_ledger import ExportLedger
from scalesync.ports.platform import Axis, Changes
from scalesync.times import iso, milliseconds

if TYPE_CHECKING:
    from scalesync.flows.exports.jobs.feed import JobFeed


class ExportRun:
    """One run of one export job, from the opened job to the manifest."""

    def __init__(self, options: ExportOptions, connection: Connection, job: ExportLedger, observer: Observer) -> None:
        self._options = options
        self._target = connection.way.target
        self._connection = connection
        self._job = job
        self._observer = observer
        self._feed: JobFeed | None = None
        self._origin = Origin(connection.platform.spec, connection.platform.lister, connection.call)
        self._meter = RateMeter()
        self._plan: ExportPlan | None = None
        self._reader: PartitionReader | None = None
        self._responses: ResponseStore | None = None
        self._stopped: ScalesyncError | None = None
        self._scope = anyio.CancelScope()

    def _stop(self, reason: ScalesyncError) -> None:
        if self._stopped is None:
            self._stopped = reason
            self._connection.gate.close()
            self._scope.cancel()

    async def go(self, folder: Folder, manifest: Manifest | None, *, signals: bool) -> ExportSummary:
        """Read everything, commit the manifest, end the run in the ledger.

        Without --incremental an existing manifest is finished, except for missing result files.

        Raises ConfigError for a folder that turns out to be unusable; the summary reports any other stop.
        """
        summary: ExportSummary | None = None
        async with anyio.create_task_group() as group:
            learned = partial(save_limits, self._job, self._connection.pace)
            group.start_soon(guarded, lambda: heartbeat(self._job.heartbeat, learned), self._stop)
            group.start_soon(report, self._observer, self._progress)
            try:
                with self._scope, plain_errors(), taking_signals(self._stop, wanted=signals):
                    summary = await self._work(folder, manifest)
            except ScalesyncError as error:
                self._stopped = self._stopped or error
            group.cancel_scope.cancel()
        self._observer.progress(self._progress())
        if summary is None:
            reason = self._stopped or ScalesyncError("the export was cancelled")
            summary = await self._summary(0, *stop_of(reason))
        complete = summary.exit_code in {0, 1} and self._stopped is None
        await save_limits(self._job, self._connection.pace)
        await self._job.finish(
            complete=complete, exit_code=summary.exit_code, figures=figures_of(summary), message=summary.message
        )
        if isinstance(self._stopped, ConfigError):
            raise self._stopped
        return summary

    async def _work(self, folder: Folder, manifest: Manifest | None) -> ExportSummary:
        if manifest is not None and not self._options.incremental:
            return await self._complete(folder, manifest)
        # The Date header is cut to the second, so a quick second run may seem to begin before the first one did.
        before_ms = milliseconds(manifest.watermark) if manifest is not None else 0
        now_ms = max(self._connection.platform.server_now_ms, before_ms)
        if self._options.via == "job":
            from scalesync.flows.exports.jobs.feed import JobFeed  # noqa: PLC0415  pages need none of its modules

            self._feed = JobFeed(self._connection, folder, self._job, self._observer.note)
            self._origin = Origin(self._connection.platform.spec, self._feed.lister, self._connection.call)
        plan = self._plan = await begin(self._options, self._job, folder, manifest, now_ms, origin=self._origin)
        stages = stages_that_stay(folder, manifest, self._options, self._observer.note)
        await self._recall().parts(plan, folder, stages)
        if self._options.incremental:
            self._tell_ages(manifest)
            self._tell_full_read(manifest)
            await self._recall().versions(plan, folder, manifest)
        async with self._downloader(folder) as downloader:
            self._keep_responses(downloader, plan, folder)
            await self._read(plan, folder, manifest, await self._take(plan, Timeless(self._observer.note)))
            made = await self._commit(plan, folder, manifest, stages)
            if self._responses is not None and manifest is not None and await has_gaps(folder, manifest, self._options):
                made = await Gaps(folder, self._responses, self._connection, self._job).fill(made, manifest)
        return await self._ended(made, manifest)

    async def _take(self, plan: ExportPlan, timeless: Timeless) -> TakeNew | TakeNewest | TakeMatching:
        """What decides which tasks are kept."""
        lister = self._origin.lister
        beside = Beside(self._responses, deliveries_of(self._connection.platform.spec.parts, plan.log))
        if self._options.incremental:
            note, done = self._observer.note, self._connection.words.done
            return TakeNew(plan.selection, plan.log, lister, beside, note, done=done)
        if lister.axis is not Axis.VERSIONS:
            return TakeMatching(plan.selection, beside, timeless)
        if plan.fresh:
            await self._job.forget_versions()
        return TakeNewest(plan.selection, plan.log, lister, beside, timeless)

    async def _complete(self, folder: Folder, manifest: Manifest) -> ExportSummary:
        """Fetch the result files that a finished export lacks; its tasks stay as they are."""
        await anyio.to_thread.run_sync(folder.clean, set(), set())
        async with self._downloader(folder) as downloader:
            responses = self._store_responses(downloader, folder)
            responses.count_from({"stored": manifest.extra.get("responses_downloaded", 0)})
            made = await Gaps(folder, responses, self._connection, self._job).fill(manifest, manifest)
        now = await self._summary(0, 0, "")
        message = f"the export was finished at {made.finished_at}; this run fetched only missing response files"
        traffic = {name: getattr(now, name) for name in NO_REQUESTS}
        return replace(finished_already(made, self._target, message), **traffic)

    def _downloader(self, folder: Folder) -> Downloader:
        suffix = bool(under_of(folder.manifest))
        gate, allow_http = self._connection.gate, self._connection.way.allow_http
        return Downloader(folder.responses, gate, allow_http=allow_http, suffix=suffix)

    def _tell_ages(self, manifest: Manifest | None) -> None:
        aged = filters.ages(self._options)
        if aged and manifest is not None:
            self._observer.note(f"{as_typed(aged)} counts from {manifest.started_at}, when this folder was begun")

    def _tell_full_read(self, manifest: Manifest | None) -> None:
        if manifest is not None and self._origin.changes is Changes.NONE:
            title = self._connection.platform.spec.title
            self._observer.note(
                f"{title} does not list what changed since a time: this increment reads every task and keeps those that"
                " differ from the versions in the folder"
            )

    def _recall(self) -> Recall:
        return Recall(self._connection.platform.spec, self._origin, self._job, self._observer.note)

    def _keep_responses(self, downloader: Downloader, plan: ExportPlan, folder: Folder) -> None:
        """Start to store result files, if asked for."""
        if self._options.download_responses:
            responses = self._store_responses(downloader, folder)
            responses.count_from(plan.figures)
        plan.log.progress = self._kept_with_the_run

    def _kept_with_the_run(self) -> JsonObject:
        figures = self._responses.figures() if self._responses is not None else {}
        return figures | (self._feed.progress() if self._feed is not None else {})

    def _store_responses(self, downloader: Downloader, folder: Folder) -> ResponseStore:
        folder.responses.mkdir(exist_ok=True)
        connection = self._connection
        self._responses = ResponseStore(
            downloader, connection.platform.lister, connection.gate, connection.waits, headers=connection.file_headers
        )
        return self._responses

    async def _read(
        self, plan: ExportPlan, folder: Folder, manifest: Manifest | None, take: TakeNew | TakeNewest | TakeMatching
    ) -> None:
        """Read the plan's partitions, then, when it is due, everything in which ledger and server differ."""
        lister, asked = self._origin.lister, plan.asked
        check = isinstance(take, TakeNew) and plan.full_check_due(self._options, manifest)
        if self._feed is not None:
            # A file has no counts to compare: a check of everything has everything written into it.
            asked, check = everything(plan) if check else asked, False
            await self._feed.prepare(plan, asked)
        async with anyio.create_task_group() as group:
            group.start_soon(plan.log.run)
            try:
                spec = self._connection.platform.spec
                self._reader = PartitionReader(
                    self._connection,
                    Inquiry(lister, asked, self._options.page_size or spec.page_most),
                    plan.log,
                    take,
                    recollection=Recollection(already(folder.path, self._job, lister, spec.view)),
                    note=self._observer.note,
                )
                if plan.fresh and len(plan.partitions) > 1:
                    # A run that resumes knows the partitions in the ledger alone, also those that nobody has begun.
                    await plan.log.put(PageCommit(partitions=[partition.state() for partition in plan.partitions]))
                await self._reader.run(plan.partitions)
                if check:
                    await check_everything(self._reader, plan, self._job, self._origin, self._observer)
                await plan.log.close()
            except BaseException:
                await plan.log.put_down()
                raise
            group.cancel_scope.cancel()

    # --- the end -------------------------------------------------------------------------------

    async def _commit(
        self, plan: ExportPlan, folder: Folder, manifest: Manifest | None, stages: Sequence[FileEntry]
    ) -> Manifest:
        assert self._reader is not None
        made = await finished_run(
            *(plan, self._job, manifest),
            job=self._job.name,
            target=self._target,
            options=self._options,
            stages=stages,
        )
        made.finished_at = iso(self._connection.platform.server_now_ms)
        made.extra |= findings(plan, manifest, self._reader.figures, self._responses)
        if self._feed is not None:
            await self._feed.remove()  # every partition is done, so no later run needs the file
        await anyio.to_thread.run_sync(folder.commit, made)
        await self._job.end_run()
        return made

    async def _ended(self, made: Manifest, before: Manifest | None) -> ExportSummary:
        unsettled, failed = made.extra["unsettled"], made.extra["responses_failed"]
        sentences = ["" if self._written() else nothing_matched(made, before), left_behind(self._left())]
        message = "; ".join(filter(None, sentences))
        summary = await self._summary(unsettled, int(bool(unsettled or failed)), message)
        return replace(summary, watermark=made.watermark, responses_failed=failed)

    async def _summary(self, unsettled: int, exit_code: int, message: str) -> ExportSummary:
        files = [entry for stem in STEMS for entry in await self._job.files(stem)]
        return ExportSummary(
            job=self._job.name,
            target=self._target.base_url,
            mode=self._target.mode.value,
            tasks=self._written(),
            files=len(files),
            bytes=sum(entry["bytes"] for entry in files),
            responses_downloaded=self._responses.stored if self._responses else 0,
            responses_failed=self._responses.failed if self._responses else 0,
            unsettled=unsettled,
            **self._connection.traffic(),
            retries=self._connection.call.retries,
            seconds=round(self._meter.seconds, 3),
            watermark=None,
            stages=self._plan.log.written[STAGES] if self._plan else 0,
            message=message,
            exit_code=exit_code,
        )

    def _written(self) -> int:
        return self._plan.log.written["tasks"] if self._plan else 0

    def _left(self) -> int:
        return self._plan.log.written.get("left", 0) if self._plan else 0

    def _progress(self) -> Progress:
        reader = self._reader
        total = reader.total if reader else None
        listed = reader.figures.listed if reader else 0
        return self._connection.watch.snapshot(
            "export",
            self._meter,
            listed,
            total=total,
            share=min(1.0, listed / total) if total else None,
            left=None if total is None else total - listed,
            failed=self._responses.failed if self._responses else 0,
            written=self._written(),
        )
