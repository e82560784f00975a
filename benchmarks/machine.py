"""What was measured on: machine, versions, commit, file system."""

from __future__ import annotations

import os
import platform
import shutil
import sqlite3
import statistics
import subprocess
import tempfile
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks.measure import ROOT, peak_floor_mb

PACKAGES = ("aiohttp", "uvloop", "orjson", "msgspec", "sqlite-utils", "scaleapi", "requests", "httpx", "dlt")
FSYNCS = 50


def facts(work: Path) -> dict[str, Any]:
    """work: the folder in which ledgers and outputs are written."""
    return {
        "commit": commit(),
        "cores": len(os.sched_getaffinity(0)),
        "cpu": cpu_name(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "kernel": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "sqlite": sqlite3.sqlite_version,
        "file_system": file_system(work),
        "fsync_ms": fsync_ms(work),
        "load_before": round(os.getloadavg()[0], 2),
        "peak_floor_mb": peak_floor_mb(),
        "versions": versions(),
    }


def versions() -> dict[str, str]:
    """Of the packages and programs that take part; those that are missing are left out."""
    found: dict[str, str] = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    for name, option in (("nginx", "-v"), ("wrk", "-v")):
        program = shutil.which(name, path=os.environ.get("PATH", "") + os.pathsep + "/usr/sbin")
        if program is not None:
            said = subprocess.run([program, option], capture_output=True, text=True, check=False)
            found[name] = (said.stdout + said.stderr).split("\n", 1)[0].split("[")[0].split("/")[-1].strip(" wrk")
    return found


def commit() -> str:
    """The commit that was run; marked when the tree had changes."""
    command = ["git", "describe", "--always", "--abbrev=12", "--dirty"]
    try:
        found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return found.stdout.strip()


def cpu_name() -> str:
    """As the kernel calls it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def file_system(folder: Path) -> str:
    """The type of the mount that a folder lies on, such as ext4 or tmpfs."""
    try:
        mounts = [line.split() for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()]
    except OSError:
        return "unknown"
    path = folder.resolve()
    fitting = [(len(at), kind) for _, at, kind, *_ in mounts if path.is_relative_to(at)]
    return max(fitting)[1] if fitting else "unknown"


def fsync_ms(folder: Path) -> float:
    """Median time to append 4 KiB to a file and make it durable."""
    times = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(FSYNCS):
            started = time.perf_counter()
            file.write(bytes(4096))
            file.flush()
            os.fsync(file.fileno())
            times.append(time.perf_counter() - started)
    return round(statistics.median(times) * 1000, 3)
