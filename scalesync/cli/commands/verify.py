"""`scalesync verify`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scalesync.cli.asking import asker
from scalesync.cli.command import SyncCommand
from scalesync.cli.event_loop import run_async
from scalesync.cli.invocation import Invocation
from scalesync.cli.options import one_of
from scalesync.cli.output import facts, say, say_json, tell
from scalesync.cli.types import LocalPath
from scalesync.errors import ConfigError
from scalesync.text import count

if TYPE_CHECKING:
    from scalesync.flows.verify.fix import Repaired
    from scalesync.flows.verify.summary import VerifySummary

ACCEPTED = ", but for what --on-conflict adopt accepted"
AGREE = "source, ledger and server agree"
AGREE_WITHOUT_SOURCE = "ledger and server agree"
LEFT_OUT = ("exit_code", "file", "message")
ACTIONS = {
    "send": "send what has no task",
    "create": "send what was never sent",
    "record": "take into the ledger what the server has",
    "task_id": "correct task ids",
    "remove": "remove second tasks that nobody has worked on",
    "reclaim error": "free the ids of tasks in error and send again",
    "reclaim canceled": "free the ids of canceled tasks and send again",
}
DONE = {
    "send": "looked up, and sent where there was no task",
    "create": "sent for the first time",
    "record": "taken into the ledger",
    "task_id": "corrected in the ledger",
    "remove": "left with one task",
    "reclaim": "freed from dead tasks and sent again",
}


@click.command(
    "verify",
    cls=SyncCommand,
    examples=(
        "scalesync verify --job nightly",
        "scalesync verify --job nightly --fix",
        "scalesync verify --job nightly --fix --reclaim error --yes --json",
        "scalesync verify --job nightly --out findings.jsonl",
    ),
)
@click.option("--job", metavar="NAME", help="the import job; needed where the ledger has several")
@click.option("--project", metavar="P", help="its project, where jobs of several projects have this name")
@click.option("--fix", is_flag=True, help="show which findings can be repaired, and repair them")
@click.option(
    "--reclaim", multiple=True, metavar="LIST", help="canceled,error: with --fix, free their ids and create again"
)
@click.option("--yes", is_flag=True, help="repair without asking; needed where there is no terminal")
@click.option(
    "--unexpected", is_flag=True, help="report tasks that belong to no record as findings, not only as a count"
)
@click.option(
    "--out",
    metavar="FILE",
    type=LocalPath(dir_okay=False),
    help="the findings, as JSON lines  [verify-JOB.jsonl, when there are any]",
)
@click.pass_obj
def verify_command(
    invocation: Invocation,
    /,
    *,
    job: str | None,
    project: str | None,
    fix: bool,
    reclaim: tuple[str, ...],
    yes: bool,
    unexpected: bool,
    out: Path | None,
) -> int:
    """Compare the records of an import with the ledger and with the tasks on the server.

    It reads the sources whole and counts them a second way. It costs a list call for every hundred records and every
    hundred tasks of the project. It exits with code 1 if a record has no task or something differs; each difference is
    a line of the file of findings.
    """
    if reclaim and not fix:
        raise ConfigError("--reclaim goes with --fix")
    settings = invocation.settings()
    statuses = frozenset(one_of("--reclaim", reclaim, invocation.words(settings).reclaimable))

    from scalesync.flows.verify.fix import run_repair
    from scalesync.flows.verify.run import run_verify

    with invocation.display() as display:
        summary = run_async(partial(run_verify, project=project, unexpected=unexpected), settings, job, out, display)
    planned = {name: number for name, number in summary.fixes.items() if _asked(name, statuses)}
    if not fix or not planned or summary.file is None:
        return _show(invocation, summary, None, project=project)
    if not invocation.common.json:
        _say_found(invocation, summary)
    if not _confirmed(invocation, planned, yes=yes):
        return _show(invocation, summary, None, project=project, found=False)
    with invocation.display() as display:
        flow = partial(run_repair, project=project, reclaim=statuses)
        repaired = run_async(flow, settings, summary.job, summary.file, display)
    return _show(invocation, summary, repaired, project=project, found=False)


def _asked(fix: str, statuses: frozenset[str]) -> bool:
    status = fix.partition(" ")[2]
    return not status or status in statuses


def _confirmed(invocation: Invocation, planned: Mapping[str, int], *, yes: bool) -> bool:
    text = "\n".join(f"  {number:,}  {ACTIONS[name]}" for name, number in planned.items())
    if not invocation.common.quiet or not yes:
        tell(invocation.mask(f"{'repairing now' if yes else 'can be repaired'}:\n{text}"))
    if yes:
        return True
    ask = asker(invocation.mask)
    if ask is None:
        raise ConfigError("nothing was repaired: there is no terminal to ask at; add --yes")
    from scalesync.cli.signals import heed

    heed()
    return ask("repair this now?")


def _say_found(invocation: Invocation, summary: VerifySummary) -> None:
    rows: dict[str, str | int] = {"job": summary.job, "target": f"{summary.target} ({summary.mode})"}
    rows |= {"read": summary.read, "with task": summary.with_task, "listed": summary.listed}
    rows |= {"accepted as they are": summary.accepted} if summary.accepted else {}
    rows |= {"others": summary.others} if summary.others else {}
    rows |= summary.findings
    for line in (facts(rows), *_findings(summary)):
        say(invocation.mask(line))


def _show(
    invocation: Invocation,
    summary: VerifySummary,
    repaired: Repaired | None,
    *,
    project: str | None,
    found: bool = True,
) -> int:
    """Print the findings, unless they are printed already, and what was or can be done about them."""
    code = summary.exit_code if repaired is None else repaired.exit_code
    if invocation.common.json:
        invocation.summary = _as_json(summary, repaired)
        say_json(invocation.mask.deep(invocation.summary))
        if code:
            from scalesync.cli.results import tell_outcome

            told = [*_findings(summary), *_next(summary, repaired, invocation, project)]
            tell_outcome("; ".join(told), invocation)
        return code
    if found:
        _say_found(invocation, summary)
    if repaired is not None and repaired.sent is not None:
        from scalesync.cli.results import show_import

        show_import(repaired.sent, invocation)
    for line in _next(summary, repaired, invocation, project):
        say(invocation.mask(line))
    invocation.summary = _as_json(summary, repaired)
    return code


def _next(summary: VerifySummary, repaired: Repaired | None, invocation: Invocation, project: str | None) -> list[str]:
    return _advice(summary, invocation, project) if repaired is None else _outcome(repaired)


def _findings(summary: VerifySummary) -> list[str]:
    """The findings, one line each."""
    lines = [summary.message] if summary.message else []
    if summary.file is not None:
        lines.append(f"{count(sum(summary.findings.values()), 'finding')}, each with its place, in {summary.file}")
    else:
        agree = AGREE if summary.read or not summary.checked else AGREE_WITHOUT_SOURCE
        lines.append(f"{agree}{ACCEPTED if summary.accepted else ''}")
    return lines


def _as_json(summary: VerifySummary, repaired: Repaired | None) -> dict[str, Any]:
    value = {name: item for name, item in asdict(summary).items() if name not in LEFT_OUT}
    if summary.file is not None:
        value["file"] = str(summary.file)
    if summary.message:
        value["message"] = summary.message
    if repaired is not None:
        from scalesync.cli.results import summary_json

        value["repaired"], value["left"] = dict(repaired.done), repaired.left
        value["import"] = None if repaired.sent is None else summary_json(repaired.sent)
    return value


def _advice(summary: VerifySummary, invocation: Invocation, project: str | None) -> list[str]:
    from scalesync.cli.results import job_options

    job = job_options(summary.job, project)
    fixes = summary.fixes
    safe = sum(number for name, number in fixes.items() if " " not in name)
    dead = sum(fixes.values()) - safe
    lines = []
    if safe:
        fix = invocation.command("verify", *job, "--fix", paced=True)
        lines.append(f"{count(safe, 'finding')} can be repaired: {fix}")
    if summary.findings.get("failed"):
        again = invocation.command("retry", *job, paced=True)
        lines.append(f"to send the failed ones again: {again}")
    if dead:
        lines.append(
            f"{count(dead, 'task')} canceled or in error: --fix --reclaim canceled,error frees the ids and sends again"
        )
    return lines


def _outcome(repaired: Repaired) -> list[str]:
    done = count(sum(repaired.done.values()), "finding")
    parts = ", ".join(f"{number:,} {DONE[name]}" for name, number in repaired.done.items())
    whole = repaired.sent is None or repaired.sent.exit_code == 0
    lines = [f"{done} repaired: {parts}" if whole else f"{done} started; the import above says what is left"]
    if repaired.left:
        lines.append(f"{count(repaired.left, 'finding')} not repaired: a person must decide about them")
    return lines
