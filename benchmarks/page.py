"""Renders the figures into docs/performance.md, between markers, so that page and JSON cannot drift apart.

    python -m benchmarks.page                                  from docs/performance/*.json
    python -m benchmarks.page --bench build/bench.json --million build/million.json

A section is what stands between `<!-- figures: NAME -->` and `<!-- end of figures -->`. Text around them is written by
hand.
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Callable
from pathlib import Path

from benchmarks import user_page
from benchmarks.goals import Json, Verdict, verdicts
from benchmarks.measure import ROOT
from benchmarks.tables import amount, between, table

PAGE = ROOT / "docs" / "performance.md"
FOLDER = ROOT / "docs" / "performance"
SECTION = re.compile(r"(<!-- figures: ([a-z-]+) -->\n).*?(<!-- end of figures -->)", re.DOTALL)
NOT_MEASURED = "Not measured in the run that this page was made from."
NAMES = {
    "sdk": "official SDK, one thread",
    "sdk-30": "official SDK, 30 threads",
    "sdk-30-store": "official SDK, 30 threads, public authorities trusted too",
    "httpx-8": "httpx, 8 in flight",
    "httpx": "httpx",
    "bare": "bare aiohttp loop, no ledger",
    "scalesync": "**scalesync**",
    "scalesync-session": "scalesync, ClientSession as transport",
    "wrk": "wrk (C, one thread)",
    "dlt": "dlt, REST source to JSONL files",
}


def goals(figures: Json) -> list[str]:
    """Every goal with what was measured, missed ones first."""
    found = verdicts(figures)
    missed = sum(not verdict.met for verdict in found)
    words = f"{missed} of {len(found)} goals missed:" if missed else f"All {len(found)} goals met:"
    return [words, "", *table(["", "wanted", "measured", "lowest to highest", ""], [_goal_row(one) for one in found])]


def _goal_row(verdict: Verdict) -> list[str]:
    goal = verdict.goal
    spread = "" if verdict.low is None or verdict.high is None else between(verdict.low, verdict.high)
    outcome = "met" if verdict.met else "**missed**"
    measured = amount(verdict.measured) + goal.unit
    return [goal.title, f"{goal.sign} {amount(goal.wanted)}{goal.unit}", measured, spread, outcome]


def machine(figures: Json) -> list[str]:
    """What was measured on, for each of the two runs."""
    rows = []
    for name, found in (("benchmarks", figures), ("a million records", figures.get("million", {}))):
        if facts := found.get("machine"):
            cores = f"{facts['cores']} cores, {facts['cpu']}, {facts['memory_gb']} GB"
            disk = f"{facts['file_system']}, fsync {facts['fsync_ms']} ms"
            system = f"{facts['kernel']}, {facts['python']}, SQLite {facts['sqlite']}"
            minutes = f"{found['seconds'] / 60:.1f}"
            rows.append([name, f"`{facts['commit']}`", cores, system, disk, minutes, amount(facts["load_before"])])
    versions = figures.get("machine", {}).get("versions", {})
    listed = ", ".join(f"{name} {number}" for name, number in versions.items())
    head = ["run", "commit", "machine", "system", "disk under the ledger", "took min", "load before"]
    floor = figures.get("machine", {}).get("peak_floor_mb")
    tail = [] if floor is None else [f"Peak memory below {amount(floor)} MB cannot be measured this way."]
    return [*table(head, rows), "", f"Versions: {listed}.", *tail]


def scenario(name: str) -> Callable[[Json], list[str]]:
    """A table of an import's clients."""

    def render(figures: Json) -> list[str]:
        found = figures.get("imports", {}).get(name)
        return [NOT_MEASURED] if found is None else _clients(found, "scalesync", server=True)

    return render


def exports(figures: Json) -> list[str]:
    """The table of the export's clients."""
    found = figures.get("exports")
    if found is None:
        return [NOT_MEASURED]
    ideal = f"scalesync's median is {amount(found['of_ideal'])} times the ideal of {amount(found['ideal_s'])} s"
    return [*_clients(found, "scalesync", server=False), "", f"{ideal} ({found['pages']:,.0f} pages)."]


def _clients(found: Json, ours: str, *, server: bool) -> list[str]:
    head = ["", "tasks", "wall s", "tasks/s", "lowest to highest", "CPU us/task", "peak MB", f"{ours} is"]
    if server:
        head.insert(6, "server CPU us/task")
    rows = []
    for name, peer in found["peers"].items():
        figures = peer["figures"]
        rate = figures["tasks_per_s"]
        times = found["ratios"].get(f"{ours} / {name}", {}).get("tasks_per_s", {}).get("median")
        row = [
            NAMES[name],
            f"{figures['tasks']['median']:,.0f}",
            amount(figures["wall_s"]["median"]),
            amount(rate["median"]),
            between(rate["min"], rate["max"]),
            amount(figures["cpu_us_per_task"]["median"]),
            amount(figures["peak_mb"]["median"]),
            "" if times is None else f"{amount(times)} times as fast",
        ]
        if server:
            row.insert(6, amount(figures["server_cpu_us_per_task"]["median"]))
        rows.append((rate["median"], row))
    return table(head, [row for _, row in sorted(rows, key=lambda pair: pair[0])])


