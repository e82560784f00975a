"""One trial: an emulator in this process, a folder, a ledger, and what is done with them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

import anyio

from scalesync.config.settings import Settings
from scalesync.engine.backoff import RetryPolicy
from scalesync.engine.limits import EngineLimits
from scalesync.errors import ConfigError, StopRun
from scalesync.events import Progress
from scalesync.flows.exports.run import run_export
from scalesync.flows.imports.run import run_import
from scalesync.flows.jobs.rebuild import run_rebuild
from scalesync.flows.jobs.retry import run_retry
from scalesync.flows.runtime.options import ExportOptions, ImportOptions, RetryOptions
from scalesync.flows.runtime.setup.services import resolve_settings, spec_of
from scalesync.flows.verify.fix import Repaired, run_repair
from scalesync.flows.verify.run import run_verify
from scalesync.flows.verify.summary import VerifySummary
from scalesync.model.records import JsonObject
from scalesync.model.summaries import ExportSummary, ImportSummary
from scalesync.ports.spec import PlatformSpec
from scalesync.sandbox.core.faults import FaultRule
from scalesync.sandbox.core.host import Host
from scalesync.sandbox.core.wire.times import system_ms
from scalesync.testing.harness import Held, PlatformHarness

# Back-off and patience in hundredths of what people get.
HASTY = EngineLimits(retry=RetryPolicy(base_s=0.01, cap_s=0.1), stall_s=10.0, grace_s=2.0, patience_s=5.0)
RATE = "600"  # set, so that a 429 that a test asks for slows nothing down
MOST_RUNS = 8
SOURCE, FINDINGS, JOB = "records.jsonl", "findings.jsonl", "trial"


class Listener:
    """An observer that keeps what it heard."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def progress(self, snapshot: Progress) -> None:
        """Progress is of no interest here."""

    def note(self, text: str) -> None:
        """Keep a note."""
        self.notes.append(text)


class MovingClock:
    """The emulator's clock: it is `ahead_ms` ahead of the system's."""

    def __init__(self, ahead_ms: int) -> None:
        self.ahead_ms = ahead_ms

    def __call__(self) -> int:
        return system_ms() + self.ahead_ms


