"""A sandbox in a process of its own that kills its client with SIGKILL at a chosen request.

    python -m tests.faults.killer '{"seed": 1, ...}'

One JSON line in, one out: fill (make tasks), arm (kill a process at the n-th request from now), report, tasks. The end
of standard input ends it. The moment is counted in requests, so no clock decides: `enter` is when a request has arrived
and nothing of it has been done, `leave` when it has been carried out and its reply has not yet been written.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from scalesync.sandbox import Sandbox, SandboxConfig
from scalesync.sandbox.journal import Journal, Seen
from scalesync.sandbox.wire import Call

LETTERS, VIDEOS = "letters", "videos"
VIDEO = {
    "attachment": "https://x.test/a.mp4",
    "attachment_type": "video",
    "geometries": {"box": {"objects_to_annotate": ["person"]}},
}


class KillingJournal(Journal):
    """Counts requests of the API and of result files; at the armed one it kills."""

    def __init__(self) -> None:
        super().__init__(0)
        self.seen = 0
        self.pid = 0
        self.left = 0
        self.phase = "enter"
        self.in_flight_then = 0

    def arm(self, pid: int, after: int, phase: str) -> None:
        self.pid, self.left, self.phase, self.in_flight_then = pid, after, phase, 0

    def enter(self) -> None:
        super().enter()
        self.seen += 1
        self._count("enter")

    def leave(self, seen: Seen) -> None:
        self._count("leave")
        super().leave(seen)

    def _count(self, phase: str) -> None:
        if not self.pid or phase != self.phase:
            return
        self.left -= 1
        if self.left <= 0:
            self.in_flight_then = max(1, self.in_flight)
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            self.pid = 0


def fill(sandbox: Sandbox, count: int, kind: str, world: str) -> dict[str, int]:
    """Make tasks past the network."""
    key = "Bearer test_k" if world == "test" else "Bearer live_k"
    for number in range(count):
        body: dict[str, Any] = {"unique_id": f"{kind}-{number:06d}", "metadata": {"number": number}}
        if kind == "videoannotation":
            body |= VIDEO | {"project": VIDEOS}
        else:
            body |= {"attachment": f"letter {number}", "attachment_type": "text", "categories": ["a", "b"]}
            body |= {"project": LETTERS}
        call = Call("POST", f"/task/{kind}", json.dumps(body).encode())
        reply = sandbox.engine.api(call, "fill", key)
        assert reply.status == 200, reply.body
    return {"filled": count}


def report(sandbox: Sandbox, journal: KillingJournal) -> dict[str, Any]:
    """Figures so far. in_flight: at the moment of the last kill, 0 when the armed request never came."""
    journal.pid = 0
    return {
        "requests": journal.seen,
        "creates": journal.count("create"),
        "taken": journal.count("create", 409),
        "in_flight": journal.in_flight_then,
    }


def tasks(sandbox: Sandbox, world: str) -> list[list[Any]]:
    """(unique_id, task_id, number in the metadata) of every task."""
    documents = sandbox.store.world(world).documents()
    return [[task.get("unique_id"), task["task_id"], (task.get("metadata") or {}).get("number")] for task in documents]


def say(answer: Any) -> None:
    """One line of JSON."""
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


async def serve(config: SandboxConfig) -> None:
    journal = KillingJournal()
    async with Sandbox(config) as sandbox:
        sandbox.engine.journal = journal
        for world in ("live", "test"):
            sandbox.store.world(world).add_project(LETTERS, "categorization")
            sandbox.store.world(world).add_project(VIDEOS, "videoannotation")
        commands: dict[str, Callable[..., Any]] = {
            "fill": lambda **given: fill(sandbox, **given),
            "arm": journal.arm,
            "report": lambda: report(sandbox, journal),
            "tasks": lambda world: tasks(sandbox, world),
        }
        say({"base_url": sandbox.base_url})
        while line := await asyncio.to_thread(sys.stdin.readline):
            asked = json.loads(line)
            say(commands[asked.pop("do")](**asked))


if __name__ == "__main__":
    asyncio.run(serve(SandboxConfig(**json.loads(sys.argv[1]))))
