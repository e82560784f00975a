"""A clock that somebody sets back, and few open files."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest
from multidict import CIMultiDict

from scalesync.cli.event_loop import LEAST_FILES
from scalesync.errors import Unavailable
from scalesync.flows.imports.intake import Intake
from scalesync.flows.runtime.wiring import make_gate
from scalesync.http.credentials import bearer
from scalesync.http.network import SPARE_FILES, connections_allowed
from scalesync.http.transport import Transport
from scalesync.ledger.sqlite.store import SqliteLedger
from scalesync.model.jobs import JobSpec
from scalesync.model.targets import Mode, RequestClass, Target
from scalesync.sandbox import FaultRule
from tests.conftest import KIND, PROJECT, letter
from tests.network.test_never_hangs import OpenGate, one_task_each

HOUR_S = 3600


class Clock:
    """The wall clock of this process, moved by `shift_s`; the monotonic one goes on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.shift_s = 0
        wall, wall_ns = time.time, time.time_ns
        monkeypatch.setattr(time, "time", lambda: wall() + self.shift_s)
        monkeypatch.setattr(time, "time_ns", lambda: wall_ns() + self.shift_s * 1_000_000_000)


@pytest.fixture
def clock(monkeypatch) -> Clock:
    return Clock(monkeypatch)


def dated(date: str) -> CIMultiDict[str]:
    return CIMultiDict({"Date": date})


@pytest.mark.parametrize("shift_s", [-HOUR_S, HOUR_S])
def test_the_servers_time_does_not_jump_with_the_local_clock(shift_s, clock):
    transport = Transport("http://127.0.0.1:1/v1", bearer("k"), OpenGate())
    assert abs(transport.server_now_ms - time.time() * 1000) < 1000
    transport._note_time(dated("Fri, 20 Nov 2026 12:00:00 GMT"))
    before = transport.server_now_ms
    assert 0 <= before - 1_795_176_000_000 < 1000
    clock.shift_s = shift_s
    assert 0 <= transport.server_now_ms - before < 1000


@pytest.mark.parametrize("date", ["", "yesterday", "Fri, 31 Feb 2026 12:00:00 GMT"])
def test_a_date_that_is_none_changes_nothing(date):
    transport = Transport("http://127.0.0.1:1/v1", bearer("k"), OpenGate())
    transport._note_time(dated(date))
    assert abs(transport.server_now_ms - time.time() * 1000) < 1000


@pytest.mark.parametrize("shift_s", [-HOUR_S, HOUR_S])
async def test_an_hour_that_passes_during_a_run_takes_no_lease_and_adopts_nothing(
    shift_s, clock, make_sandbox, hurried, load, write_records, monkeypatch
):
    sandbox = await make_sandbox()
    hurried()
    sent = 0
    real = Intake.take

    async def take(self, prepared):
        nonlocal sent
        sent += 1
        if sent == 2:
            clock.shift_s = shift_s
        return await real(self, prepared)

    monkeypatch.setattr(Intake, "take", take)
    records = [letter(number) for number in range(600)]
    source = write_records(records)
    summary = await load(sandbox.base_url, source)
    assert sent > 1
    assert (summary.exit_code, summary.created, summary.adopted) == (0, 600, 0)
    one_task_each(sandbox, 600)
    summary = await load(sandbox.base_url, write_records([*records, letter(600)]))
    assert (summary.exit_code, summary.created) == (0, 601)


async def test_after_the_clock_went_back_a_lost_reply_is_still_ones_own_task(
    clock, make_sandbox, hurried, load, write_records
):
    sandbox = await make_sandbox([FaultRule(kind="cut", on="create", share=0.5)])
    hurried()
    clock.shift_s = -HOUR_S
    summary = await load(sandbox.base_url, write_records(60))
    assert (summary.exit_code, summary.created, summary.adopted, summary.failed) == (0, 60, 0, 0)
    one_task_each(sandbox, 60)


