"""Run the benchmarks, write the figures, draw the plots, render docs/performance.md.

python -m benchmarks                            all: under ten minutes on two cores
python -m benchmarks --scale 0.1 --rounds 2     a quick look
python -m benchmarks --only imports,paced
python -m benchmarks.million                    a million records, not part of the above
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import machine, page
from benchmarks.exports import Plan, run_exports
from benchmarks.imports import Serve, run_scenario, scenarios
from benchmarks.measure import ROOT, RunFailed
from benchmarks.nginx import NoNginx, serving
from benchmarks.paced import run_paced

PARTS = ("imports", "exports", "paced")
PACED_S = 20.0


def run(
    work: Path,
    *,
    parts: tuple[str, ...] = PARTS,
    rounds: int = 5,
    scale: float = 1.0,
    serve: Serve = serving,
    note: Callable[[str], None] = print,
) -> dict[str, Any]:
    """All figures as one JSON value. scale: of the number of tasks. Raises NoNginx or RunFailed."""
    started = time.monotonic()
    found: dict[str, Any] = {
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "rounds": rounds,
        "machine": machine.facts(work),
    }
    if "imports" in parts:
        found["imports"] = {
            scenario.name: run_scenario(scenario, serve, work, rounds, note) for scenario in scenarios(scale)
        }
    if "exports" in parts:
        plan = Plan(tasks=max(200, int(50_000 * scale)), few=max(100, int(2_000 * scale)))
        found["exports"] = run_exports(plan, work, rounds, note)
    if "paced" in parts:
        found["paced"] = run_paced(serve, work, PACED_S * min(1.0, scale), note)
    found["seconds"] = round(time.monotonic() - started)
    return found


def main() -> None:
    """Parse, run, write, draw, render."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default=",".join(PARTS), help=f"of {', '.join(PARTS)}")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scale", type=float, default=1.0, help="of the number of tasks")
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "bench", help="ledgers and files, on a disk")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "bench.json")
    parser.add_argument("--no-page", action="store_true", help="leave docs/performance.md alone")
    args = parser.parse_args()
    parts = tuple(args.only.split(","))
    if unknown := set(parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    if "imports" in parts and shutil.which("wrk") is None:
        sys.exit("wrk is not installed; apt-get install wrk")
    args.work.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # servers and clients end with this process
    try:
        found = run(
            args.work,
            parts=parts,
            rounds=args.rounds,
            scale=args.scale,
            note=lambda line: print(line, file=sys.stderr, flush=True),
        )
    except (NoNginx, RunFailed) as error:
        sys.exit(str(error))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(f"{args.out} written after {found['seconds']} s")
    if not args.no_page:
        page.publish(bench=args.out)
        # a process of its own: what plotting needs in memory must not raise the floor of what is measured
        subprocess.run([sys.executable, "-m", "benchmarks.plots"], cwd=ROOT, check=True)


if __name__ == "__main__":
    main()
