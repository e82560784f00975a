"""A service, a ledger and a program that runs, is killed and runs again, in a time that passes only when all wait.

The service fails in every way that the engine must bear: it answers and does nothing, does it and does not answer, does
it later, does a part. What it does later it does within the landing window, unless a test says otherwise.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import anyio
import anyio.lowlevel

from scalesync.engine.backoff import RetryPolicy
from scalesync.engine.dispatcher import Dispatcher
from scalesync.engine.limits import EngineLimits, Tally
from scalesync.engine.outbox import Outbox
from scalesync.engine.waits import Waits
from scalesync.errors import Interrupted, OutcomeUnknown, Refused, ScalesyncError
from scalesync.flows.imports.conflicts import ConflictPolicy
from scalesync.model.chunks import OpenChunk
from scalesync.model.outcomes import Comparison, LookupResult, Match, Outcome, OutcomeKind, Presence
from scalesync.model.records import JsonObject, Outgoing
from scalesync.model.rows import RowOutcome, RowState
from scalesync.model.targets import RequestClass
from scalesync.ports.operation import Repeat
from scalesync.ports.platform import CommandState, CommandStatus

LANDING_S = 90.0
TICK_S = 0.01  # less than a step of the world takes
ANSWER_S = 0.05
LIMITS = EngineLimits(retry=RetryPolicy(max_attempts=10), stall_s=100_000.0, grace_s=1.0)


class SkippingLoop(asyncio.SelectorEventLoop):
    """Goes on to the next moment at which something is due as soon as everything waits."""

    _now = 0.0

    def time(self) -> float:
        return self._now

    def _run_once(self) -> None:
        if not self._ready and self._scheduled:  # type: ignore[attr-defined]
            self._now = max(self._now, self._scheduled[0].when())  # type: ignore[attr-defined]
        super()._run_once()  # type: ignore[misc]


def in_no_time(work: Callable[[], Awaitable[Any]]) -> Any:
    """Run it in a loop of its own."""
    return anyio.run(work, backend_options={"loop_factory": SkippingLoop})


class Killed(Exception):
    """The program is dead: what it had begun does not go on."""


@dataclass(frozen=True)
class Fate:
    """What the service does with one request.

    how: see `Service._carry_out`. late_s: after how long it takes effect where it does so behind the program's back.
    """

    how: str = "ok"
    late_s: float = 0.0


@dataclass
class Command:
    """One request that was accepted. due: when it is carried out. status: from then on."""

    due: float
    fate: Fate
    keys: list[str]
    status: CommandStatus | None = None


@dataclass
class Service:
    """Tasks by key. fates: of the requests to come, in order; those after them go well."""

    world: World
    fates: list[Fate]
    most: int = 4
    repeat: Repeat = Repeat.COMPARE_FIRST
    one_fate: bool = False
    uses_commands: bool = True
    bad: frozenset[str] = frozenset()
    names: bool = True  # a refusal names the bad record
    look_fails: frozenset[int] = frozenset()  # numbers of look-ups that give no answer
    request: RequestClass = RequestClass.CREATE
    most_bytes: int = 10_000
    look_up_most: int = 3
    landing_s: float = LANDING_S
    tasks: list[str] = field(default_factory=list)
    landings: list[tuple[float, Sequence[str]]] = field(default_factory=list)
    commands: dict[str, Command] = field(default_factory=dict)
    sizes: list[int] = field(default_factory=list)
    looks: int = 0
    polled: list[str] = field(default_factory=list)

    # --- what it is made of --------------------------------------------------------------------

    def catch_up(self, now: float) -> None:
        """Do what was to be done until now."""
        due = [landing for landing in self.landings if landing[0] <= now]
        self.landings = [landing for landing in self.landings if landing[0] > now]
        for _, keys in sorted(due, key=lambda landing: landing[0]):
            self._make(keys)
        for command in self.commands.values():
            if command.status is None and command.due <= now:
                command.status = self._execute(command)

    def _make(self, keys: Sequence[str]) -> None:
        """Make these tasks; where sending again is safe, the second send finds the task of the first."""
        again = self.repeat is not Repeat.IDEMPOTENT
        self.tasks.extend(key for key in keys if again or key not in self.tasks)

    def _later(self, seconds: float, keys: Sequence[str]) -> None:
        # At the very end of the window, two sums of seconds may come in either order: such a landing is within it.
        early = TICK_S if seconds == self.landing_s else 0.0
        self.landings.append((self.world.now + seconds - early, list(keys)))

    # --- the operation -------------------------------------------------------------------------

    async def send(self, items: Sequence[Outgoing]) -> Sequence[Outcome]:
        keys = [item.key for item in items]
        self.sizes.append(len(keys))
        fate = self.fates.pop(0) if self.fates else Fate()
        assert self.world.ledger.knows(keys) or self.repeat is Repeat.IDEMPOTENT, "sent before it was durable"
        await self.world.step()
        if self.world.pace.closed:
            return [Outcome(OutcomeKind.UNAVAILABLE, message="the run is stopping")] * len(keys)
        self.world.pace.in_flight += 1
        try:
            return await self._send(fate, keys)
        finally:
            self.world.pace.in_flight -= 1

    async def _send(self, fate: Fate, keys: list[str]) -> Sequence[Outcome]:
        try:
            await self.world.step()
            await anyio.sleep(20.0 if fate.how == "slow" else ANSWER_S)
            if fate.how == "two calls" and (self.names or not self.bad):
                return await self._two_calls(fate, keys)
        except BaseException:
            if fate.how not in {"lost", "throttled", "unavailable", "two calls"}:
                self._later(min(fate.late_s, self.landing_s), [key for key in keys if key not in self.bad])
            raise
        self.catch_up(self.world.now)
        outcomes = self._carry_out(fate, keys)
        await self.world.step()
        return outcomes

    async def _two_calls(self, fate: Fate, keys: list[str]) -> list[Outcome]:
        """Half of it, and then the rest where the gate is open still."""
        self.catch_up(self.world.now)
        half = (len(keys) + 1) // 2
        outcomes = self._carry_out(fate, keys[:half])
        self.world.pace.in_flight -= 1
        await self.world.step()
        await anyio.sleep(3.0)
        self.world.pace.in_flight += 1
        if self.world.pace.closed:
            return [*outcomes, *([Outcome(OutcomeKind.UNAVAILABLE, message="stopping")] * (len(keys) - half))]
        return [*outcomes, *(self._carry_out(fate, keys[half:]) if keys[half:] else [])]

    def _carry_out(self, fate: Fate, keys: list[str]) -> list[Outcome]:
        good = [key for key in keys if key not in self.bad]
        half = good[: (len(good) + 1) // 2]
        unknown = [Outcome(OutcomeKind.UNKNOWN, message="no answer")] * len(keys)
        match fate.how:
            case "throttled" | "unavailable":
                return [Outcome(OutcomeKind(fate.how), message="later")] * len(keys)
            case "lost":
                return unknown
            case "late":
                self._later(fate.late_s, [] if self.one_fate and len(good) < len(keys) else good)
                return unknown
            case "half" if not self.one_fate:
                self._make(half)
                return unknown
            case "half late" if not self.one_fate:
                self._make(half)
                self._later(fate.late_s, good[len(half) :])
                return unknown
            case "mixed" if not self.one_fate and not self.bad:
                self._make(half)
                self._later(fate.late_s, good[len(half) :])
                made = [Outcome(OutcomeKind.CREATED, ref=key) for key in half]
                return [*made, *unknown[len(half) :]]
            case how if how.startswith("command"):
                command = f"c{len(self.commands)}"
                self.commands[command] = Command(self.world.now + fate.late_s, fate, keys)
                return [Outcome(OutcomeKind.ACCEPTED, command=command)] * len(keys)
        return self._well(fate, keys, good, half)

    def _well(self, fate: Fate, keys: list[str], good: list[str], half: list[str]) -> list[Outcome]:
        refused = Outcome(OutcomeKind.REFUSED, status=400, message="there is a bad record")
        whim = fate.how == "refused" and len(keys) > 1  # a good record alone is not refused
        if len(good) == len(keys) and not whim:
            self._make(keys)
            return [Outcome(OutcomeKind.CREATED, ref=key) for key in keys]
        if self.names and not whim and self.one_fate and good:
            spared = Outcome(OutcomeKind.UNAVAILABLE, message="another record is bad")
            return [refused if key in self.bad else spared for key in keys]
        if self.names and not whim and not self.one_fate:
            self._make(good)
            return [refused if key in self.bad else Outcome(OutcomeKind.CREATED, ref=key) for key in keys]
        self._make([] if self.one_fate else half)
        return [refused] * len(keys)

    async def look_up(
        self, keys: Sequence[str], batches: Collection[str] | None = None, *, unsent: bool = False
    ) -> Mapping[str, LookupResult]:
        await self.world.step()
        self.looks += 1
        assert not self.world.must_poll, "looked up before the commands of the run before were polled"
        if self.looks in self.look_fails:
            raise OutcomeUnknown("no answer to the look-up")
        self.catch_up(self.world.now)
        found = {key: self._found(key) for key in keys}
        await self.world.step()
        return found

    def _found(self, key: str) -> LookupResult:
        number = self.tasks.count(key)
        if not number:
            return LookupResult(Presence.ABSENT)
        return LookupResult(Presence.FOUND, {"key": key}, others=tuple(f"{key}+{n}" for n in range(1, number)))

    async def read(self, ref: str) -> LookupResult:
        raise AssertionError("nothing names another task")

    def compare(self, item: Outgoing, task: JsonObject) -> Comparison:
        assert task["key"] == item.key
        return Comparison(Match.EQUAL, item.key, item.intent_ms, "pending")

    async def poll(self, command: str) -> CommandStatus:
        await self.world.step()
        self.polled.append(command)
        self.world.must_poll.discard(command)
        self.catch_up(self.world.now)
        asked = self.commands[command]
        if asked.fate.how == "command vanishes":
            raise Refused("no such command", status=404)
        return asked.status or CommandStatus(CommandState.WAITING)

    def _execute(self, command: Command) -> CommandStatus:
        good = [key for key in command.keys if key not in self.bad]
        how, spoiled = command.fate.how, len(good) < len(command.keys)
        if (how == "command refused" and len(command.keys) > 1) or (spoiled and self.one_fate):
            return CommandStatus(CommandState.FAILED, message="there is a bad record", nothing_done=True)
        if how == "command fails" or spoiled:
            self._make(good[:1])
            return CommandStatus(CommandState.FAILED, message="failed on the way")
        self._make(good)
        return CommandStatus(CommandState.DONE, refs=() if how == "command done" else good)


class Ledger:
    """What is durable: rows and requests."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.rows: dict[str, RowOutcome] = {}
        self.chunks: dict[int, tuple[list[str], float | None, str | None]] = {}
        self.most_chunks = 0
        self._number = 0

    def knows(self, keys: Sequence[str]) -> bool:
        """Whether one request with all of these is under way."""
        return any(set(keys) <= set(chunk) for chunk, given_up, _ in self.chunks.values() if given_up is None)

    async def admit(self, records: Sequence[Outgoing]) -> tuple[list[Outgoing], list[Outgoing]]:
        """Those to send, and those in doubt."""
        await self.world.step()
        send, doubts = [], []
        for record in records:
            state = self.rows[record.key].state if record.key in self.rows else None
            if state in {None, RowState.PENDING}:
                send.append(record)
                self.rows[record.key] = RowOutcome(record.key, RowState.SENDING)
            elif state is RowState.SENDING:
                doubts.append(record)
        await self.world.step()
        return send, doubts

    async def record(self, outcomes: Sequence[RowOutcome], closed: Sequence[int], given_up: Sequence[int]) -> None:
        await self.world.step()
        for outcome in outcomes:
            assert self.rows[outcome.key].state is RowState.SENDING
            self.rows[outcome.key] = outcome
        for number in given_up:
            keys, _, command = self.chunks[number]
            self.chunks[number] = (keys, self.world.now, command)
        for number in closed:
            del self.chunks[number]
        await self.world.step()

    def log(self) -> Log:
        """For one run."""
        return Log(self)

    def number(self) -> int:
        self._number += 1
        return self._number

    def tidy(self) -> None:
        for number, (keys, _, _) in list(self.chunks.items()):
            if all(self.rows[key].state is not RowState.SENDING for key in keys):
                del self.chunks[number]


