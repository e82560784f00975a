"""One store as several programs see it, and what the suites say of it. A ledger that runs them gives a `Ledgers`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from scalesync.model.jobs import JobSpec, StoredJob
from scalesync.model.records import Outgoing
from scalesync.model.rows import OtherRecord, RecordState, RowState, Verb
from scalesync.model.targets import Mode, Target
from scalesync.ports.change_ledger import ChangeLedger
from scalesync.ports.export_ledger import ExportLedger
from scalesync.ports.import_ledger import ImportLedger
from scalesync.ports.job_ledger import JobLedger
from scalesync.ports.ledger import Ledger

LIVE = Target("https://a.test/v1", Mode.LIVE)
TEST = Target("https://a.test/v1", Mode.TEST)
ELSEWHERE = Target("https://b.test/v1", Mode.LIVE)
OTHER_ACCOUNT = Target("https://a.test/v1", Mode.LIVE, "other")

CONTENT = b"0123456789abcdef"
CHANGED = b"fedcba9876543210"
S, R = RowState, RecordState


class Ledgers(Protocol):
    """One store, as several programs see it."""

    def open(self) -> Ledger:
        """Open the store as another program would; it is closed when the test ends."""

    async def die(self, spec: JobSpec) -> None:
        """The program that runs the job is killed: it gives nothing back."""

    async def lapse(self, spec: JobSpec) -> None:
        """The program that runs the job is alive, but has not renewed its lease for too long."""


async def open_import(ledgers: Ledgers, job: JobSpec) -> ImportLedger:
    """Another program begins a run of an import."""
    return await ledgers.open().open_import(job)


async def open_export(ledgers: Ledgers, job: JobSpec) -> ExportLedger:
    """Another program begins a run of an export."""
    return await ledgers.open().open_export(job)


async def open_changes(ledgers: Ledgers, job: JobSpec) -> ChangeLedger:
    """Another program begins a run of `apply`."""
    return await ledgers.open().open_changes(job)


async def stored(ledgers: Ledgers, job: JobSpec) -> StoredJob:
    """The job as another program finds it."""
    found = await ledgers.open().find_job(job.target, job.name)
    assert found is not None
    return found


def spec(name: str = "j", target: Target = LIVE, **identity: Any) -> JobSpec:
    return JobSpec(name, "import", target, {"sources": ["a"], **identity}, {"format": None})


def out(key: str, content: bytes = CONTENT, line: int = 1, source: int = 1) -> Outgoing:
    return Outgoing(key, content, b"{}", source, line)


def outs(count: int) -> list[Outgoing]:
    return [out(f"k{number}", line=number + 1) for number in range(count)]


async def admit(
    job: ImportLedger,
    records: Sequence[Outgoing],
    other_records: Sequence[OtherRecord] = (),
    now_ms: int = 1000,
    **more: Any,
) -> list[Verb]:
    return [found.verb for found in await job.admit(records, other_records, now_ms=now_ms, **more)]


async def finish(job: JobLedger) -> None:
    await job.finish(complete=True, exit_code=0, figures={})


def some(counts: Mapping[str, int]) -> dict[str, int]:
    return {name: number for name, number in counts.items() if number}
