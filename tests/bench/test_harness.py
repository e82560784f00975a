"""The benchmarks at tiny size: figures come out, belong together, and a client that did not do its work stops them."""

from __future__ import annotations

import asyncio
import json
import resource
import subprocess
import sys
import urllib.request
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks import calls, measure, page
from benchmarks.exports import Plan, run_exports
from benchmarks.imports import Scenario, Serve, Trial, run_scenario, scenarios
from benchmarks.measure import RunFailed, environment, in_turn, run_process
from benchmarks.nginx import NoNginx, Seen, serving
from benchmarks.records import records_file, sequential_id

TINY = Scenario("sequential", "tiny", "sequential", 8, ("sdk-30", "bare", "scalesync"), 40, {"sdk-30": 10})


def quiet(_: str) -> None:
    """Nobody reads along."""


async def test_an_import_gives_figures_that_belong_together(serve_sandbox: Serve, tmp_path: Path) -> None:
    found = await asyncio.to_thread(run_scenario, TINY, serve_sandbox, tmp_path, 2, quiet)
    assert {name: peer["figures"]["tasks"]["median"] for name, peer in found["peers"].items()} == {
        "sdk-30": 10,
        "bare": 40,
        "scalesync": 40,
    }
    for peer in found["peers"].values():
        assert len(peer["rounds"]) == 2
        for figures in peer["rounds"]:
            assert figures["tasks_per_s"] == pytest.approx(figures["tasks"] / figures["wall_s"], rel=0.01)
            assert 0 < figures["cpu_s"] < 60
            assert figures["peak_mb"] > 10
        rate = peer["figures"]["tasks_per_s"]
        assert rate["min"] <= rate["median"] <= rate["max"]
    scalesync, bare = (found["peers"][name]["rounds"] for name in ("scalesync", "bare"))
    quotients = [ours["tasks_per_s"] / theirs["tasks_per_s"] for ours, theirs in zip(scalesync, bare, strict=True)]
    ratio = found["ratios"]["scalesync / bare"]["tasks_per_s"]
    assert (ratio["min"], ratio["max"]) == pytest.approx((min(quotients), max(quotients)), rel=0.01)
    assert scalesync[0]["ledger_bytes_per_task"] > 50
    assert sorted(path.name for path in tmp_path.iterdir()) == ["records-sequential-40.jsonl"]


def test_single_calls_are_counted_and_compared(tmp_path: Path) -> None:
    try:
        found = calls.run(tmp_path, 1, 0.004, quiet)
    except NoNginx as error:
        pytest.skip(str(error))
    for part, peers in (("tls", {"sdk-30", "bare", "scalesync"}), ("cpu", {"bare", "scalesync"})):
        assert found[part]["peers"].keys() == peers
        for peer in found[part]["peers"].values():
            (figures,) = peer["rounds"]
            assert figures["tasks_per_s"] == pytest.approx(figures["tasks"] / figures["wall_s"], rel=0.01)
            assert 0 < figures["cpu_us_per_task"] < 1e6
        ours, theirs = (found[part]["peers"][name]["rounds"][0]["tasks_per_s"] for name in ("scalesync", "bare"))
        ratio = found[part]["ratios"]["scalesync / bare"]["tasks_per_s"]["median"]
        assert ratio == pytest.approx(ours / theirs, rel=0.01)
    assert found["cpu"]["peers"]["bare"]["figures"]["tasks"]["median"] == 44
    assert "times (" in page.render("<!-- figures: calls -->\n<!-- end of figures -->", {"calls": found})


async def test_a_client_whose_calls_fail_stops_the_benchmark(serve_sandbox: Serve) -> None:
    with serve_sandbox() as server:
        await asyncio.to_thread(server.seen, reset=True)
        with pytest.raises(RunFailed, match="Task with that ID not found"):
            await asyncio.to_thread(calls.measured, server, "scalesync", 1)


async def test_a_client_whose_tasks_did_not_arrive_stops_the_benchmark(serve_sandbox: Serve, tmp_path: Path) -> None:
    file = records_file(tmp_path, "hash", 5)
    with serve_sandbox() as server:
        trial = Trial(replace(TINY, records=6), server, file, tmp_path)
        with pytest.raises(RunFailed, match="created 5"):
            await asyncio.to_thread(trial.run, "bare")


async def test_a_client_that_claims_too_much_is_found_out(serve_sandbox: Serve, tmp_path: Path) -> None:
    with serve_sandbox() as server:
        kept = server.seen

        def short(*, reset: bool = False) -> Seen:
            seen = kept(reset=reset)
            return replace(seen, creates=seen.creates - 1)

        server.seen = short  # type: ignore[method-assign]
        trial = Trial(replace(TINY, records=5), server, records_file(tmp_path, "hash", 5), tmp_path)
        with pytest.raises(RunFailed, match="the server saw 4"):
            await asyncio.to_thread(trial.run, "bare")


