"""Folders: small JSON files beside one JSONL file with the same records; the sandbox is a process of its own.

python -m benchmarks.folders [--records 20000] [--rounds 3] [--out build/folders.json]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.machine import commit
from benchmarks.records import ids, record

PROJECT, TYPE = "fleet", "imageannotation"
WAIT_S = 20.0


def write(work: Path, count: int) -> dict[str, list[str]]:
    """The same records, with derived ids, as one file, and as files that a folder, a glob and a list of them name."""
    folder = work / "files"
    folder.mkdir()
    with (work / "records.jsonl").open("wb") as lines:
        for number, key in enumerate(ids("sequential", count)):
            value = json.loads(record(key, number))
            del value["unique_id"]
            text = json.dumps(value).encode()
            lines.write(text + b"\n")
            (folder / f"{number:07d}.json").write_bytes(text)
    every = [f"files/{path.name}" for path in sorted(folder.iterdir())]
    return {
        "one .jsonl": ["records.jsonl"],
        "folder of .json": ["files"],
        "glob of .json": ["files/*.json"],
        "list of .json": every,
    }


@contextmanager
def sandbox(work: Path) -> Iterator[str]:
    """A sandbox of its own for one import; its v1 root."""
    command = [sys.executable, "-m", "scalesync", "sandbox", "--port", "0", "--project", f"{PROJECT}={TYPE}"]
    with (work / "sandbox.log").open("w+") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, cwd=work)
        try:
            yield _address(work / "sandbox.log", server)
        finally:
            server.terminate()
            server.wait(WAIT_S)


def _address(log: Path, server: subprocess.Popen[bytes]) -> str:
    until = time.monotonic() + WAIT_S
    while time.monotonic() < until and server.poll() is None:
        text = log.read_text()
        if "serving " in text:
            return text.split("serving ")[1].split()[0]
        time.sleep(0.05)
    raise RuntimeError(f"the sandbox did not start: {log.read_text()}")


def run(work: Path, url: str, sources: list[str], count: int, *, dry: bool) -> float:
    """Seconds of one import from start to end, which must bring all records."""
    ledger = work / "scalesync.db"
    for path in work.glob("scalesync.db*"):
        path.unlink()
    words = ["import", *sources, "--type", TYPE, "--project", PROJECT, "--ledger", str(ledger), "--json", "--yes"]
    environment = {**os.environ, "SCALE_API_KEY": "live_bench", "SCALE_API_URL": url}
    began = time.perf_counter()
    ended = subprocess.run(
        [sys.executable, "-m", "scalesync", *words, *(["--dry-run"] if dry else [])],
        capture_output=True,
        cwd=work,
        env=environment,
        check=False,
    )
    seconds = time.perf_counter() - began
    told = json.loads(ended.stdout or b"{}")
    if ended.returncode or told["pending" if dry else "created"] != count:
        raise RuntimeError(f"{sources[:3]}: exit code {ended.returncode}: {ended.stdout!r} {ended.stderr!r}")
    return seconds


def main() -> None:
    """Run all rounds in turn and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    found: dict[str, dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        sources = write(work, args.records)
        for _ in range(args.rounds):
            for what, specs in sources.items():
                for how in ("dry run", "import"):
                    with sandbox(work) as url:
                        seconds = run(work, url, specs, args.records, dry=how == "dry run")
                    found.setdefault(how, {}).setdefault(what, []).append(round(seconds, 2))
    floor = {how: statistics.median(kinds["one .jsonl"]) for how, kinds in found.items()}
    for how, kinds in found.items():
        for what, seconds in kinds.items():
            middle = statistics.median(seconds)
            print(f"{how:8} {what:16} {middle:6.2f} s  {middle / floor[how]:.2f}  {seconds}")
    if args.out is not None:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text(json.dumps({"commit": commit(), "records": args.records, "seconds": found}, indent=1))


if __name__ == "__main__":
    main()
