"""How long does it take to get N tasks out? scalesync beside the official SDK, against the same sandbox process.

    python benchmarks/bench_export.py --tasks 50000 --spread even --in-flight 64 --rounds 3
    python benchmarks/bench_export.py --tasks 500000 --spread hour --no-sdk

Whole processes, interleaved. The ideal is pages x latency / in flight: what a client that costs nothing would take.
Writes JSON (figures, machine, versions) to --json, default build/bench_export.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
KEY = "live_bench"
PAGE = 100

SDK = """
import sys, scaleapi
client = scaleapi.ScaleClient("{key}", api_instance_url="{url}")
count = sum(1 for _ in client.get_tasks(project_name="bench", include_attachment_url=False))
print(count)
"""


def timed(command: list[str], folder: Path) -> dict[str, Any]:
    """Run a command as a whole process: wall and CPU seconds, peak memory in MB, what it printed last."""
    env = {**os.environ, "SCALE_API_KEY": KEY}
    started = time.monotonic()
    with subprocess.Popen(command, cwd=folder, env=env, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        out = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    return {
        "wall_s": round(time.monotonic() - started, 2),
        "cpu_s": round(usage.ru_utime + usage.ru_stime, 2),
        "peak_mb": round(usage.ru_maxrss / 1024),
        "exit_code": process.returncode,
        "said": out.strip().splitlines()[-1] if out.strip() else "",
    }


def with_scalesync(base_url: str, args: argparse.Namespace) -> dict[str, Any]:
    """One full export into a fresh folder, with a fresh ledger."""
    folder = Path(tempfile.mkdtemp(prefix="bench-export-"))
    try:
        found = timed(
            [
                *(sys.executable, "-m", "scalesync", "export", "--out", "out", "--project", "bench"),
                *("--base-url", base_url, "--concurrency", str(args.in_flight), "--json", "--quiet"),
            ],
            folder,
        )
    finally:
        shutil.rmtree(folder)
    summary = json.loads(found.pop("said"))
    return found | {"tasks": summary["tasks"], "requests": summary["requests"], "unsettled": summary["unsettled"]}


def with_sdk(base_url: str, args: argparse.Namespace) -> dict[str, Any]:
    """The official SDK's get_tasks, counted and thrown away: it writes nothing."""
    code = SDK.format(key=KEY, url=base_url)
    found = timed([sys.executable, "-W", "ignore", "-c", code], Path.cwd())
    return found | {"tasks": int(found.pop("said"))}


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Start the sandbox, take the rounds in turn, stop it."""
    command = [
        *(sys.executable, str(HERE / "serve_tasks.py"), "--tasks", str(args.tasks)),
        *("--spread", args.spread, "--latency", str(args.latency)),
    ]
    rounds: dict[str, list[dict[str, Any]]] = {"scalesync": [], "sdk": []}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            base_url = server.stdout.readline().split()[1]
            for number in range(args.rounds):
                rounds["scalesync"].append(with_scalesync(base_url, args))
                if not args.no_sdk and number < args.sdk_rounds:
                    rounds["sdk"].append(with_sdk(base_url, args))
                print(f"round {number + 1}:", {name: found[-1:] for name, found in rounds.items()}, file=sys.stderr)
        finally:
            server.kill()
    return summary(args, rounds)


def summary(args: argparse.Namespace, rounds: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Medians, spread, and what they are divided by."""
    ideal_s = args.tasks / PAGE * args.latency / args.in_flight
    walls = {name: sorted(found["wall_s"] for found in all_) for name, all_ in rounds.items() if all_}
    ours = statistics.median(walls["scalesync"])
    result: dict[str, Any] = {
        "tasks": args.tasks,
        "spread": args.spread,
        "latency_s": args.latency,
        "in_flight": args.in_flight,
        "ideal_s": round(ideal_s, 2),
        "median_s": ours,
        "of_ideal": round(ours / ideal_s, 2),
        "pages_of_ideal": round(rounds["scalesync"][-1]["requests"] / (args.tasks / PAGE), 3),
        "rounds": rounds,
        "machine": f"{os.cpu_count()} cores, {platform.system()} {platform.machine()}",
        "versions": {name: version(name) for name in ("scalesync", "aiohttp", "scaleapi")},
        "python": platform.python_version(),
    }
    if "sdk" in walls:
        result["times_faster_than_sdk"] = round(statistics.median(walls["sdk"]) / ours, 1)
    return result


def main() -> None:
    """Parse, run, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", type=int, default=50_000)
    parser.add_argument("--spread", choices=["even", "hour"], default="even")
    parser.add_argument("--latency", type=float, default=0.2)
    parser.add_argument("--in-flight", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sdk-rounds", type=int, default=1, help="the SDK takes minutes a round")
    parser.add_argument("--no-sdk", action="store_true")
    parser.add_argument("--json", type=Path, default=Path("build/bench_export.json"))
    args = parser.parse_args()
    result = run(args)
    args.json.parent.mkdir(parents=True, exist_ok=True)
    args.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    print(json.dumps({name: value for name, value in result.items() if name != "rounds"}, indent=2))


if __name__ == "__main__":
    main()
