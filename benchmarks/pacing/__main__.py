"""Run the pacing simulation.

python -m benchmarks.pacing                     all scenarios and controllers, the sweep, build/pacing.json, plots
python -m benchmarks.pacing --only steps,one    these scenarios
python -m benchmarks.pacing --sandbox           three over HTTP to the sandbox, and simulated
python -m benchmarks.pacing --sweep 200         servers drawn at random only
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.pacing.page import put
from benchmarks.pacing.plots import draw
from benchmarks.pacing.real import compare
from benchmarks.pacing.runs import run_scenario
from benchmarks.pacing.scenarios import SCENARIOS
from benchmarks.pacing.sweep import sweep

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "build" / "pacing.json"
COLUMNS = ("used of oracle", "429 share", "90 % after s", "429s/3 s")
HEAD = f"{'scenario':13} {'controller':11} {COLUMNS[0]:>16} {COLUMNS[1]:>16} {COLUMNS[2]:>14} {COLUMNS[3]:>13} met"


def line(scenario: str, controller: str, row: dict[str, Any]) -> str:
    """One line of the table: median, then the worst seed."""
    used, refused, reached, step = (row[name] for name in ("used", "refused", "reached_s", "step_share"))
    return (
        f"{scenario:13} {controller:11} {used['median']:8.1%} {used['worst']:7.1%} {refused['median']:8.2%}"
        f" {refused['worst']:7.2%} {reached['median']:7.1f} {reached['worst']:6.1f} {step['median']:6.2f}"
        f" {step['worst']:6.2f} {row['met']}/{row['runs']}"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse, run, print, write."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.pacing", description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="scenarios, comma separated")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--sandbox", action="store_true", help="three scenarios for real")
    parser.add_argument("--sweep", type=int, help="only this many servers drawn at random")
    parser.add_argument("--no-plots", action="store_true")
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--plots", type=Path, default=ROOT / "docs" / "pacing")
    asked = parser.parse_args(arguments)
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    if asked.sandbox:
        rows = compare()
        for row in rows:
            print(row)
        _keep(asked.out, {"sandbox": rows})
        return
    if asked.sweep is None:
        wanted = set(filter(None, asked.only.split(",")))
        if unknown := wanted - {scenario.name for scenario in SCENARIOS}:
            parser.error(f"no such scenario: {', '.join(sorted(unknown))}")
        _scenarios(asked, wanted)
    if asked.sweep is not None or not asked.only:
        found = sweep(asked.sweep or 150)
        print(json.dumps({name: found[name] for name in ("servers", "met", "marks")}, indent=1))
        for row in found["failed"]:
            print(f"  {row['about']:50} used {row['used']:.3f} 429 {row['refused']:.4f} after {row['reached_s']:.1f} s")
        _keep(asked.out, {"sweep": found})


def _scenarios(asked: argparse.Namespace, wanted: set[str]) -> None:
    print(HEAD)
    results: dict[str, Any] = {}
    for scenario in SCENARIOS:
        if wanted and scenario.name not in wanted:
            continue
        figures, shown = run_scenario(scenario, asked.seeds)
        results[scenario.name] = {"about": scenario.about, "controllers": figures}
        for controller, row in figures.items():
            print(line(scenario.name, controller, row), flush=True)
        if not asked.no_plots:
            draw(scenario, shown, asked.plots)
    _keep(asked.out, {"scenarios": results})


def _keep(path: Path, part: dict[str, Any]) -> None:
    """Add to what earlier runs wrote."""
    known = json.loads(path.read_text()) if path.exists() else {}
    if isinstance(known.get("scenarios"), dict) and "scenarios" in part:
        part = {"scenarios": known["scenarios"] | part["scenarios"]}
    path.write_text(json.dumps(known | part, indent=1) + "\n")
    if path == OUT:
        put(ROOT / "docs" / "pacing.md", known | part)


if __name__ == "__main__":
    main()
