"""The whole loop on the embedded sandbox, with real records and a real SIGKILL; every figure is counted.

Of all flows the demo alone imports the sandbox: it is both ends of the wire in one process.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import anyio
import orjson

from scalesync.config.settings import Settings
from scalesync.demo.inputs import DEMO_KEY, FIRST, SECOND, TASK_TYPE, make_folder, write_inputs
from scalesync.demo.killed_import import import_and_kill, resume
from scalesync.errors import Interrupted, ScalesyncError
from scalesync.events import Observer
from scalesync.flows.exports.run import run_export
from scalesync.flows.imports.run import run_import
from scalesync.flows.runtime.options import ExportOptions, ImportOptions
from scalesync.flows.runtime.setup.services import default_spec
from scalesync.model.summaries import ExportSummary, ImportSummary
from scalesync.model.targets import Mode
from scalesync.sandbox import Sandbox, SandboxConfig


@dataclass(frozen=True, slots=True)
class DemoReport:
    """What the demo counted.

    killed_at: tasks on the server when the second import was killed.
    on_server: tasks of the second project at the end.
    repeated, missing: records with more than one task, and with none.
    sent_again: creates that the server received beyond one for each record.
    answers: exported, by category.
    """

    folder: str
    records: int
    created: int
    exported: int
    answers: Mapping[str, int] = field(default_factory=dict)
    killed_at: int = 0
    resumed: int = 0
    on_server: int = 0
    repeated: int = 0
    missing: int = 0
    sent_again: int = 0
    tasks_per_second: float = 0.0
    seconds: float = 0.0
    exit_code: int = 0
    message: str = ""


async def run_demo(folder: Path | None, observer: Observer, records: int | None = None) -> DemoReport:
    """Import, annotate, export; then import again in a process that is killed half way, resume it, and count.

    folder: new or empty; None takes ./scalesync-demo or the next free number.
    records: only the first N.
    Raises ConfigError if the folder cannot be used, and ScalesyncError if a step fails.
    """
    started = time.monotonic()
    home = await anyio.to_thread.run_sync(make_folder, folder)
    count = await anyio.to_thread.run_sync(write_inputs, home, records)
    observer.note(f"{count:,} docstrings of this Python's standard library written to {home / 'docstrings.jsonl'}")
    async with Sandbox(SandboxConfig()) as sandbox:
        world = sandbox.store.world("live")
        for project in (FIRST, SECOND):
            world.add_project(project, TASK_TYPE)
        observer.note(f"the sandbox listens on {sandbox.base_url}; importing")
        created = await _import_first(home, sandbox, observer)
        sandbox.annotate()
        observer.note("every task annotated by simulation; exporting")
        exported, answers = await _export(home, sandbox, observer)
        observer.note("importing once more under another project, in a process of its own; it will be killed")
        before = sandbox.journal.count("create")
        killed_at = await import_and_kill(home, sandbox, count, observer)
        observer.note(f"killed with {killed_at:,} tasks on the server; the same command again")
        resumed = await resume(home, sandbox)
        seen = _tasks_of(sandbox, SECOND)
        report = DemoReport(
            folder=str(home),
            records=count,
            created=created.created,
            exported=exported.tasks,
            answers=answers,
            killed_at=killed_at,
            resumed=resumed["created"],
            on_server=seen.total(),
            repeated=sum(1 for times in seen.values() if times > 1),
            missing=count - len(seen),
            sent_again=sandbox.journal.count("create") - before - count,
            tasks_per_second=created.tasks_per_second,
            seconds=round(time.monotonic() - started, 1),
        )
    return _judged(report)


def _judged(report: DemoReport) -> DemoReport:
    """The report, with exit code 1 if a figure is wrong."""
    wrong = [
        f"{name} is {number:,}, not {wanted:,}"
        for name, number, wanted in (
            ("created", report.created, report.records),
            ("exported", report.exported, report.records),
            ("answers", sum(report.answers.values()), report.records),
            ("tasks on the server", report.on_server, report.records),
            ("repeated", report.repeated, 0),
            ("missing", report.missing, 0),
        )
        if number != wanted
    ]
    if not wrong:
        return report
    return replace(report, exit_code=1, message="the counts do not add up: " + ", ".join(wrong))


def _settings(home: Path, sandbox: Sandbox) -> Settings:
    return Settings(
        platform=default_spec().name,
        base_url=sandbox.base_url,
        api_key=DEMO_KEY,
        mode=Mode.LIVE,
        ledger=home / "scalesync.db",
        rate="auto",
    )


async def _import_first(home: Path, sandbox: Sandbox, observer: Observer) -> ImportSummary:
    options = ImportOptions(
        sources=(str(home / "docstrings.jsonl"),),
        type=TASK_TYPE,
        project=FIRST,
        template=home / "template.toml",
        job="first",
        yes=True,
    )
    summary = await run_import(options, _settings(home, sandbox), observer, signals=False)
    _check_end("import", summary)
    return summary


async def _export(home: Path, sandbox: Sandbox, observer: Observer) -> tuple[ExportSummary, dict[str, int]]:
    out = home / "annotations"
    options = ExportOptions(out=out, job="annotations", project=FIRST, status=("completed",))
    summary = await run_export(options, _settings(home, sandbox), observer, signals=False)
    _check_end("export", summary)
    return summary, await anyio.to_thread.run_sync(_count_answers, out)


def _check_end(step: str, summary: ImportSummary | ExportSummary) -> None:
    if summary.exit_code == Interrupted.exit_code:
        raise Interrupted(f"the demo was stopped during its {step}; run it again to start over")
    if summary.exit_code:
        raise ScalesyncError(f"the demo's {step} ended with findings: {summary.message or summary}")


def _count_answers(out: Path) -> dict[str, int]:
    """Read back what the manifest lists and count the answers by category."""
    answers: Counter[str] = Counter()
    for listed in orjson.loads((out / "manifest.json").read_bytes())["files"]:
        with (out / listed["path"]).open("rb") as lines:
            answers.update(orjson.loads(line)["response"]["category"] for line in lines)
    return dict(answers.most_common())


def _tasks_of(sandbox: Sandbox, project: str) -> Counter[tuple[str, int, str]]:
    """How many tasks of a project the server holds for each docstring, by its place in the library."""
    return Counter(
        (task["metadata"]["file"], task["metadata"]["line"], task["metadata"]["qualname"])
        for task in sandbox.store.world("live").documents()
        if task["project"] == project
    )
