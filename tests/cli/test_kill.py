"""The program killed and interrupted in the middle of an import, and run again until it is done."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import signal
import subprocess
import sys
import termios
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from subprocess import PIPE
from typing import Any

import anyio
import pytest
from anyio.abc import Process

from scalesync.sandbox import FaultRule, Sandbox
from tests import forked
from tests.cli.conftest import LIVE_KEY, PROGRAM, environment
from tests.conftest import KIND, PROJECT, letter

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kill -9 and SIGINT are of POSIX")

# Long enough in flight that a kill always leaves some; short enough for a test.
SLOW = FaultRule(kind="latency", on="create", seconds=0.03)
ROUGH = [
    SLOW,
    FaultRule(kind="error", on="create", share=0.05, status=500, after_write=True),
    FaultRule(kind="reset", on="create", share=0.05, after_write=True),
]


class Program:
    """One import in a process of its own, against a sandbox in this one."""

    def __init__(
        self, folder: Path, sandbox: Sandbox, source: Path | str, *more: str, prefix: Sequence[str] = ()
    ) -> None:
        self._folder = folder
        self._sandbox = sandbox
        self._prefix = prefix
        project = () if "--project" in more else ("--project", PROJECT)
        self.arguments = ["import", str(source), "--type", KIND, *project,
                          "--base-url", sandbox.base_url, "--json", "--yes", *more]  # fmt: skip

    @property
    def command(self) -> list[str]:
        """Start the program again."""
        return [*self._prefix, *PROGRAM, *self.arguments]

    @asynccontextmanager
    async def running(self, stdin: int | None = None) -> AsyncIterator[Process]:
        """Started; killed at the end if it has not ended."""
        process = await anyio.open_process(
            self.command,
            cwd=self._folder,
            env=environment(self._folder, SCALE_API_KEY=LIVE_KEY),
            stdin=stdin,
            stdout=PIPE,
            stderr=PIPE,
        )
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
            await process.aclose()

    async def send_at(self, number: int, at: int) -> tuple[int, bytes]:
        """Run until the store holds `at` tasks, then send the signal; the exit code and standard output."""
        async with self.running() as process:
            while self._sandbox.store.world("live").count() < at:
                await anyio.sleep(0.002)
                assert process.returncode is None, await collect(process)
            process.send_signal(number)
            out, _ = await collect(process)
            return await process.wait(), out

    async def once(self) -> tuple[int, dict[str, Any]]:
        """Exit code and summary of one run, forked."""
        given = environment(self._folder, SCALE_API_KEY=LIVE_KEY)
        run = partial(forked.run, "scalesync", self.arguments, folder=self._folder, environment=given)
        code, out, error = await anyio.to_thread.run_sync(run)
        assert "Traceback" not in error
        return code, json.loads(out)

    async def until_done(self) -> list[dict[str, Any]]:
        """The same command until its exit code is 0; the summaries."""
        summaries = []
        for _ in range(4):
            code, summary = await self.once()
            assert code in {0, 3}, summary
            summaries.append(summary)
            if code == 0:
                return summaries
        raise AssertionError(summaries)


async def collect(process: Process) -> tuple[bytes, bytes]:
    parts = {"out": b"", "error": b""}

    async def read(name: str, stream: Any) -> None:
        async for piece in stream:
            parts[name] += piece

    async with anyio.create_task_group() as group:
        group.start_soon(read, "out", process.stdout)
        group.start_soon(read, "error", process.stderr)
    return parts["out"], parts["error"]


def check_once(sandbox: Sandbox, count: int) -> None:
    """Every record is one task."""
    documents = list(sandbox.store.world("live").documents())
    assert len(documents) == count
    assert len({task["unique_id"] for task in documents}) == count


@pytest.mark.part(2)
@pytest.mark.parametrize("moments", [(300,), (150, 450)], ids=["once", "twice"])
@pytest.mark.parametrize("faults", [[SLOW], ROUGH], ids=["smooth", "rough"])
async def test_killed_and_run_again_makes_every_record_one_task(
    faults: Sequence[FaultRule], moments: tuple[int, ...], make_sandbox, write_records, tmp_path
):
    sandbox = await make_sandbox(faults)
    program = Program(tmp_path, sandbox, write_records(600))
    for moment in moments:
        code, out = await program.send_at(signal.SIGKILL, moment)
        assert (code, out) == (-signal.SIGKILL, b"")
    sandbox.faults.replace([rule for rule in faults if rule is not SLOW])
    summary = (await program.until_done())[-1]
    assert (summary["read"], summary["created"]) == (600, 600)
    assert (summary["adopted"], summary["conflicts"], summary["failed"], summary["pending"]) == (0, 0, 0, 0)
    check_once(sandbox, 600)
    # What was in flight at the kills may be sent again; what was answered is looked up.
    assert sandbox.journal.count("create", 409) <= sandbox.journal.peak_in_flight * len(moments)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
async def test_interrupted_it_says_so_with_exit_code_3_and_continues(number, make_sandbox, write_records, tmp_path):
    sandbox = await make_sandbox([SLOW])
    program = Program(tmp_path, sandbox, write_records(600))
    code, out = await program.send_at(number, 200)
    stopped = json.loads(out)
    assert code == 3
    assert stopped["created"] == sandbox.store.world("live").count()
    assert stopped["read"] == stopped["created"] + stopped["pending"]
    summary = (await program.until_done())[-1]
    assert summary["created"] == 600
    assert sandbox.journal.count("create", 409) == 0
    check_once(sandbox, 600)


@pytest.mark.parametrize("piped", [True, False], ids=["output piped", "output gone"])
async def test_a_terminal_that_is_closed_ends_the_run_in_order(piped, make_sandbox, write_records, tmp_path):
    """Its terminal is gone, with standard error and perhaps the output; ledger and exit code are as after Ctrl-C."""
    sandbox = await make_sandbox([SLOW])
    program = Program(tmp_path, sandbox, write_records(600))
    ours, theirs = pty.openpty()
    process = subprocess.Popen(  # noqa: ASYNC220  it starts and is awaited in a thread
        program.command,
        cwd=tmp_path,
        env=environment(tmp_path, SCALE_API_KEY=LIVE_KEY),
        stdin=theirs,
        stdout=PIPE if piped else theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(theirs, termios.TIOCSCTTY, 0),  # noqa: PLW1509  one call, no lock
    )
    os.close(theirs)
    try:
        while sandbox.store.world("live").count() < 200:
            await anyio.sleep(0.002)
            assert process.poll() is None
        os.close(ours)
        out, _ = await anyio.to_thread.run_sync(process.communicate)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 3
    if piped:
        stopped = json.loads(out)
        assert stopped["message"].startswith("stopped by SIGHUP (the terminal was closed)")
        assert stopped["created"] == sandbox.store.world("live").count()
    summary = (await program.until_done())[-1]
    assert summary["created"] == 600
    assert sandbox.journal.count("create", 409) == 0


async def test_under_nohup_a_run_outlives_its_terminal(make_sandbox, write_records, tmp_path):
    sandbox = await make_sandbox([SLOW])
    program = Program(tmp_path, sandbox, write_records(300), prefix=("nohup",))
    code, out = await program.send_at(signal.SIGHUP, 100)
    assert (code, json.loads(out)["created"]) == (0, 300)


async def test_interrupted_while_standard_input_is_silent_it_ends_at_once(make_sandbox, tmp_path):
    sandbox = await make_sandbox()
    program = Program(tmp_path, sandbox, "-", "--job", "piped")
    async with program.running(stdin=PIPE) as process:
        assert process.stdin is not None
        await process.stdin.send(b"".join(json.dumps(letter(n)).encode() + b"\n" for n in range(600)))
        with anyio.fail_after(20):
            while sandbox.store.world("live").count() < 600:  # a block, and the rest, which waits for no more
                await anyio.sleep(0.01)
        process.send_signal(signal.SIGINT)
        asked = time.monotonic()
        with anyio.fail_after(10):
            out, error = await collect(process)
            code = await process.wait()
    assert time.monotonic() - asked < 3
    assert code == 3, error
    assert b"Traceback" not in error
    assert b"Fatal" not in error
    assert json.loads(out)["created"] == 600
