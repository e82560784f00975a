"""--dry-run: reads what would change, counts it, shows a few, and writes the plan; no write to server or ledger."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio

from scalesync.errors import Refused
from scalesync.events import Observer
from scalesync.flows.changes.collecting import Collected, Sorter, Targets, collect
from scalesync.flows.changes.ending import End, summary
from scalesync.flows.changes.plan_file import PlanWriter, writing
from scalesync.flows.runtime.ledgers import open_ledger
from scalesync.flows.runtime.rate_meter import RateMeter
from scalesync.flows.runtime.run import plain_errors
from scalesync.flows.runtime.wiring import Connection
from scalesync.model.changes import Change, ChangeState
from scalesync.model.jobs import JobSpec
from scalesync.model.outcomes import LookupResult, Presence
from scalesync.model.summaries import ChangeSummary
from scalesync.model.targets import RequestClass
from scalesync.ports.changes import Changer, ChangeSpec, Planned
from scalesync.text import count

SHOWN = 3  # tasks of each kind
READS = 32  # at once, at most


class DryRun:
    """Plans each change. counts: by what an apply would count it as; what would be sent is pending."""

    def __init__(self, spec: ChangeSpec, connection: Connection, observer: Observer) -> None:
        changer = connection.platform.changer
        assert changer is not None, "offers say whether the platform changes tasks"
        self.counts: Counter[str] = Counter()
        self._spec = spec
        self._changer: Changer = changer
        self._connection = connection
        self._observer = observer
        self._shown: Counter[str] = Counter()
        self._meter = RateMeter()

    async def go(self, targets: Targets, sorter: Sorter, spec: JobSpec, plan: Path | None) -> ChangeSummary:
        """Read, plan, count; the plan is complete when this returns.

        The rows go through a ledger of their own, as those of a run go through its ledger, and it is removed again.
        """
        with TemporaryDirectory(prefix="scalesync-") as folder, ExitStack() as stack:
            ledger = open_ledger(Path(folder) / "plan.db", note=self._observer.note)
            stack.callback(ledger.close)
            job = await ledger.open_changes(spec)
            collected = await collect(targets, sorter, job, 0)
            total = (await job.counts())[ChangeState.PENDING]
            writer = None if plan is None else stack.enter_context(writing(plan, self._spec.name, spec.target))
            width = max(1, min(READS, self._connection.gate.width(RequestClass.LIST)))
            after, done = "", 0
            while page := await job.waiting(after, width):
                after = page[-1].change.ref
                await self._plan([stored.change for stored in page], writer)
                done += len(page)
                self._progress(done, total)
        return self._summary(spec, collected, plan)

    async def _plan(self, changes: Sequence[Change], writer: PlanWriter | None) -> None:
        found: dict[str, LookupResult] = {}

        async def read(ref: str) -> None:
            try:
                found[ref] = await self._connection.call(lambda: self._changer.read(self._spec, ref))
            except Refused:
                found[ref] = LookupResult(Presence.ABSENT)

        with plain_errors():
            async with anyio.create_task_group() as group:
                for change in changes:
                    group.start_soon(read, change.ref)
        for change in changes:
            self._count(change, found[change.ref], writer)

    def _count(self, change: Change, found: LookupResult, writer: PlanWriter | None) -> None:
        if found.task is None:
            planned = Planned(refused=f"there is no such {self._spec.subject}")
        else:
            planned = self._spec.plan(found.task, change.arguments)
        name = change.key or change.ref
        if planned.is_done:
            self.counts[ChangeState.UNCHANGED] += 1
        elif planned.refused:
            self.counts[ChangeState.FAILED] += 1
            self._show("failed", name, planned.refused)
        else:
            self.counts[ChangeState.PENDING] += 1
            self._show("would change", name, _difference(planned))
            if writer is not None:
                writer.add(change, planned)

    def _show(self, kind: str, name: str, words: str) -> None:
        self._shown[kind] += 1
        if self._shown[kind] <= SHOWN:
            self._observer.note(f"{kind}: {name}: {words}")

    def _progress(self, done: int, total: int) -> None:
        snapshot = self._connection.watch.snapshot
        self._observer.progress(snapshot(f"plan {self._spec.name}", self._meter, done, total=total, left=total - done))

    def _summary(self, spec: JobSpec, collected: Collected, plan: Path | None) -> ChangeSummary:
        findings = self.counts[ChangeState.FAILED] or collected.invalid
        would = count(self.counts[ChangeState.PENDING], self._spec.subject)
        told = f"{would} would change" + ("" if plan is None else f"; {plan} holds the plan: --plan {plan} applies it")
        figures = {**self._connection.traffic(), "retries": self._connection.call.retries}
        figures["seconds"] = round(self._meter.seconds, 3)
        end = End(1 if findings else 0, False, told)
        where = "" if plan is None else str(plan)
        name, target = self._spec.name, spec.target
        return summary(spec.name, target, name, self.counts, collected, figures=figures, end=end, plan=where)


def _difference(planned: Planned) -> str:
    if not planned.after:
        return "the task does not show it"
    return ", ".join(
        f"{name} {planned.before.get(name)!r} -> {value!r}"[:200]
        for name, value in planned.after.items()
        if planned.before.get(name) != value
    )
