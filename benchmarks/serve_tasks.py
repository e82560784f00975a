"""A sandbox that already holds N annotated tasks, for the export benchmarks.

    python -m benchmarks.serve_tasks --tasks 50000 --spread hour --latency 0.2 --port 8787

Prints `ready` and the v1 root when it serves. The tasks are in project `bench`; `--few` puts more into project `few`.
spread: `even` over a year, or 90 % of the tasks within one `hour` of it, as after a bulk import. Tasks are text
categorizations with a synthetic answer, about 900 bytes each as the server sends them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import time

from scalesync.sandbox import FaultRule, Sandbox, SandboxConfig
from scalesync.sandbox.scale.tasks.create import make_task

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
TEXT = "The card was declined twice today although the balance is fine, and the app shows no reason at all. "


def moments(count: int, spread: str, seed: int) -> list[int]:
    """Creation times in ms, ascending, over the last year."""
    rng = random.Random(seed)
    start = int(time.time() * 1000) - 365 * DAY_MS
    return sorted(
        start
        + (
            200 * DAY_MS + rng.randrange(HOUR_MS)
            if spread == "hour" and rng.random() < 0.9
            else rng.randrange(360 * DAY_MS)
        )
        for _ in range(count)
    )


def body(project: str, number: int) -> bytes:
    """What a create of one task holds."""
    task = {
        "project": project,
        "unique_id": f"{project}-message-{number:09d}",
        "attachment_type": "text",
        "attachment": TEXT * 2,
        "categories": ["refund", "decline", "question", "praise"],
        "metadata": {"number": number, "channel": "app"},
    }
    return json.dumps(task).encode()


async def serve(args: argparse.Namespace) -> None:
    """Fill the store with a clock of its own, then serve with the real one."""
    now: list[int | None] = [None]
    config = SandboxConfig(seed=args.seed, journal_size=0, clock=lambda: now[0] or int(time.time() * 1000))
    faults = [FaultRule(kind="latency", on="list", seconds=args.latency)] if args.latency else []
    async with Sandbox(config, faults, port=args.port) as sandbox:
        world = sandbox.store.world("live")
        for project, count in (("bench", args.tasks), ("few", args.few)):
            for number, moment in enumerate(moments(count, args.spread, args.seed)):
                now[0] = moment
                if number == 0:
                    world.add_project(project, "categorization", {"instruction": "Say what the customer wants."})
                world.insert(make_task(world, "categorization", body(project, number), None))
        sandbox.annotate()
        now[0] = None
        print("ready", sandbox.base_url, flush=True)
        await asyncio.Event().wait()


def main() -> None:
    """Parse and serve until killed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", type=int, default=50_000)
    parser.add_argument("--few", type=int, default=0, help="tasks of a second project")
    parser.add_argument("--spread", choices=["even", "hour"], default="even")
    parser.add_argument("--latency", type=float, default=0.2, help="seconds added to each list call")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    try:
        import uvloop  # noqa: PLC0415  optional
    except ImportError:
        asyncio.run(serve(args))
    else:
        uvloop.run(serve(args))


if __name__ == "__main__":
    main()
