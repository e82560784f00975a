"""Repair: `verify --fix` repairs the findings of a verification.

A row whose task is missing, or whose task the ledger does not know, goes back to `sending`, as after an interrupted
run: the following import looks it up before it sends anything. A record that the ledger does not know is added with the
state that the server reports. Each change names the state that the verification saw, so it never touches a row that
changed since.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path

from scalesync.config.settings import Settings, Way
from scalesync.engine.limits import EngineLimits
from scalesync.events import Observer
from scalesync.flows.imports.conflicts import ConflictPolicy
from scalesync.flows.imports.run import run_import
from scalesync.flows.imports.stored import plan_of
from scalesync.flows.jobs.rebuild import Recorder
from scalesync.flows.jobs.retry import readable_options
from scalesync.flows.runtime.lease import Hold, holding, import_job_of
from scalesync.flows.runtime.ledgers import open_ledger
from scalesync.flows.runtime.options import ImportOptions
from scalesync.flows.runtime.setup.services import spec_of
from scalesync.flows.runtime.threads import in_daemon
from scalesync.flows.runtime.wiring import connect_for_lookups
from scalesync.flows.verify import findings
from scalesync.flows.verify.findings_file import read_findings
from scalesync.flows.verify.removal import Removal
from scalesync.home import Home
from scalesync.mapping.seen import SeenTable
from scalesync.model.jobs import StoredJob
from scalesync.model.records import JsonObject
from scalesync.model.rows import RowState
from scalesync.model.summaries import ImportSummary
from scalesync.ports.ledger import Ledger
from scalesync.ports.verify_ledger import VerifyLedger

GROUP = 500
OURS = frozenset({RowState.CREATED.value, RowState.ADOPTED.value})


@dataclass(frozen=True, slots=True)
class Repaired:
    """The repaired findings by action, and those that are left.

    sent: the following import; None if none was needed.
    """

    done: Mapping[str, int]
    left: int
    sent: ImportSummary | None

    @property
    def exit_code(self) -> int:
        """1 if findings are left."""
        code = 0 if self.sent is None else self.sent.exit_code
        return code or (1 if self.left else 0)


async def run_repair(
    settings: Settings,
    job: str,
    path: Path,
    observer: Observer,
    *,
    project: str | None = None,
    reclaim: frozenset[str] = frozenset(),
    limits: EngineLimits | None = None,
    signals: bool = True,
) -> Repaired:
    """Repair the findings in a file.

    path: of that file.
    project: of the job, where several have its name.
    reclaim: statuses of dead tasks whose unique_id may be freed.
    """
    ledger = open_ledger(settings.ledger, note=observer.note, create=False)
    try:
        found = await import_job_of(ledger, settings.target, job, project)
        plan = Plan(reclaim)
        async with holding(ledger, found) as hold:
            whole, hold.complete = hold.complete, False  # until the import that follows has ended
            store = hold.job.checks
            await _remove(found, hold, path, plan.alone, way=settings.way, observer=observer, limits=limits)
            for group in _groups(read_findings(path)):
                await plan.apply(store, group)
            if len(plan.lost):
                await _record(ledger, found, hold, plan.lost, way=settings.way, observer=observer, limits=limits)
            hold.complete, hold.exit_code = whole and not plan.imports, 0
            hold.figures = {"repaired": dict(plan.done)}
        options = await readable_options(ledger, found) if plan.imports else None
    finally:
        ledger.close()
    sent = None
    if options is not None:
        asked = repairing(options, reclaim)
        sent = await run_import(asked, settings, observer, limits=limits, stored=found, signals=signals)
    return Repaired(dict(sorted(plan.done.items())), plan.left, sent)


def repairing(options: ImportOptions, reclaim: frozenset[str]) -> ImportOptions:
    """A stored job's options for a repair: it frees only the ids that this command names; no canary, no --max-new."""
    return replace(
        options,
        reclaim=reclaim,
        on_conflict="adopt" if options.on_conflict == "adopt" else "report",
        rescan=True,
        yes=True,
        canary=None,
        max_new=None,
        finalize=False,
    )


class Plan:
    """Applies findings.

    imports: whether an import must follow.
    lost: records that the ledger does not know; they are added to it first.
    alone: keys that had several tasks and now have one.
    """

    def __init__(self, reclaim: frozenset[str]) -> None:
        self.done: Counter[str] = Counter()
        self.left = 0
        self.imports = False
        self.lost = SeenTable()
        self.alone = SeenTable()
        self._reclaim = reclaim

    async def apply(self, store: VerifyLedger, group: Sequence[JsonObject]) -> None:
        """Repair the rows of a group of findings."""
        corrections: list[tuple[str, str | None, str]] = []
        doubts: list[tuple[str, str, str | None]] = []
        for finding in group:
            if not self._does(finding):
                self.left += 1
                continue
            fix, key, state = finding["fix"], finding["unique_id"], finding.get("state")
            self.done[fix] += 1
            if fix == findings.REMOVE and finding.get("was") == finding["task_id"] and state in OURS:
                continue  # the ledger names the one that stayed
            if fix == findings.TASK_ID:
                corrections.append((key, finding.get("was"), finding["task_id"]))
                continue
            self.imports = True
            if state is None:
                self.lost.add(key, b"")
            else:
                doubts.append((key, state, finding.get("was")))
        await store.correct(corrections)
        await store.doubt(doubts)

    def _does(self, finding: JsonObject) -> bool:
        match finding.get("fix"):
            case None:
                return False
            case findings.RECLAIM:
                return finding["kind"] in self._reclaim
            case findings.REMOVE:
                return finding["unique_id"] in self.alone
        return True


async def _remove(
    found: StoredJob,
    hold: Hold,
    path: Path,
    alone: SeenTable,
    *,
    way: Way,
    observer: Observer,
    limits: EngineLimits | None,
) -> None:
    """Take second tasks away; `alone` gets the keys that have one task only by now."""
    second = (finding for finding in read_findings(path) if finding.get("fix") == findings.REMOVE)
    first = next(second, None)
    if first is None:
        return
    async with connect_for_lookups(found, way, observer, limits=limits) as connection:
        connection.gate.holds = hold.job.holds_lease
        removal = Removal(connection, hold.job)
        for finding in chain([first], second):
            if await removal.carry_out(finding):
                alone.add(finding["unique_id"], b"")


async def _record(
    ledger: Ledger,
    found: StoredJob,
    hold: Hold,
    lost: Container[str],
    *,
    way: Way,
    observer: Observer,
    limits: EngineLimits | None,
) -> None:
    """Add records without rows to the ledger. Those without a task become pending, and the import sends them."""
    options = await readable_options(ledger, found)
    plan = await in_daemon(lambda: plan_of(options, spec_of(found.target.platform), Home(way.ledger.parent)))
    async with connect_for_lookups(found, way, observer, limits=limits) as connection:
        connection.platform.creator.learned = await hold.job.unechoed_fields()
        policy = ConflictPolicy("report", frozenset(), connection.platform.creator.release, hold.job.event)
        numbers = await hold.job.register_sources(plan.splits())
        await Recorder(plan, connection, hold.job, policy, observer, named=lost).go(numbers)


def _groups(lines: Iterator[JsonObject]) -> Iterator[list[JsonObject]]:
    while group := list(islice(lines, GROUP)):
        yield group
