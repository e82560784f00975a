"""Export: every task that matches, byte for byte, in files that exist whole or not at all.

    plan (server time, filters) --> partitions --> reader --> take --> commit log --> manifest.json, the commit point

A killed run resumes its partitions; nothing counts before the manifest's rename. docs/export.md says what is
promised and why it holds.
"""

from __future__ import annotations

from dataclasses import replace

from scalesync.config.settings import Settings, Way
from scalesync.disk import holding_folder
from scalesync.events import Observer
from scalesync.flows.exports import filters
from scalesync.flows.exports.checks import check_options, first_look, same_filters
from scalesync.flows.exports.folder.export_folder import Folder
from scalesync.flows.exports.folder.finished import AGAIN, finished_already, loss, lost_files
from scalesync.flows.exports.folder.manifests import must_be_export
from scalesync.flows.exports.folder.moved import as_stored
from scalesync.flows.exports.job_run import ExportRun
from scalesync.flows.exports.missing_files import has_gaps
from scalesync.flows.runtime.identity import derived_name, export_target
from scalesync.flows.runtime.ledgers import open_ledger
from scalesync.flows.runtime.options import ExportOptions
from scalesync.flows.runtime.setup.offers import require
from scalesync.flows.runtime.setup.services import spec_of
from scalesync.flows.runtime.wiring import connect
from scalesync.model.jobs import JobSpec
from scalesync.model.summaries import ExportSummary
from scalesync.model.targets import RequestClass, Target
from scalesync.ports.ledger import Ledger
from scalesync.ports.spec import PlatformSpec


async def run_export(
    options: ExportOptions, settings: Settings, observer: Observer, *, signals: bool = True
) -> ExportSummary:
    """Export as asked.

    Raises ConfigError before anything is written; a run stopped later returns its summary with exit_code 3.
    """
    platform = spec_of(settings.platform)
    options = with_reading(options, platform, settings, observer)
    require(platform, "export", *(["export --incremental"] if options.incremental else []))
    require(platform, *(["export --download-responses"] if options.download_responses else []))
    require(platform, *(["export --via job"] if options.via == "job" else []))
    check_options(options, platform)
    ledger = open_ledger(settings.ledger, note=observer.note)
    try:
        # before the first look at the folder: what it holds must not change until the run is over
        with holding_folder(options.out):
            spec = export_job(options, export_target(settings.target, platform, options.project))
            return await _export(options, spec, settings.way, observer, ledger, signals=signals)
    finally:
        ledger.close()


def with_reading(
    options: ExportOptions, platform: PlatformSpec, settings: Settings, observer: Observer
) -> ExportOptions:
    """The options with the list that they choose, and a note about it where there are several. Raises ConfigError."""
    reading = platform.reading(settings.extras)
    if reading.words:
        observer.note(reading.words)
    return replace(options, reading=reading)


async def _export(
    options: ExportOptions, spec: JobSpec, way: Way, observer: Observer, ledger: Ledger, *, signals: bool
) -> ExportSummary:
    spec = await as_stored(ledger, spec, options.out, options.job)
    found = await ledger.find_job(spec.target, spec.name)
    begun = found is not None and dict(found.identity) == dict(spec.identity)
    folder = Folder(options.out)
    manifest = folder.check(spec.name, spec.target, begun=begun)
    if manifest is not None:
        must_be_export(manifest, options.out)
    if manifest is not None and not options.again:
        hint = "choose another --out" if options.incremental else "choose another --out, or --again to replace it"
        same_filters(manifest, options, hint)
        lost = lost_files(folder.path, manifest)
        if lost:
            advice = f"{AGAIN}{' in place of --incremental' if options.incremental else ''}"
            return finished_already(manifest, spec.target, loss(folder.path, lost, advice), exit_code=1)
        if not options.incremental and not await has_gaps(folder, manifest, options):
            return finished_already(manifest, spec.target)
    memory = await ledger.learned_limits(spec.target)
    namespace = spec.target.namespace
    async with connect(way, observer, namespace=namespace, paced=RequestClass.LIST, memory=memory) as connection:
        await first_look(connection, options, observer.note)
        if options.via == "auto":
            options = replace(options, via="job" if connection.platform.export_jobs is not None else "pages")
        job = await ledger.open_export(spec)
        run = ExportRun(options, connection, job, observer)
        return await run.go(folder, None if options.again else manifest, signals=signals)


def export_job(options: ExportOptions, target: Target) -> JobSpec:
    """The job of an export: its identity is the target, with its namespace, and the folder."""
    out = str(options.out.absolute())
    identity = {"out": out}
    name = options.job or derived_name("export", target, identity, options.out.name)
    settings = {"filters": filters.typed(options), "format": options.format, "fields": list(options.fields)}
    return JobSpec(name=name, command="export", target=target, identity=identity, settings=settings)
