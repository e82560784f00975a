"""The program killed in the middle of an import, on a server that is taken for one which does not refuse a second task.

The sandbox does refuse it, and a refusal is what must not happen: elsewhere it would have been a second task. Some
requests take effect after the program has given them up, or after it was killed.
"""

from __future__ import annotations

import json
import signal
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from scalesync.sandbox import FaultRule, Sandbox
from scalesync.sandbox.core.wire.errors import ApiError
from scalesync.sandbox.scale.state.world import World
from scalesync.sandbox.scale.tasks import create
from tests.cli.test_kill import Program, check_once, collect

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kill -9 and SIGINT are of POSIX")

LATE_S, LANDING_S = 2.5, 4.0
LEASE_S = 6.0
FAULTS = [
    FaultRule(kind="latency", on="create", seconds=0.02),
    FaultRule(kind="late", on="create", share=0.04, status=500, seconds=LATE_S),
    FaultRule(kind="error", on="create", share=0.02, status=500),
]
RULES = f"""
from scalesync.__main__ import main
from scalesync.engine import resolver
from scalesync.platforms.scale.tasks import ScaleTasks
from scalesync.ports.operation import Repeat

ScaleTasks.most, ScaleTasks.repeat, ScaleTasks.landing_s = 7, Repeat.COMPARE_FIRST, {LANDING_S}
resolver.APART_S = 0.1
main()
"""
# Without a heartbeat: one that is due when the run continues would find the new owner before the request leaves.
FROZEN = f"""
from scalesync.flows.runtime import run
from scalesync.ledger.sqlite import store
from scalesync.ports.spec import KeyRule

run.HEARTBEAT_S = 600.0
KeyRule.resend_is_safe, store.LEASE_MS = False, {LEASE_S * 1000}
{RULES.replace(f"= 7, Repeat.COMPARE_FIRST, {LANDING_S}", "= 1, Repeat.COMPARE_FIRST, 0.2")}"""


class Careful(Program):
    """The program under other rules."""

    rules = RULES

    @property
    def command(self) -> list[str]:
        """To start it."""
        return [sys.executable, "-W", "error", "-c", self.rules, *self.arguments]

    async def once(self) -> tuple[int, dict[str, object]]:
        """Exit code and summary of one run."""
        async with self.running() as process:
            out, error = await collect(process)
            assert b"Traceback" not in error, error
            return await process.wait(), json.loads(out)


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Keys that came a second time, also where nobody heard the answer."""
    keys: list[str] = []
    check = create.check_free

    def told(world: World, unique_id: str) -> None:
        try:
            check(world, unique_id)
        except ApiError:
            keys.append(unique_id)
            raise

    monkeypatch.setattr(create, "check_free", told)
    return keys


@pytest.mark.parametrize(
    "number",
    [signal.SIGKILL, pytest.param(signal.SIGINT, marks=pytest.mark.soak)],
    ids=lambda number: number.name,
)
async def test_no_record_is_sent_while_its_last_request_may_land(
    number: signal.Signals, make_sandbox, write_records, tmp_path: Path, refused: list[str]
):
    sandbox: Sandbox = await make_sandbox(FAULTS)
    program = Careful(tmp_path, sandbox, write_records(200))
    for moment in (40, 90, 150):
        await program.send_at(number, moment)
    sandbox.faults.replace([])
    await anyio.sleep(LATE_S)
    summary = (await program.until_done())[-1]
    assert (summary["read"], summary["created"], summary["pending"]) == (200, 200, 0)
    check_once(sandbox, 200)
    assert refused == []
    with sqlite3.connect(tmp_path / "scalesync.db") as ledger:
        assert ledger.execute("SELECT count(*) FROM chunks").fetchone() == (0,)


class Leased(Careful):
    """With a lease that ends soon."""

    rules = FROZEN


async def test_a_run_that_was_frozen_until_another_one_took_over_sends_nothing_more(
    make_sandbox, write_records, tmp_path: Path, refused: list[str]
):
    """It stops after the ledger has its request, and before that leaves: while it waits for its turn."""
    sandbox: Sandbox = await make_sandbox()
    source = write_records(20)
    async with Leased(tmp_path, sandbox, source, "--rate", "30/min").running() as frozen:
        while not sandbox.journal.count("create"):
            await anyio.sleep(0.01)
        await anyio.sleep(0.5)  # the answer is there, and the next request waits for its turn
        frozen.send_signal(signal.SIGSTOP)
        await anyio.sleep(LEASE_S)
        assert requests_begun(tmp_path / "scalesync.db") > sandbox.journal.count("create")
        summary = (await Leased(tmp_path, sandbox, source).until_done())[-1]
        assert (summary["read"], summary["created"]) == (20, 20)
        frozen.send_signal(signal.SIGCONT)
        out, error = await collect(frozen)
        assert await frozen.wait() == 3, error
    assert b"took over" in error + out, (out, error)
    assert (sandbox.journal.count("create"), refused) == (20, [])
    check_once(sandbox, 20)


def requests_begun(path: Path) -> int:
    """The number of the last request that the ledger has."""
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as ledger:
            return int(ledger.execute("SELECT coalesce(max(number), 0) FROM chunks").fetchone()[0])
    except sqlite3.OperationalError:  # it is not there yet
        return 0
