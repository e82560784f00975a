"""Summaries for people and for programs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from scalesync.cli.invocation import Invocation
from scalesync.cli.output import facts, say, say_json, size, tell
from scalesync.config.settings import Settings
from scalesync.events import duration
from scalesync.flows.runtime.setup.services import spec_of
from scalesync.model.summaries import IMPORT_AGAIN, ChangeSummary, ExportSummary, ImportSummary
from scalesync.text import count

OPTIONAL = ("gone", "plan", "message")  # in the JSON only when they say something
LEFT_OUT = "exit_code"
Summary = ImportSummary | ExportSummary | ChangeSummary
PIPE_AGAIN = "pipe the same input into the same import"


def summary_json(summary: Summary) -> dict[str, Any]:
    """The contract's fields in the contract's order."""
    fields = asdict(summary)
    del fields[LEFT_OUT]
    for name in OPTIONAL:
        if name in fields and not fields[name]:
            del fields[name]
    return fields


def show_import(summary: ImportSummary, invocation: Invocation, advice: Iterable[str] | None = None) -> int:
    """Print the summary of an import or a retry; returns its exit code.

    advice: in place of an import's.
    """
    invocation.summary = summary_json(summary)
    told = list(import_advice(summary, invocation) if advice is None else advice)
    if invocation.common.json:
        return say_summary(summary, told, invocation)
    rows: dict[str, str | int] = {"job": summary.job, "target": f"{summary.target} ({summary.mode})"}
    rows["read"] = summary.read
    for name in ("created", "adopted", "conflicts", "failed", "invalid", "pending", "duplicates", "gone"):
        number = getattr(summary, name)
        if number or name in {"created", "failed", "pending"}:
            rows[name] = number
    speed = f"{summary.requests:,} in {duration(summary.seconds)}"
    if summary.tasks_per_second:
        speed += f", {summary.tasks_per_second:,.0f} tasks/s, at most {summary.peak_in_flight} in flight"
    _show(invocation, rows, _traffic(speed, summary), summary.message, told)
    return summary.exit_code


def show_export(
    summary: ExportSummary,
    out: Path,
    invocation: Invocation,
    *,
    more: Mapping[str, str | int] | None = None,
    advice: Iterable[str] | None = None,
    listed: bool | None = None,
) -> int:
    """Print the summary of an export; returns its exit code.

    more: further lines.
    advice: in place of an export's.
    listed: whether a manifest lists the files that are counted; an export writes its own at the end only.
    """
    invocation.summary = summary_json(summary)
    told = list(export_advice(summary) if advice is None else advice)
    if invocation.common.json:
        return say_summary(summary, told, invocation)
    rows: dict[str, str | int] = {"job": summary.job, "target": f"{summary.target} ({summary.mode})"}
    rows |= more or {}
    rows["tasks"] = summary.tasks
    committed = summary.exit_code < 2 if listed is None else listed
    where = f"{'listed' if committed else 'not yet listed'} in {out / 'manifest.json'}"
    rows["files"] = f"{count(summary.files, 'file')}, {size(summary.bytes)}, {where}"
    if summary.stages:
        rows["stages"] = f"{count(summary.stages, 'delivery', 'deliveries')}, in stages-*"
    if summary.responses_downloaded or summary.responses_failed:
        rows["responses"] = f"{summary.responses_downloaded:,} stored, {summary.responses_failed:,} failed"
    if summary.unsettled:
        rows["unsettled"] = summary.unsettled
    if summary.watermark:
        rows["watermark"] = summary.watermark
    speed = f"{summary.requests:,} in {duration(summary.seconds)}"
    _show(invocation, rows, _traffic(speed, summary), summary.message, told)
    return summary.exit_code


def show_change(summary: ChangeSummary, invocation: Invocation, *, dry: bool = False) -> int:
    """Print the summary of an apply; returns its exit code.

    dry: nothing was sent or written, so there is nothing to do about it.
    """
    invocation.summary = summary_json(summary)
    told = [] if dry else change_advice(summary, invocation)
    if invocation.common.json:
        return say_summary(summary, told, invocation)
    rows: dict[str, str | int] = {"job": summary.job, "target": f"{summary.target} ({summary.mode})"}
    rows |= {"change": summary.change, "read": summary.read}
    for name in ("applied", "unchanged", "failed", "unclear", "pending", "invalid", "duplicates"):
        number = getattr(summary, name)
        if number or name in {"applied", "failed", "pending"}:
            rows[name] = number
    speed = f"{summary.requests:,} in {duration(summary.seconds)}"
    if summary.tasks_per_second:
        speed += f", {summary.tasks_per_second:,.0f} tasks/s, at most {summary.peak_in_flight} in flight"
    _show(invocation, rows, _traffic(speed, summary), summary.message, told)
    return summary.exit_code


def change_advice(summary: ChangeSummary, invocation: Invocation) -> list[str]:
    """What to do after an apply, one line each."""
    lines = []
    found = {name: getattr(summary, name) for name in ("failed", "unclear", "invalid")}
    if kinds := ", ".join(f"{number:,} {name}" for name, number in found.items() if number):
        lines.append(f"{kinds}: {invocation.command('failures', '--job', summary.job)}")
    if summary.failed:
        again = invocation.command("retry", "--job", summary.job, paced=True)
        lines.append(f"to try the failed ones again: {again}")
    return lines


def say_summary(summary: Summary, advice: Sequence[str], invocation: Invocation) -> int:
    """Print the summary as JSON, and one sentence for people if not all is done; returns the exit code."""
    say_json(invocation.mask.deep(summary_json(summary)))
    if summary.exit_code:
        tell_outcome("; ".join([*([summary.message] if summary.message else []), *advice]), invocation)
    return summary.exit_code


def tell_outcome(sentence: str, invocation: Invocation) -> None:
    """With --json: also say on standard error that not all is done, unless --quiet."""
    if invocation.common.json and not invocation.common.quiet:
        tell(f"scalesync: {invocation.mask(sentence)}")


def import_advice(
    summary: ImportSummary,
    invocation: Invocation,
    carry_on: str | None = None,
    *,
    project: str | None = None,
    piped: bool = False,
) -> list[str]:
    """What to do next, one line each.

    carry_on: how to send the pending ones.
    project: the one that must be named to find the job, None if its name says enough.
    piped: the import read standard input.
    """
    job = job_options(summary.job, project)
    lines = []
    if kinds := findings(summary):
        lines.append(f"{kinds}: {invocation.command('failures', *job)}")
    if summary.failed:
        more = f", then {PIPE_AGAIN}" if piped else ""
        lines.append(f"to send the failed ones again: {invocation.command('retry', *job, paced=True)}{more}")
    if summary.pending and not any(way in summary.message for way in (PIPE_AGAIN, IMPORT_AGAIN)):
        way = carry_on or f"{PIPE_AGAIN if piped else 'run the same command again'} to resume"
        lines.append(f"{count(summary.pending, 'record')} pending: {way}")
    return lines


def namespace_of(settings: Settings, project: str | None) -> str | None:
    """The project, where jobs of other projects may have the same name; else None."""
    return project if spec_of(settings.platform).key.namespaced else None


def job_options(job: str, project: str | None) -> tuple[str, ...]:
    """The options that name a job.

    project: None if the name says enough.
    """
    return ("--job", job, *(() if project is None else ("--project", project)))


def dry_run_advice(summary: ImportSummary) -> list[str]:
    """What to do after a dry run, one line each."""
    lines = []
    if kinds := findings(summary):
        lines.append(f"{kinds}: fix the source, the template or the options; until then they stay so")
    if summary.pending:
        lines.append(f"{count(summary.pending, 'record')} pending: the same command without --dry-run sends them")
    return lines


def findings(summary: ImportSummary) -> str:
    """How many records are failed, invalid and in conflict; empty if none."""
    words = {"failed": "failed", "invalid": "invalid", "conflicts": "in conflict"}
    return ", ".join(f"{getattr(summary, name):,} {word}" for name, word in words.items() if getattr(summary, name))


def export_advice(summary: ExportSummary) -> list[str]:
    """What to do next, one line each."""
    lines = []
    if summary.unsettled:
        lines.append(
            f"{count(summary.unsettled, 'partition')} unsettled, tasks may be missing: export again with --again;"
            " an increment reads them again by itself"
        )
    if summary.responses_failed:
        missing = count(summary.responses_failed, "response file")
        lines.append(f"{missing} missing, the index says why: run the same command again")
    return lines


def _traffic(speed: str, summary: Summary) -> str:
    extra = [f"{getattr(summary, name):,} {name}" for name in ("retries", "throttled") if getattr(summary, name)]
    if summary.server_errors:
        extra.append(count(summary.server_errors, "server error"))
    if summary.waited_seconds >= 1:
        extra.append(f"nothing got through for {duration(summary.waited_seconds)}")
    return ", ".join([speed, *extra])


def _show(
    invocation: Invocation, rows: Mapping[str, str | int], traffic: str, message: str, advice: Iterable[str]
) -> None:
    text = facts({**rows, "requests": traffic})
    for line in (text, *([message] if message else []), *advice):
        say(invocation.mask(line))
