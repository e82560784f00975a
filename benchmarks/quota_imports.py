"""Several runs of the command line on one ledger: moments at the hand-over, and of the arrival at the sandbox."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import anyio

from benchmarks.handover_times import moments_of, most_in_a_window
from scalesync.pacing.limiter import parse_rate
from scalesync.sandbox import Sandbox, SandboxConfig

ROOT = Path(__file__).resolve().parents[1]

# The program as it is; each hand-over of a create is also written down.
WATCHED = """
import array, os, sys, time
from scalesync.flows.runtime.gate import RequestGate
target = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
handover = RequestGate.handover
async def watched(self, cls):
    await handover(self, cls)
    if cls == "create":
        os.write(target, array.array("d", [time.monotonic()]).tobytes())
RequestGate.handover = watched
from scalesync.cli.main import run
sys.exit(run(sys.argv[2:]))
"""


async def imports(folder: Path, rate: str, *, processes: int = 2, records: int = 300) -> dict[str, Any]:
    """Several `scalesync import` on one ledger, into one sandbox."""
    async with Sandbox(SandboxConfig(journal_size=1_000_000)) as sandbox:
        env = {**os.environ, "SCALE_API_KEY": "test_q", "SCALE_API_URL": sandbox.base_url}
        async with anyio.create_task_group() as group:
            summaries: list[dict[str, Any]] = []
            for number in range(processes):
                command = [*import_command(folder, number, records), "--rate", rate]
                group.start_soon(one_import, command, env, summaries)
        arrived = [seen.at_s for seen in sandbox.journal.of("create")]
    left = [moment for number in range(processes) for moment in moments_of(folder / f"{number}.moments")]
    return imported(rate, left, arrived, summaries)


def import_command(folder: Path, number: int, records: int) -> list[str]:
    """One import of records of its own, on the common ledger."""
    source = folder / f"part-{number}.jsonl"
    source.write_text("".join(json.dumps(record(number, line)) + "\n" for line in range(records)))
    command = [sys.executable, "-c", WATCHED, str(folder / f"{number}.moments"), "import", str(source)]
    return [*command, "--type", "categorization", "--json", "--ledger", str(folder / "both.db")]


async def one_import(command: list[str], env: dict[str, str], summaries: list[dict[str, Any]]) -> None:
    """Run it to its end; its summary."""
    done = await anyio.run_process(command, env=env, cwd=ROOT, stderr=subprocess.PIPE)
    notes = [line for line in done.stderr.decode().splitlines() if "rate:" in line]
    summaries.append({**json.loads(done.stdout), "notes": notes})


def imported(rate: str, left: list[float], arrived: list[float], summaries: list[dict[str, Any]]) -> dict[str, Any]:
    """Figures of `imports`. most: at the hand-over. most_arrived: at the server, most_arrived_short: in 0.95 periods.

    used: share of the limit from the first to the last create.
    """
    asked = parse_rate(rate)
    assert asked is not None
    whole, period_s = asked.window
    spread_s = max(left) - min(left)
    return {
        "rate": str(asked),
        "processes": len(summaries),
        "created": sum(summary["created"] for summary in summaries),
        "creates": len(arrived),
        "limit": whole,
        "most": most_in_a_window(left, period_s),
        "most_arrived": most_in_a_window(arrived, period_s),
        "most_arrived_short": most_in_a_window(arrived, 0.95 * period_s),
        "used": round(len(left) / (whole * spread_s / period_s), 4) if spread_s else 0.0,
        "seconds": [summary["seconds"] for summary in summaries],
        "notes": [note for summary in summaries for note in summary["notes"]],
    }


def record(part: int, number: int) -> dict[str, Any]:
    """One task that the sandbox takes."""
    text = f"letter {number} of part {part}"
    body = {"attachment": text, "attachment_type": "text", "categories": ["kind", "angry"]}
    return {"unique_id": f"part-{part}-{number:06d}", **body}
