"""Decides the outcome of a record whose unique_id is in use: created, adopted, conflict, or freed and sent again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from scalesync.errors import StopRun
from scalesync.model.outcomes import Comparison, Match, Outcome, OutcomeKind
from scalesync.model.records import Outgoing
from scalesync.model.rows import RowOutcome, RowState

RELEASES = 5  # attempts to free a key; after them its dead task is reported as a conflict

# The Date header gives the server's clock to a second. A minute covers differences between its machines.
TOLERANCE_MS = 60_000

Record = Callable[[str, str, Mapping[str, Any]], Awaitable[None]]
Release = Callable[[str], Awaitable[Outcome]]


class ConflictPolicy:
    """A `Resolve` for the resolver.

    mode: report, adopt or stop.
    reclaim: statuses whose id may be freed.
    """

    def __init__(self, mode: str, reclaim: frozenset[str], release: Release, record: Record) -> None:
        self._mode = mode
        self._reclaim = reclaim
        self._release = release
        self._record = record
        self._releases: dict[str, int] = {}

    async def __call__(self, record: Outgoing, comparison: Comparison) -> RowOutcome | None:
        """The outcome for the row; None if its key was freed, so the record can be sent again."""
        if comparison.others:
            return self._told(self._duplicate(record, comparison), comparison)
        if comparison.match is Match.EQUAL:
            return self._equal(record, comparison)
        if comparison.match is Match.DEAD and comparison.status in self._reclaim:
            return await self._free(record, comparison)
        if comparison.match is Match.DIFFERENT and self._mode == "adopt":
            return self._ending(record, comparison, RowState.ADOPTED, "adopted although it differs")
        return self._told(self._ending(record, comparison, RowState.CONFLICT, "conflict"), comparison)

    def _told(self, conflict: RowOutcome, comparison: Comparison) -> RowOutcome:
        if self._mode == "stop":
            raise StopRun(
                f"stopped at the first conflict: unique_id {conflict.key} belongs to task {comparison.ref},"
                f" {conflict.reason}"
            )
        return conflict

    def _duplicate(self, record: Outgoing, comparison: Comparison) -> RowOutcome:
        """The outcome for a key with several tasks: a conflict, because only a person can decide which one stays."""
        refs = [comparison.ref, *comparison.others]
        return RowOutcome(
            record.key,
            RowState.CONFLICT,
            ref=comparison.ref,
            reason=f"duplicate: {len(refs)} tasks have this key",
            detail={"tasks": refs},
            attempts=record.attempts,
            event="conflict",
            content=record.content,
        )

    def _equal(self, record: Outgoing, comparison: Comparison) -> RowOutcome:
        ours = comparison.created_ms >= record.intent_ms - TOLERANCE_MS
        state = RowState.CREATED if ours else RowState.ADOPTED
        detail = {"not_comparable": sorted(comparison.not_comparable)} if comparison.not_comparable else None
        return RowOutcome(
            record.key,
            state,
            ref=comparison.ref,
            detail=detail,
            attempts=record.attempts,
            event="found created" if ours else "adopted",
            content=record.content,
        )

    def _ending(self, record: Outgoing, comparison: Comparison, state: RowState, event: str) -> RowOutcome:
        if comparison.match is Match.DEAD:
            reason = (
                f"the task under this unique_id is {'in error' if comparison.status == 'error' else comparison.status}"
            )
            if comparison.error is not None:
                reason += f": {comparison.error.words}"
        else:
            reason = f"another task has this unique_id and differs in {', '.join(sorted(comparison.differences))}"
        differences = {
            name: {"record": ours, "task": theirs} for name, (ours, theirs) in comparison.differences.items()
        }
        return RowOutcome(
            record.key,
            state,
            ref=comparison.ref,
            status=None if comparison.error is None else comparison.error.status,
            reason=reason,
            detail={"differences": differences, "not_comparable": sorted(comparison.not_comparable)},
            attempts=record.attempts,
            event=event,
            content=record.content,
        )

    async def _free(self, record: Outgoing, comparison: Comparison) -> RowOutcome | None:
        """Free the key of a dead task. The ledger holds the announcement before the call and the result after it.

        If the result is unknown, the next send shows it: a key that is still in use comes back here, a few times.
        """
        step = {"task_id": comparison.ref, "status": comparison.status}
        tries = self._releases.get(record.key, 0)
        if tries >= RELEASES:
            return self._ending(record, comparison, RowState.CONFLICT, "conflict")
        self._releases[record.key] = tries + 1
        await self._record(record.key, "reclaiming", step)
        outcome = await self._release(comparison.ref)
        event = _EVENTS.get(outcome.kind, "reclaim unclear")
        await self._record(record.key, event, step if not outcome.message else {**step, "reason": outcome.message})
        if outcome.kind is OutcomeKind.REFUSED:
            return self._ending(record, comparison, RowState.CONFLICT, "conflict")
        return None


_EVENTS = {OutcomeKind.CREATED: "reclaimed", OutcomeKind.REFUSED: "not reclaimed"}
