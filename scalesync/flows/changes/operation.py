"""One kind of change as an operation of the engine: make it, find out whether it was made, compare with a plan."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any

import anyio

from scalesync.errors import RemoteError, Throttled
from scalesync.flows.runtime.run import plain_errors
from scalesync.model.changes import Change
from scalesync.model.outcomes import Comparison, LookupResult, Match, Outcome, OutcomeKind, Presence, TaskError
from scalesync.model.records import JsonObject, Outgoing
from scalesync.model.rows import RowOutcome, RowState
from scalesync.model.targets import RequestClass
from scalesync.ports.changes import Changer, ChangeSpec, is_same
from scalesync.ports.operation import Repeat

UNSEEN = "unclear"
READS = 16  # documents that one look-up reads, all at once


class ChangeOperation:
    """Makes one kind of change. Its items are `Outgoing` whose key is the ref of a task or batch.

    A look-up is about the effect: FOUND if the document shows it, or shows that it can never be; ABSENT if the change
    is still to be made.
    """

    request = RequestClass.MUTATE
    most = 1
    most_bytes = 2**30
    look_up_most = READS
    one_fate = True

    def __init__(self, spec: ChangeSpec, changer: Changer, witness: Callable[[], Awaitable[Change | None]]) -> None:
        """witness: a change that was made, if there is one; it shows whether tasks show the effect at all."""
        self.spec = spec
        self.repeat = spec.repeat
        self.landing_s = changer.landing_s
        self._changer = changer
        self._changes: dict[str, Change] = {}
        self._unsent: set[str] = set()
        self._unseen: set[str] = set()
        self._witness = witness
        self._shows: bool | None = None

    def expect(self, changes: Sequence[Change]) -> None:
        """These changes go to the engine."""
        self._changes.update((change.ref, change) for change in changes)

    def forget(self, refs: Collection[str]) -> None:
        """These have ended."""
        for ref in refs:
            self._changes.pop(ref, None)
            self._unsent.discard(ref)
            self._unseen.discard(ref)

    async def send(self, items: Sequence[Outgoing]) -> Sequence[Outcome]:
        """Make each change."""
        return [await self._send(self._changes[item.key]) for item in items]

    async def _send(self, change: Change) -> Outcome:
        document: JsonObject | None = None
        if self.spec.reads or change.expected is not None:
            try:
                found = await self._changer.read(self.spec, change.ref)
            except RemoteError as error:  # nothing was changed
                kind = OutcomeKind.THROTTLED if isinstance(error, Throttled) else OutcomeKind.UNAVAILABLE
                return Outcome(kind, status=error.status, message=str(error), retry_after_s=error.retry_after_s)
            answer = self._against(change, found)
            if answer is not None:
                return answer
            document = found.task
        self._unsent.discard(change.ref)
        return await self._changer.change(self.spec, change.ref, change.arguments, document)

    def _against(self, change: Change, found: LookupResult) -> Outcome | None:
        """What follows from the document before anything is sent; None if the change is to be made."""
        if found.presence is Presence.UNKNOWN:
            return Outcome(OutcomeKind.UNAVAILABLE, message=f"the {self.spec.subject} cannot be read")
        if found.task is None:
            return Outcome(OutcomeKind.REFUSED, message=f"there is no such {self.spec.subject}", status=404)
        planned = self.spec.plan(found.task, change.arguments)
        if planned.is_done:
            self._unsent.add(change.ref)
            return Outcome(OutcomeKind.TAKEN, message="it is so already")
        if planned.refused:
            return Outcome(OutcomeKind.REFUSED, message=planned.refused)
        if change.expected is not None and not is_same(planned.before, change.expected):
            return Outcome(OutcomeKind.REFUSED, message=_changed(change.expected, planned.before))
        return None

    async def look_up(
        self, keys: Sequence[str], batches: Collection[str] | None = None, *, unsent: bool = False
    ) -> Mapping[str, LookupResult]:
        """Read each task or batch. Raises RemoteError."""
        results: dict[str, LookupResult] = {}

        async def read(key: str) -> None:
            results[key] = await self._effect(key, await self._changer.read(self.spec, key))

        with plain_errors():
            async with anyio.create_task_group() as group:
                for key in keys:
                    group.start_soon(read, key)
        return results

    async def _effect(self, key: str, found: LookupResult) -> LookupResult:
        if found.presence is Presence.ABSENT:
            return LookupResult(Presence.FOUND, task={})
        if found.task is None:
            return found
        planned = self.spec.plan(found.task, self._changes[key].arguments)
        if planned.is_done or planned.refused:
            return found
        if not planned.after and self.spec.repeat is Repeat.COMPARE_FIRST and not await self._is_shown():
            self._unseen.add(key)
            return found
        return LookupResult(Presence.ABSENT)

    async def _is_shown(self) -> bool:
        """Whether a task that was changed shows it, so one that shows nothing was not. Raises RemoteError."""
        if self._shows is None:
            made = await self._witness()
            if made is None:
                return False
            task = (await self._changer.read(self.spec, made.ref)).task
            if task is not None:
                self._shows = self.spec.plan(task, made.arguments).is_done
        return bool(self._shows)

    async def read(self, ref: str) -> LookupResult:
        """One task or batch as it is; nothing of the engine asks for it, since no answer names another task."""
        return await self._changer.read(self.spec, ref)

    def compare(self, item: Outgoing, task: JsonObject) -> Comparison:
        """EQUAL if the change is made; else why it cannot be."""
        planned = self.spec.plan(task, self._changes[item.key].arguments) if task else None
        if planned is not None and planned.is_done:
            return Comparison(Match.EQUAL, item.key, 0, "")
        words = planned.refused if planned is not None else f"there is no such {self.spec.subject}"
        return Comparison(Match.DIFFERENT, item.key, 0, "", error=TaskError(words))

    async def resolve(self, item: Outgoing, comparison: Comparison) -> RowOutcome | None:
        """The engine's `Resolve`: what a look-up means for the row."""
        if item.key in self._unseen:
            reason = f"it got no answer, must not be made twice, and the {self.spec.subject} does not show it"
            return RowOutcome(item.key, RowState.SENDING, reason=reason, attempts=item.attempts, event=UNSEEN)
        if comparison.match is Match.EQUAL:
            state = RowState.ADOPTED if item.key in self._unsent else RowState.CREATED
            return RowOutcome(item.key, state, attempts=item.attempts, event=None)
        reason = comparison.error.words if comparison.error is not None else "it cannot be changed"
        return RowOutcome(item.key, RowState.FAILED, reason=reason, attempts=item.attempts, event="refused")


def _changed(expected: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    names = sorted(name for name in {*expected, *found} if expected.get(name) != found.get(name))
    return f"it changed since the plan: {', '.join(names)}; make a new plan"
