"""A project of multi-stage tasks in a sandbox, the ways in which they change, and what an export holds of them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scalesync.outputs.reader import lines_of
from scalesync.sandbox import Sandbox
from scalesync.sandbox.core import control
from scalesync.sandbox.core.wire.messages import Call
from scalesync.sandbox.scale.tasks.documents import render

START_MS = 1_750_000_000_000
MINUTE = 60_000
WEATHER = {"labels": ["car"], "attributes": {"weather": {"choices": ["rain", "sun"]}}}
DRIVE: dict[str, Any] = {
    "name": "drive",
    "delivery": "stage",
    "stages": [
        {"name": "boxes", "taxonomy": WEATHER},
        {"name": "lanes", "taxonomy": {"labels": ["lane"]}},
        {
            "name": "wipers",
            "after": ["boxes"],
            "taxonomy": {"labels": ["wiper"]},
            "when": [{"stage": "boxes", "attribute": "weather", "has": "rain"}],
        },
    ],
}
WHOLE = {**DRIVE, "name": "whole", "delivery": "task"}
Delivery = tuple[str, str, str]  # task_id, stage, delivered_at


class Street:
    """A sandbox with a clock of its own and a project of multi-stage tasks."""

    def __init__(self, sandbox: Sandbox, now: list[int], blueprints: Sequence[dict[str, Any]] = (DRIVE, WHOLE)) -> None:
        self.sandbox = sandbox
        self.now = now
        self.world: Any = sandbox.store.world("live")
        self.world.add_project("street", "multistage")
        for blueprint in blueprints:
            self.world.add_blueprint("street", blueprint)

    def create(self, count: int = 1, **more: Any) -> list[str]:
        made = []
        for _ in range(count):
            body = {"project": "street", "attachments": ["https://x.test/1.sfs"], "scene_format": "sfs", **more}
            call = Call("POST", "/task/multistage", json.dumps(body).encode())
            reply = self.sandbox.engine.api(call, "create", "Bearer live_k")
            made.append(json.loads(reply.body)["task_id"])
        return made

    def act(self, task_id: str, action: str, stage: str | None = None, **response: Any) -> None:
        """What people and the platform do to a task: complete or correct a stage, complete, recall, touch."""
        self.now[0] += 1_000
        body = {"action": action, **({"stage": stage} if stage else {}), **({"response": response} if response else {})}
        reply = control.answer(
            self.sandbox.engine, Call("POST", f"/_sandbox/tasks/{task_id}", json.dumps(body).encode())
        )
        assert reply.status == 200, reply.body

    def later(self) -> None:
        self.now[0] += MINUTE

    def documents(self) -> dict[str, bytes]:
        return {self.world.task_id(task): render(self.world, task) for task in self.world.tasks}

    def deliveries(self) -> dict[Delivery, Any]:
        """What is delivered of stages now, read from the store's documents alone."""
        found = {}
        for task_id, document in self.documents().items():
            task = json.loads(document)
            for stage in task.get("stages", ()) if task.get("delivery") == "stage" else ():
                if "delivered_at" in stage:
                    found[task_id, stage["name"], stage["delivered_at"]] = stage
        return found


def entries(out: Path, kind: str | None) -> list[dict[str, Any]]:
    listed = json.loads((out / "manifest.json").read_bytes())["files"]
    return [entry for entry in listed if entry.get("kind") == kind]


def stage_lines(out: Path) -> list[bytes]:
    return [line for entry in entries(out, "stages") for line in lines_of(out / entry["path"])]


def delivered(out: Path) -> Counter[Delivery]:
    lines = map(json.loads, stage_lines(out))
    return Counter((line["task_id"], line["stage"], line["delivered_at"]) for line in lines)
