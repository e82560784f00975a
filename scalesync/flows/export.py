"""Export: every task that matches, byte for byte, in files that exist whole or not at all.

    page chain --raw documents--> filter --> segment (hidden) --finish--> ledger: file + cursor
                                     |                                        |
                                     +--> response files (hidden -> renamed)  +--> manifest.json, the commit point

A killed run goes on behind its last finished segment; nothing counts before the manifest's rename.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import anyio

from scalesync.config import Settings
from scalesync.errors import ConfigError, ScalesyncError, StopRun
from scalesync.events import Observer, Progress
from scalesync.flows import filters
from scalesync.flows.chain import Chain, ChainState
from scalesync.flows.identity import derived_name
from scalesync.flows.options import ExportOptions
from scalesync.flows.responses import ResponseStore
from scalesync.flows.run import Meter, beat, guarded, report, watch_signals
from scalesync.flows.wiring import Connection, connect
from scalesync.ledger.jobs import JobStore
from scalesync.ledger.store import SqliteLedger, StoredJob
from scalesync.model import ExportSummary, JsonObject, RequestClass, Target
from scalesync.platforms.download import Downloader
from scalesync.ports import JobSpec
from scalesync.records.fields import FieldPicker
from scalesync.records.manifest import FileEntry, Manifest, check_folder, remove_orphans
from scalesync.records.segments import SegmentWriter, clean_parts
from scalesync.times import iso

STEMS = ("tasks", "left", "responses")
READINGS = 3  # how often a chain whose total does not match is read before it is told as unsettled


async def run_export(
    options: ExportOptions, settings: Settings, observer: Observer, *, signals: bool = True
) -> ExportSummary:
    """Export as asked.

    Raises ConfigError before anything is written; a run stopped later returns its summary with exit_code 3.
    """
    _check(options)
    spec = export_job(options, settings.target)
    ledger = SqliteLedger.open(settings.ledger, note=observer.note)
    try:
        found = await ledger.find_job(settings.target, spec.name)
        begun = found is not None and dict(found.identity) == dict(spec.identity)
        manifest = check_folder(options.out, spec.name, stems=STEMS, begun=begun)
        if manifest is not None and (manifest.target, manifest.mode) != (settings.base_url, settings.mode.value):
            raise ConfigError(
                f"{options.out} holds an export from {manifest.target} ({manifest.mode}), not from"
                f" {settings.base_url} ({settings.mode}); choose another --out"
            )
        if manifest is not None and not options.again:
            return _finished_already(manifest, options, settings)
        async with connect(settings, observer, paced=RequestClass.LIST) as connection:
            # The first answer tells that the key works and what time it is over there.
            await connection.call(lambda: connection.platform.page({"limit": 1}, None))
            job = await ledger.open_job(spec)
            return await ExportRun(options, settings, connection, job, observer).go(found, signals=signals)
    finally:
        ledger.close()


def export_job(options: ExportOptions, target: Target) -> JobSpec:
    """The job of an export: its identity is the target and the folder."""
    out = str(options.out.absolute())
    identity = {"out": out}
    name = options.job or derived_name("export", target, identity, options.out.name)
    settings = {"filters": filters.typed(options), "format": options.format, "fields": list(options.fields)}
    return JobSpec(name=name, command="export", target=target, identity=identity, settings=settings)


def _check(options: ExportOptions) -> None:
    if not 1 <= options.page_size <= 100:
        raise ConfigError(f"a page holds 1 to 100 tasks, not {options.page_size}")
    filters.selection(options, now_ms=0)
    if options.fields and options.format == "parquet":
        raise ConfigError("--fields cuts lines; with --format parquet choose columns when you read the files")


def _finished_already(manifest: Manifest, options: ExportOptions, settings: Settings) -> ExportSummary:
    asked = filters.typed(options)
    if asked != manifest.filters:
        raise ConfigError(
            f"{options.out} holds an export with other filters ({manifest.filters or 'none'}, not {asked or 'none'});"
            " choose another --out, or --again to replace it"
        )
    lines = sum(entry.rows for entry in manifest.files)
    return ExportSummary(
        job=manifest.job,
        target=settings.base_url,
        mode=settings.mode.value,
        tasks=lines,
        files=len(manifest.files),
        bytes=sum(entry.bytes for entry in manifest.files),
        responses_downloaded=manifest.extra.get("responses_downloaded", 0),
        responses_failed=manifest.extra.get("responses_failed", 0),
        unsettled=manifest.extra.get("unsettled", 0),
        **NO_REQUESTS,
        watermark=manifest.watermark,
        message=f"nothing to send: this export was finished at {manifest.finished_at}; --again makes it anew",
        exit_code=int(bool(manifest.extra.get("unsettled") or manifest.extra.get("responses_failed"))),
    )


NO_REQUESTS: Mapping[str, Any] = {"requests": 0, "retries": 0, "throttled": 0, "seconds": 0.0}


class ExportRun:
    """One run of one export job, from the opened job to the manifest."""

    def __init__(
        self, options: ExportOptions, settings: Settings, connection: Connection, job: JobStore, observer: Observer
    ) -> None:
        self._options = options
        self._settings = settings
        self._connection = connection
        self._job = job
        self._observer = observer
        self._meter = Meter()
        self._chain: Chain | None = None
        self._stopped: ScalesyncError | None = None
        self._scope = anyio.CancelScope()

    def _stop(self, reason: ScalesyncError) -> None:
        if self._stopped is None:
            self._stopped = reason
            self._connection.gate.close()
            self._scope.cancel()

    async def go(self, found: StoredJob | None, *, signals: bool) -> ExportSummary:
        """Read to the end, commit the manifest, end the run in the ledger."""
        folder = self._options.out
        await anyio.to_thread.run_sync(clean_parts, folder)
        await anyio.to_thread.run_sync(clean_parts, folder / "responses")
        number, state = await self._begin(found)
        unsettled = 0
        async with anyio.create_task_group() as group:
            group.start_soon(guarded, lambda: beat(self._job.heartbeat), self._stop)
            group.start_soon(report, self._observer, self._progress)
            if signals:
                group.start_soon(watch_signals, self._stop)
            try:
                with self._scope:
                    unsettled = await self._read(number, state)
            except ScalesyncError as error:
                self._stopped = self._stopped or error
            group.cancel_scope.cancel()
        self._observer.progress(self._progress())
        if self._stopped is not None:
            return await self._end_early(self._stopped)
        return await self._commit(number, unsettled)

    async def _begin(self, found: StoredJob | None) -> tuple[int, ChainState]:
        """Take up the unfinished slice when it is the same question, else begin anew."""
        form = {
            "typed": filters.typed(self._options),
            "format": self._options.format,
            "fields": list(self._options.fields),
            "responses": self._options.download_responses,
        }
        slices = await self._job.splits("slice")
        if slices and found is not None and not found.complete:
            number, _, spec, _, cursor = slices[0]
            if spec["form"] == form:
                return number, ChainState.load(spec["started_ms"], cursor)
        await self._job.start_over("slice")
        state = ChainState(self._connection.platform.server_now_ms)
        (number,) = await self._job.register_splits("slice", [("all", {"form": form, "started_ms": state.started_ms})])
        return number, state

    async def _read(self, number: int, state: ChainState) -> int:
        """Read the chain, again when its total does not match; returns 1 when it stays unsettled."""
        folder = self._options.out
        selection = filters.selection(self._options, state.started_ms)
        known = {entry["path"] for _, entry in await self._job.files()}
        await anyio.to_thread.run_sync(lambda: remove_orphans(folder, known, stems=STEMS))
        async with Downloader(folder / "responses") as downloader:
            responses = None
            if self._options.download_responses:
                (folder / "responses").mkdir(exist_ok=True)
                responses = ResponseStore(downloader, self._connection.platform)
                responses.stored, responses.failed = state.responses_stored, state.responses_failed
            for reading in range(1, READINGS + 1):
                self._chain = Chain(
                    self._connection,
                    self._job,
                    number=number,
                    state=state,
                    writers=self._writers(),
                    responses=responses,
                )
                await self._chain.run(selection, self._options.page_size)
                if self._chain.state.settled:
                    return 0
                told = "reading again" if reading < READINGS else "told as unsettled"
                self._observer.note(f"{self._chain.mismatch}; {told}")
                if reading < READINGS:
                    await self._job.forget_files(number)
                    state = ChainState(state.started_ms)
        return 1

    def _writers(self) -> tuple[SegmentWriter, SegmentWriter]:
        picker = FieldPicker(",".join(self._options.fields)) if self._options.fields else None
        tasks = SegmentWriter(self._options.out, "tasks", self._options.format, fields=picker)
        return tasks, SegmentWriter(self._options.out, "responses", "jsonl")

    # --- the end -------------------------------------------------------------------------------

    async def _commit(self, number: int, unsettled: int) -> ExportSummary:
        chain = self._chain
        assert chain is not None
        files = await self._job.files()
        now_ms = self._connection.platform.server_now_ms
        manifest = Manifest(
            job=self._job.name,
            target=self._settings.base_url,
            mode=self._settings.mode.value,
            filters=filters.typed(self._options),
            watermark=iso(chain.state.started_ms),
            started_at=iso(chain.state.started_ms),
            finished_at=iso(now_ms),
            files=[FileEntry.from_json(entry) for kind, entry in files if kind == "tasks"],
            responses={"files": [entry for kind, entry in files if kind == "responses"]},
            extra={
                "unsettled": unsettled,
                "responses_downloaded": chain.state.responses_stored,
                "responses_failed": chain.state.responses_failed,
            },
        )
        await anyio.to_thread.run_sync(manifest.commit, self._options.out)
        await anyio.to_thread.run_sync(lambda: remove_orphans(self._options.out, set(), stems=STEMS))
        code = int(bool(unsettled or chain.state.responses_failed))
        summary = await self._summary(files, unsettled, exit_code=code, message="")
        await self._job.update_split(number, state="done", cursor=asdict(chain.state))
        await self._job.finish(complete=True, exit_code=code, figures=_figures(summary))
        return replace(summary, watermark=manifest.watermark)

    async def _end_early(self, reason: ScalesyncError) -> ExportSummary:
        if self._chain is not None and isinstance(reason, StopRun):
            with anyio.CancelScope(shield=True):
                await self._chain.put_down()
        files = await self._job.files()
        code = max(reason.exit_code, 1)
        summary = await self._summary(files, 0, exit_code=code, message=str(reason))
        await self._job.finish(complete=False, exit_code=code, figures=_figures(summary))
        return summary

    async def _summary(
        self, files: Sequence[tuple[str, JsonObject]], unsettled: int, *, exit_code: int, message: str
    ) -> ExportSummary:
        tasks = [entry for kind, entry in files if kind == "tasks"]
        counters = self._connection.transport.counters
        state = self._chain.state if self._chain is not None else None
        return ExportSummary(
            job=self._job.name,
            target=self._settings.base_url,
            mode=self._settings.mode.value,
            tasks=sum(entry["rows"] for entry in tasks),
            files=len(tasks),
            bytes=sum(entry["bytes"] for entry in tasks),
            responses_downloaded=state.responses_stored if state else 0,
            responses_failed=state.responses_failed if state else 0,
            unsettled=unsettled,
            requests=counters.requests,
            retries=self._connection.call.retries,
            throttled=counters.throttled,
            seconds=round(self._meter.seconds, 3),
            watermark=None,
            message=message,
            exit_code=exit_code,
        )

    def _progress(self) -> Progress:
        chain = self._chain
        total = chain.state.first_total if chain else None
        received = chain.state.received if chain else 0
        return Progress(
            phase="export",
            done=chain.written if chain else 0,
            total=total,
            share=min(1.0, received / total) if total else None,
            failed=chain.state.responses_failed if chain else 0,
            throttled=self._connection.transport.counters.throttled,
            rate=self._meter.rate(received),
            in_flight=self._connection.gate.in_flight,
            seconds=self._meter.seconds,
            limit=self._connection.gate.limit(),
        )


def _figures(summary: ExportSummary) -> dict[str, Any]:
    return {
        name: getattr(summary, name)
        for name in ("tasks", "files", "bytes", "requests", "retries", "throttled", "seconds")
    }