async def test_an_export_gives_figures(tmp_path: Path) -> None:
    plan = Plan(tasks=250, few=120, latency_s=0.01, in_flight=4, peers=("sdk",))
    found = await asyncio.to_thread(run_exports, plan, tmp_path, 1, quiet)
    assert found["peers"]["scalesync"]["figures"]["tasks"]["median"] == 250
    assert found["peers"]["sdk"]["figures"]["tasks"]["median"] == 120
    assert found["ideal_s"] == pytest.approx(2.5 * 0.01 / 4, abs=0.001)
    assert not list(tmp_path.iterdir())


def test_rounds_begin_with_another_client_each_time() -> None:
    order: list[str] = []

    def run(name: str) -> dict[str, float]:
        order.append(name)
        return {"wall_s": 1.0, "tasks_per_s": float(len(order))}

    found = in_turn({name: lambda name=name: run(name) for name in "abc"}, 3, quiet)  # type: ignore[misc]
    assert "".join(order) == "abcbcacab"
    assert [figures["tasks_per_s"] for figures in found["c"]] == [3, 5, 7]


def test_a_process_that_fails_tells_its_words() -> None:
    with pytest.raises(RunFailed, match="no such thing"):
        run_process([sys.executable, "-c", "raise SystemExit('no such thing')"], env=environment({}))


def test_cpu_and_memory_are_those_of_the_process() -> None:
    code = "import time; block = bytearray(200_000_000); spent = time.process_time\nwhile spent() < 0.5: pass"
    sample = run_process([sys.executable, "-c", code], env=environment({}))
    assert 0.5 <= sample.cpu_s < 5
    assert sample.wall_s >= 0.5
    ours_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # a child begins with what its parent had
    assert 200 < sample.peak_mb < max(400, 1.2 * ours_mb)


def test_the_environment_of_clients_holds_nobodys_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCALE_API_URL", "https://api.scale.com/v1")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
    env = environment({"SCALESYNC_TRANSPORT": "session"})
    assert not {"SCALE_API_URL", "HTTPS_PROXY"} & env.keys()
    assert (env["SCALE_API_KEY"], env["SCALESYNC_TRANSPORT"]) == (measure.KEY, "session")


def test_records_have_the_ids_that_were_asked_for(tmp_path: Path) -> None:
    for kind, length in (("sequential", 30), ("hash", 32)):
        lines = [json.loads(line) for line in records_file(tmp_path, kind, 100).read_bytes().splitlines()]
        keys = [line["unique_id"] for line in lines]
        assert {len(key) for key in keys} == {length}
        assert len(set(keys)) == 100
        assert (keys == sorted(keys)) == (kind == "sequential")
    assert len(sequential_id(999_999)) == 30


def test_all_comparisons_have_the_clients_that_their_ratios_need() -> None:
    for scenario in scenarios(1.0):
        assert "scalesync" in scenario.peers
        assert all(scenario.tasks(peer) >= 100 for peer in scenario.peers)


def post(url: str, body: bytes) -> dict[str, Any]:
    request = urllib.request.Request(url, data=body, method="POST")
    with urllib.request.urlopen(request, timeout=10) as reply:
        value: dict[str, Any] = json.load(reply)
        return value


@pytest.mark.parametrize("place", ["first", "middle", "last", "alone"])
def test_nginx_answers_like_a_task(place: str) -> None:
    key, others = '"unique_id": "drive-1"', ['"attachment": "https://e.com/1.jpg"', '"metadata": {"n": 1}']
    at = {"first": [key, *others], "middle": [others[0], key, others[1]], "last": [*others, key], "alone": [key]}[place]
    body = ("{" + ", ".join(at) + "}").encode()
    try:
        with serving(count_bytes=True) as server:
            task = post(f"{server.base_url}/task/imageannotation", body)
            again = post(f"{server.base_url}/task/imageannotation", body)
            seen = server.seen(reset=True)
            after = server.seen()
    except NoNginx as error:
        pytest.skip(str(error))
    expected = {name: value for name, value in json.loads(body).items() if name != "unique_id"}
    assert (task["unique_id"], task["params"]) == ("drive-1", expected)
    assert (task["type"], task["status"], len(task["task_id"])) == ("imageannotation", "pending", 24)
    assert again["task_id"] == task["task_id"]
    assert (seen.creates, after.creates) == (2, 0)
    assert seen.received > 2 * len(body)
    assert seen.sent > seen.received


def test_the_command_line_refuses_a_part_that_does_not_exist() -> None:
    command = [sys.executable, "-m", "benchmarks", "--only", "imports,everything"]
    found = subprocess.run(command, cwd=measure.ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 2
    assert "no such part: everything" in found.stderr