def test_a_lease_from_before_the_clock_went_back_binds_nobody_when_its_owner_is_gone(clock, tmp_path):
    program = f"""
import asyncio, os, sys
from pathlib import Path
from scalesync.ledger.sqlite.store import SqliteLedger
from scalesync.model.targets import Mode, Target
from scalesync.model.jobs import JobSpec
async def main():
    ledger = SqliteLedger.open(Path({str(tmp_path / "ledger.db")!r}), note=print)
    await ledger.open_import(JobSpec("job", "import", Target("http://x/v1", Mode.TEST), {{}}, {{}}))
    os._exit(0)
asyncio.run(main())
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=20)
    clock.shift_s = -HOUR_S
    assert take_job(tmp_path / "ledger.db") == "job"


def take_job(path: Path) -> str:
    async def main() -> str:
        ledger = SqliteLedger.open(path, note=print)
        try:
            job = await ledger.open_import(JobSpec("job", "import", Target("http://x/v1", Mode.TEST), {}, {}))
            await job.finish(complete=False, exit_code=0, figures={})
            return job.name
        finally:
            ledger.close()

    return asyncio.run(main())


# --- open files --------------------------------------------------------------------------------


def test_the_width_keeps_below_the_limit_of_open_files(monkeypatch):
    for soft, most in ((256, 256 - SPARE_FILES), (20, 1), (resource.RLIM_INFINITY, 512), (1_000_000, 512)):
        monkeypatch.setattr(resource, "getrlimit", lambda _, soft=soft: (soft, soft))
        assert connections_allowed(512) == most


async def test_a_width_that_a_person_set_keeps_below_it_too(monkeypatch, make_sandbox, settings_for):
    sandbox = await make_sandbox()
    monkeypatch.setattr(resource, "getrlimit", lambda _: (100, 100))
    pace, _ = make_gate(settings_for(sandbox, concurrency="512").way, RequestClass.CREATE)
    assert pace.width(RequestClass.CREATE) == 100 - SPARE_FILES


async def test_no_free_file_is_no_connection(make_sandbox, monkeypatch):
    sandbox = await make_sandbox()

    def refuse(*args: object, **kwargs: object) -> object:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    async with Transport(sandbox.base_url, bearer("live_k"), OpenGate()) as transport:
        monkeypatch.setattr("aiohappyeyeballs.impl.socket.socket", refuse)
        with pytest.raises(Unavailable, match="Too many open files"):
            await transport.call(RequestClass.CREATE, "POST", f"/task/{KIND}", body=b"{}")


RUN = """
import resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, ({limit}, {limit}))
from scalesync.cli.main import run
sys.exit(run(sys.argv[1:]))
"""


@pytest.mark.parametrize(("limit", "records"), [(256, 2000), (90, 500)])
async def test_an_import_under_a_low_limit_of_open_files_creates_everything(
    limit, records, make_sandbox, write_records, tmp_path
):
    summary = await import_under(limit, records, make_sandbox, write_records, tmp_path)
    assert summary["peak_in_flight"] <= limit - SPARE_FILES + 4  # look-ups beside the creates


@pytest.mark.parametrize("limit", [8, 12, LEAST_FILES - 1])
def test_with_too_few_open_files_for_anything_there_is_one_sentence(limit, tmp_path):
    environment = {**os.environ, "SCALE_API_KEY": "test_k", "SCALE_API_URL": "http://127.0.0.1:1/v1"}
    command = [sys.executable, "-c", RUN.format(limit=limit), "export", "--out", str(tmp_path / "out")]
    command += ["--ledger", str(tmp_path / "files.db")]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=50)
    told = f"scalesync: only {limit} files may be open at once, which is too few; raise that, such as ulimit -n 256\n"
    assert (ended.returncode, ended.stdout, ended.stderr) == (2, "", told)


async def test_the_fewest_open_files_suffice(make_sandbox, write_records, tmp_path):
    await import_under(LEAST_FILES, 5, make_sandbox, write_records, tmp_path)


@pytest.mark.soak
async def test_ten_thousand_records_under_256_open_files_create_everything(make_sandbox, write_records, tmp_path):
    await import_under(256, 10_000, make_sandbox, write_records, tmp_path)


async def import_under(limit, records, make_sandbox, write_records, tmp_path):
    sandbox = await make_sandbox([FaultRule(kind="latency", on="create", seconds=0.05)], journal_size=0)
    command = [sys.executable, "-c", RUN.format(limit=limit), "import", str(write_records(records)), "--type", KIND]
    command += ["--project", PROJECT, "--json", "--concurrency", "512", "--ledger", str(tmp_path / "files.db")]
    process = await asyncio.create_subprocess_exec(
        *command,
        env={**os.environ, "SCALE_API_KEY": "test_k", "SCALE_API_URL": sandbox.base_url},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), 50)
    assert process.returncode == 0, err.decode()
    summary = json.loads(out)
    assert (summary["created"], summary["failed"]) == (records, 0)
    return summary
