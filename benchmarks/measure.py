"""Whole processes measured from outside, rounds taken in turn, medians and spread."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
KEY = "live_bench"
BLOCK = 512  # bytes; what ru_oublock counts
LIMIT_S = 600.0
DIGITS = 4  # significant digits that are kept
PROXIES = frozenset({"http_proxy", "https_proxy", "all_proxy"})

Figures = dict[str, float]
Rounds = dict[str, list[Figures]]


class RunFailed(Exception):
    """A process ended with an error, or did not do what it was started for."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One process from start to end. cpu_s: user and system, all threads. said: its standard output."""

    wall_s: float
    cpu_s: float
    peak_mb: float
    written_mb: float
    said: str

    def figures(self) -> Figures:
        """The numbers alone."""
        numbers = asdict(self)
        del numbers["said"]
        return numbers


def environment(extra: Mapping[str, str]) -> dict[str, str]:
    """The environment of a client: the key, no proxy, nobody's settings of scalesync, no telemetry."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name.lower() not in PROXIES and not name.startswith(("SCALE_", "SCALESYNC_"))
    }
    return {**kept, "SCALE_API_KEY": KEY, "RUNTIME__DLTHUB_TELEMETRY": "false", "PYTHONUNBUFFERED": "1", **extra}


def run_process(command: Sequence[str], *, env: Mapping[str, str], limit_s: float = LIMIT_S) -> Sample:
    """Run a command to its end. Raises RunFailed when it exits with anything but 0 or takes longer than limit_s.

    The children's peak memory cannot come out lower than that of this process, see `peak_floor_mb`.
    """
    with tempfile.TemporaryFile() as errors:
        started = time.perf_counter()
        with subprocess.Popen(command, cwd=ROOT, env=dict(env), stdout=subprocess.PIPE, stderr=errors) as process:
            timer = threading.Timer(limit_s, process.kill)
            timer.start()
            try:
                assert process.stdout is not None
                said = process.stdout.read().decode("utf-8", "replace")
                _, status, usage = os.wait4(process.pid, 0)
                process.returncode = os.waitstatus_to_exitcode(status)
            finally:
                timer.cancel()
                if process.returncode is None:  # interrupted
                    process.kill()
        wall_s = time.perf_counter() - started
        if process.returncode != 0:
            errors.seek(0)
            tail = errors.read()[-2000:].decode("utf-8", "replace")
            raise RunFailed(f"{' '.join(command)}\nended with {process.returncode} after {wall_s:.1f} s\n{said}{tail}")
    return Sample(
        wall_s=wall_s,
        cpu_s=usage.ru_utime + usage.ru_stime,
        peak_mb=usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6,
        written_mb=usage.ru_oublock * BLOCK / 1e6,
        said=said,
    )


def peak_floor_mb() -> float:
    """What a process that needs nothing is said to have used: the kernel counts the parent's pages before exec."""
    return round(run_process(["true"], env=os.environ).peak_mb, 1)


def in_turn(runs: Mapping[str, Callable[[], Figures]], rounds: int, note: Callable[[str], None]) -> Rounds:
    """Each run once per round, starting with another one each time; so nobody always comes after the same."""
    names = list(runs)
    found: Rounds = {name: [] for name in names}
    for number in range(rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            figures = {key: rounded(value) for key, value in runs[name]().items()}
            found[name].append(figures)
            per_s = figures.get("tasks_per_s", 0)
            note(f"  round {number + 1} {name}: {per_s:,.0f}/s, {figures['wall_s']:.2f} s wall")
    return found


def rounded(value: float) -> float:
    """To a few significant digits, integers whole."""
    return value if isinstance(value, int) else float(f"{value:.{DIGITS}g}")


def spread(values: Sequence[float]) -> Figures:
    """Median, lowest and highest."""
    return {"median": rounded(statistics.median(values)), "min": min(values), "max": max(values)}


def summarized(rounds: Sequence[Figures]) -> dict[str, Figures]:
    """Median and spread of each figure over the rounds."""
    return {name: spread([found[name] for found in rounds]) for name in rounds[0]}


def ratio(rounds: Rounds, ours: str, theirs: str, figure: str) -> Figures:
    """Ours / theirs, taken within each round, then median and spread of these quotients."""
    pairs = zip(rounds[ours], rounds[theirs], strict=True)
    return spread([rounded(mine[figure] / other[figure]) for mine, other in pairs])


def per_task(figures: Figures, tasks: int, server_cpu_s: float = 0.0) -> Figures:
    """Add what follows from the number of tasks: rate, CPU of the client and of the server per task (us)."""
    return figures | {
        "tasks": tasks,
        "tasks_per_s": tasks / figures["wall_s"],
        "cpu_us_per_task": figures["cpu_s"] / tasks * 1e6,
        "server_cpu_us_per_task": server_cpu_s / tasks * 1e6,
    }
