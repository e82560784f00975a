"""The end of an import: exit code, sentence, batches, summary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scalesync.engine.limits import Tally
from scalesync.errors import ConfigError, ScalesyncError
from scalesync.events import Observer
from scalesync.flows.imports.batches import BatchKeeper
from scalesync.flows.imports.plan import ImportPlan
from scalesync.flows.imports.reading.prepare import Preparer, read_all
from scalesync.ledger.states import COUNTED
from scalesync.model.contents import covers
from scalesync.model.jobs import Feeder
from scalesync.model.records import Outgoing
from scalesync.model.rows import FINAL, RecordState, RowState
from scalesync.model.summaries import IMPORT_AGAIN, ImportSummary
from scalesync.model.targets import Target
from scalesync.ports.import_ledger import ImportLedger
from scalesync.sources.places.named import read_once
from scalesync.text import be, count

STATES = ("created", "adopted", "conflicts", "failed", "invalid", "pending", "duplicates")
REST = "--limit was reached, the rest of the input is still to come"
FINDINGS = ("failed", "invalid", "conflicts")


@dataclass(frozen=True, slots=True)
class RunEnd:
    """The exit code, whether nothing is left to do, and a sentence for people."""

    exit_code: int
    complete: bool
    message: str


def counted(state: RowState | RecordState | None) -> str:
    """The name under which a state counts; a record that the ledger does not know is pending."""
    return "pending" if state is None else COUNTED[state]


def exit_status(
    counts: Mapping[str, int],
    tally: Tally,
    reason: ScalesyncError | None,
    open_batches: Sequence[str],
    *,
    whole: bool,
    rest: str,
    unclear: int = 0,
    vanished: int = 0,
    several: int = 0,
) -> RunEnd:
    """The end of a run, from the counts.

    whole: every source was read.
    rest: the sentence for a source that was not.
    unclear: records that are no longer in any source, may have been sent, and got no clear answer.
    vanished: the pending records that nobody has looked up since they left every source.
    several: records that have more than one task.
    """
    if reason is not None:
        # The same command resumes a run that ended early, unless its settings are wrong.
        left = "" if whole or isinstance(reason, ConfigError) else "; the rest of the input is not read yet"
        return RunEnd(2 if isinstance(reason, ConfigError) else 3, False, f"{reason}{left}")
    if tally.exhausted or unclear:
        return RunEnd(3, False, _unclear(tally, unclear))
    findings = sum(counts[name] for name in FINDINGS)
    pending = counts["pending"]
    sentences = []
    if not whole:
        sentences.append(rest)
    if vanished:
        what, them = ("a task", "it") if vanished == 1 else ("tasks", "them")
        told = f"{count(vanished, 'record')} no longer in any source may have become {what}"
        sentences.append(f"{told}: {IMPORT_AGAIN}, which looks {them} up")
    if pending > vanished:
        pending -= vanished
        told = f"{count(pending, 'record')} {be(pending)} pending"
        it = "it" if pending == 1 else "them"
        where = f" that this run did not read: another job must still send {it}, or other sources of the job hold {it}"
        sentences.append(told + where if whole else told)
    sentences.extend(f"batch {line}" for line in open_batches)
    if several:
        sentences.append(f"{count(several, 'record')} with several tasks: scalesync verify names them")
    lost = whole and counts["pending"] > 0
    code = 1 if findings or open_batches or lost or several else 0
    return RunEnd(code, whole and not counts["pending"], "; ".join(sentences))


def _unclear(tally: Tally, vanished: int) -> str:
    told = []
    if tally.exhausted:
        told.append(f"{count(tally.exhausted, 'record')} got no clear answer from the platform ({tally.last_trouble})")
    if vanished:
        left = "that is no longer in any source" if vanished == 1 else "that are no longer in any source"
        told.append(f"the platform did not say clearly whether {count(vanished, 'record')} {left} became tasks")
    return f"{'; '.join(told)}; run the same command again"


def summary(
    job: str, target: Target, counts: Mapping[str, int], figures: Mapping[str, Any], ending: RunEnd
) -> ImportSummary:
    """Combine counts of the job and figures of the run."""
    numbers = {name: counts.get(name, 0) for name in STATES}
    return ImportSummary(
        job=job,
        target=target.base_url,
        mode=target.mode.value,
        read=sum(numbers.values()),
        **numbers,
        **figures,
        gone=counts.get("gone", 0),
        message=ending.message,
        exit_code=ending.exit_code,
    )


NOTHING_DONE: Mapping[str, Any] = {
    "requests": 0,
    "retries": 0,
    "throttled": 0,
    "seconds": 0.0,
    "tasks_per_second": 0.0,
    "peak_in_flight": 0,
}


def finished_already(name: str, counts: Mapping[str, int], target: Target) -> ImportSummary:
    """The summary of a finished job with unchanged sources: nothing is sent."""
    findings = sum(counts[name] for name in FINDINGS)
    message = "nothing to send: the job is finished and its sources have not changed (--rescan reads them all)"
    return summary(name, target, counts, NOTHING_DONE, RunEnd(1 if findings else 0, True, message))


async def finalize(
    plan: ImportPlan, job: ImportLedger, batches: BatchKeeper, observer: Observer, invalid: Mapping[str | None, int]
) -> list[str]:
    """Finalize each batch that holds all records of every job. Returns a line for each batch that stays open.

    invalid: records of the input that cannot be used, by batch; those under None may belong to any batch.
    """
    strays = invalid.get(None, 0)
    if strays and not plan.options.finalize_anyway:
        held = f"{count(strays, 'record')} of the input {be(strays)} invalid and may belong to it"
        return [f"{name} stays open: {held} (--finalize-anyway ignores them)" for name in sorted(batches.projects)]
    counts = await job.counts()
    out = counts["pending"] + counts["failed"] + counts["conflicts"]
    if out and (pipe := read_once(plan.options.sources)) and not _one_batch(plan, batches):
        held = f"{count(out, 'record')} of the input {be(out)} not in, and {pipe} does not show their batch"
        return [f"{name} stays open: {held}" for name in sorted(batches.projects)]
    waiting = await _waiting(plan, job, batches, out)
    owing = await job.feeders(batches.projects, await _read_now(plan, job))
    stay_open = []
    for name in sorted(batches.projects):
        missing = waiting.get(name, 0) + invalid.get(name, 0)
        why = f"{missing:,} of its records {be(missing)} not in" if missing else _owed(owing.get(name, ()), plan)
        why = why or await batches.finalize(name)
        if why is not None:
            stay_open.append(f"{name} stays open: {why}")
        else:
            await job.finalized(name)
            observer.note(f"batch {name} is open for work with all its records")
    return stay_open


async def _read_now(plan: ImportPlan, job: ImportLedger) -> list[int]:
    """The splits of the sources that this run has read."""
    names = {name for name, _ in plan.splits()}
    return [split.number for split in await job.source_splits() if split.name in names]


def _owed(feeders: Sequence[Feeder], plan: ImportPlan) -> str | None:
    """The records that other jobs or other sources of this job still owe to a batch, in words; None if none."""
    for feeder in feeders:
        what = f"job {feeder.job}" + (", which is running now," if feeder.running else "")
        if feeder.out:
            return f"{what} has {count(feeder.out, 'record')} for it that {be(feeder.out)} not in; let it finish first"
        if plan.options.finalize_anyway:
            continue
        if feeder.unread:
            return f"{what} fills it too and may have input that was not read yet; let it finish first, {_ANYWAY}"
        return (
            f"{what} fills it too and has {count(feeder.unusable, 'record')} that cannot be used; fix them, {_ANYWAY}"
        )
    return None


_ANYWAY = "or ignore that with --finalize-anyway"


def _one_batch(plan: ImportPlan, batches: BatchKeeper) -> bool:
    return bool(plan.options.batch) and "{" not in str(plan.options.batch) and len(batches.projects) == 1


async def _waiting(plan: ImportPlan, job: ImportLedger, batches: BatchKeeper, out: int) -> dict[str, int]:
    """Count pending, failed and conflicting records for each batch, `out` in all. Reads the sources again for this."""
    if not out:
        return {}
    if _one_batch(plan, batches):
        return {str(plan.options.batch): out}
    waiting: dict[str, int] = {}
    preparer = Preparer(plan.builder, job.peek)
    async for load in read_all(enumerate(plan.sources, start=1)):
        prepared = await preparer.prepare(load)
        known = await job.peek([record.key for record in prepared.records])
        not_in = [record for record in prepared.records if not _is_in(record, known)]
        for record in [*not_in, *prepared.clashes]:
            if record.batch:
                waiting[record.batch] = waiting.get(record.batch, 0) + 1
    return waiting


def _is_in(record: Outgoing, known: Mapping[str, tuple[RowState, bytes]]) -> bool:
    """Whether the record, in its current form, has its task."""
    state, content = known.get(record.key, (RowState.PENDING, b""))
    return state in FINAL and covers(content, record.content)
