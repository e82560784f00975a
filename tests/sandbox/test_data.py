"""State kept in a file."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from scalesync.sandbox import Sandbox, SandboxConfig
from scalesync.sandbox.core import datalog
from scalesync.sandbox.scale import store
from scalesync.sandbox.scale.tasks import lifecycle

from .support import CREATE, Api, basic


def fill(api: Api) -> None:
    api.world.add_project("p", "categorization", {"instruction": "x", "big": 2**70})
    api.world.add_project("r", "categorization", rapid=True)
    api.world.add_batch("p", "b")
    api.world.add_batch("r", "s")
    for n in range(6):
        api.create(unique_id=f"u{n}", batch="b" if n % 2 else "s", tags=["t"] if n == 1 else [])
        api.clock.forward(0.5)
    api.post("/task/categorization", CREATE, idempotency_key="once")
    lifecycle.annotate(api.world, 2)
    canceled = api.world.by_unique_id("u5")["task_id"]
    api.post(f"/task/{canceled}/cancel?clear_unique_id=true")
    api.post("/projects/p/setParams", {"instruction": "y"})
    api.world.remove(api.world.find(api.world.by_unique_id("u4")["task_id"]))
    audited = api.world.by_unique_id("u1")["task_id"]
    api.call("POST", f"/task/{audited}/audit", {"accepted": True})


def picture(api: Api) -> list[Any]:
    paths = ("/tasks", "/tasks?status=completed", "/tasks?tags=t", "/batches", "/projects", "/batches/b/status")
    return [api.get(path) for path in paths] + [dict(api.world.counts), sorted(api.world.unique)]


def test_everything_is_there_after_a_restart(tmp_path: Path) -> None:
    api = Api(data=tmp_path / "state", annotate_after_s=100)
    fill(api)
    before = picture(api)
    api.store.close()
    again = Api(data=tmp_path / "state", annotate_after_s=100)
    again.clock.ms = api.clock.ms
    assert picture(again) == before
    assert again.refused("POST", "/task/categorization", CREATE, idempotency_key="once")[0] == 409
    assert again.create()["task_id"] > again.get("/tasks?limit=2")["docs"][1]["task_id"]
    again.clock.forward(100)
    assert again.get("/tasks?status=pending")["total"] == 3 - 1  # those in staging wait
    again.store.close()


def test_a_clock_set_back_between_two_runs_does_not_turn_the_order(tmp_path: Path) -> None:
    api = Api(data=tmp_path / "state")
    api.clock.forward(60)
    before = api.create()
    api.store.close()
    again = Api(data=tmp_path / "state")
    after = again.create()
    assert after["created_at"] == before["created_at"]
    assert after["task_id"] > before["task_id"]
    again.store.close()


def test_a_torn_tail_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "state"
    api = Api(data=path)
    fill(api)
    before = picture(api)
    api.store.close()
    whole = path.read_bytes()
    for tail in (b"\0", b"\0\0\0\x09\0\0\0\0half", b"\0\0\0\x02\0\0\0\0xx"):
        path.write_bytes(whole + tail)
        again = Api(data=path)
        again.clock.ms = api.clock.ms
        assert picture(again) == before
        again.store.close()
        assert path.read_bytes() == whole


def test_an_outdated_file_is_rewritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "COMPACT_BYTES", 100)
    path = tmp_path / "state"
    api = Api(data=path)
    fill(api)
    task_id = api.world.by_unique_id("u3")["task_id"]
    for n in range(100):
        api.post(f"/task/{task_id}/setMetadata", {"n": n})
    before = picture(api)
    api.store.close()
    size = path.stat().st_size
    for _ in range(2):
        again = Api(data=path)
        again.clock.ms = api.clock.ms
        assert picture(again) == before
        assert path.stat().st_size < size / 2
        again.post(f"/task/{task_id}/setMetadata", {"n": 99})
        before = picture(again)
        again.store.close()
    assert [entry.name for entry in tmp_path.iterdir()] == ["state"]


def test_another_seed_or_a_foreign_file_is_refused(tmp_path: Path) -> None:
    Api(data=tmp_path / "state").store.close()
    with pytest.raises(ValueError, match="seed 0, not 3"):
        Api(data=tmp_path / "state", seed=3)
    text = tmp_path / "text"
    text.write_text("precious notes")
    with pytest.raises(ValueError, match="not a data file"):
        Api(data=text)
    assert text.read_text() == "precious notes"


@pytest.mark.skipif(sys.platform == "win32", reason="no flock")
def test_two_sandboxes_do_not_share_a_file(tmp_path: Path) -> None:
    api = Api(data=tmp_path / "state")
    with pytest.raises(ValueError, match="in use"):
        Api(data=tmp_path / "state")
    api.store.close()


def test_large_states_are_flushed_on_the_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datalog, "FLUSH_BYTES", 1000)
    api = Api(data=tmp_path / "state")
    for _ in range(10):
        api.create()
    assert (tmp_path / "state").stat().st_size > 1000
    api.store.close()


async def test_what_is_written_reaches_the_file_soon(tmp_path: Path) -> None:
    path = tmp_path / "state"
    async with Sandbox(SandboxConfig(data=path, data_flush_s=0.01)) as sandbox:
        size = path.stat().st_size
        sandbox.store.world("live").add_project("p", "categorization")
        async with asyncio.timeout(5):
            while path.stat().st_size == size:
                await asyncio.sleep(0.005)


PROGRAM = """
import sys
from scalesync.sandbox import FaultRule, SandboxConfig, serve
faults = [FaultRule(kind="reset", on="list", at=(1,))]
serve(SandboxConfig(data=sys.argv[1], data_sync=True), faults, "127.0.0.1", 0, lambda url: print(url, flush=True))
"""


def run(path: Path) -> tuple[subprocess.Popen[str], str]:
    process = subprocess.Popen([sys.executable, "-c", PROGRAM, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def ask(url: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Authorization": basic("live_key")})
    with urllib.request.urlopen(request, timeout=10) as reply:
        return json.loads(reply.read())


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_a_server_survives_kill_9_and_stops_cleanly_on_sigterm(tmp_path: Path) -> None:
    process, url = run(tmp_path / "state")
    made = [ask(f"{url}/task/categorization", CREATE) for _ in range(5)]
    process.kill()
    process.communicate()
    process, url = run(tmp_path / "state")
    assert ask(f"{url}/tasks")["docs"] == made[::-1]
    with pytest.raises(ConnectionResetError):
        ask(f"{url}/tasks")
    assert ask(url.replace("/v1", "/_sandbox/journal")) == []
    os.kill(process.pid, signal.SIGTERM)
    process.communicate()
    assert process.returncode == 0
