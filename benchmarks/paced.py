"""What the machine does while a rate is kept: scalesync at 30 and at 300 creates a second, and bytes on the wire.

python -m benchmarks --only paced
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.imports import Serve, Server, import_command, ledger_bytes
from benchmarks.measure import Figures, environment, per_task, rounded, run_process
from benchmarks.records import records_file

RATES = (30, 300)
START = 10  # records of the run that tells what starting costs


def run_paced(serve: Serve, work: Path, seconds: float, note: Callable[[str], None]) -> dict[str, Any]:
    """One run per rate, both at the same time, each for so many seconds; less what starting costs."""
    note(f"at {' and '.join(map(str, RATES))} creates a second for {seconds:.0f} s")
    with serve(latency_ms=50, count_bytes=True) as server:
        start = one_run(server, work, START, "1000")
        server.seen(reset=True)
        with ThreadPoolExecutor(len(RATES)) as pool:
            counts = [max(START, int(rate * seconds)) for rate in RATES]
            runs = pool.map(partial(one_run, server, work), counts, map(str, RATES))
            found = {str(rate): less(figures, start) for rate, figures in zip(RATES, runs, strict=True)}
        seen = server.seen()
    return {
        "title": "kept rates, 50 ms latency",
        "divided_by": "tasks created; CPU and wall less those of a run of ten records",
        "rates": found,
        "start": {name: rounded(value) for name, value in start.items()},
        "bytes_sent_per_task": round(seen.received / seen.creates),
        "bytes_received_per_task": round(seen.sent / seen.creates),
    }


def one_run(server: Server, work: Path, count: int, rate: str) -> Figures:
    """An import of so many records into a fresh ledger."""
    folder = Path(tempfile.mkdtemp(prefix="paced-", dir=work))
    try:
        command = import_command(
            records_file(work, "sequential", count), server.base_url, folder / "scalesync.db", rate=rate
        )
        sample = run_process(command, env=environment(server.env))
        return per_task(sample.figures(), count) | {"ledger_bytes_per_task": ledger_bytes(folder) / count}
    finally:
        shutil.rmtree(folder)


def less(figures: Figures, start: Figures) -> Figures:
    """The same without the cost of starting, and the share of one core that is in use meanwhile."""
    cpu_s = max(0.0, figures["cpu_s"] - start["cpu_s"])
    wall_s = max(0.001, figures["wall_s"] - start["wall_s"])
    steady = figures | {
        "cpu_share": cpu_s / wall_s,
        "cpu_us_per_task": cpu_s / figures["tasks"] * 1e6,
        "tasks_per_s": (figures["tasks"] - start["tasks"]) / wall_s,
        "written_bytes_per_task": max(0.0, figures["written_mb"] - start["written_mb"]) * 1e6 / figures["tasks"],
    }
    return {name: rounded(value) for name, value in steady.items()}
