"""ChunkSender: requests with several records, and those of records that must not be sent twice.

records --> durable, where that is needed --> send --> created, taken, throttled ... as one record
                                                |----> refused as a whole: halves, or each alone after a look-up
                                                |----> accepted --> durable --> polled --> done, refused, in doubt
                                                '----> unknown --> in doubt, from now on given up
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

import anyio

from scalesync.engine.commands import CommandPoller
from scalesync.engine.patience import Patience
from scalesync.engine.queue import InDoubt, WorkQueue
from scalesync.errors import ScalesyncError
from scalesync.model.chunks import OpenChunk
from scalesync.model.outcomes import Outcome, OutcomeKind
from scalesync.model.records import Outgoing
from scalesync.ports.chunk_log import ChunkLog
from scalesync.ports.operation import Operation, Repeat
from scalesync.ports.platform import Commands, CommandState, CommandStatus


class Engine(Protocol):
    """The part of the journeys that sending chunks needs."""

    queue: WorkQueue
    patience: Patience
    stopped: ScalesyncError | None

    def stop(self, reason: ScalesyncError) -> None: ...
    def delay_s(self, attempt: int) -> float: ...
    def leave(self, records: Collection[Outgoing]) -> None: ...
    def repeat(self, records: Collection[Outgoing]) -> None: ...
    def come_back(self, records: Collection[Outgoing]) -> None: ...
    def created(self, record: Outgoing, outcome: Outcome) -> None: ...
    def follow(self, record: Outgoing, outcome: Outcome) -> None: ...
    def astray(self, outcome: Outcome) -> None: ...


class ChunkSender:
    """Sends chunks of one operation and follows what the service accepted. `run` serves until cancelled.

    log: needed where an operation must not be repeated at once, or where the platform has commands.
    """

    def __init__(self, operation: Operation, engine: Engine, commands: Commands | None, log: ChunkLog | None) -> None:
        self.most = operation.most
        self.most_bytes = operation.most_bytes
        self._operation = operation
        self._engine = engine
        self._log = log
        self._careful = operation.repeat is not Repeat.IDEMPOTENT
        self._poller = None if commands is None else CommandPoller(commands, engine)
        self._accepted: list[tuple[str, list[Outgoing], int | None]] = []
        self._news = anyio.Event()
        self._given_up: dict[str, float] = {}  # keys of requests of earlier runs: when they were given up

    async def run(self) -> None:
        """Follow each command that was accepted."""
        async with anyio.create_task_group() as group:
            while True:
                self._news = anyio.Event()
                accepted, self._accepted = self._accepted, []
                for one in accepted:
                    assert self._poller is not None
                    group.start_soon(self._see_through, self._poller, *one)
                await self._news.wait()

    # --- what earlier runs left ----------------------------------------------------------------

    async def recall(self) -> None:
        """Learn which records may still be under way, once every command of earlier runs has ended."""
        if self._log is None:
            return
        left = await self._log.open()
        now = self._engine.queue.clock()
        for chunk in left:
            if chunk.command is None or self._poller is None:
                self._note(chunk, now - chunk.age_s)
        if self._poller is not None:
            async with anyio.create_task_group() as group:
                for chunk in left:
                    if chunk.command is not None:
                        group.start_soon(self._recall_command, self._poller, self._log, chunk, chunk.command)

    async def _recall_command(self, poller: CommandPoller, log: ChunkLog, chunk: OpenChunk, command: str) -> None:
        status = await poller.follow(command)
        if status is None:
            return
        if _failed_for_nothing(status):
            log.close(chunk.number)
            return
        log.give_up(chunk.number)
        self._note(chunk, self._engine.queue.clock())

    def _note(self, chunk: OpenChunk, given_up: float) -> None:
        for key in chunk.keys:
            self._given_up[key] = max(given_up, self._given_up.get(key, given_up))

    def doubt(self, record: Outgoing) -> InDoubt:
        """A record that an earlier run may have sent; where no log says when, perhaps a moment ago."""
        if not self._careful:
            return InDoubt(record)
        unknown = self._engine.queue.clock() if self._log is None else None
        return InDoubt(record, given_up=self._given_up.pop(record.key, unknown))

    # --- sending -------------------------------------------------------------------------------

    async def send(self, records: Sequence[Outgoing]) -> None:
        """One request, and the next place of each of its records."""
        self._engine.leave(records)
        try:
            number = None
            if self._careful and self._log is not None:
                number = await self._log.begin([record.key for record in records])
            outcomes = await self._operation.send(records)
            if all(outcome.kind is OutcomeKind.NOT_ALLOWED for outcome in outcomes):
                # One refusal may be a slip of the server; the second call decides for the whole run.
                self._engine.repeat(records)
                outcomes = await self._operation.send(records)
            self._engine.come_back(records)
            await self._divide(records, outcomes, number)
        except ScalesyncError as reason:
            self._engine.stop(reason)

    async def _divide(self, records: Sequence[Outgoing], outcomes: Sequence[Outcome], number: int | None) -> None:
        if len(outcomes) != len(records):
            message = f"the answer covers {len(outcomes)} of {len(records)} records"
            outcomes = [Outcome(OutcomeKind.UNKNOWN, message=message)] * len(records)
        if len(records) > 1 and _is_whole_refusal(outcomes):
            self._refused_whole(records, outcomes[0], number, nothing_done=self._operation.one_fate)
            return
        unsent: list[tuple[Outgoing, Outcome]] = []
        unknown: list[tuple[Outgoing, Outcome]] = []
        accepted: dict[str, list[Outgoing]] = {}
        for record, outcome in zip(records, outcomes, strict=True):
            match outcome.kind:
                case OutcomeKind.CREATED:
                    self._engine.created(record, outcome)
                case OutcomeKind.THROTTLED | OutcomeKind.UNAVAILABLE:
                    unsent.append((record, outcome))
                case OutcomeKind.ACCEPTED if outcome.command is not None and self._poller is not None:
                    accepted.setdefault(outcome.command, []).append(record)
                case OutcomeKind.UNKNOWN | OutcomeKind.ACCEPTED:
                    unknown.append((record, outcome))
                case _:
                    self._engine.follow(record, outcome)
        if unsent:
            self._not_sent([record for record, _ in unsent], unsent[0][1])
        if unknown:
            self._not_known([record for record, _ in unknown], unknown[0][1])
        # A request that became one command is that command's from here on.
        same = number if len(accepted) == 1 and not unknown else None
        for command, some in accepted.items():
            await self._keep(command, some, same)
        if same is None or not accepted:
            self._end(number, given_up=bool(unknown))

    def _not_sent(self, records: Sequence[Outgoing], outcome: Outcome) -> None:
        """Certainly not processed: send once more, all of them at the same time, so that they stay together."""
        throttled = outcome.kind is OutcomeKind.THROTTLED
        self._engine.patience.trouble(outcome.message, asked_s=outcome.retry_after_s, throttled=throttled)
        delay_s = self._engine.delay_s(min(records[0].attempts, 5))
        for record in records:
            self._engine.queue.later(record, delay_s)

    def _not_known(self, records: Sequence[Outgoing], outcome: Outcome) -> None:
        self._engine.patience.trouble(outcome.message, asked_s=outcome.retry_after_s)
        self._in_doubt(records, outcome.message)
        if outcome.astray:
            self._engine.astray(outcome)

    def _in_doubt(self, records: Sequence[Outgoing], message: str, *, alone: bool = False) -> None:
        """Nobody waits for an answer any longer: look the records up, in one call."""
        queue = self._engine.queue
        given_up = queue.clock() if self._careful else None
        for record in records:
            record.unclear += 1
        delay_s = self._engine.delay_s(max(record.unclear for record in records))
        for record in records:
            queue.doubt(InDoubt(record, message=message, given_up=given_up, alone=alone), delay_s)

    def _refused_whole(
        self, records: Sequence[Outgoing], outcome: Outcome, number: int | None, *, nothing_done: bool
    ) -> None:
        """The service refuses the request, but does not say which of its records."""
        if len(records) == 1:
            self._engine.follow(records[0], outcome)
        elif nothing_done:
            middle = len(records) // 2
            self._engine.queue.part(list(records[:middle]))
            self._engine.queue.part(list(records[middle:]))
        else:
            self._in_doubt(records, outcome.message, alone=True)
        self._end(number, given_up=len(records) > 1 and not nothing_done)

    def _end(self, number: int | None, *, given_up: bool) -> None:
        """The request is over.

        given_up: it may still take effect.
        """
        if number is None or self._log is None:
            return
        if given_up:
            self._log.give_up(number)
        else:
            self._log.close(number)

    # --- commands ------------------------------------------------------------------------------

    async def _keep(self, command: str, records: list[Outgoing], number: int | None) -> None:
        """Make the command's id durable; only then poll it."""
        if self._log is not None:
            with anyio.CancelScope(shield=True):
                if number is None:
                    number = await self._log.begin([record.key for record in records])
                await self._log.accepted(number, command)
        self._accepted.append((command, records, number))
        self._news.set()

    async def _see_through(
        self, poller: CommandPoller, command: str, records: Sequence[Outgoing], number: int | None
    ) -> None:
        status = await poller.follow(command)
        if status is None:
            return
        if status.state is CommandState.DONE and len(status.refs) == len(records):
            for record, ref in zip(records, status.refs, strict=True):
                self._engine.created(record, Outcome(OutcomeKind.CREATED, ref=ref))
            self._end(number, given_up=False)
        elif _failed_for_nothing(status):
            self._refused_whole(
                records, Outcome(OutcomeKind.REFUSED, message=status.message), number, nothing_done=True
            )
        else:
            self._in_doubt(records, status.message or f"command {command} is done and names no tasks")
            self._end(number, given_up=True)


def _failed_for_nothing(status: CommandStatus) -> bool:
    return status.state is CommandState.FAILED and status.nothing_done


def _is_whole_refusal(outcomes: Sequence[Outcome]) -> bool:
    """Whether the service refused the request: every record, and in the same words."""
    first = outcomes[0]
    return first.kind is OutcomeKind.REFUSED and all(
        (one.kind, one.status, one.message) == (first.kind, first.status, first.message) for one in outcomes
    )
