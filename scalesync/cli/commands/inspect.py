"""`scalesync status`, `failures` and `retry`: the jobs of the ledger."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from scalesync.cli.asking import asker
from scalesync.cli.command import SyncCommand
from scalesync.cli.event_loop import run_async
from scalesync.cli.invocation import Invocation
from scalesync.cli.output import facts, paint, say, say_json, table
from scalesync.cli.results import tell_outcome
from scalesync.cli.types import LocalPath
from scalesync.flows.runtime.options import CHANGED_REASON, FailureGroup, JobStatus, in_words
from scalesync.text import count

if TYPE_CHECKING:
    from scalesync.flows.jobs.failures import WrittenOut

SHOWN_DIFFERENCES = 5
SHOWN_WINDOWS = 12
NOUNS = frozenset({"tasks", "files", "bytes", "conflicts", "duplicates"})
STATES = {"running": "yellow", "finished": "green", "unfinished": "red"}
ALWAYS = ("read", "tasks")  # counts that are shown even if they are 0


@click.command(
    "status",
    cls=SyncCommand,
    examples=(
        "scalesync status",
        "scalesync status --job nightly --refresh",
        "scalesync --ledger other.db status --json",
    ),
)
@click.option("--job", metavar="NAME", help="only this job")
@click.option("--refresh", is_flag=True, help="ask the server for the tasks' present status, a hundred in a call")
@click.pass_obj
def status_command(invocation: Invocation, /, job: str | None, refresh: bool) -> int:
    """Show the jobs of the ledger: running, finished or unfinished, with their counts.

    With --refresh it also asks the server. It records tasks that turned to error or were canceled after they were
    created in the ledger, and `scalesync failures` shows why.
    """
    settings = invocation.settings(need_key=refresh)

    from scalesync.flows.jobs.status import job_status

    if refresh:
        from scalesync.flows.jobs.refresh import refreshed_status

        with invocation.display() as display:
            jobs = run_async(refreshed_status, settings, job, display)
    else:
        jobs = run_async(job_status, settings.ledger, job)
    if invocation.common.json:
        say_json(invocation.mask.deep({"jobs": [asdict(item) for item in jobs]}))
        return 0
    if not jobs:
        say("no jobs yet: scalesync import or scalesync export makes one")
    elif job is not None or refresh:
        for line in _blocks(_job_text(item, None if job else SHOWN_WINDOWS) for item in jobs):
            say(invocation.mask(line))
    else:
        for line in _job_table(jobs):
            say(invocation.mask(line))
    return 0


def _job_table(jobs: Sequence[JobStatus]) -> list[str]:
    """A line for each job, the latest run first; below those that stopped early, the reason."""
    ordered = sorted(jobs, key=lambda item: item.started_at or "", reverse=True)
    several = len({item.target for item in jobs}) > 1
    rows = [
        (
            (item.started_at or "never")[:16].replace("T", " "),
            item.state,
            f"{urlsplit(item.target).netloc} {item.mode}" if several else item.mode,
            item.job,
            _counts(item),
        )
        for item in ordered
    ]
    head, *lines = table(("started (UTC)", "state", "target" if several else "mode", "job", "counts"), rows)
    shown = [paint(head, "dim")]
    for item, line in zip(ordered, lines, strict=True):
        shown.append(line.replace(f"  {item.state}", f"  {paint(item.state, STATES[item.state])}", 1))
        if item.state == "unfinished" and (why := _last(item)):
            shown.append(f"  {why}")
    return [*shown, paint("scalesync status --job NAME shows one job in full", "dim")]


def _window_lines(job: JobStatus, most: int | None) -> list[str]:
    """A table of a backfill's windows.

    most: lines, the latest ones.
    """
    shown = job.windows if most is None else job.windows[-most:]
    lines = [f"{'window from':26}{'to':26}{'state':12}tasks"] if shown else []
    lines += [f"{item['start']:26}{item['end']:26}{item['state']:12}{item.get('tasks', '')}" for item in shown]
    left = len(job.windows) - len(shown)
    return [*lines, f"and {left:,} before these: scalesync status --job {job.job}"] if left else lines


@click.command(
    "failures",
    cls=SyncCommand,
    examples=(
        "scalesync failures",
        "scalesync failures --job nightly --limit 1",
        "scalesync failures --job nightly --out failed.jsonl",
        "scalesync failures --group failed-400-3f2a1c --json",
    ),
)
@click.option("--job", metavar="NAME", help="only this job")
@click.option("--project", metavar="P", help="only jobs of this project")
@click.option("--group", metavar="G", help="only this group, as listed")
@click.option(
    "--out",
    metavar="FILE",
    type=LocalPath(dir_okay=False),
    help="write the records themselves to FILE as JSONL, to be corrected and imported",
)
@click.option(
    "--limit", type=click.IntRange(0, 3), default=3, show_default=True, metavar="N", help="examples per group"
)
@click.pass_obj
def failures_command(
    invocation: Invocation, /, *, job: str | None, project: str | None, group: str | None, out: Path | None, limit: int
) -> int:
    """Show failed, invalid and conflicting records by cause, each with its file and line.

    With --out it writes them to a file that can be imported again, and input that is not a record to FILE.bad.txt
    beside it. It refuses to replace a FILE that was changed since scalesync wrote it. It exits with code 1 if it cannot
    write all of them: the source no longer holds them, or it was standard input.
    """
    settings = invocation.settings(need_key=False)

    from scalesync.flows.jobs.failures import write_failures
    from scalesync.flows.jobs.status import job_status, list_failures, stopped_jobs

    if job is not None:
        run_async(job_status, settings.ledger, job)  # reports an unknown name, which has no failures either
    groups = run_async(list_failures, settings.ledger, job, group, limit, project)
    stops = run_async(stopped_jobs, settings.ledger, job)
    written = None if out is None else run_async(write_failures, settings, job, group, out, project)
    code = 0 if written is None else written.exit_code
    if invocation.common.json:
        value: dict[str, Any] = {"failures": [asdict(item) for item in groups]}
        if stops:
            value["stopped"] = [asdict(stop) for stop in stops]
        if written is not None:
            value |= _written_out(out, written)
        say_json(invocation.mask.deep(value))
        if code and written is not None:
            tell_outcome("; ".join(item.reason for item in written.left), invocation)
        return code
    if not groups:
        say("nothing failed" if group is None else f"nothing failed in group {group}")
    addresses = {(item.target, item.account) for item in groups}
    for line in _blocks(_failure_text(item, several=len(addresses) > 1) for item in groups):
        say(invocation.mask(line))
    for name in dict.fromkeys(item.job for item in groups if item.message == CHANGED_REASON):
        say(invocation.mask(f"to see what changed in {name}: {invocation.command('verify', '--job', name)}"))
    for stop in stops:
        say(invocation.mask(f"{stop.job} ({stop.mode}) is not finished; its last run ended with: {stop.message}"))
    for line in () if written is None else _written_lines(out, written):
        say(invocation.mask(line))
    return code


@click.command(
    "retry",
    cls=SyncCommand,
    examples=(
        "scalesync retry --job nightly",
        "scalesync retry --job nightly --group failed-400-3f2a1c --json",
        "scalesync retry --job nightly --errored",
    ),
)
@click.option("--job", metavar="NAME", help="the job whose failed records are sent again")
@click.option("--project", metavar="P", help="its project, where jobs of several projects have this name")
@click.option("--group", metavar="G", help="only this group, as `scalesync failures` lists it")
@click.option("--errored", is_flag=True, help="the records of tasks that turned to error: free their ids, send again")
@click.option("--yes", is_flag=True, help="send more than 1,000 records with a live key without a question")
@click.pass_obj
def retry_command(
    invocation: Invocation, /, *, job: str | None, project: str | None, group: str | None, errored: bool, yes: bool
) -> int:
    """Send failed records again, as they are in their sources now, under the same unique_id.

    It only marks records of standard input as pending: then pipe the same input into the same import.
    """
    settings = invocation.settings()

    from scalesync.cli.results import import_advice, show_import
    from scalesync.flows.jobs.retry import run_retry

    with invocation.display() as display:
        flow = partial(run_retry, project=project, errored=errored, yes=yes, confirm=asker(invocation.mask))
        summary = run_async(flow, settings, job, group, display)
    return show_import(summary, invocation, import_advice(summary, invocation, project=project))


def _written_lines(out: Path | None, written: WrittenOut) -> Iterable[str]:
    if written.written:
        yield f"wrote {count(written.written, 'record')} to {out}; the reasons are beside it"
    else:
        yield f"no record to write, so there is no file {out}"
    if written.bad:
        it = "is not a record" if written.bad == 1 else "are not records"
        yield f"wrote {count(written.bad, 'line')} that {it} to {written.bad_out}, as found"
    for item in written.left:
        yield item.reason


def _written_out(out: Path | None, written: WrittenOut) -> dict[str, Any]:
    value: dict[str, Any] = {"out": str(out) if written.written else None, "written": written.written}
    if written.bad:
        value |= {"bad_out": str(written.bad_out), "bad": written.bad}
    return value | {"left": [asdict(item) for item in written.left]}


def _blocks(texts: Iterable[str]) -> Iterable[str]:
    """Paragraphs with an empty line between them."""
    for number, text in enumerate(texts):
        yield f"\n{text}" if number else text


def _counts(job: JobStatus) -> str:
    counts = (_counted(name, number) for name, number in job.counts.items() if number or name in ALWAYS)
    return ", ".join(counts) or "none yet"


def _last(job: JobStatus) -> str:
    """How the last run ended, and its last sentence."""
    return ": ".join(part for part in (job.last or "", job.message) if part)


def _job_text(job: JobStatus, windows: int | None) -> str:
    rows = {
        "target": f"{job.target} ({job.mode})",
        "counts": _counts(job),
        "started": job.started_at or "never",
        "ended": job.ended_at or "not yet",
        "running": job.running or "",
        "sources": ", ".join(job.sources),
        "last": _last(job),
        "tasks": ", ".join(f"{number:,} {name}" for name, number in (job.tasks or {}).items()),
    }
    told = {name: value for name, value in rows.items() if value}
    return f"{job.job}: {job.command}, {paint(job.state, STATES[job.state])}\n{facts(told, indent=2)}" + "".join(
        f"\n  {line}" for line in _window_lines(job, windows)
    )


def _counted(name: str, number: int) -> str:
    """`2 tasks`, `1 file`, `1 conflict`: counts with a noun get the plural."""
    word, *rest = name.split(" ")
    one = word.removesuffix("s") if number == 1 and word in NOUNS else word
    return " ".join([f"{number:,}", one, *rest])


def _failure_text(group: FailureGroup, *, several: bool) -> str:
    where = f"{group.mode}, {group.target}, account {group.account}" if several else group.mode
    status = "" if group.status is None else f" (HTTP {group.status})"
    state = "in conflict" if group.state == "conflict" else group.state
    head = f"{group.job} ({where}), group {group.group}: {group.count:,} {state}{status}: {in_words(group.message)}"
    return "\n".join([head, *(f"  {_example_text(example, group.message)}" for example in group.examples)])


def _example_text(example: Mapping[str, Any], known: str) -> str:
    place = f"{example.get('file') or '?'}:{example.get('line') or '?'}"
    parts = [place]
    if example.get("unique_id"):  # not that of a record that could not be used, even if it has one
        parts.append(str(example["unique_id"]))
    if example.get("task_id"):
        parts.append(f"task {example['task_id']}")
    if example.get("earlier"):
        parts.append(f"first at {example['earlier']}")
    if example.get("reason") and example["reason"] != known:
        parts.append(str(example["reason"]))
    return "\n".join(["  ".join(parts), *_difference_lines(example.get("differences") or {})])


def _difference_lines(differences: Mapping[str, Any]) -> list[str]:
    lines = []
    for name, pair in list(differences.items())[:SHOWN_DIFFERENCES]:
        lines.append(f"    {name}: record {_short(pair.get('record'))}, task {_short(pair.get('task'))}")
    if len(differences) > SHOWN_DIFFERENCES:
        lines.append(f"    and {len(differences) - SHOWN_DIFFERENCES} more")
    return lines


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:57]}..."
