"""Several processes on one quota: is the limit kept in every window, is it used, and what does it cost?

    python -m benchmarks.quota                             eight processes at 30/s for 60 s, two killed on the way
    python -m benchmarks.quota --rate 3000 --processes 1   what a single process gets
    python -m benchmarks.quota --rate 3000 --processes 1 --alone     the same without a common quota, for comparison
    python -m benchmarks.quota import --rate 100           the command line: imports into one sandbox, arrival times

Each process lets attempts through the gate of a run, with always more work than the limit allows, and writes down the
moment at which each left the gate for its socket. No network takes part, except for `import`.
"""

from __future__ import annotations

import argparse
import array
import asyncio
import importlib.util
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import anyio

from benchmarks.handover_times import moments_of, most_in_a_window
from benchmarks.quota_imports import imports
from scalesync.flows.runtime.setup.services import resolve_settings
from scalesync.flows.runtime.wiring import make_gate
from scalesync.ledger.sqlite.store import SqliteLedger
from scalesync.model.targets import RequestClass
from scalesync.pacing.limiter import parse_rate

ROOT = Path(__file__).resolve().parents[1]
URL = "http://127.0.0.1:1/v1"
LATENCY_S = 0.03  # hand-over to reply, on average


@dataclass(frozen=True, slots=True)
class Figures:
    """most: attempts in the fullest window of the period. used: share of the limit, while all were meant to work.

    poorest, richest: attempts of single processes that lived to the end. cpu_us: of all of them, per attempt.
    starved: the largest share of the time for which one of them could have run and had no processor (Linux; else 0).
    """

    rate: str
    processes: int
    killed: int
    seconds: float
    attempts: int
    limit: int
    most: int
    used: float
    poorest: int
    richest: int
    cpu_us: float
    starved: float


# --- one process -------------------------------------------------------------------------------


