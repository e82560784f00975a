"""What the suite must know of Scale and its sandbox."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from scalesync.sandbox import FaultRule, Sandbox, SandboxConfig
from scalesync.sandbox.core.wire.messages import Call
from scalesync.sandbox.core.wire.rawjson import dumps, loads
from scalesync.sandbox.scale.tasks import lifecycle
from scalesync.sandbox.scale.tasks.documents import render
from scalesync.testing.platform_suite import Held
from tests.platforms.forking import ForkingHarness


class ScaleHarness(ForkingHarness):
    """Categorization tasks in the sandbox's live world."""

    platform = "scale"
    key = "live_k"
    type = "categorization"

    def emulator(self, faults: Sequence[FaultRule] = (), **switches: Any) -> Sandbox:
        sandbox = Sandbox(SandboxConfig(seed=7, **switches), faults)
        sandbox.store.world("live").add_project(self.project, self.type)
        return sandbox

    def record(self, number: int) -> dict[str, Any]:
        return {"attachment": f"letter {number}", "attachment_type": "text", "categories": ["kind", "angry"]}

    def refused(self) -> dict[str, Any]:
        return {"attachment": "letter", "attachment_type": "text", "categories": []}

    def make(self, host: Sandbox, key: str, record: dict[str, Any]) -> str:
        body = {**record, "unique_id": key, "project": self.project}
        reply = host.engine.api(Call("POST", f"/task/{self.type}", dumps(body)), "fill", f"Bearer {self.key}")
        assert reply.status == 200, reply.body
        return str(loads(reply.body)["task_id"])

    def tasks(self, host: Sandbox) -> Sequence[Held]:
        world = host.store.world("live")
        return [Held(task.unique_id, world.task_id(task), render(world, task)) for task in world.tasks]

    def die(self, host: Sandbox, ref: str) -> None:
        reply = host.engine.api(Call("POST", f"/task/{ref}/cancel"), "mutate", f"Bearer {self.key}")
        assert reply.status == 200, reply.body

    def finish(self, host: Sandbox, count: int) -> None:
        assert host.annotate(count) == count

    def correct(self, host: Sandbox, ref: str) -> None:
        task = host.store.world("live").find(ref)
        assert task is not None
        lifecycle.correct(host.store.world("live"), task, None)

    def remove(self, host: Sandbox, ref: str) -> None:
        world = host.store.world("live")
        task = world.find(ref)
        assert task is not None
        world.remove(task)
