"""What version 2 holds beside the world: deliveries, datasets, and batches on their way into another state."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import msgspec

from scalesync.sandbox.scale.state.model import Batch, Project, Task
from scalesync.sandbox.scale.state.world import World

FAMILY = frozenset({"chat", "chatlite", "chatexperimental", "multichat", "chatv2"})  # the task types of version 2
TYPES = (
    "SFT",
    "RLHF: Pref Ranking",
    "RLHF: Pref Ranking with Rewrites",
    "RLVR: Reinforcement Learning with Verifiable Rewards",
    "Rubrics",
    "Process Supervision",
    "Evals",
    "Prompt Generation",
    "Content Understanding",
    "Other",
)


def is_chat(task: Task) -> bool:
    """Whether version 2 shows a task. Each of its tasks has a project."""
    return task.type in FAMILY and task.project >= 0


class Delivered(msgspec.Struct, array_like=True, gc=False):
    """One task as it was when it was delivered; a later answer does not change it.

    seq: its place among everything delivered, which the pages of lists go by.
    """

    seq: int
    delivery: int
    task: int
    revision: int
    completed_ms: int
    response: bytes | None = None

    @property
    def listed(self) -> bool:
        """Lists never lag behind a delivery."""
        return True


class Delivery(msgspec.Struct, gc=False):
    """Tasks of one project, or of one dataset, that were delivered together. owner: the project's or dataset's number.

    turns: how many turns the tasks have; counted for datasets only.
    """

    number: int
    id: str
    name: str
    owner: int
    delivered_ms: int
    items: list[Delivered]
    turns: int = 0


class Dataset(msgspec.Struct, gc=False):
    """One dataset."""

    number: int
    id: str
    name: str


def given(task: Task) -> bytes | None:
    """The response that replaces the drawn one."""
    return None if task.extra is None else task.extra.response


@dataclass(slots=True)
class Shelf:
    """Everything delivered, of projects or of datasets. latest: the newest item of each task."""

    deliveries: list[Delivery] = field(default_factory=list)
    by_id: dict[str, Delivery] = field(default_factory=dict)
    items: list[Delivered] = field(default_factory=list)
    latest: dict[int, Delivered] = field(default_factory=dict)

    def put(self, delivery: Delivery) -> None:
        """Add a delivery, which is the newest."""
        self.deliveries.append(delivery)
        self.by_id[delivery.id] = delivery
        for item in delivery.items:
            self.items.append(item)
            self.latest[item.task] = item

    def of(self, item: Delivered) -> Delivery:
        """The delivery that an item came with."""
        return self.deliveries[item.delivery]

    def pack(self, tasks: Iterable[Task]) -> list[Delivered]:
        """The items of the next delivery."""
        number, packed = len(self.deliveries), []
        for seq, task in enumerate(tasks, len(self.items)):
            packed.append(Delivered(seq, number, task.seq, task.revision, task.completed_ms, given(task)))
        return packed


class GenAI:
    """Version 2 of one world. Store makes it as a HostedGenAI."""

    def __init__(self, world: World, save: Callable[[str, str, object], None]) -> None:
        self.world = world
        self.delivered = Shelf()
        self.published = Shelf()  # to datasets
        self.datasets: list[Dataset] = []
        self.dataset_ids: dict[str, Dataset] = {}
        self.turning: set[int] = set()  # numbers of batches whose pause, resume or cancel takes effect later
        self.delivered_until_ms = 0  # periodic deliveries were made up to here
        self._projects: dict[str, int] = {}
        self._batches: dict[str, int] = {}
        self._save = save

    def put_delivery(self, delivery: Delivery) -> None:
        """Add a delivery of a project."""
        self.delivered.put(delivery)
        for item in delivery.items:
            self.world.log.add(item.task)  # the view of tasks that wait for a delivery loses it
        self._save(self.world.name, "delivery", delivery)

    def put_published(self, delivery: Delivery) -> None:
        """Add a delivery of a dataset."""
        self.published.put(delivery)
        self._save(self.world.name, "published", delivery)

    def put_dataset(self, dataset: Dataset) -> None:
        """Add a dataset."""
        self.datasets.append(dataset)
        self.dataset_ids[dataset.id] = dataset
        self._save(self.world.name, "dataset", dataset)

    def records(self) -> Iterable[tuple[str, object]]:
        """Kind and value of everything, for a data file that is written from the beginning."""
        yield from (("dataset", dataset) for dataset in self.datasets)
        yield from (("delivery", delivery) for delivery in self.delivered.deliveries)
        yield from (("published", delivery) for delivery in self.published.deliveries)

    def take(self, kind: str, raw: bytes) -> None:
        """Read one record back; ignores the kinds of other owners."""
        if kind == "dataset":
            self.put_dataset(_datasets.decode(raw))
        elif kind == "delivery":
            self.put_delivery(_deliveries.decode(raw))
        elif kind == "published":
            self.put_published(_deliveries.decode(raw))

    def rebuild(self) -> None:
        """After the world was read: the batches whose change was under way."""
        self.turning = {batch.number for batch in self.world.batches if batch.turn}
        for shelf in (self.delivered, self.published):
            self.world.catch_up(max((delivery.delivered_ms for delivery in shelf.deliveries), default=0))

    def project(self, project_id: str) -> Project | None:
        """The project of an id, or None."""
        projects = self.world.projects
        for project in projects[len(self._projects) :]:
            self._projects[project.id] = project.number
        number = self._projects.get(project_id)
        return None if number is None else projects[number]

    def batch(self, batch_id: str) -> Batch | None:
        """The batch of an id, or None."""
        batches = self.world.batches
        for batch in batches[len(self._batches) :]:
            self._batches[batch.id] = batch.number
        number = self._batches.get(batch_id)
        return None if number is None else batches[number]

    def task(self, task_id: str) -> Task | None:
        """The chat of an id, or None; tasks of other types, and of no project, do not exist here."""
        task = self.world.find(task_id)
        return task if task is not None and is_chat(task) else None

    def schema_id(self, project: Project) -> str:
        """The id of the schema that the answers of a project follow; it never changes."""
        digest = hashlib.blake2b(f"{self.world.config.seed}:{project.id}:schema".encode(), digest_size=8)
        return f"{project.created_ms // 1000:08x}{digest.hexdigest()}"


_deliveries = msgspec.msgpack.Decoder(Delivery)
_datasets = msgspec.msgpack.Decoder(Dataset)