def million(figures: Json) -> list[str]:
    """Ten thousand records beside a million, and coming again."""
    found = figures.get("million")
    if found is None:
        return [NOT_MEASURED]
    head = ["records", "wall s", "tasks/s", "CPU us/task", "peak MB", "ledger MB", "ledger bytes/record"]
    names = ("wall_s", "tasks_per_s", "cpu_us_per_task", "peak_mb", "ledger_mb", "ledger_bytes_per_task")
    rows = [
        [f"{found[size]['tasks']:,}", *(amount(found[size][name]) for name in names)] for size in ("small", "large")
    ]
    again, half = found["finished"], found["half_finished"]
    walls, first = again["wall_s"], half["first_create_s"]
    return [
        *table(head, rows),
        "",
        f"The finished job again: {amount(walls['median'])} s"
        f" ({between(walls['min'], walls['max'])}, {len(again['rounds'])} runs), nothing sent.",
        f"Killed after {half['done_before']:,} creates: the first create of the next run reaches the server"
        f" {amount(first['median'])} s after its start"
        f" ({between(first['min'], first['max'])}, {len(half['rounds'])} runs).",
    ]


def calls(part: str) -> Callable[[Json], list[str]]:
    """A table of the clients that make single calls."""

    def render(figures: Json) -> list[str]:
        found = figures.get("calls", {}).get(part)
        if found is None:
            return [NOT_MEASURED]
        head = ["", "calls", "wall s", "calls/s", "lowest to highest", "CPU us/call", "scalesync: calls/s", "CPU"]
        rows = []
        for name, peer in found["peers"].items():
            one, rate = peer["figures"], peer["figures"]["tasks_per_s"]
            against = found["ratios"].get(f"scalesync / {name}", {})
            row = [
                CALLERS[name],
                f"{one['tasks']['median']:,.0f}",
                amount(one["wall_s"]["median"]),
                amount(rate["median"]),
                between(rate["min"], rate["max"]),
                amount(one["cpu_us_per_task"]["median"]),
                *(_times(against[figure]) if against else "" for figure in ("tasks_per_s", "cpu_us_per_task")),
            ]
            rows.append((rate["median"], row))
        commit, load = figures["calls"]["machine"]["commit"], figures["calls"]["machine"]["load_before"]
        words = f"Commit `{commit}`, {figures['calls']['rounds']} rounds, load before: {amount(load)}."
        return [*table(head, [row for _, row in sorted(rows, key=lambda pair: pair[0])]), "", words]

    return render


def _times(found: Json) -> str:
    return f"{amount(found['median'])} times ({between(found['min'], found['max'])})"


CALLERS = {**NAMES, "bare": "bare aiohttp session", "scalesync": "**`AsyncScaleClient`**"}
SECTIONS: dict[str, Callable[[Json], list[str]]] = {
    "goals": goals,
    "machine": machine,
    "sequential": scenario("sequential"),
    "hash": scenario("hash"),
    "tls": scenario("tls"),
    "exports": exports,
    "million": million,
    "user": user_page.lasting,
    "rates": user_page.kept_rates,
    "calls": calls("tls"),
    "calls-cpu": calls("cpu"),
}


def render(text: str, figures: Json) -> str:
    """The page with every section made again. Raises KeyError for a section that nobody knows."""

    def replace(found: re.Match[str]) -> str:
        return f"{found[1]}\n" + "\n".join(SECTIONS[found[2]](figures)) + f"\n\n{found[3]}"

    return SECTION.sub(replace, text)


def load(folder: Path = FOLDER) -> Json:
    """The figures of the page: bench.json, million.json under `million`, calls.json under `calls`."""
    bench = folder / "bench.json"
    figures: Json = json.loads(bench.read_text("utf-8")) if bench.exists() else {}
    for name in ("million", "calls"):
        if (folder / f"{name}.json").exists():
            figures[name] = json.loads((folder / f"{name}.json").read_text("utf-8"))
    return figures


def publish(*, bench: Path | None = None, million: Path | None = None, calls: Path | None = None) -> None:
    """Make new figures those of the page, and render it."""
    FOLDER.mkdir(exist_ok=True)
    for source, name in ((bench, "bench.json"), (million, "million.json"), (calls, "calls.json")):
        if source is not None:
            (FOLDER / name).write_text(source.read_text("utf-8"), encoding="utf-8")
    PAGE.write_text(render(PAGE.read_text("utf-8"), load(FOLDER)), encoding="utf-8")


def main() -> None:
    """Render, with new figures or with those that are there."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bench", type=Path)
    parser.add_argument("--million", type=Path)
    args = parser.parse_args()
    publish(bench=args.bench, million=args.million)


if __name__ == "__main__":
    main()
