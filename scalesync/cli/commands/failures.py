"""`scalesync failures`: records without their task, and changes that were not made, by cause."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scalesync.cli.command import SyncCommand
from scalesync.cli.event_loop import run_async
from scalesync.cli.invocation import Invocation
from scalesync.cli.output import need_output, paragraphs, say, say_json
from scalesync.cli.results import tell_outcome
from scalesync.cli.types import LocalPath
from scalesync.flows.runtime.options import CHANGED_REASON, FailureGroup, in_words
from scalesync.text import count

if TYPE_CHECKING:
    from scalesync.flows.jobs.write_failures import WrittenOut

SHOWN_DIFFERENCES = 5


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

    So it does with changes that failed or are unclear. An unclear one may have been carried out, must not be repeated,
    and cannot be seen: look at the task.

    With --out it writes records to a file that can be imported again, and input that is not a record to FILE.bad.txt
    beside it. It refuses to replace a FILE that was changed since scalesync wrote it. It exits with code 1 if it cannot
    write all of them: the source no longer holds them, or it was standard input.
    """
    settings = invocation.settings(need_key=False)

    from scalesync.flows.jobs.failures import write_failures
    from scalesync.flows.jobs.status import job_status, list_failures, stopped_jobs
    from scalesync.flows.runtime.setup.services import option_for

    if job is not None:
        run_async(job_status, settings.ledger, job)  # reports an unknown name, which has no failures either
    groups = run_async(list_failures, settings.ledger, job, group, limit, project)
    stops = run_async(stopped_jobs, settings.ledger, job)
    written = None if out is None else run_async(write_failures, settings, job, group, out, project)
    code = 0 if written is None else written.exit_code
    if out is None:
        need_output()
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
    for line in paragraphs(_failure_text(item, several=len(addresses) > 1) for item in groups):
        say(invocation.mask(line))
    for name, platform in dict.fromkeys((item.job, item.platform) for item in groups if item.message == CHANGED_REASON):
        there = [] if platform == settings.platform else option_for(platform, settings.platform).split()
        say(invocation.mask(f"to see what changed in {name}: {invocation.command('verify', '--job', name, *there)}"))
    for stop in stops:
        say(invocation.mask(f"{stop.job} ({stop.mode}) is not finished; its last run ended with: {stop.message}"))
    for line in () if written is None else _written_lines(out, written):
        say(invocation.mask(line))
    return code


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


def _failure_text(group: FailureGroup, *, several: bool) -> str:
    where = f"{group.mode}, {group.target}, account {group.account}" if several else group.mode
    status = "" if group.status is None else f" (HTTP {group.status})"
    state = "in conflict" if group.state == "conflict" else group.state
    head = f"{group.job} ({where}), group {group.group}: {group.count:,} {state}{status}: {in_words(group.message)}"
    return "\n".join([head, *(f"  {_example_text(example, group.message)}" for example in group.examples)])


def _example_text(example: Mapping[str, Any], known: str) -> str:
    # Where no file names what a change is about, there is no place to show.
    parts = [f"{example['file']}:{example.get('line') or '?'}"] if example.get("file") else []
    if example.get("unique_id"):  # not that of a record that could not be used, even if it has one
        parts.append(str(example["unique_id"]))
    if example.get("tasks"):
        parts.append(f"tasks {', '.join(example['tasks'])}")
    elif example.get("batch"):
        parts.append(f"batch {example['batch']}")
    elif example.get("task_id"):
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