async def let_through(args: argparse.Namespace) -> int:
    """Send attempts through the gate until told to stop by time; their moments go to a file as they happen."""
    settings = resolve_settings(base_url=URL, ledger=args.ledger, rate=args.rate, environ={"SCALE_API_KEY": "live_q"})
    notes: list[str] = []
    _, gate = make_gate(settings.way, RequestClass.CREATE, notes.append)
    target = os.open(args.out, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    rng = random.Random(os.getpid())
    count, until = 0, 0.0

    async def work() -> None:
        nonlocal count
        while time.monotonic() < until:
            await gate.acquire(RequestClass.CREATE)
            try:
                await asyncio.sleep(0)
                await gate.handover(RequestClass.CREATE)
                os.write(target, array.array("d", [time.monotonic()]).tobytes())
                count += 1
                await asyncio.sleep(rng.expovariate(1 / LATENCY_S))
                gate.answered(RequestClass.CREATE, 200, LATENCY_S, None)
            finally:
                gate.release()

    print("ready", flush=True)
    start = float(await asyncio.to_thread(sys.stdin.readline))
    until = start + args.seconds
    await asyncio.sleep(max(0.0, start - time.monotonic()))
    before_s = without_processor_s()
    workers = [asyncio.create_task(work()) for _ in range(args.width)]
    await asyncio.sleep(max(0.0, until - time.monotonic()))
    for worker in workers:
        worker.cancel()
    await asyncio.gather(*workers, return_exceptions=True)
    gate.end()
    usage = resource.getrusage(resource.RUSAGE_SELF)
    spent_s = usage.ru_utime + usage.ru_stime - args.before
    starved_s = without_processor_s() - before_s
    print(json.dumps({"attempts": count, "cpu_s": spent_s, "starved_s": starved_s, "notes": notes}))
    return 0


def without_processor_s() -> float:
    """How long this thread was ready to run and waited for a processor; 0 where the system does not say."""
    try:
        return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return 0.0


def one_process(args: argparse.Namespace) -> int:
    """The loop that the command line uses."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    args.before = usage.ru_utime + usage.ru_stime
    fast = importlib.util.find_spec("uvloop") is not None
    return anyio.run(let_through, args, backend_options={"use_uvloop": fast})


# --- all of them -------------------------------------------------------------------------------


def fleet(
    folder: Path,
    rate: str,
    *,
    processes: int = 8,
    kill: int = 2,
    seconds: float = 60.0,
    width: int = 64,
    alone: bool = False,
) -> Figures:
    """Start the processes, kill some of them in the middle, and add up what they wrote.

    alone: each on a ledger file that does not exist, so that there is no common quota.
    """
    ledger = folder / "fleet.db"
    if not alone:
        SqliteLedger.open(ledger, note=print).close()
    with started(folder, ledger, rate, processes, seconds, width) as running:
        start = at_once(running)
        doomed = running[:kill]
        for place, process in enumerate(doomed):
            time.sleep(max(0.0, start + seconds * (place + 1) / (kill + 1) - time.monotonic()))
            process.send_signal(signal.SIGKILL)
        said = [json.loads(process.communicate(timeout=seconds + 30)[0]) for process in running[kill:]]
    assert not [note for one in said for note in one["notes"]], said
    moments = [moments_of(folder / f"{number}.moments") for number in range(processes)]
    everything = sorted(moment for one in moments for moment in one)
    inside = [moment for moment in everything if start <= moment < start + seconds]
    asked = parse_rate(rate)
    assert asked is not None
    whole, period_s = asked.window
    spent_s = sum(one["cpu_s"] for one in said)
    return Figures(
        rate=str(asked),
        processes=processes,
        killed=kill,
        seconds=seconds,
        attempts=len(everything),
        limit=whole,
        most=most_in_a_window(everything, period_s),
        used=round(len(inside) / (whole * seconds / period_s), 4),
        poorest=min(one["attempts"] for one in said),
        richest=max(one["attempts"] for one in said),
        cpu_us=round(1e6 * spent_s / max(1, sum(one["attempts"] for one in said)), 1),
        starved=round(max(one["starved_s"] for one in said) / seconds, 3),
    )


@contextmanager
def started(
    folder: Path, ledger: Path, rate: str, processes: int, seconds: float, width: int
) -> Iterator[list[subprocess.Popen[str]]]:
    """The processes, ended by their ids whatever happens."""
    running: list[subprocess.Popen[str]] = []
    try:
        for number in range(processes):
            command = [sys.executable, "-m", "benchmarks.quota", "one", "--ledger", str(ledger), "--rate", rate]
            command += ["--seconds", repr(seconds), "--width", str(width)]
            command += ["--out", str(folder / f"{number}.moments")]
            pipe = subprocess.PIPE
            running.append(subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True))
        yield running
    finally:
        for process in running:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()


def at_once(running: Sequence[subprocess.Popen[str]]) -> float:
    """Let all begin at one moment, once the last is ready; that moment."""
    for process in running:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    start = time.monotonic() + 0.2
    for process in running:
        assert process.stdin is not None
        process.stdin.write(f"{start!r}\n")
        process.stdin.flush()
    return start


def main(argv: Sequence[str] | None = None) -> int:
    """Print the figures as one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quota", description="Several processes on one quota.")
    parser.add_argument("mode", nargs="?", choices=["fleet", "import", "one"], default="fleet")
    parser.add_argument("--rate", default="30")
    parser.add_argument("--processes", type=int, default=None)
    parser.add_argument("--kill", type=int, default=None)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--width", type=int, default=64, help="attempts at once in each process")
    parser.add_argument("--records", type=int, default=1000, help="of each import")
    parser.add_argument("--alone", action="store_true", help="without a common quota")
    for name in ("--ledger", "--out"):
        parser.add_argument(name, type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.mode == "one":
        return one_process(args)
    with tempfile.TemporaryDirectory(prefix="quota-") as name:
        folder = Path(name)
        if args.mode == "import":
            found = asyncio.run(imports(folder, args.rate, processes=args.processes or 2, records=args.records))
        else:
            processes = args.processes or 8
            kill = min(2, processes - 1) if args.kill is None else args.kill
            figures = fleet(
                folder,
                args.rate,
                processes=processes,
                kill=kill,
                seconds=args.seconds,
                width=args.width,
                alone=args.alone,
            )
            found = asdict(figures)
    print(json.dumps(found, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
