"""The result of a verification: its numbers and its sentence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scalesync.flows.verify.passes import Checking
from scalesync.model.jobs import StoredJob
from scalesync.text import count


@dataclass(frozen=True, slots=True)
class VerifySummary:
    """The result of a verification.

    findings: numbers by kind.
    fixes: numbers by the action of --fix.
    read: records in the sources now. Each is with_task, one of the duplicates, or in without by its kind of finding.
    accepted: of those with a task, the ones that --on-conflict adopt accepted although they differ.
    checked: records and rows that were looked up.
    listed: tasks read from lists, in search of tasks that belong to no record.
    others: tasks that belong to no record.
    file: the file of findings; None if there is none.
    """

    job: str
    target: str
    mode: str
    read: int
    with_task: int
    duplicates: int
    accepted: int
    without: Mapping[str, int]
    checked: int
    listed: int
    others: int
    findings: Mapping[str, int]
    fixes: Mapping[str, int]
    file: Path | None
    requests: int
    throttled: int
    seconds: float
    server_errors: int
    retry_after_seconds: float
    waited_seconds: float
    limit_per_second: float | None
    message: str = ""
    exit_code: int = 0


def summary_of(
    job: StoredJob, check: Checking, findings: Mapping[str, int], fixes: Mapping[str, int], figures: Mapping[str, Any]
) -> VerifySummary:
    """The numbers of a finished verification, without a message and a file.

    figures: seconds, and how the calls went.
    """
    return VerifySummary(
        job=job.name,
        target=job.target.base_url,
        mode=job.target.mode.value,
        read=check.read,
        with_task=check.with_task,
        duplicates=check.duplicates,
        accepted=check.accepted,
        without=dict(sorted(check.without.items())),
        checked=check.checked,
        listed=check.strangers.listed,
        others=check.strangers.others,
        findings=dict(sorted(findings.items())),
        fixes=dict(sorted(fixes.items())),
        file=None,
        **figures,
        exit_code=1 if findings else 0,
    )


def message_of(check: Checking, *, counted: bool, reported: bool) -> str:
    """One sentence about the records, the listed tasks, and the checks that could not be made.

    counted: whether the source was read.
    reported: whether tasks that belong to no record are among the findings.
    """
    sentences = [_records(check)] if counted else []
    if check.strangers.others and not reported:
        others = count(check.strangers.others, "listed task")
        sentences.append(
            f"{others} belong{'s' if check.strangers.others == 1 else ''} to no record (--unexpected lists them)"
        )
    return "; ".join([*sentences, *check.left_out])


def _records(check: Checking) -> str:
    """`200 records read, 190 have their task, 4 repeat an earlier one, 6 do not: 5 pending, 1 failed`."""
    without = sum(check.without.values())
    have = "has its" if check.with_task == 1 else "have their"
    parts = [f"{count(check.read, 'record')} read, {check.with_task:,} {have} task"]
    if check.accepted:
        parts.append(f"accepted as they are: {check.accepted:,}")
    if check.duplicates:
        parts.append(f"{check.duplicates:,} {'repeats' if check.duplicates == 1 else 'repeat'} an earlier one")
    if without:
        kinds = ", ".join(f"{number:,} {kind}" for kind, number in sorted(check.without.items()))
        parts.append(f"{without:,} {'does' if without == 1 else 'do'} not: {kinds}")
    return ", ".join(parts)
