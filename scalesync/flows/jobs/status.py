"""Reads the ledger without a request: jobs and their counts, failures by kind."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from scalesync.engine.first_refusals import normalise_message
from scalesync.errors import ConfigError
from scalesync.events import Silent
from scalesync.flows.imports.finish import FINDINGS
from scalesync.flows.runtime.lease import is_of
from scalesync.flows.runtime.ledgers import open_ledger
from scalesync.flows.runtime.options import FailureGroup, JobStatus, StoppedJob
from scalesync.model.jobs import Failure, JobRow
from scalesync.model.targets import Target
from scalesync.ports.ledger import Ledger
from scalesync.sources.about import shown_place


def open_to_read(path: Path) -> Ledger:
    """Open an existing ledger to read it."""
    return open_ledger(path, note=Silent().note, create=False, to_read=True)


async def job_status(path: Path, job: str | None) -> list[JobStatus]:
    """Every job of the ledger, or the jobs of one name in all targets, oldest first."""
    ledger = open_to_read(path)
    try:
        jobs = await ledger.jobs()
        if job is not None:
            jobs = [row for row in jobs if row.name == job]
            if not jobs:
                raise ConfigError(f"the ledger {path} has no job {job}; see scalesync status")
        return [_status(row) for row in jobs]
    finally:
        ledger.close()


def _status(row: JobRow) -> JobStatus:
    state = "running" if row.running else "finished" if row.complete else "unfinished"
    return JobStatus(
        job=row.name,
        command=row.command,
        target=row.target.base_url,
        mode=row.target.mode.value,
        state=state,
        counts=row.counts,
        started_at=row.started_at,
        ended_at=row.ended_at,
        running=row.running,
        sources=row.sources,
        last=None if row.running else _last(row),
        windows=row.windows,
        message="" if row.running else row.message,
    )


def _last(row: JobRow) -> str | None:
    if row.ended_at is None:
        return None if row.started_at is None else "the last run was killed or crashed"
    code = 1 if row.exit_code is None else row.exit_code
    if code == 0 and any(row.counts.get(name) for name in FINDINGS):
        code = 1  # a refresh or a check found since that tasks died
    words = {0: "done", 1: "done, with findings", 3: "stopped early"}
    return words.get(code, f"exit code {code}")


async def stopped_jobs(path: Path, job: str | None) -> list[StoppedJob]:
    """Jobs whose last run stopped before its end, the newest first."""
    ledger = open_to_read(path)
    try:
        stops = await ledger.stops(job)
    finally:
        ledger.close()
    return [
        StoppedJob(stop.job, at.base_url, at.mode.value, at.account, stop.exit_code, stop.message)
        for stop in stops
        for at in [stop.target]
    ]


def group_of(state: str, status: int | None, reason: str, key: str | None) -> str:
    """The short name of a kind of failure: state, status, six hex digits of the normalised message."""
    digest = hashlib.blake2b(normalise_message(reason, key).encode(), digest_size=3).hexdigest()
    return "-".join(str(part) for part in (state, status, digest) if part is not None)


def failure_group(failure: Failure) -> str:
    """The group of one failure."""
    return group_of(failure.state, failure.status, failure.reason, name_of(failure))


def name_of(failure: Failure) -> str | None:
    """What distinguishes its message from that of another failure: its key, or what its change is about."""
    batch = json.loads(failure.detail).get("batch") if failure.detail else None
    return failure.unique_id or batch or failure.task_id


async def list_failures(
    path: Path, job: str | None, group: str | None, examples: int = 3, project: str | None = None
) -> list[FailureGroup]:
    """Failed, invalid and conflicting records, and failed and unclear changes, by job, status and normalised message.

    The largest group is first.

    project: only jobs of this project.
    """
    ledger = open_to_read(path)
    try:
        rows = [row for row in await ledger.jobs() if job in {None, row.name}]
        if job is not None and not rows:
            raise ConfigError(f"the ledger {path} has no job {job}; see scalesync status")
        groups = _Groups(group, examples)
        if project is None:
            await ledger.visit_failures(groups.add, job=job)
        for row in rows if project is not None else ():
            if is_of(row.target, row.settings, project):
                await ledger.visit_failures(groups.add, number=row.id)
    finally:
        ledger.close()
    return sorted(groups.found.values(), key=lambda found: (-found.count, found.group))


class _Groups:
    """Failures counted by job and kind, with the first few of each."""

    def __init__(self, wanted: str | None, examples: int) -> None:
        self.found: dict[tuple[Target, str, str], FailureGroup] = {}
        self._wanted = wanted
        self._examples = examples

    def add(self, failure: Failure) -> None:
        name = failure_group(failure)
        if self._wanted is not None and name != self._wanted:
            return
        key = (failure.target, failure.job, name)
        found = self.found.get(key)
        if found is None:
            message = normalise_message(failure.reason, name_of(failure))
            at = failure.target
            where = (failure.job, at.base_url, at.mode.value, at.account)
            found = FailureGroup(*where, name, failure.state, failure.status, message, 0, platform=at.platform)
        shown = found.examples
        if len(shown) < self._examples:
            shown = (*shown, example_of(failure))
        self.found[key] = replace(found, count=found.count + 1, examples=shown)


def example_of(failure: Failure) -> Mapping[str, Any]:
    """A failing record in the form for people and for the file of reasons."""
    detail = json.loads(failure.detail) if failure.detail else {}
    file, line = shown_place(failure.file, failure.line, detail.get("inside"))
    example: dict[str, Any] = {
        "unique_id": failure.unique_id,
        "file": file,
        "line": line,
        "reason": failure.reason,
        "task_id": failure.task_id,
    }
    if detail.get("batch"):
        example["batch"] = detail["batch"]
    if detail.get("tasks"):
        example["tasks"] = detail["tasks"]
    if detail.get("differences"):
        example["differences"] = detail["differences"]
    if failure.earlier is not None:
        example["earlier"] = failure.earlier
    return example