class Trial:
    """Flows of the program on one emulator."""

    def __init__(self, harness: PlatformHarness, host: Host, folder: Path, clock: MovingClock) -> None:
        self.harness = harness
        self.host = host
        self.folder = folder
        self.clock = clock
        self.listener = Listener()

    @property
    def spec(self) -> PlatformSpec:
        """What is known of the platform beforehand."""
        return spec_of(self.harness.platform)

    @property
    def landing_s(self) -> float:
        """The landing window."""
        window_s = self.harness.landing_s
        return self.spec.key.landing_s if window_s is None else window_s

    def settings(self, key: str | None = None) -> Settings:
        """Settings that point at the emulator."""
        return resolve_settings(
            platform=self.harness.platform,
            base_url=self.host.base_url,
            ledger=self.folder / "ledger.db",
            rate=RATE,
            extras=self.harness.extras,
            environ={self.spec.variables.key: key or self.harness.key},
        )

    def strike(self, *rules: FaultRule) -> None:
        """Put these rules in force."""
        self.host.faults.replace(rules)

    def write(self, numbers: Iterable[int], **changed: Any) -> Path:
        """The source of a trial: a record for each number, its key `key-NUMBER`."""
        path = self.folder / SOURCE
        path.write_text("".join(json.dumps(self.keyed(number) | changed) + "\n" for number in numbers), "utf-8")
        return path

    def keyed(self, number: int) -> JsonObject:
        """A record with its key."""
        return {**self.harness.record(number), "unique_id": key_of(number)}

    def write_refused(self, numbers: Iterable[int], number: int, **over: Any) -> None:
        """The same with one more record at its end, the one that is refused. over: fields laid over that."""
        path = self.write(numbers)
        refused = {**self.harness.refused(), **over, "unique_id": key_of(number)}
        path.write_text(path.read_text("utf-8") + json.dumps(refused) + "\n", "utf-8")

    async def bring(self, *, key: str | None = None, **options: Any) -> ImportSummary:
        """One run of the import of the source."""
        asked = self._import(**options)
        return await run_import(asked, self.settings(key), self.listener, limits=HASTY, signals=False)

    def _import(self, **options: Any) -> ImportOptions:
        return ImportOptions(
            sources=(str(self.folder / SOURCE),),
            type=self.harness.type,
            project=self.harness.project,
            job=JOB,
            yes=True,
            **options,
        )

    async def retry(self) -> ImportSummary:
        """Send the failed records again."""
        return await run_retry(
            RetryOptions(job=JOB, yes=True), self.settings(), self.listener, limits=HASTY, signals=False
        )

    async def rebuild(self) -> ImportSummary:
        """Rebuild the ledger from source and emulator."""
        return await run_rebuild(self._import(), self.settings(), self.listener, limits=HASTY)

    def lose_ledger(self) -> None:
        """Remove the ledger and the files beside it."""
        for path in self.folder.glob("ledger.db*"):
            path.unlink()

    async def bring_all(self, **options: Any) -> ImportSummary:
        """The import, run again until nothing is left to do."""
        return await until_done(partial(self.bring, **options))

    async def export(self, out: str = "out", **options: Any) -> ExportSummary:
        """One run of an export of the project."""
        asked = ExportOptions(out=self.folder / out, project=self.harness.listed_project, **options)
        return await run_export(asked, self.settings(), self.listener, signals=False)

    async def verify(self) -> VerifySummary:
        """Compare source, ledger and emulator."""
        out = self.folder / FINDINGS
        return await run_verify(self.settings(), JOB, out, self.listener, limits=HASTY)

    async def repair(self, reclaim: Collection[str] = ()) -> Repaired:
        """Repair what `verify` has found."""
        out = self.folder / FINDINGS
        dead = frozenset(reclaim)
        return await run_repair(self.settings(), JOB, out, self.listener, reclaim=dead, limits=HASTY, signals=False)

    def found(self) -> Sequence[JsonObject]:
        """What `verify` has found."""
        return [json.loads(line) for line in (self.folder / FINDINGS).read_text("utf-8").splitlines()]

    def fill(self, count: int, first: int = 0) -> None:
        """Make tasks past the network, from the record `first` on."""
        for number in range(first, first + count):
            self.harness.make(self.host, key_of(number), self.harness.record(number))
        self.harness.made(self.host)

    def check_exported(self) -> None:
        """Whether the export holds each task of the emulator once, byte for byte."""
        assert sorted(listed(self.folder / "out")) == sorted(task.document for task in self.held())

    def held(self) -> Sequence[Held]:
        """The tasks that the emulator holds."""
        return self.harness.tasks(self.host)

    def check_held(self, numbers: Iterable[int], *, freed: int = 0) -> None:
        """Whether the emulator holds exactly one task for each number. freed: tasks without a key beside them."""
        held = Counter(task.key for task in self.held())
        assert held[None] == freed, f"{held[None]} tasks have no key"
        del held[None]
        wanted = {key_of(number) for number in numbers}
        lost, strange = sorted(wanted - held.keys()), sorted(str(key) for key in held.keys() - wanted)
        twice = sorted(str(key) for key, count in held.items() if count > 1)
        assert (lost, twice, strange) == ([], [], []), f"lost {lost}, twice {twice}, strange {strange}"


class Ending(Protocol):
    """What a run comes to."""

    @property
    def exit_code(self) -> int: ...


E = TypeVar("E", bound=Ending)


async def until_done(run: Callable[[], Awaitable[E]]) -> E:
    """Run it until it ends with another exit code than 3. Raises AssertionError when it does not."""
    last: object = None
    for _ in range(MOST_RUNS):
        try:
            last = ended = await run()
        except (StopRun, ConfigError) as error:  # nobody was at home, or the first look was refused
            last = error
            continue
        if ended.exit_code != 3:
            return ended
    raise AssertionError(f"not done after {MOST_RUNS} runs: {last}")


def key_of(number: int) -> str:
    """The key of a record."""
    return f"key-{number}"


@asynccontextmanager
async def trial_of(
    harness: PlatformHarness, folder: Path, *, ahead_ms: int = 0, **switches: Any
) -> AsyncIterator[Trial]:
    """A trial on an emulator that ends with it."""
    clock = MovingClock(ahead_ms)
    async with harness.emulator(clock=clock, **switches) as host:
        yield Trial(harness, host, folder, clock)


def on_trial(harness: PlatformHarness, folder: Path, play: Callable[[Trial], Awaitable[None]], **switches: Any) -> None:
    """Play something on a new emulator, to its end."""

    async def whole() -> None:
        async with trial_of(harness, folder, **switches) as trial:
            await play(trial)

    anyio.run(whole)


def files_in(folder: Path) -> list[bytes]:
    """What all files below a folder hold."""
    return [path.read_bytes() for path in folder.rglob("*") if path.is_file()]


def listed(out: Path) -> list[bytes]:
    """The lines of all data files that an export's manifest names."""
    manifest = json.loads((out / "manifest.json").read_bytes())
    return [line for entry in manifest["files"] for line in (out / entry["path"]).read_bytes().splitlines()]
