"""Imports: scalesync beside other clients, all reading the same JSONL files and creating tasks on the same server.

python -m benchmarks --only imports
"""

from __future__ import annotations

import json
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from benchmarks import measure
from benchmarks.measure import Figures, RunFailed, environment, in_turn, per_task, run_process
from benchmarks.nginx import Seen
from benchmarks.peers import TASK_TYPE
from benchmarks.records import records_file

HERE = Path(__file__).parent
SESSION = {"SCALESYNC_TRANSPORT": "session"}
WRK_S = 3
FAST, FAST_HASH, FAST_TLS = 160_000, 80_000, 40_000
SLOW_TLS = {"sdk-30": 800, "sdk-30-store": 150}
SLOW = {"sdk": 2_000, "sdk-30": 3_000, "httpx": 300, "httpx-8": 1_500}  # records that keep them busy for some seconds


class Server(Protocol):
    """What a benchmark needs of a server: its v1 root, how to trust it, what it counted, what it cost."""

    @property
    def base_url(self) -> str: ...
    @property
    def env(self) -> Mapping[str, str]: ...
    @property
    def store_env(self) -> Mapping[str, str]: ...
    def seen(self, *, reset: bool = False) -> Seen: ...
    def cpu_s(self) -> float: ...


Serve = Callable[..., AbstractContextManager[Server]]


@dataclass(frozen=True, slots=True)
class Scenario:
    """records: for the fast clients; few: for the slow ones, where they take part."""

    name: str
    title: str
    ids: str
    in_flight: int
    peers: tuple[str, ...]
    records: int
    few: dict[str, int]
    tls: bool = False
    latency_ms: float = 0

    def tasks(self, peer: str) -> int:
        """How many tasks a client has to create."""
        return self.few.get(peer, self.records)


RATIOS = {
    "sequential": (
        ("scalesync", "bare"),
        ("scalesync-session", "bare"),
        ("scalesync", "sdk-30"),
        ("scalesync", "sdk"),
        ("scalesync", "httpx-8"),
        ("scalesync", "httpx"),
    ),
    "hash": (("scalesync", "bare"), ("scalesync-session", "bare")),
    "tls": (("scalesync", "sdk-30"), ("scalesync", "sdk-30-store"), ("scalesync", "bare")),
}


def scenarios(scale: float) -> list[Scenario]:
    """The three comparisons. scale: 1 makes runs of 5 to 12 s for fast clients and 2 to 5 s for slow ones."""
    fast = ("bare", "scalesync", "scalesync-session")
    many, hashed = max(20, int(FAST * scale)), max(20, int(FAST_HASH * scale))
    few, few_tls = ({name: max(10, int(count * scale)) for name, count in all_.items()} for all_ in (SLOW, SLOW_TLS))
    plain = "plain http, no latency, 64 in flight, "
    return [
        Scenario(
            "sequential",
            plain + "sequential ids",
            "sequential",
            64,
            ("sdk", "sdk-30", "httpx-8", "httpx", *fast, "wrk"),
            many,
            few,
        ),
        Scenario("hash", plain + "random ids (32 hexadecimal digits)", "hash", 64, fast, hashed, few),
        Scenario(
            "tls",
            "TLS, 50 ms latency, 300 in flight (SDK: 30 threads)",
            "sequential",
            300,
            ("sdk-30", "sdk-30-store", "bare", "scalesync"),
            max(20, int(FAST_TLS * scale)),
            few_tls,
            tls=True,
            latency_ms=50,
        ),
    ]


def run_scenario(
    scenario: Scenario, serve: Serve, work: Path, rounds: int, note: Callable[[str], None]
) -> dict[str, Any]:
    """All rounds of a scenario against one server; figures by client, and ratios."""
    note(scenario.title)
    file = records_file(work, scenario.ids, scenario.records)
    with serve(tls=scenario.tls, latency_ms=scenario.latency_ms) as server:
        trial = Trial(scenario, server, file, work)
        found = in_turn({peer: partial(trial.run, peer) for peer in scenario.peers}, rounds, note)
    return {
        "title": scenario.title,
        "in_flight": scenario.in_flight,
        "latency_ms": scenario.latency_ms,
        "tls": scenario.tls,
        "ids": scenario.ids,
        "record_bytes": round(file.stat().st_size / scenario.records),
        "divided_by": "tasks that the server saw created; wall and CPU from the start of the process to its end",
        "peers": {peer: {"figures": measure.summarized(all_), "rounds": all_} for peer, all_ in found.items()},
        "ratios": {
            f"{ours} / {theirs}": {
                figure: measure.ratio(found, ours, theirs, figure) for figure in ("tasks_per_s", "cpu_us_per_task")
            }
            for ours, theirs in RATIOS[scenario.name]
            if ours in found and theirs in found
        },
    }


