"""One plot per scenario: accepted per second of each controller against the limit, and ours with its 429s."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.pacing.scenarios import Scenario
from benchmarks.pacing.score import oracle
from benchmarks.pacing.simulate import BIN_S, Series

STYLES = {
    "scalesync": {"color": "#0b62a4", "linewidth": 1.5, "zorder": 4},
    "fixed 30/s": {"color": "#9a9a9a", "linewidth": 1.0},
    "AIMD": {"color": "#d98b1f", "linewidth": 1.0},
    "cubic": {"color": "#4f9d4f", "linewidth": 1.0},
}
SMOOTH_S = 2.0


def smoothed(counts: list[int]) -> list[float]:
    """Per second, averaged over SMOOTH_S."""
    span = round(SMOOTH_S / BIN_S)
    totals = [0]
    for count in counts:
        totals.append(totals[-1] + count)
    return [(totals[i + 1] - totals[max(0, i + 1 - span)]) / (min(span, i + 1) * BIN_S) for i in range(len(counts))]


def draw(scenario: Scenario, shown: Mapping[str, Series], folder: Path) -> Path:
    """Write the picture; matplotlib is imported here only."""
    import matplotlib as mpl  # noqa: PLC0415

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    figure, (above, below) = plt.subplots(2, 1, figsize=(7.2, 3.9), sharex=True, height_ratios=(3, 1))
    bins = len(next(iter(shown.values())).accepted) - 1  # the last one is cut off
    times = [i * BIN_S for i in range(bins)]
    limit = [0.0 if _blind(scenario, now) else oracle(scenario, now) for now in times]
    above.step(times, limit, where="post", color="black", linewidth=1.0, linestyle="--", label="limit")
    for name, series in shown.items():
        style: dict[str, Any] = dict(STYLES[name])
        above.plot(times, smoothed(series.accepted[:bins]), label=name, **style)
        below.plot(times, smoothed(series.throttled[:bins]), **style)
    above.set_ylim(0, 1.7 * max(limit))
    above.set_ylabel("accepted/s")
    above.set_title(f"{scenario.name}: {scenario.about}", fontsize=9)
    above.legend(fontsize=7, ncols=5, loc="upper right", frameon=False)
    below.set_ylim(0, 0.5 * max(limit))
    below.set_ylabel("429/s")
    below.set_xlabel("seconds")
    for axes in (above, below):
        axes.tick_params(labelsize=7)
        axes.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{scenario.name}.png"
    figure.savefig(path, dpi=80, pil_kwargs={"optimize": True})
    plt.close(figure)
    return path


def _blind(scenario: Scenario, now: float) -> bool:
    return any(since <= now < until for since, until in scenario.blind)
