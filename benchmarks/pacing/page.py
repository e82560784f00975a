"""The figures of build/pacing.json as tables, put into docs/pacing.md between its two marks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

START, END = "<!-- figures: python -m benchmarks.pacing writes what follows -->", "<!-- end of figures -->"


def put(path: Path, found: Mapping[str, Any]) -> None:
    """Rewrite what stands between the marks. Raises ValueError where they are missing."""
    text = path.read_text("utf-8")
    head, _, rest = text.partition(START)
    _, mark, tail = rest.partition(END)
    if not mark:
        raise ValueError(f"{path} has no marks for the figures")
    path.write_text(head + START + "\n\n" + "\n".join(lines(found)) + "\n\n" + END + tail, "utf-8")


def lines(found: Mapping[str, Any]) -> Iterator[str]:
    """All tables and pictures there are figures for."""
    scenarios = found.get("scenarios", {})
    if scenarios:
        yield from _ours(scenarios)
        yield from _peers(scenarios)
    if "sweep" in found:
        yield from _sweep(found["sweep"])
    if "sandbox" in found:
        yield from _sandbox(found["sandbox"])
    if scenarios:
        yield from _pictures(scenarios)


def _ours(scenarios: Mapping[str, Any]) -> Iterator[str]:
    yield "### scalesync, median / worst seed"
    yield ""
    yield "| scenario | server | used | 429s | 90 % after, s | 429s after a step | seeds that met all |"
    yield "|---|---|---|---|---|---|---|"
    for name, row in scenarios.items():
        ours = row["controllers"]["scalesync"]
        marks = (
            _pair(ours["used"], "{:.1%}"),
            _pair(ours["refused"], "{:.2%}"),
            _pair(ours["reached_s"], "{:.1f}"),
            _pair(ours["step_share"], "{:.2f}"),
        )
        yield f"| {name} | {row['about']} | {' | '.join(marks)} | {ours['met']} of {ours['runs']} |"
    yield ""


def _peers(scenarios: Mapping[str, Any]) -> Iterator[str]:
    names = list(next(iter(scenarios.values()))["controllers"])
    yield "### Beside the others: used / 429s, medians"
    yield ""
    yield f"| | {' | '.join(names)} |"
    yield f"|---|{'---|' * len(names)}"
    for name, row in scenarios.items():
        cells = [row["controllers"][one] for one in names]
        told = [f"{cell['used']['median']:.0%} / {cell['refused']['median']:.1%}" for cell in cells]
        yield f"| {name} | {' | '.join(told)} |"
    yield ""


def _sweep(found: Mapping[str, Any]) -> Iterator[str]:
    yield f"### {found['servers']} servers drawn at random, two minutes each: {found['met']} met all that was asked"
    yield ""
    yield "| mark | median | the worst tenth begins at | worst |"
    yield "|---|---|---|---|"
    forms = {"used": "{:.1%}", "refused": "{:.2%}", "reached_s": "{:.1f} s", "step_share": "{:.2f}"}
    for name, mark in found["marks"].items():
        cells = " | ".join(forms[name].format(value) for value in mark.values())
        yield f"| {name} | {cells} |"
    yield ""
    for label, low, high in (("below 6/s", 0.0, 6.0), ("6/s to 100/s", 6.0, 100.0), ("above", 100.0, 1e9)):
        rows = [row for row in found["failed"] if low <= row["limit"] < high]
        yield f"- {label}: {len(rows)} of {found['bands'][label]} fell short in something"
    yield ""


def _sandbox(rows: list[Mapping[str, Any]]) -> Iterator[str]:
    yield "### For real: the gate of a run, HTTP, the embedded sandbox (50 to 150 ms)"
    yield ""
    yield "| | s | limit/s | simulated/s | real/s | simulated 429s | real 429s |"
    yield "|---|---|---|---|---|---|---|"
    for row in rows:
        yield f"| {' | '.join(str(value) for value in row.values())} |"
    yield ""


def _pictures(scenarios: Mapping[str, Any]) -> Iterator[str]:
    yield "### Pictures: accepted per second and 429s per second, averaged over two seconds, first seed"
    yield ""
    for name, row in scenarios.items():
        yield f"![{name}: {row['about']}](pacing/{name}.png)"


def _pair(mark: Mapping[str, float], form: str) -> str:
    return f"{form.format(mark['median'])} / {form.format(mark['worst'])}"