@dataclass(frozen=True, slots=True)
class Trial:
    """A scenario under way: its server and its file."""

    scenario: Scenario
    server: Server
    file: Path
    work: Path

    def run(self, peer: str) -> Figures:
        """One process of a client. Raises RunFailed unless the server saw exactly the tasks that were wanted."""
        before = self.server.cpu_s()
        self.server.seen(reset=True)
        if peer == "wrk":
            return self._wrk(before)
        wanted = self.scenario.tasks(peer)
        found = self._scalesync(peer) if peer.startswith("scalesync") else self._peer(peer, wanted)
        arrived = self.server.seen().creates
        if arrived != wanted:
            raise RunFailed(f"{peer} was to create {wanted} tasks, the server saw {arrived}")
        return per_task(found, wanted, self.server.cpu_s() - before)

    def _peer(self, peer: str, wanted: int) -> Figures:
        name, threads, store = (*peer.split("-"), "", "")[:3]
        in_flight = threads or ("1" if name == "sdk" else str(self.scenario.in_flight))
        trust = self.server.store_env if store else self.server.env
        command = [sys.executable, "-m", "benchmarks.peers", name, "--url", self.server.base_url]
        options = ["--file", str(self.file), "--in-flight", in_flight, "--limit", str(wanted)]
        sample = run_process(command + options, env=environment(trust))
        if int(sample.said) != wanted:
            raise RunFailed(f"{peer} created {sample.said.strip()} of {wanted} tasks")
        return sample.figures()

    def _scalesync(self, peer: str) -> Figures:
        env = environment({**self.server.env, **(SESSION if peer == "scalesync-session" else {})})
        folder = Path(tempfile.mkdtemp(prefix="ledger-", dir=self.work))
        try:
            ledger = folder / "scalesync.db"
            command = import_command(self.file, self.server.base_url, ledger, concurrency=self.scenario.in_flight)
            sample = run_process(command, env=env)
            size = ledger_bytes(folder)
        finally:
            shutil.rmtree(folder)
        summary = json.loads(sample.said)
        if summary["created"] != self.scenario.records:
            raise RunFailed(f"{peer} created {summary['created']} of {self.scenario.records} tasks")
        return sample.figures() | {"requests": summary["requests"], "ledger_bytes_per_task": size / summary["created"]}

    def _wrk(self, server_before: float) -> Figures:
        """A fixed time instead of a fixed number; the ids are its own."""
        command = ["wrk", "-t1", f"-c{self.scenario.in_flight}", f"-d{WRK_S}s", "-s", str(HERE / "wrk.lua")]
        url = f"{self.server.base_url}/task/{TASK_TYPE}"
        sample = run_process([*command, url, "--", str(self.file)], env=environment({}))
        done = re.search(r"(\d+) requests in", sample.said)
        if done is None or re.search(r"Non-2xx|Socket errors", sample.said):
            raise RunFailed(f"wrk: {sample.said}")
        return per_task(sample.figures(), int(done[1]), self.server.cpu_s() - server_before)


def import_command(
    file: Path, base_url: str, ledger: Path, *, concurrency: int | None = None, rate: str | None = None
) -> Sequence[str]:
    """An import as a person would type it, with a summary to read. rate None: found by the program itself."""
    width = [] if concurrency is None else ["--concurrency", str(concurrency)]
    command = [sys.executable, "-m", "scalesync", "import", str(file), "--type", TASK_TYPE, "--base-url", base_url]
    pace = [] if rate is None else ["--rate", rate]
    return [*command, *pace, *width, "--ledger", str(ledger), "--yes", "--json", "--quiet"]


def ledger_bytes(folder: Path) -> int:
    """The ledger with everything beside it."""
    return sum(path.stat().st_size for path in folder.iterdir())
