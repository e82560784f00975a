"""What the suite must know of version 2 of Scale's API and its sandbox."""

from __future__ import annotations

from collections.abc import Sequence
from types import MappingProxyType
from typing import Any

from scalesync.sandbox import FaultRule, Sandbox, SandboxConfig
from scalesync.sandbox.core.wire.messages import Call
from scalesync.sandbox.core.wire.rawjson import dumps, loads
from scalesync.sandbox.scale.state.model import CANCELED, Task
from scalesync.sandbox.scale.state.world import World
from scalesync.sandbox.scale.tasks import lifecycle
from scalesync.sandbox.scale.v2.documents import render_task
from scalesync.sandbox.scale.v2.query import Shown
from scalesync.sandbox.scale.v2.state import is_chat
from scalesync.testing.platform_suite import Held
from tests.platforms.forking import ForkingHarness

LABEL, REMOVED = "scalesync_id", "scalesync_removed"
NAMES = Shown(expand=frozenset({"project", "batch"}))


class ChatHarness(ForkingHarness):
    """Chats in the sandbox's live world. A task that the program canceled as a second one counts as removed."""

    platform = "scale-v2"
    key = "live_k"
    landing_s = 1.5
    extras = MappingProxyType({"landing_s": "1.5"})

    def emulator(self, faults: Sequence[FaultRule] = (), **switches: Any) -> Sandbox:
        sandbox = Sandbox(SandboxConfig(seed=7, **switches), faults)
        sandbox.store.genai("live").add_project(self.project, "SFT")
        return sandbox

    def record(self, number: int) -> dict[str, Any]:
        return {"template_variables": {"prompt": f"letter {number}"}, "metadata": {"letter": number, "of": ["a", 1.0]}}

    def refused(self) -> dict[str, Any]:
        return {"template_variables": {"prompt": "letter"}, "callback_url": 7}

    def correction(self) -> dict[str, Any]:
        return {"callback_url": "https://callbacks.example/chats"}

    def make(self, host: Sandbox, key: str, record: dict[str, Any], batch: str | None = None) -> str:
        metadata = {**record["metadata"], LABEL: key}
        places = {"project_name": self.project, **({} if batch is None else {"batch_name": batch})}
        body = {**record, "metadata": metadata, **places}
        call = Call("POST", "/task/chat", dumps(body), version="/v2")
        reply = host.engine.api(call, "fill", f"Bearer {self.key}")
        assert reply.status == 200, reply.body
        return str(loads(reply.body)["task_id"])

    def tasks(self, host: Sandbox) -> Sequence[Held]:
        genai = host.store.genai("live")
        found = []
        for task in filter(is_chat, self._world(host).tasks):
            metadata = loads(task.metadata or b"{}")
            if REMOVED not in metadata or task.status != CANCELED:
                document = render_task(genai, task, NAMES)
                found.append(Held(metadata.get(LABEL), genai.world.task_id(task), document))
        return found

    def begin(self, host: Sandbox, ref: str) -> None:
        world = self._world(host)
        lifecycle.complete(world, self._task(host, ref), world.now())

    def die(self, host: Sandbox, ref: str) -> None:
        reply = host.engine.api(Call("POST", f"/task/{ref}/cancel"), "fill", f"Bearer {self.key}")
        assert reply.status == 200, reply.body

    def finish(self, host: Sandbox, count: int) -> None:
        assert host.annotate(count) == count

    def correct(self, host: Sandbox, ref: str) -> None:
        lifecycle.correct(self._world(host), self._task(host, ref), None)

    def remove(self, host: Sandbox, ref: str) -> None:
        self._world(host).remove(self._task(host, ref))

    @staticmethod
    def _world(host: Sandbox) -> World:
        return host.store.world("live")

    def _task(self, host: Sandbox, ref: str) -> Task:
        task = self._world(host).find(ref)
        assert task is not None
        return task
