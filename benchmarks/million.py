"""Ten thousand records against a million: peak memory, ledger, and how soon a run that was there before goes on.

    python -m benchmarks.million
    python -m benchmarks.million --records 200000 --finished 3 --starts 2

Takes about as long as a million creates and a half take, some minutes. Writes build/million.json and renders the page.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks import machine, page
from benchmarks.imports import Server, import_command, ledger_bytes
from benchmarks.measure import ROOT, Figures, RunFailed, environment, per_task, rounded, run_process, spread
from benchmarks.nginx import NoNginx, serving
from benchmarks.records import records_file

IN_FLIGHT = 64
LIMIT_S = 3_600.0
POLL_S = 0.02


def whole(server: Server, file: Path, folder: Path, count: int) -> Figures:
    """One import from nothing to its end; its ledger stays in the folder."""
    folder.mkdir()
    server.seen(reset=True)
    sample = run_process(_command(server, file, folder), env=environment(server.env), limit_s=LIMIT_S)
    arrived = server.seen().creates
    if arrived != count:
        raise RunFailed(f"{count} tasks were to be created, the server saw {arrived}")
    size = ledger_bytes(folder)
    figures = per_task(sample.figures(), count) | {"ledger_mb": size / 1e6, "ledger_bytes_per_task": size / count}
    return {name: rounded(value) for name, value in figures.items()}


def recognised(server: Server, file: Path, folder: Path, times: int) -> dict[str, Any]:
    """Runs of a finished job: wall, CPU, memory; nothing may be created."""
    server.seen(reset=True)
    runs = [run_process(_command(server, file, folder), env=environment(server.env)) for _ in range(times)]
    if server.seen().creates:
        raise RunFailed("a finished job created tasks")
    found = [{name: rounded(value) for name, value in sample.figures().items()} for sample in runs]
    return {"wall_s": spread([run["wall_s"] for run in found]), "rounds": found}


def first_creates(server: Server, file: Path, folder: Path, half: int, times: int) -> dict[str, Any]:
    """Seconds from the start of the process to the first create that the server sees, after a SIGKILL half way.

    Each of these runs is killed as soon as it sends, so that the next one finds the job half finished too.
    """
    folder.mkdir()
    with _started(server, file, folder):
        _wait(server, half)
    waits = []
    for _ in range(times):
        server.seen(reset=True)
        started = time.time()
        with _started(server, file, folder):
            _wait(server, 1)
            waits.append(rounded(server.seen().first - started))
    return {"done_before": half, "first_create_s": spread(waits), "rounds": waits}


@contextmanager
def _started(server: Server, file: Path, folder: Path) -> Iterator[None]:
    """An import under way; SIGKILL at the end of the block."""
    command = _command(server, file, folder)
    with subprocess.Popen(command, cwd=ROOT, env=environment(server.env), stdout=subprocess.DEVNULL) as process:
        try:
            yield
            if process.poll() is not None:
                raise RunFailed("the import ended before it was to be killed")
        finally:
            process.kill()


def _wait(server: Server, creates: int) -> None:
    until = time.monotonic() + LIMIT_S
    while server.seen().creates < creates:
        if time.monotonic() > until:
            raise RunFailed(f"{creates} creates did not come")
        time.sleep(POLL_S)


def _command(server: Server, file: Path, folder: Path) -> list[str]:
    return list(import_command(file, server.base_url, folder / "scalesync.db", concurrency=IN_FLIGHT))


def run(args: argparse.Namespace, work: Path, note: Callable[[str], None]) -> dict[str, Any]:
    """All steps against one server, on ledgers in a folder that is removed at the end."""
    began = time.monotonic()
    facts = machine.facts(work)
    folder = work / f"million-{time.time_ns()}"
    folder.mkdir(parents=True)
    files = {count: records_file(work, "sequential", count) for count in (args.small, args.records)}
    try:
        with serving() as server:
            note(f"{args.small:,} records")
            small = whole(server, files[args.small], folder / "small", args.small)
            note(f"{args.records:,} records")
            large = whole(server, files[args.records], folder / "large", args.records)
            note(f"the same again, {args.finished} times")
            again = recognised(server, files[args.records], folder / "large", args.finished)
            note(f"killed half way, then started {args.starts} times")
            half = first_creates(server, files[args.records], folder / "half", args.records // 2, args.starts)
    finally:
        shutil.rmtree(folder)
    return {
        "machine": facts,
        "records": args.records,
        "small_records": args.small,
        "in_flight": IN_FLIGHT,
        "divided_by": "records of the file, each one task; ledger: bytes of the file after the run",
        "small": small,
        "large": large,
        "peak_growth_mb": rounded(large["peak_mb"] - small["peak_mb"]),
        "finished": again,
        "half_finished": half,
        "seconds": round(time.monotonic() - began),
    }


def main() -> None:
    """Run, write, render."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--small", type=int, default=10_000)
    parser.add_argument("--finished", type=int, default=5, help="runs of the finished job")
    parser.add_argument("--starts", type=int, default=5, help="starts of the half finished job")
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "bench", help="on the disk to measure")
    parser.add_argument("--out", type=Path, default=ROOT / "build" / "million.json")
    parser.add_argument("--no-page", action="store_true", help="leave docs/performance.md alone")
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # servers and clients end with this process
    try:
        found = run(args, args.work, lambda line: print(line, file=sys.stderr, flush=True))
    except (NoNginx, RunFailed) as error:
        sys.exit(str(error))
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    if not args.no_page:
        page.publish(million=args.out)
    print(json.dumps({name: found[name] for name in ("small", "large", "peak_growth_mb", "finished", "half_finished")}))


if __name__ == "__main__":
    main()
