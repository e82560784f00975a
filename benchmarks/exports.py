"""Exports: scalesync beside the official SDK and dlt's REST source, against one sandbox process.

    python -m benchmarks.exports --tasks 50000 --spread even --rounds 3
    python -m benchmarks.exports --tasks 500000 --spread hour --rounds 2 --no-peers

The ideal is pages x latency / in flight: what a client that costs nothing would take. The other clients read one page
after the other; they get a project of their own with fewer tasks, and rates are compared.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import measure
from benchmarks.measure import ROOT, Figures, RunFailed, environment, in_turn, per_task, run_process

PAGE = 100
MANY, FEW = "bench", "few"  # projects
PEERS = {"sdk": "sdk-export", "dlt": "dlt-export"}


@dataclass(frozen=True, slots=True)
class Plan:
    """tasks: for scalesync; few: for the clients that take a page at a time."""

    tasks: int = 50_000
    few: int = 2_000
    spread: str = "even"
    latency_s: float = 0.2
    in_flight: int = 64
    peers: tuple[str, ...] = tuple(PEERS)


@contextmanager
def filled_sandbox(plan: Plan) -> Iterator[str]:
    """A sandbox process with two projects of annotated tasks; yields its v1 root."""
    command = [sys.executable, "-m", "benchmarks.serve_tasks", "--tasks", str(plan.tasks), "--few", str(plan.few)]
    options = ["--spread", plan.spread, "--latency", str(plan.latency_s)]
    with subprocess.Popen(command + options, stdout=subprocess.PIPE, text=True, cwd=ROOT) as server:
        try:
            assert server.stdout is not None
            words = server.stdout.readline().split()
            if words[:1] != ["ready"]:
                raise RunFailed("the sandbox did not start")
            yield words[1]
        finally:
            server.kill()


def run_exports(plan: Plan, work: Path, rounds: int, note: Callable[[str], None]) -> dict[str, Any]:
    """All rounds; figures by client, ratios, and how far from the ideal."""
    title = f"export from the sandbox, {plan.latency_s * 1000:.0f} ms a page, {plan.in_flight} in flight"
    note(title)
    with filled_sandbox(plan) as base_url:
        runs = {"scalesync": partial(with_scalesync, plan, base_url, work)}
        runs |= {name: partial(with_peer, PEERS[name], plan, base_url, work) for name in plan.peers}
        found = in_turn(runs, rounds, note)
    ideal_s = plan.tasks / PAGE * plan.latency_s / plan.in_flight
    figures = {name: measure.summarized(all_) for name, all_ in found.items()}
    return {
        "title": title,
        "spread": plan.spread,
        "in_flight": plan.in_flight,
        "latency_ms": plan.latency_s * 1000,
        "divided_by": "tasks read; wall and CPU from the start of the process to its end",
        "ideal_s": round(ideal_s, 3),
        "of_ideal": round(figures["scalesync"]["wall_s"]["median"] / ideal_s, 2) if ideal_s else None,
        "pages": plan.tasks / PAGE,
        "peers": {name: {"figures": figures[name], "rounds": all_} for name, all_ in found.items()},
        "ratios": {
            f"scalesync / {name}": {
                figure: measure.ratio(found, "scalesync", name, figure) for figure in ("tasks_per_s", "cpu_us_per_task")
            }
            for name in found
            if name != "scalesync"
        },
    }


def with_scalesync(plan: Plan, base_url: str, work: Path) -> Figures:
    """One full export into a fresh folder, with a fresh ledger."""
    folder = Path(tempfile.mkdtemp(prefix="export-", dir=work))
    try:
        command = [sys.executable, "-m", "scalesync", "export", "--out", str(folder / "out"), "--project", MANY]
        options = ["--base-url", base_url, "--concurrency", str(plan.in_flight), "--json", "--quiet"]
        sample = run_process([*command, *options, "--ledger", str(folder / "scalesync.db")], env=environment({}))
    finally:
        shutil.rmtree(folder)
    summary = json.loads(sample.said)
    if (summary["tasks"], summary["unsettled"]) != (plan.tasks, 0):
        raise RunFailed(f"scalesync exported {summary['tasks']} of {plan.tasks} tasks")
    return per_task(sample.figures(), plan.tasks) | {"requests": summary["requests"]}


def with_peer(peer: str, plan: Plan, base_url: str, work: Path) -> Figures:
    """One export by another client."""
    folder = Path(tempfile.mkdtemp(prefix="export-", dir=work))
    try:
        command = [sys.executable, "-m", "benchmarks.peers", peer, "--url", base_url, "--project", FEW]
        sample = run_process([*command, "--out", str(folder)], env=environment({}))
    finally:
        shutil.rmtree(folder)
    if int(sample.said.split()[-1]) != plan.few:
        raise RunFailed(f"{peer} read {sample.said.strip()} of {plan.few} tasks")
    return per_task(sample.figures(), plan.few)


def main() -> None:
    """Parse, run, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", type=int, default=50_000)
    parser.add_argument("--few", type=int, default=2_000, help="tasks for the SDK and dlt")
    parser.add_argument("--spread", choices=["even", "hour"], default="even")
    parser.add_argument("--latency", type=float, default=0.2, help="seconds")
    parser.add_argument("--in-flight", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "exports.json")
    args = parser.parse_args()
    plan = Plan(args.tasks, args.few, args.spread, args.latency, args.in_flight, () if args.no_peers else tuple(PEERS))
    work = ROOT / "build" / "bench"
    work.mkdir(parents=True, exist_ok=True)
    result = run_exports(plan, work, args.rounds, lambda line: print(line, file=sys.stderr, flush=True))
    args.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    figures = {name: found["figures"] for name, found in result.pop("peers").items()}
    print(json.dumps(result | {"figures": figures}, indent=2))


if __name__ == "__main__":
    main()
