"""The end of an `apply`: exit code, sentence, summary."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from scalesync.errors import ConfigError, ScalesyncError
from scalesync.flows.changes.collecting import Collected
from scalesync.model.changes import ChangeState
from scalesync.model.summaries import ChangeSummary
from scalesync.model.targets import Target
from scalesync.text import count


class End(NamedTuple):
    """The exit code, whether nothing is left to do, and a sentence for people."""

    exit_code: int
    complete: bool
    message: str


def ending(
    counts: Mapping[str, int], collected: Collected, reason: ScalesyncError | None, trouble: str, plural: str
) -> End:
    """The end of a run, from the counts of the job.

    trouble: what last kept a change from an outcome.
    plural: of what is changed.
    """
    if reason is not None:
        return End(2 if isinstance(reason, ConfigError) else 3, False, str(reason))
    sentences = []
    if left := counts[ChangeState.SENDING] + counts[ChangeState.PENDING]:
        sentences.append(f"{left:,} {plural} got no clear answer ({trouble}); run the same command again")
        return End(3, False, "; ".join(sentences))
    if unclear := counts[ChangeState.UNCLEAR]:
        sentences.append(
            f"{unclear:,} {plural} may have been changed or not: the platform does not show it, and a second request"
            " could do it twice; `scalesync failures` names them"
        )
    findings = counts[ChangeState.FAILED] or unclear or collected.invalid
    return End(1 if findings else 0, True, "; ".join(sentences))


def summary(
    job: str,
    target: Target,
    change: str,
    counts: Mapping[str, int],
    collected: Collected,
    *,
    figures: Mapping[str, Any],
    end: End,
    plan: str = "",
) -> ChangeSummary:
    """Combine counts of the job and figures of the run."""
    numbers = {
        "applied": counts.get(ChangeState.APPLIED, 0),
        "unchanged": counts.get(ChangeState.UNCHANGED, 0),
        "failed": counts.get(ChangeState.FAILED, 0),
        "unclear": counts.get(ChangeState.UNCLEAR, 0),
        "pending": counts.get(ChangeState.PENDING, 0) + counts.get(ChangeState.SENDING, 0),
    }
    return ChangeSummary(
        job=job,
        target=target.base_url,
        mode=target.mode.value,
        change=change,
        read=sum(numbers.values()) + collected.invalid + collected.duplicates,
        **numbers,
        invalid=collected.invalid,
        duplicates=collected.duplicates,
        **figures,
        plan=plan,
        message=end.message,
        exit_code=end.exit_code,
    )


def already(applied: int, plural: str) -> str:
    """The sentence of a job that found nothing new."""
    if not applied:
        return f"nothing to do: no {plural}"
    return f"nothing to do: this job has changed {applied:,} {plural} already; with another --name it does so again"


def asked(spec_words: str, number: int, subject: str, target: Target) -> str:
    """The question before what cannot be taken back."""
    plural = "batches" if subject == "batch" else f"{subject}s"
    return f"{spec_words}: {count(number, subject, plural)} at {target}? This cannot be taken back."