class Log:
    """A `ChunkLog`."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self.closed: list[int] = []
        self.given_up: list[int] = []

    async def begin(self, keys: Sequence[str]) -> int:
        await self._ledger.world.step()
        number = self._ledger.number()
        self._ledger.chunks[number] = (list(keys), None, None)
        self._ledger.most_chunks = max(self._ledger.most_chunks, len(self._ledger.chunks))
        await self._ledger.world.step()
        return number

    async def accepted(self, number: int, command: str) -> None:
        await self._ledger.world.step()
        keys, given_up, _ = self._ledger.chunks[number]
        self._ledger.chunks[number] = (keys, given_up, command)
        await self._ledger.world.step()

    def give_up(self, number: int) -> None:
        self.given_up.append(number)

    def close(self, number: int) -> None:
        self.closed.append(number)

    async def record(self, outcomes: Sequence[RowOutcome]) -> None:
        closed, self.closed = self.closed, []
        given_up, self.given_up = self.given_up, []
        await self._ledger.record(outcomes, closed, given_up)

    async def open(self) -> Sequence[OpenChunk]:
        ledger, now = self._ledger, self._ledger.world.now
        await ledger.world.step()
        ledger.tidy()
        for number, (keys, given_up, command) in ledger.chunks.items():
            ledger.chunks[number] = (keys, now if given_up is None and command is None else given_up, command)
        await ledger.world.step()
        left = ledger.chunks.items()
        return [
            OpenChunk(number, keys, 0.0 if given_up is None else now - given_up, command if given_up is None else None)
            for number, (keys, given_up, command) in left
        ]

    async def end(self) -> None:
        ledger, now = self._ledger, self._ledger.world.now
        await ledger.world.step()
        for number, (keys, given_up, command) in ledger.chunks.items():
            ledger.chunks[number] = (keys, now if given_up is None and command is None else given_up, command)
        ledger.tidy()


class Pace:
    """So many requests at once, and no rate. closed: nothing goes out any more."""

    def __init__(self, width: int) -> None:
        self.in_flight = 0
        self.closed = False
        self._width = width

    async def acquire(self, request: RequestClass) -> None:
        """At once."""

    def width(self, request: RequestClass) -> int:
        return self._width


class World:
    """One import from its first run to the last."""

    def __init__(self, records: int, fates: Sequence[Fate], *, width: int = 2, seed: int = 0, **service: Any) -> None:
        self.keys = [f"k{number}" for number in range(records)]
        self.ledger = Ledger(self)
        self.service = Service(self, list(fates), **service)
        self.width = width
        self.pace = Pace(width)
        self.seed = seed
        self.steps = 0
        self.kill_at: int | None = None
        self.stop_at: int | None = None
        self.must_poll: set[str] = set()
        self.tally = Tally()
        self.stopped: ScalesyncError | None = None
        self.beyond = False  # something may take effect after the landing window
        self._alive = True
        self._scope: anyio.CancelScope | None = None

    @property
    def now(self) -> float:
        """Seconds."""
        return asyncio.get_running_loop().time()

    async def step(self) -> None:
        """Something happens between program and world; before it, the program may be killed."""
        if not self._alive:
            raise Killed
        self.steps += 1
        if self.steps == self.stop_at:
            self._engine.stop(Interrupted("stopped by the test"))
        if self.steps == self.kill_at:
            self._alive = False
            assert self._scope is not None
            self._scope.cancel()
        await anyio.lowlevel.checkpoint()
        if not self._alive:
            raise Killed

    async def run(self) -> bool:
        """One run; False when it was killed."""
        self._alive, self._scope = True, anyio.CancelScope()
        self.must_poll = {
            command
            for _, given_up, command in self.ledger.chunks.values()
            if command is not None and given_up is None and self.service.uses_commands
        }
        try:
            with self._scope:
                await self._run()
        except BaseException:
            if self._alive:
                raise
        if not self._alive:
            self._see_what_is_lost()
        return self._alive

    def _see_what_is_lost(self) -> None:
        """A command whose id was not durable yet may take effect at any time, as far as the next run can tell."""
        kept = {command for _, _, command in self.ledger.chunks.values()}
        for name, command in self.service.commands.items():
            late = command.due > self.now + self.service.landing_s
            self.beyond = self.beyond or (name not in kept and command.status is None and late)

    async def _run(self) -> None:
        self.pace = Pace(self.width)
        clock, log = asyncio.get_running_loop().time, self.ledger.log()
        outbox = Outbox(log.record)
        policy = ConflictPolicy("report", frozenset(), _nothing_to_release, _no_history)
        engine = Dispatcher(
            self.service,
            self.pace,
            outbox,
            policy,
            LIMITS,
            waits=Waits(clock),
            commands=self.service if self.service.uses_commands else None,
            log=log,
        )
        engine.queue.clock = clock
        engine.journeys.rng = random.Random(self.seed)
        self.tally = engine.tally
        self._engine = engine
        async with anyio.create_task_group() as group:
            group.start_soon(engine.run)
            group.start_soon(outbox.run)
            try:
                with anyio.CancelScope() as feeding:
                    engine.journeys.on_stop = feeding.cancel
                    await engine.recall()
                    await self._feed(engine)
                    await engine.drain()
            except ScalesyncError as reason:
                engine.stop(reason)
            self.stopped = engine.stopped
            if engine.stopped is not None:
                self.pace.closed = True
                await engine.shut()
            group.cancel_scope.cancel()
        await outbox.flush()
        await log.end()

    async def _feed(self, engine: Dispatcher) -> None:
        for start in range(0, len(self.keys), 5):
            block = [Outgoing(key, b"c", b"{}", 1, 1) for key in self.keys[start : start + 5]]
            with anyio.CancelScope(shield=True):
                admitted = await self.ledger.admit(block)
            await engine.put(*admitted)

    async def to_the_end(self, kills: Sequence[int] = (), stop: int | None = None) -> World:
        """Runs until one ends by itself; it is killed at these steps, each counted from the one before.

        stop: the step at which the first run is stopped by a person.
        """
        self.stop_at = stop
        for number in kills:
            self.kill_at = self.steps + number
            if await self.run():
                break
        self.kill_at = None
        for _ in range(20):
            assert await self.run()
            if self.stopped is None and not self.unclear:
                break
        self.service.catch_up(float("inf"))
        return self

    # --- what came of it -----------------------------------------------------------------------

    @property
    def unclear(self) -> list[str]:
        """Keys whose rows are in doubt."""
        return [key for key in self.keys if self.state(key) is RowState.SENDING]

    def state(self, key: str) -> RowState:
        return self.ledger.rows[key].state

    def check(self) -> None:
        """No record has two tasks, none is lost, nothing is claimed that is not so, and nothing is left open.

        What takes effect after the window may be a second task.
        """
        made = Counter(self.service.tasks)
        for key in self.keys:
            wanted = {RowState.FAILED} if key in self.service.bad else {RowState.CREATED}
            if self.beyond and made[key] > 1:
                wanted.add(RowState.CONFLICT)
            assert self.state(key) in wanted, (key, self.ledger.rows[key])
            assert made[key] == (self.state(key) is RowState.CREATED) or (self.beyond and made[key] > 1), (key, made)
        assert self.ledger.chunks == {}


async def _nothing_to_release(ref: str) -> Outcome:
    raise AssertionError("no key is freed")


async def _no_history(key: str, event: str, detail: Mapping[str, Any]) -> None:
    """Nobody reads it."""
