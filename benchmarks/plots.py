"""Draws the plots of docs/performance.md from docs/performance/bench.json.

python -m benchmarks.plots
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from benchmarks.goals import Json
from benchmarks.page import FOLDER, load
from benchmarks.tables import amount

OURS, OURS_LIGHT, OTHERS, GOAL = "#0b6e99", "#7fb8d1", "#8a8a8a", "#c0392b"
NAMES = {
    "sdk": "SDK, 1 thread",
    "sdk-30": "SDK, 30 threads",
    "sdk-30-store": "SDK, 30 threads,\nfull trust store",
    "httpx-8": "httpx, 8 in flight",
    "httpx": "httpx",
    "dlt": "dlt",
    "bare": "bare aiohttp loop,\nno ledger",
    "scalesync": "scalesync",
    "scalesync-session": "scalesync,\nClientSession",
    "wrk": "wrk (C)",
}
LABEL: dict[str, Any] = {"xytext": (4, 0), "textcoords": "offset points", "va": "center", "fontsize": 8, "color": GOAL}
COLOURS = {"scalesync": OURS, "scalesync-session": OURS_LIGHT}


def figure(wide: float, high: float, columns: int) -> tuple[Figure, Sequence[Axes]]:
    """A row of plots."""
    made = Figure(figsize=(wide, high), layout="constrained", dpi=110)
    found = made.subplots(1, columns, squeeze=False)
    return made, list(found[0])


def dots(axes: Axes, peers: Json, name: str, title: str) -> None:
    """A median per client with a whisker from the lowest to the highest round, on a logarithmic scale."""
    shown = [peer for peer in NAMES if peer in peers]
    found = [peers[peer]["figures"][name] for peer in shown]
    for place, (peer, one) in enumerate(zip(shown, found, strict=True)):
        middle = one["median"]
        whisker = [[middle - one["min"]], [one["max"] - middle]]
        style: dict[str, Any] = {"color": COLOURS.get(peer, OTHERS), "markersize": 9, "capsize": 4, "elinewidth": 1.5}
        axes.errorbar([middle], [place], xerr=whisker, fmt="o", **style)
        above: dict[str, Any] = {"xytext": (0, 6), "textcoords": "offset points", "ha": "center", "fontsize": 9}
        axes.annotate(amount(middle), (middle, place), **above)
    axes.set_yticks(range(len(shown)), [NAMES[peer] for peer in shown])
    axes.set_ylim(len(shown) - 0.5, -0.85)
    axes.set_xscale("log")
    axes.set_xlim(min(one["min"] for one in found) / 2, max(one["max"] for one in found) * 2)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.grid(axis="x", color="#dddddd", linewidth=0.8)
    axes.set_axisbelow(True)
    _tidy(axes, title)


def _tidy(axes: Axes, title: str) -> None:
    axes.set_title(title, fontsize=10, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=9)


def draw_import(figures: Json) -> Figure:
    """Rate and CPU of every client, sequential ids."""
    made, (left, right) = figure(10.5, 4.2, 2)
    peers = figures["imports"]["sequential"]["peers"]
    dots(left, peers, "tasks_per_s", "tasks created per second (log scale, more is better)")
    dots(right, peers, "cpu_us_per_task", "CPU per task in us (log scale, less is better)")
    return made


def draw_latency(figures: Json) -> Figure:
    """TLS import and export, both under latency, each with what the latency alone allows."""
    made, (left, right) = figure(10.5, 2.9, 2)
    tls, export = figures["imports"]["tls"], figures["exports"]
    dots(left, tls["peers"], "tasks_per_s", "import over TLS at 50 ms, 300 in flight: tasks/s (log)")
    limit_line(left, tls["in_flight"] / tls["latency_ms"] * 1000)
    dots(right, export["peers"], "tasks_per_s", f"export at {export['latency_ms']:.0f} ms a page: tasks/s (log)")
    limit_line(right, export["pages"] * 100 / export["ideal_s"])
    return made


def limit_line(axes: Axes, limit: float) -> None:
    axes.axvline(limit, color=GOAL, linewidth=1, linestyle="--")
    axes.set_xlim(right=max(axes.get_xlim()[1], limit * 2.2))
    axes.annotate("all that the\nlatency allows", (limit, 0.5), xycoords=("data", "axes fraction"), **LABEL)


def draw_ratios(figures: Json) -> Figure:
    """Each round's quotient against the bare loop, with the goals."""
    made, (left, right) = figure(10.5, 2.6, 2)
    rounds(left, figures, "tasks_per_s", "tasks/s, times that of the bare loop", (1.5, 0.75, 1.2), "at least")
    rounds(right, figures, "cpu_us_per_task", "CPU per task, times that of the bare loop", (0.7, None, 0.9), "at most")
    return made


LINES = (
    ("sequential", "scalesync", "scalesync"),
    ("sequential", "scalesync-session", "ClientSession"),
    ("hash", "scalesync", "scalesync,\nrandom ids"),
)


def rounds(axes: Axes, figures: Json, name: str, title: str, goals: Sequence[float | None], word: str) -> None:
    """A dot per round: scalesync's figure divided by that of the bare loop in the same round, with the goal."""
    for place, ((scenario, ours, _), goal) in enumerate(zip(LINES, goals, strict=True)):
        peers = figures["imports"][scenario]["peers"]
        pairs = zip(peers[ours]["rounds"], peers["bare"]["rounds"], strict=True)
        quotients = [mine[name] / other[name] for mine, other in pairs]
        axes.plot(quotients, [place] * len(quotients), "o", color=OURS, alpha=0.6, markersize=6)
        if goal is not None:
            axes.plot([goal, goal], [place - 0.3, place + 0.3], color=GOAL, linewidth=2)
            axes.annotate(word, (goal, place - 0.32), ha="center", va="bottom", fontsize=8, color=GOAL)
    axes.set_yticks(range(len(LINES)), [label for _, _, label in LINES])
    axes.set_ylim(len(LINES) - 0.4, -0.75)
    axes.set_xlim(left=0)
    axes.axvline(1, color=OTHERS, linewidth=0.8, linestyle=":")
    _tidy(axes, title + " (a dot per round)")


PLOTS = {"import": draw_import, "latency": draw_latency, "ratios": draw_ratios}
NEEDS = {"import": ("imports",), "latency": ("imports", "exports"), "ratios": ("imports",)}


def main() -> None:
    """Draw what the figures allow."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=FOLDER, help="with bench.json; the plots go there")
    args = parser.parse_args()
    mpl.use("Agg")
    figures = load(args.folder)
    for name, draw in PLOTS.items():
        if all(part in figures for part in NEEDS[name]):
            draw(figures).savefig(args.folder / f"{name}.png", metadata={"Software": None})
            print(args.folder / f"{name}.png")


if __name__ == "__main__":
    main()
