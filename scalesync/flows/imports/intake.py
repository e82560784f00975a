"""Takes prepared loads into an import: their intent becomes durable in the ledger, then the engine gets them.

prepared load --> batches --> bounds --> ledger.admit --> dispatcher --> outbox --> ledger.record
                     |                       |  (durable intent)
                     +-- others -------------+
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence

import anyio

from scalesync.engine.dispatcher import Dispatcher
from scalesync.engine.outbox import Outbox
from scalesync.errors import BudgetUsed
from scalesync.events import Observer
from scalesync.flows.imports.batches import BatchKeeper
from scalesync.flows.imports.guards.blueprints import BlueprintCheck
from scalesync.flows.imports.guards.canary import Canary
from scalesync.flows.imports.guards.limits import Bounds
from scalesync.flows.imports.named import Named
from scalesync.flows.imports.plan import ImportPlan
from scalesync.flows.imports.reading.checkpoints import SourceCheckpoints
from scalesync.flows.imports.reading.prepare import Prepared
from scalesync.flows.imports.reading.read_progress import Reading
from scalesync.flows.runtime.wiring import Connection
from scalesync.model.records import Outgoing
from scalesync.model.rows import OtherRecord, RowOutcome, RowState, Verb
from scalesync.ports.import_ledger import ImportLedger
from scalesync.ports.operation import Repeat
from scalesync.text import count


class PlacedOutbox(Outbox):
    """An outbox that adds to each outcome that went wrong the file of a folder that holds its record."""

    def __init__(self, write: Callable[[Sequence[RowOutcome]], Awaitable[None]]) -> None:
        super().__init__(self._record)
        self._to_ledger = write
        self._inside: dict[str, tuple[str, int]] = {}  # of records of folders that are under way, by key

    def expect(self, records: Iterable[Outgoing]) -> None:
        """Note the places of records that are now under way."""
        self._inside.update((record.key, record.inside) for record in records if record.inside is not None)

    async def _record(self, group: Sequence[RowOutcome]) -> None:
        await self._to_ledger([self._placed(settled) for settled in group] if self._inside else group)

    def _placed(self, settled: RowOutcome) -> RowOutcome:
        """The outcome with the file of a folder that holds its record, for people."""
        inside = self._inside.pop(settled.key, None)
        if inside is None or settled.state not in (RowState.FAILED, RowState.CONFLICT):
            return settled
        return settled._replace(detail={**(settled.detail or {}), "inside": inside})


class Intake:
    """Takes the loads of one run in.

    batches: those that its records name.
    adopted: records that accept a task which was made for another content, since this run.
    beside: records that share the row of another job.
    """

    def __init__(
        self,
        plan: ImportPlan,
        connection: Connection,
        job: ImportLedger,
        observer: Observer,
        engine: Dispatcher,
        *,
        outbox: PlacedOutbox,
        reading: Reading,
        checkpoints: SourceCheckpoints,
        named: Named | None,
        free: int | None,
    ) -> None:
        """named: the records of a run that sends only some.

        free: how many tasks the run may create without a person's yes; None for any number.
        """
        self._plan = plan
        self._connection = connection
        self._job = job
        self._observer = observer
        self._engine = engine
        self._outbox = outbox
        self._reading = reading
        self._checkpoints = checkpoints
        self._named = named
        options = plan.options
        self._bounds = Bounds(job.known, canary=options.canary, max_new=options.max_new, free=free)
        self._repeat = connection.platform.creator.repeat
        self._learned: frozenset[str] = frozenset()
        self._blueprints = BlueprintCheck(plan, connection, observer.note)
        self.batches = BatchKeeper(connection.platform.containers, connection.call)
        self.adopted = 0
        self.beside = 0

    async def take(self, prepared: Prepared) -> None:
        """Give a load to the engine, in pieces if --canary or --max-new cut it.

        Raises BudgetUsed if a bound ends the run, and what ended the engine.
        """
        self._reading.count_invalid(prepared.invalid)
        if self._named is not None:
            prepared.records, prepared.other_records = await self._named.pick(prepared.records), []
        known = len(prepared.other_records)
        await self._blueprints.admit(prepared)
        rest = await self.batches.admit(prepared)
        other_records: Sequence[OtherRecord] = prepared.other_records
        self._reading.count_invalid(prepared.other_records[known:])
        while rest or other_records:
            records, rest = await self._bounds.cut(rest)
            await self._admit(records, other_records, last=not rest)
            other_records = ()
            if self._bounds.canary_is_out():
                await self._watch_canary()
            if rest and self._bounds.used_up:
                await self._engine.drain()
                raise BudgetUsed(self._bounds.stopped)
        self._reading.open = False
        await self.remember()
        most, invalid = self._plan.options.max_invalid, self._reading.invalid
        if self._named is None and most is not None and invalid > most:
            raise BudgetUsed(f"stopped by --max-invalid: {count(invalid, 'record')} cannot be used")

    async def end(self) -> None:
        """Look at what may have changed while the records were sent."""
        await self._blueprints.end()

    async def _watch_canary(self) -> None:
        async def recorded() -> None:
            await self._engine.drain()
            await self._outbox.flush()

        canary = Canary(self._connection, self._job.checks, self._engine.tally, self._observer.note)
        await canary.judge(self._bounds.watched, recorded, wait_s=self._plan.options.canary_wait)
        self._bounds.watched.clear()

    async def _admit(self, records: Sequence[Outgoing], other_records: Sequence[OtherRecord], *, last: bool) -> None:
        """Make the intent durable, then give the records to the engine. A stop in between loses none.

        last: whether these are the last records of the load.
        """
        now_ms = self._connection.platform.server_now_ms
        with anyio.CancelScope(shield=True):
            admissions = await self._job.admit(
                records, other_records, now_ms=now_ms, recheck=self._plan.recheck, adopt=self._plan.adopts
            )
        self.adopted += sum(admission.adopts for admission in admissions)
        pairs = list(zip(records, admissions, strict=True))
        homes = [(record.source, record.line) for record, admission in pairs if admission.home]
        self._reading.open = not last
        self._reading.homes += len(homes)
        self.beside += len(pairs) - len(homes)
        self._checkpoints.met(homes)
        send = [record for record, admission in pairs if admission.verb is Verb.SEND]
        look_up = [record for record, admission in pairs if admission.verb is Verb.LOOK_UP]
        self._outbox.expect(send)
        self._outbox.expect(look_up)
        self._connection.looks_up(record.batch for record in (*send, *look_up))
        if self._repeat is Repeat.COMPARE_FIRST:
            # The server would accept an existing key a second time; another ledger may have sent it.
            await self._engine.put([], look_up, unseen=send)
        else:
            await self._engine.put(send, look_up)

    # --- what comes to light on the way --------------------------------------------------------

    async def recall(self) -> None:
        """Give the platform what earlier runs learned, and make sure of the one batch that the options name."""
        self._learned = await self._job.unechoed_fields()
        self._connection.platform.creator.learned = self._learned
        batch, project = self._plan.options.batch, self._plan.options.project
        if batch and project and "{" not in batch:
            await self.batches.ensure(batch, project)

    async def remember(self) -> None:
        """Make durable what the platform has learned since, and which batches were created."""
        news = self._connection.platform.creator.learned - self._learned
        if news:
            self._learned = self._connection.platform.creator.learned
            await self._job.add_unechoed_fields(sorted(news))
        while self.batches.created:
            name = self.batches.created.pop()
            await self._job.remember_batch(name, self.batches.projects.get(name), created=True)
