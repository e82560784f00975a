"""What the ledger says, without a request: jobs and their counts, failures by kind, failed records as a source."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import orjson

from scalesync.config import Settings
from scalesync.engine.guard import normalise_message
from scalesync.errors import ConfigError
from scalesync.events import Silent
from scalesync.flows.endings import FINDINGS
from scalesync.flows.identity import STANDARD_INPUT, stored_options
from scalesync.flows.options import FailureGroup, JobStatus
from scalesync.flows.plan import make_plan
from scalesync.ledger import report
from scalesync.ledger.store import SqliteLedger, describe_owner, owner_alive
from scalesync.model import BadRecord, SourceRecord, Target
from scalesync.records.jsonvalue import dumps


def _open(settings: Settings) -> SqliteLedger:
    return SqliteLedger.open(settings.ledger, note=Silent().note, create=False)


async def job_status(settings: Settings, job: str | None) -> list[JobStatus]:
    """Every job of the ledger, or the one of that name in each target, oldest first."""
    ledger = _open(settings)
    try:
        jobs = await ledger.jobs()
        if job is not None:
            jobs = [row for row in jobs if row.name == job]
            if not jobs:
                raise ConfigError(f"the ledger {settings.ledger} knows no job {job}; see scalesync status")
        return [_status(row) for row in jobs]
    finally:
        ledger.close()


def _status(row: report.JobRow) -> JobStatus:
    running = row.owner if row.owner and owner_alive(row.owner) else None
    state = "running" if running else "finished" if row.complete else "unfinished"
    return JobStatus(
        job=row.name,
        command=row.command,
        target=row.base_url,
        mode=row.mode,
        state=state,
        counts=row.counts,
        started_at=row.started_at,
        ended_at=row.ended_at,
        running=describe_owner(running) if running else None,
        sources=row.sources,
        last=None if running else _last(row),
        windows=row.windows,
    )


def _last(row: report.JobRow) -> str | None:
    if row.ended_at is None:
        return None if row.started_at is None else "the last run did not end in order"
    code = 1 if row.exit_code is None else row.exit_code
    if code == 0 and any(row.counts.get(name) for name in FINDINGS):
        code = 1  # a refresh or a check ends well whatever it finds out about the job
    words = {0: "done", 1: "done, with findings", 3: "stopped early"}
    return words.get(code, f"exit code {code}")


async def only_job(ledger: SqliteLedger, target: Target, job: str | None) -> str:
    """The job named, or the only import job of the target. Raises ConfigError when that is not clear."""
    if job is not None:
        return job
    here = (target.base_url, target.mode.value, target.account)
    names = [
        row.name
        for row in await ledger.jobs()
        if row.command == "import" and (row.base_url, row.mode, row.account) == here
    ]
    if len(names) == 1:
        return names[0]
    if not names:
        raise ConfigError(f"the ledger {ledger.path} has no import job for {target}")
    raise ConfigError(f"name the job with --job; the ledger has {', '.join(names)}")


def group_of(state: str, status: int | None, reason: str, key: str | None) -> str:
    """The short name of a kind of failure: state, status, six hex digits of the normalised message."""
    digest = hashlib.blake2b(normalise_message(reason, key).encode(), digest_size=3).hexdigest()
    return "-".join(str(part) for part in (state, status, digest) if part is not None)


def _group(failure: report.Failure) -> str:
    return group_of(failure.state, failure.status, failure.reason, failure.unique_id)


async def list_failures(
    settings: Settings, job: str | None, group: str | None, examples: int = 3
) -> list[FailureGroup]:
    """Failed, invalid and conflicting records grouped by status and normalised message, largest first."""
    ledger = _open(settings)
    try:
        if job is not None and all(row.name != job for row in await ledger.jobs()):
            raise ConfigError(f"the ledger {settings.ledger} knows no job {job}; see scalesync status")
        groups = _Groups(group, examples)
        await ledger.visit_failures(groups.add, job=job)
    finally:
        ledger.close()
    return sorted(groups.found.values(), key=lambda found: (-found.count, found.group))


class _Groups:
    """Failures counted by job and kind, with the first few of each."""

    def __init__(self, wanted: str | None, examples: int) -> None:
        self.found: dict[tuple[str, str], FailureGroup] = {}
        self._wanted = wanted
        self._examples = examples

    def add(self, failure: report.Failure) -> None:
        name = _group(failure)
        if self._wanted is not None and name != self._wanted:
            return
        key = (failure.job, name)
        found = self.found.get(key)
        if found is None:
            message = normalise_message(failure.reason, failure.unique_id)
            found = FailureGroup(failure.job, name, failure.state, failure.status, message, 0)
        shown = found.examples
        if len(shown) < self._examples:
            shown = (*shown, _example(failure))
        self.found[key] = replace(found, count=found.count + 1, examples=shown)


def _example(failure: report.Failure) -> Mapping[str, Any]:
    example: dict[str, Any] = {
        "unique_id": failure.unique_id,
        "file": failure.file,
        "line": failure.line,
        "reason": failure.reason,
        "task_id": failure.task_id,
    }
    detail = json.loads(failure.detail) if failure.detail else {}
    if detail.get("differences"):
        example["differences"] = detail["differences"]
    if failure.earlier is not None:
        example["earlier"] = failure.earlier
    return example


async def write_failures(settings: Settings, job: str | None, group: str | None, out: Path) -> int:
    """Write failing records back out as a source (JSON lines), with the reasons in `OUT.reasons.jsonl` beside it.

    A place that could not be parsed is written as it stood. Returns how many lines were written.
    """
    ledger = _open(settings)
    try:
        wanted = [row for row in await ledger.jobs() if row.command == "import" and job in {None, row.name}]
        if not wanted:
            raise ConfigError(f"the ledger {settings.ledger} has no import job{' ' + job if job else ''}")
        places = [await _places(ledger, row, group) for row in wanted]
    finally:
        ledger.close()
    return await anyio.to_thread.run_sync(_write, out, list(zip(wanted, places, strict=True)))


Places = Mapping[tuple[str, int], report.Failure]


async def _places(ledger: SqliteLedger, row: report.JobRow, group: str | None) -> Places:
    places: dict[tuple[str, int], report.Failure] = {}

    def keep(failure: report.Failure) -> None:
        if group is None or _group(failure) == group:
            places[failure.path, failure.line] = failure

    await ledger.visit_failures(keep, number=row.id)
    return places


def _write(out: Path, jobs: Sequence[tuple[report.JobRow, Places]]) -> int:
    written = 0
    with open(out, "wb") as lines, open(f"{out}.reasons.jsonl", "wb") as reasons:
        for row, places in jobs:
            for text, failure in _failing(row, places):
                lines.write(text.replace(b"\n", b" ") + b"\n")
                reasons.write(orjson.dumps(_example(failure)) + b"\n")
                written += 1
    return written


def _failing(row: report.JobRow, places: Places) -> Iterator[tuple[bytes, report.Failure]]:
    """Read the job's sources again and pick the failing records; of standard input only what was kept is left."""
    options = stored_options(row.settings)
    if STANDARD_INPUT in options.sources:
        for failure in places.values():
            if failure.raw:
                yield failure.raw.encode("utf-8", "replace"), failure
        return
    plan = make_plan(options)
    for (path, _), source in zip(plan.splits(), plan.sources, strict=True):
        for block in source.blocks():
            for place in block.records:
                found = places.get((path, place.line))
                if found is not None:
                    yield _text(place), found


def _text(place: SourceRecord | BadRecord) -> bytes:
    return place.raw.encode("utf-8", "replace") if isinstance(place, BadRecord) else dumps(place.value)
