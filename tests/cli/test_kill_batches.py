"""Two jobs that fill one batch, one of them killed on the way: the batch is closed when both are through."""

from __future__ import annotations

import signal
import sys

import pytest

from scalesync.sandbox import FaultRule
from tests.cli.test_kill import Program, check_once
from tests.conftest import KIND, letter

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kill -9 is of POSIX")


async def test_a_batch_waits_for_the_job_that_was_killed_while_it_filled_it(make_sandbox, write_records, tmp_path):
    sandbox = await make_sandbox([FaultRule(kind="latency", on="create", seconds=0.05)])
    sandbox.store.world("live").add_project("quick", KIND, rapid=True)
    rows = [letter(number) for number in range(60)]
    into = ("--project", "quick", "--batch", "x")
    theirs = Program(tmp_path, sandbox, write_records(rows[:30], "b.jsonl"), *into, "--job", "jb", "--concurrency", "2")
    await theirs.send_at(signal.SIGKILL, 8)
    sandbox.faults.replace([])
    ours = Program(tmp_path, sandbox, write_records(rows[30:], "a.jsonl"), *into, "--job", "ja", "--finalize")
    code, summary = await ours.once()
    assert (code, summary["created"]) == (1, 30)
    assert "batch x stays open: job jb has" in summary["message"]
    (batch,) = sandbox.store.world("live").batches
    assert batch.status == "staging"
    assert (await theirs.until_done())[-1]["failed"] == 0
    assert (await ours.once())[0] == 0
    assert batch.status == "in_progress"
    check_once(sandbox, 60)
