"""Version 2 for the program that hosts the sandbox: projects, deliveries and datasets without a request."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from scalesync.sandbox.core.wire.errors import ApiError
from scalesync.sandbox.core.wire.rawjson import loads
from scalesync.sandbox.scale.errors import NO_SUCH_TASK
from scalesync.sandbox.scale.state.model import COMPLETED, Project, Task
from scalesync.sandbox.scale.v2 import datasets, deliveries, due
from scalesync.sandbox.scale.v2.documents import ALL, render_task
from scalesync.sandbox.scale.v2.projects import make_project
from scalesync.sandbox.scale.v2.state import Dataset, Delivery, GenAI, is_chat


class HostedGenAI(GenAI):
    """What tests use of version 2, in addition to `delivered`, `published`, `datasets`, `project` and `batch`."""

    def add_project(self, name: str, *types: str, models: Sequence[str] = ()) -> Project:
        """Create a project of GenAI types, such as "SFT". Raises ApiError 400, 409."""
        return make_project(self.world, name, types, models)

    def chats(self) -> Iterator[dict[str, Any]]:
        """The document of every chat, oldest first, as GET /v2/task would send it with all `opts`."""
        for task in self.world.tasks:
            if is_chat(task):
                yield loads(render_task(self, task, ALL))

    def deliver(
        self, project: str | None = None, *, tasks: Iterable[str] | None = None, name: str | None = None
    ) -> list[Delivery]:
        """Deliver the completed chats that wait for it: of all projects, or of one.

        tasks: only these, also if they were delivered before. name: of the delivery.
        Raises ApiError 404 for an unknown project or task, and 400 for a task that is not completed.
        """
        due.run(self)
        if tasks is None:
            return deliveries.deliver_waiting(self, self._project(project), name)
        grouped: dict[int, list[Task]] = {}
        for task in self._completed(tasks):
            grouped.setdefault(task.project, []).append(task)
        return [deliveries.deliver(self, self.world.projects[n], chosen, name) for n, chosen in grouped.items()]

    def add_dataset(self, name: str) -> Dataset:
        """Create a dataset."""
        return datasets.make_dataset(self, name)

    def publish(
        self,
        dataset_id: str,
        project: str | None = None,
        *,
        tasks: Iterable[str] | None = None,
        name: str | None = None,
    ) -> Delivery:
        """Deliver to a dataset: completed chats that it does not have, of all projects or of one; or `tasks`.

        Raises ApiError 404 for an unknown dataset, project or task, and 400 for a task that is not completed.
        """
        due.run(self)
        dataset = self.dataset_ids.get(dataset_id)
        if dataset is None:
            raise ApiError(404, "Dataset not found.")
        chosen = self._unpublished(dataset, self._project(project)) if tasks is None else self._completed(tasks)
        return datasets.publish(self, dataset, chosen, name)

    def _project(self, name: str | None) -> Project | None:
        if name is not None and name not in self.world.project_names:
            raise ApiError(404, f'Project "{name}" not found.')
        return None if name is None else self.world.project_names[name]

    def _unpublished(self, dataset: Dataset, project: Project | None) -> Iterator[Task]:
        mine = (delivery for delivery in self.published.deliveries if delivery.owner == dataset.number)
        held = {item.task for delivery in mine for item in delivery.items}
        for task in self.world.tasks:
            fresh = task.status == COMPLETED and is_chat(task) and task.seq not in held
            if fresh and project in (None, self.world.projects[task.project]):
                yield task

    def _completed(self, ids: Iterable[str]) -> list[Task]:
        found = []
        for task_id in ids:
            task = self.task(task_id)
            if task is None:
                raise ApiError(404, NO_SUCH_TASK)
            if task.status != COMPLETED:
                raise ApiError(400, f"Task {task_id} is {task.status} and cannot be delivered.")
            found.append(task)
        return found
