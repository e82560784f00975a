"""`scalesync status`: the jobs of the ledger."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from urllib.parse import urlsplit

import click

from scalesync.cli.command import SyncCommand
from scalesync.cli.event_loop import run_async
from scalesync.cli.invocation import Invocation
from scalesync.cli.output import facts, need_output, paint, paragraphs, say, say_json, table
from scalesync.flows.runtime.options import JobStatus

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
    need_output()
    if invocation.common.json:
        say_json(invocation.mask.deep({"jobs": [asdict(item) for item in jobs]}))
        return 0
    if not jobs:
        say("no jobs yet: scalesync import or scalesync export makes one")
    elif job is not None or refresh:
        for line in paragraphs(_job_text(item, None if job else SHOWN_WINDOWS) for item in jobs):
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
    shown = {name: value for name, value in rows.items() if value}
    return f"{job.job}: {job.command}, {paint(job.state, STATES[job.state])}\n{facts(shown, indent=2)}" + "".join(
        f"\n  {line}" for line in _window_lines(job, windows)
    )


def _counted(name: str, number: int) -> str:
    """`2 tasks`, `1 file`, `1 conflict`: counts with a noun get the plural."""
    word, *rest = name.split(" ")
    one = word.removesuffix("s") if number == 1 and word in NOUNS else word
    return " ".join([f"{number:,}", one, *rest])
