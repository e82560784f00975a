"""The world of one kind of key: its tasks, batches and projects, and the indexes that lists are read from.

Everything runs in one thread and no method awaits, so each method is atomic.
"""

from __future__ import annotations

import hashlib
from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable, Iterator
from functools import partial
from pathlib import Path

from scalesync.sandbox.core.blobs import Blobs
from scalesync.sandbox.core.lists.index import Index, TouchLog, View
from scalesync.sandbox.core.wire.rawjson import text
from scalesync.sandbox.scale.config import SandboxConfig
from scalesync.sandbox.scale.state.account import Account
from scalesync.sandbox.scale.state.blueprints import Blueprints
from scalesync.sandbox.scale.state.model import PENDING, Batch, Project, Task
from scalesync.sandbox.scale.state.outbox import Outbox

MAX_VIEWS = 32
ID_SPACE = 1 << 64


class World:
    """The live or the test world. Store makes it as a HostedWorld."""

    def __init__(self, name: str, config: SandboxConfig, save: Callable[[str, str, object], None]) -> None:
        self.name = name
        self.config = config
        self.base_url = ""
        self.is_test = name == "test"
        self.projects: list[Project] = []
        self.project_names: dict[str, Project] = {}
        self.batches: list[Batch] = []
        self.batch_names: dict[str, Batch] = {}
        self.by_seq: list[Task | None] = []
        self.listed = Index()
        self.of_project: list[Index] = []
        self.of_batch: list[Index] = []
        self.unique: dict[str, int] = {}
        self.idempotency: set[str] = set()
        self.counts: Counter[str] = Counter()
        self.log = TouchLog()
        self.timers: list[int] = []  # heap of due_ms << 32 | seq
        self.unlisted: list[int] = []  # heap of visible_ms << 32 | seq
        self._views: OrderedDict[Hashable, View] = OrderedDict()
        self._pieces: list[bytes] = []
        self._save = save
        self._last_ms = 0
        self.account = Account(f"{config.seed}:{name}", partial(save, name))
        self.blueprints = Blueprints(partial(save, name))
        self.outbox = Outbox(config, partial(save, name))
        self.blobs = Blobs(None if config.data is None else Path(f"{config.data}.{name}-files"))
        digest = hashlib.blake2b(f"{config.seed}:{name}".encode(), digest_size=8).digest()
        # The lowest 32 bits count up, so the end of an id never overflows and shows the order of creation.
        self.id_base = int.from_bytes(digest, "big") & ~((1 << 33) - 1) & (ID_SPACE - 1)

    # -- time and ids ---------------------------------------------------------------------------

    def now(self) -> int:
        """The clock in ms. It never runs backwards, so created_at and ids rise together."""
        self._last_ms = max(self._last_ms, self.config.clock())
        return self._last_ms

    def catch_up(self, ms: int) -> None:
        """Let the clock return no time before `ms`; for state read from a file."""
        self._last_ms = max(self._last_ms, ms)

    def task_id(self, task: Task) -> str:
        """24 hex digits, like an ObjectId: the second of creation, then a rising number."""
        return f"{task.created_ms // 1000:08x}{self.id_base + task.seq:016x}"

    def seq_of(self, task_id: str) -> int:
        """The number in an id, also if the task no longer exists; -1 for a foreign id."""
        try:
            seq = int(task_id[8:], 16) - self.id_base
        except ValueError:
            return -1
        return seq if len(task_id) == 24 and 0 <= seq < len(self.by_seq) else -1

    def find(self, task_id: str) -> Task | None:
        """The task of an id, or None."""
        seq = self.seq_of(task_id)
        task = self.by_seq[seq] if seq >= 0 else None
        return task if task is not None and self.task_id(task) == task_id else None

    # -- writing --------------------------------------------------------------------------------

    def insert(self, task: Task, *, visible_ms: int = 0) -> None:
        """Add a new task whose seq is `len(by_seq)`. With visible_ms, lists show it from that time on."""
        self.by_seq.append(task)
        self.counts[task.status] += 1
        if task.unique_id is not None:
            self.unique[task.unique_id] = task.seq
        if task.batch >= 0:
            batch = self.batches[task.batch]
            batch.counts[task.status] += 1
            if batch.completed_ms and task.status == PENDING:
                batch.completed_ms = 0
        if visible_ms:
            task.listed = False
        else:
            self.show(task)

    def show(self, task: Task) -> None:
        """Let lists see the task."""
        task.listed = True
        self.listed.add(task.seq)
        if task.project >= 0:
            self.of_project[task.project].add(task.seq)
        if task.batch >= 0:
            self.of_batch[task.batch].add(task.seq)
        self.log.add(task.seq)

    def changed(self, task: Task, now_ms: int) -> None:
        """Stamp and save a change of the task. Every write to an existing task ends with this call."""
        task.updated_ms = max(task.updated_ms, now_ms)
        if task.listed:
            self.log.add(task.seq)
        self._save(self.name, "task", task)

    def move(self, task: Task, status: str, now_ms: int) -> None:
        """Set the status, and update the counters of world and batch. Call `changed` afterwards."""
        self.counts[task.status] -= 1
        self.counts[status] += 1
        if task.batch >= 0:
            batch = self.batches[task.batch]
            batch.counts[task.status] -= 1
            batch.counts[status] += 1
            self.settle(batch, now_ms)
        task.status = status

    def settle(self, batch: Batch, now_ms: int) -> None:
        """Find out whether a batch is completed; its first completion calls its callback."""
        done = not batch.staging and any(batch.counts.values()) and not batch.counts[PENDING]
        batch.completed_ms = (batch.completed_ms or now_ms) if done else 0
        if done and batch.callback and not batch.called:
            batch.called = True
            self._save(self.name, "batch", batch)
            self.outbox.add("batch", batch.number, batch.callback, now_ms)

    def rename(self, task: Task, unique_id: str | None) -> None:
        """Give the task another unique_id, or none; the old one is free again."""
        if task.unique_id is not None:
            self.unique.pop(task.unique_id, None)
        task.unique_id = unique_id
        if unique_id is not None:
            self.unique[unique_id] = task.seq

    def remove(self, task: Task) -> None:
        """Remove the task without a trace. No API call does this; tests do."""
        self.rename(task, None)
        self.counts[task.status] -= 1
        if task.batch >= 0:
            self.batches[task.batch].counts[task.status] -= 1
            self.of_batch[task.batch].discard(task.seq)
        if task.project >= 0:
            self.of_project[task.project].discard(task.seq)
        self.listed.discard(task.seq)
        self.by_seq[task.seq] = None
        self.log.add(task.seq)
        self._save(self.name, "gone", task.seq)

    def put_project(self, project: Project) -> None:
        """Add a project, or save a change of it."""
        if project.number == len(self.projects):
            self.projects.append(project)
            self.of_project.append(Index())
            self._pieces.append(b',"project":' + text(project.name) + b',"projectId":"' + project.id.encode() + b'"')
        self.project_names[project.name] = project
        self._save(self.name, "project", project)

    def put_batch(self, batch: Batch) -> None:
        """Add a batch, or save a change of it."""
        if batch.number == len(self.batches):
            self.batches.append(batch)
            self.of_batch.append(Index())
        self.batch_names[batch.name] = batch
        self._save(self.name, "batch", batch)

    def save_new(self, task: Task) -> None:
        """Save a task that was just inserted."""
        self._save(self.name, "task", task)

    def use_key(self, key: str) -> bool:
        """Remember an Idempotency-Key; False if it was used before."""
        if key in self.idempotency:
            return False
        self.idempotency.add(key)
        self._save(self.name, "key", key)
        return True

    def object_id(self, kind: str, number: int) -> str:
        """A 24-hex id for the n-th batch or project."""
        tail = hashlib.blake2b(f"{self.config.seed}:{self.name}:{kind}:{number}".encode(), digest_size=8)
        return f"{self.now() // 1000:08x}{tail.hexdigest()}"

    # -- reading --------------------------------------------------------------------------------

    def project_piece(self, number: int) -> bytes:
        """The members `project` and `projectId` of a task, encoded once."""
        return self._pieces[number]

    def view(self, key: Hashable, matches: Callable[[int], bool], base: Index) -> View:
        """The view of a filter, kept current. Of more than MAX_VIEWS, the least recently used is dropped."""
        view = self._views.get(key)
        if view is None:
            view = self._views[key] = View(matches)
            if len(self._views) > MAX_VIEWS:
                self._views.popitem(last=False)
        else:
            self._views.move_to_end(key)
        view.refresh(base, self.log)
        return view

    @property
    def tasks(self) -> Iterator[Task]:
        """All tasks, oldest first, including those that lists do not show yet."""
        return (task for task in self.by_seq if task is not None)

    def count(self, status: str | None = None) -> int:
        """How many tasks there are, of one status or in all."""
        return self.counts[status] if status is not None else self.counts.total()
