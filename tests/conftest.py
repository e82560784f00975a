"""Fixtures that most tests share: a sandbox in the test's loop, settings that point at it, an observer that keeps."""

from __future__ import annotations

import json
import os
import signal
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings as hypothesis_settings

from scalesync.config.settings import Settings
from scalesync.engine.backoff import RetryPolicy
from scalesync.engine.limits import EngineLimits
from scalesync.events import Progress
from scalesync.flows.runtime.setup.services import resolve_settings
from scalesync.sandbox import FaultRule, Sandbox, SandboxConfig
from tests.draws import keep_part, leave_to_the_proof, leave_to_the_soak

# The same draws on every machine: what `make test` says of a commit does not hang on luck. `make soak` draws others.
# Nor on a busy machine: a test has a timeout, its examples have none.
hypothesis_settings.register_profile("settled", derandomize=True, deadline=None, max_examples=40)
hypothesis_settings.register_profile("soak", max_examples=1000, database=None, print_blob=True, deadline=None)
hypothesis_settings.load_profile("settled")

# Under nohup this process ignores SIGHUP, and so would each program that a test starts and hangs up on.
if hasattr(signal, "SIGHUP") and threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

NOBODY = 65534
SOAK = Path(__file__).resolve().parents[1] / "build" / "soak.json"
MUTANTS = SOAK.with_name("mutants.json")
PROJECT = "letters"
KIND = "categorization"

# Back-off and patience in hundredths of what people get, so that a test of an outage takes a second.
FAST = EngineLimits(retry=RetryPolicy(base_s=0.01, cap_s=0.1), stall_s=10.0, grace_s=2.0)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    leave_to_the_soak(items)
    leave_to_the_proof(items)
    if part := os.environ.get("SCALESYNC_SOAK_PART"):
        keep_part(items, part)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The last soak of this tree and its last mutants are told with the tests, if there were any."""
    if SOAK.exists():
        from tests.soak.figures import in_short  # noqa: PLC0415  it imports the tests of faults, which import this

        terminalreporter.write_line("\n".join(in_short(json.loads(SOAK.read_text()))))
    if MUTANTS.exists():
        from tests.mutants import __main__ as mutants  # noqa: PLC0415  as above

        terminalreporter.write_line("\n".join(mutants.in_short(json.loads(MUTANTS.read_text()))))


@dataclass
class Notebook:
    """An observer that keeps what it was told."""

    notes: list[str] = field(default_factory=list)
    snapshots: list[Progress] = field(default_factory=list)

    def progress(self, snapshot: Progress) -> None:
        self.snapshots.append(snapshot)

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture
def notebook() -> Notebook:
    return Notebook()


TRANSPORTS = ("lean", "session")


@pytest.fixture(params=TRANSPORTS)
def each_transport(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The test runs once on each way to the server; subprocesses that are given the environment follow."""
    name = str(request.param)
    monkeypatch.setenv("SCALESYNC_TRANSPORT", name)
    return name


SandboxMaker = Callable[..., Any]


@pytest.fixture
async def make_sandbox() -> AsyncIterator[SandboxMaker]:
    """make_sandbox(faults=(), **switches) starts one with a project `letters` in both worlds."""
    async with AsyncExitStack() as stack:

        async def make(faults: Iterable[FaultRule] = (), **switches: Any) -> Sandbox:
            config = SandboxConfig(**{"journal_size": 100_000, "seed": 7, **switches})
            sandbox = await stack.enter_async_context(Sandbox(config, faults))
            for world in ("live", "test"):
                sandbox.store.world(world).add_project(PROJECT, KIND)
            return sandbox

        yield make


@pytest.fixture
def settings_for(tmp_path: Path) -> Callable[..., Settings]:
    """settings_for(sandbox, key="live_k", **changes)."""

    def make(sandbox: Sandbox, key: str = "live_k", **changes: Any) -> Settings:
        return resolve_settings(
            base_url=sandbox.base_url,
            ledger=changes.pop("ledger", tmp_path / "ledger.db"),
            environ={"SCALE_API_KEY": key},
            **changes,
        )

    return make


def letter(number: int, **more: Any) -> dict[str, Any]:
    """A record that the sandbox takes as a categorization task."""
    return {
        "unique_id": f"letter-{number:05d}",
        "attachment": f"Dear reader no. {number}, ünïcode\nand a second line",
        "attachment_type": "text",
        "categories": ["kind", "angry"],
        "metadata": {"number": number},
        **more,
    }


@pytest.fixture
def write_records(tmp_path: Path) -> Callable[..., Path]:
    """write_records(records, name="letters.jsonl") -> path of a JSONL file."""

    def write(records: int | Sequence[Any], name: str = "letters.jsonl") -> Path:
        rows = [letter(number) for number in range(records)] if isinstance(records, int) else records
        path = tmp_path / name
        path.write_text("".join(row if isinstance(row, str) else json.dumps(row) + "\n" for row in rows))
        return path

    return write


@pytest.fixture
def plain_user() -> Iterator[Path]:
    """A folder of a user who may not do everything; root becomes nobody until the test is over."""
    with tempfile.TemporaryDirectory(prefix="scalesync-") as name:
        folder = Path(name)
        if os.geteuid() != 0:
            yield folder
            return
        os.chown(folder, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, 0)
        try:
            yield folder
        finally:
            os.setresuid(0, 0, 0)


def shared_data() -> Path | None:
    """The folder with the real data sets, where it is at hand: SCALESYNC_SHARED or ../shared beside the project."""
    named = os.environ.get("SCALESYNC_SHARED")
    place = Path(named) if named else Path(__file__).resolve().parents[2] / "shared"
    return place if (place / "data").is_dir() else None
