"""The program killed in the middle of an import, on a server that is taken for one which does not refuse a second task.

The sandbox does refuse it, and a refusal is what must not happen: elsewhere it would have been a second task. Some
requests take effect after the program has given them up, or after it was killed.
"""

from __future__ import annotations

import json
import signal
import sqlite3
import sys
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


class Careful(Program):
    """The program under other rules."""

    @property
    def command(self) -> list[str]:
        """To start it."""
        return [sys.executable, "-W", "error", "-c", RULES, *self.arguments]

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
