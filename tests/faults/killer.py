"""A sandbox in a process of its own that kills its client with SIGKILL at a chosen request.

    python -m tests.faults.killer '{"seed": 1, ...}'

One JSON line in, one out: fill (make tasks), change (a drawn round of changes), touch (a few things done to drawn
tasks), faults (the rules in force from now on), arm (kill a process at the n-th request from now), report, tasks,
documents. The end of standard input ends it. With `clock_ms` its clock begins there
and only `change` moves it. The moment is counted in requests, so no clock decides: `enter` is when a request has
arrived and nothing of it has been done, `leave` when it has been carried out and its reply has not yet been written.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

from scalesync.sandbox import FaultRule, Sandbox, SandboxConfig
from scalesync.sandbox.core import control
from scalesync.sandbox.core.wire.messages import Call, Reply
from scalesync.sandbox.core.wire.times import system_ms
from scalesync.sandbox.scale.tasks.documents import render
from scalesync.testing.processes import KillingJournal

LETTERS, VIDEOS = "letters", "videos"
VIDEO = {
    "attachment": "https://x.test/a.mp4",
    "attachment_type": "video",
    "geometries": {"box": {"objects_to_annotate": ["person"]}},
}
LIVE = "Bearer live_k"
ACTIONS = ("complete", "complete", "complete", "recall", "recall", "correct", "touch", "cancel", "setMetadata")
PAUSES_MS = (60_000, 900_000, 86_400_000)  # within the overlap of an increment and beyond it
SETTLED_MS = 3_000  # the Date header is cut to the second


class Clock:
    """Milliseconds since the epoch: the system's, or a time of its own that only moves when told to."""

    def __init__(self, ms: int | None) -> None:
        self.ms = ms

    def __call__(self) -> int:
        return system_ms() if self.ms is None else self.ms

    def forward(self, ms: int) -> None:
        assert self.ms is not None, "the system's clock is not ours to move"
        self.ms += ms


def fill(sandbox: Sandbox, count: int, kind: str, world: str, first: int = 0) -> dict[str, int]:
    """Make tasks past the network."""
    key = "Bearer test_k" if world == "test" else LIVE
    for number in range(first, first + count):
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


def change(sandbox: Sandbox, clock: Clock, draw: str, new: int, count: int) -> dict[str, int]:
    """Make `new` videos, then do `count` drawn things to live tasks; afterwards the clock is past all of it."""
    rng = random.Random(draw)
    clock.forward(rng.choice(PAUSES_MS))
    world = sandbox.store.world("live")
    for number in range(world.count(), world.count() + new):
        clock.forward(rng.choice((0, 1, 700)))
        fill(sandbox, 1, "videoannotation", "live", number)
    ids = [world.task_id(task) for task in world.tasks]
    done: Counter[str] = Counter()
    for number in range(count):
        clock.forward(rng.choice((0, 1, 40)))
        action = rng.choice(ACTIONS)
        status = act(sandbox, rng.choice(ids), action, number).status
        assert status in {200, 400}, (action, status)
        done[action if status == 200 else "refused"] += 1
    clock.forward(rng.choice((SETTLED_MS, *PAUSES_MS)))
    return done


def touch(sandbox: Sandbox, clock: Clock, draw: str, actions: list[str]) -> list[str]:
    """Do each action to a drawn live task; what its state forbids is left out. Returns what was done."""
    rng = random.Random(draw)
    world = sandbox.store.world("live")
    done = []
    for number, action in enumerate(actions):
        clock.forward(rng.choice((1, 40, 60_000)))  # a change at the very time of the last one shows in no list
        if world.tasks:
            task_id = world.task_id(rng.choice(list(world.tasks)))
            if act(sandbox, task_id, action, number).status == 200:
                done.append(f"{action} {task_id}")
    clock.forward(SETTLED_MS)
    return done


def act(sandbox: Sandbox, task_id: str, action: str, number: int) -> Reply:
    """What a client, a worker or the platform does to a task; 400 where its state forbids it."""
    if action in {"cancel", "setMetadata"}:
        call = Call("POST", f"/task/{task_id}/{action}", json.dumps({"changed": number}).encode())
        return sandbox.engine.api(call, "mutate", LIVE)
    call = Call("POST", f"/_sandbox/tasks/{task_id}", json.dumps({"action": action}).encode())
    return control.answer(sandbox.engine, call)


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


def documents(sandbox: Sandbox) -> list[str]:
    """Every live task's document, byte for byte as lists show it."""
    world = sandbox.store.world("live")
    return [render(world, task).decode() for task in world.tasks]


def say(answer: Any) -> None:
    """One line of JSON."""
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


async def serve(config: SandboxConfig, clock: Clock) -> None:
    journal = KillingJournal()
    async with Sandbox(config) as sandbox:
        sandbox.engine.journal = journal
        for world in ("live", "test"):
            sandbox.store.world(world).add_project(LETTERS, "categorization")
            sandbox.store.world(world).add_project(VIDEOS, "videoannotation")
        commands: dict[str, Callable[..., Any]] = {
            "fill": lambda **given: fill(sandbox, **given),
            "change": lambda **given: change(sandbox, clock, **given),
            "touch": lambda **given: touch(sandbox, clock, **given),
            "faults": lambda rules: sandbox.faults.replace(FaultRule(**rule) for rule in rules),
            "arm": journal.arm,
            "report": lambda: report(sandbox, journal),
            "tasks": lambda world: tasks(sandbox, world),
            "documents": lambda: documents(sandbox),
        }
        say({"base_url": sandbox.base_url})
        while line := await asyncio.to_thread(sys.stdin.readline):
            asked = json.loads(line)
            say(commands[asked.pop("do")](**asked))


if __name__ == "__main__":
    switches = json.loads(sys.argv[1])
    own_clock = Clock(switches.pop("clock_ms", None))
    asyncio.run(serve(SandboxConfig(clock=own_clock, **switches), own_clock))
