"""What the suite must know of what was delivered, over version 2 of Scale's API: of a project, and of a dataset."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import MappingProxyType
from typing import Any

from scalesync.sandbox import FaultRule, Sandbox
from scalesync.sandbox.scale.state.model import Task
from scalesync.sandbox.scale.tasks import lifecycle
from scalesync.sandbox.scale.v2.deliveries import render_delivered
from scalesync.sandbox.scale.v2.documents import render_dataset_task
from scalesync.sandbox.scale.v2.hosted import HostedGenAI
from scalesync.sandbox.scale.v2.query import Shown
from scalesync.sandbox.scale.v2.state import Delivered, Shelf
from scalesync.testing.platform_suite import Held
from tests.platforms.chat import ChatHarness

WITH_TIME = Shown(expand=frozenset({"delivery"}))


class DeliveredHarness(ChatHarness):
    """Chats of a project, each as it was delivered last.

    What is made is completed and delivered together, and each seventh of it once more with another answer.
    """

    extras = MappingProxyType({"list": "deliveries"})

    def make(self, host: Sandbox, key: str, record: dict[str, Any]) -> str:
        ref = super().make(host, key, record)
        world = self._world(host)
        lifecycle.complete(world, self._task(host, ref), world.now())
        return ref

    def made(self, host: Sandbox) -> None:
        world, shelf = self._world(host), self._shelf(host)
        new = [task for task in world.tasks if task.seq not in shelf.latest]
        self._deliver(host, new)
        self._again(host, new[::7])

    def finish(self, host: Sandbox, count: int) -> None:
        oldest = [task for task, _ in zip(self._world(host).tasks, range(count), strict=False)]
        self._again(host, oldest)

    def correct(self, host: Sandbox, ref: str) -> None:
        self._again(host, [self._task(host, ref)])

    def tasks(self, host: Sandbox) -> Sequence[Held]:
        latest, world = self._shelf(host).latest, self._world(host)
        found = [(task, latest[task.seq]) for task in world.tasks if task.seq in latest]
        return [Held(None, world.task_id(task), self._document(host, task, item)) for task, item in found]

    def _again(self, host: Sandbox, tasks: Iterable[Task]) -> None:
        """Correct their answers and deliver them once more."""
        corrected, world, last = list(tasks), self._world(host), self._shelf(host).deliveries[-1]
        while last.delivered_ms == world.now() == world.config.clock():
            pass  # of two answers in the same millisecond nobody could say which one is newer
        for task in corrected:
            lifecycle.correct(world, task, None)
        self._deliver(host, corrected)

    def _deliver(self, host: Sandbox, tasks: Iterable[Task]) -> None:
        genai = self.genai(host)
        genai.deliver(self.project, tasks=[genai.world.task_id(task) for task in tasks])

    def _shelf(self, host: Sandbox) -> Shelf:
        return self.genai(host).delivered

    def _document(self, host: Sandbox, task: Task, item: Delivered) -> bytes:
        return render_delivered(self.genai(host), task, item)

    @staticmethod
    def genai(host: Any) -> HostedGenAI:
        assert isinstance(host, Sandbox)
        return host.store.genai("live")


class DatasetHarness(DeliveredHarness):
    """The same chats, published to a dataset."""

    extras = MappingProxyType({"dataset": "letters"})

    @property
    def listed_project(self) -> None:
        return None

    def emulator(self, faults: Sequence[FaultRule] = (), **switches: Any) -> Sandbox:
        sandbox = super().emulator(faults, **switches)
        self.genai(sandbox).add_dataset("letters")
        return sandbox

    def _deliver(self, host: Sandbox, tasks: Iterable[Task]) -> None:
        genai = self.genai(host)
        genai.publish(genai.datasets[0].id, tasks=[genai.world.task_id(task) for task in tasks])

    def _shelf(self, host: Sandbox) -> Shelf:
        return self.genai(host).published

    def _document(self, host: Sandbox, task: Task, item: Delivered) -> bytes:
        return render_dataset_task(self.genai(host), task, item, WITH_TIME)
