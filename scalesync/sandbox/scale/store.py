"""The two worlds, and their data file if there is one."""

from __future__ import annotations

import heapq
from collections.abc import Iterator

import msgspec

from scalesync.sandbox.core.datalog import COMPACT_BYTES, DataLog, Record
from scalesync.sandbox.scale.config import SandboxConfig
from scalesync.sandbox.scale.hosted import HostedWorld
from scalesync.sandbox.scale.keys import WorldName
from scalesync.sandbox.scale.state.model import PENDING, STATUSES, Batch, Project, Task
from scalesync.sandbox.scale.state.world import World
from scalesync.sandbox.scale.tasks.timers import SEQ_BITS
from scalesync.sandbox.scale.v2.hosted import HostedGenAI

_tasks = msgspec.msgpack.Decoder(Task)
_projects = msgspec.msgpack.Decoder(Project)
_batches = msgspec.msgpack.Decoder(Batch)
_numbers = msgspec.msgpack.Decoder(int)
_texts = msgspec.msgpack.Decoder(str)
_heads = msgspec.msgpack.Decoder(dict[str, int])


class Store:
    """All state of one sandbox. Raises ValueError if the data file cannot be used."""

    def __init__(self, config: SandboxConfig) -> None:
        self.config = config
        self._log: DataLog | None = None
        self._loading = True
        self._written: dict[str, int] = {}  # by world: how many tasks the file holds with their bodies
        self._worlds = {name: HostedWorld(name, config, self._save) for name in ("live", "test")}
        self._genai = {name: HostedGenAI(world, self._save) for name, world in self._worlds.items()}
        if config.data is not None:
            self._open(config)
        self._loading = False

    def world(self, name: WorldName) -> HostedWorld:
        """`live` or `test`."""
        return self._worlds[name]

    def genai(self, name: str) -> HostedGenAI:
        """Version 2 of a world: `live` or `test`."""
        return self._genai[name]

    def __iter__(self) -> Iterator[HostedWorld]:
        return iter(self._worlds.values())

    def set_base_url(self, url: str) -> None:
        """Set the base of result links, which has no slash at its end."""
        for world in self:
            world.base_url = url

    def flush(self) -> None:
        """Write what is buffered."""
        if self._log is not None:
            self._log.flush()

    def close(self) -> None:
        """Write everything and close the file; remove uploaded files that no data file belongs to."""
        if self._log is not None:
            self._log.close()
        for world in self:
            world.blobs.close()

    def _save(self, world: str, kind: str, value: object) -> None:
        if self._log is None or self._loading:
            return
        if isinstance(value, Task):
            value = self._without_known_body(world, value)
        self._log.save(world, kind, value)

    def _without_known_body(self, world: str, task: Task) -> Task:
        """The body never changes. Once the file holds it, the program does not write it again."""
        known = self._written.get(world, 0)
        self._written[world] = max(known, task.seq + 1)
        return msgspec.structs.replace(task, body=b"") if task.seq < known else task

    def _open(self, config: SandboxConfig) -> None:
        log = DataLog(config.data or "", sync=config.data_sync)
        try:
            total = self._load(log)
        except (ValueError, KeyError, IndexError) as error:
            log.file.close()
            raise ValueError(f"{log.path}: {error}") from error
        for world in self:
            _rebuild(world)
            self._genai[world.name].rebuild()
            self._written[world.name] = len(world.by_seq)
        self._log = log
        alive = sum(len(w.by_seq) + len(w.batches) + len(w.projects) + len(w.idempotency) for w in self)
        alive += sum(1 for genai in self._genai.values() for _ in genai.records())
        alive += sum(1 for world in self for _ in world.account.records()) + sum(len(w.outbox.waiting) for w in self)
        alive += sum(len(world.blueprints.all) for world in self)
        if not total:
            log.save("", "head", self._head())
            log.flush()
        elif total > 2 * alive and log.path.stat().st_size > COMPACT_BYTES:
            log.rewrite(self._dump)

    def _head(self) -> dict[str, int]:
        return {"seed": self.config.seed}

    def _load(self, log: DataLog) -> int:
        total = 0
        for record in log.records():
            if total == 0:
                self._check_head(record)
            else:
                _apply(self._worlds[record.world], record)
                self._genai[record.world].take(record.kind, bytes(record.value))
            total += 1
        return total

    def _check_head(self, record: Record) -> None:
        head = _heads.decode(record.value)
        if head["seed"] != self.config.seed:
            raise ValueError(f"the file was made with seed {head['seed']}, not {self.config.seed}")

    def _dump(self, log: DataLog) -> None:
        log.save("", "head", self._head())
        for world in self:
            for project in world.projects:
                log.save(world.name, "project", project)
            for batch in world.batches:
                log.save(world.name, "batch", batch)
            for key in world.idempotency:
                log.save(world.name, "key", key)
            for kind, value in self._genai[world.name].records():
                log.save(world.name, kind, value)
            for kind, value in world.account.records():
                log.save(world.name, kind, value)
            for blueprint in world.blueprints.all:
                log.save(world.name, "blueprint", blueprint)
            for delivery in world.outbox.waiting.values():
                log.save(world.name, "callback", delivery)
            for seq, task in enumerate(world.by_seq):
                log.save(world.name, "gone" if task is None else "task", seq if task is None else task)


def _apply(world: World, record: Record) -> None:
    if record.kind in ("task", "gone"):
        _apply_task(world, record)
    elif record.kind == "project":
        project = _projects.decode(record.value)
        if project.number < len(world.projects):
            world.projects[project.number] = project
        world.put_project(project)
    elif record.kind == "batch":
        batch = _batches.decode(record.value)
        if batch.number < len(world.batches):
            world.batches[batch.number] = batch
        world.put_batch(batch)
    elif record.kind == "key":
        world.idempotency.add(_texts.decode(record.value))
    elif record.kind == "blueprint":
        world.blueprints.apply(record.value)
    elif record.kind == "callback":
        world.outbox.apply(record.value)
    else:
        world.account.apply(record.kind, record.value)


def _apply_task(world: World, record: Record) -> None:
    if record.kind == "task":
        task = _tasks.decode(record.value)
        if task.seq < len(world.by_seq):
            old = world.by_seq[task.seq]
            if old is not None:
                task.body, task.created_ms, task.type = old.body, old.created_ms, old.type
            world.by_seq[task.seq] = task
        else:
            world.by_seq.append(task)
    else:
        seq = _numbers.decode(record.value)
        if seq < len(world.by_seq):
            world.by_seq[seq] = None
        else:
            world.by_seq.append(None)


def _rebuild(world: World) -> None:
    """Indexes, counters and timers from the tasks."""
    for batch in world.batches:
        batch.counts = dict.fromkeys(STATUSES, 0)
    tasks, world.by_seq = world.by_seq, []
    finished = {batch.number: batch.completed_ms for batch in world.batches}
    for task in tasks:
        if task is None:
            world.by_seq.append(None)
            continue
        world.insert(task)
        world.catch_up(max(task.created_ms, task.updated_ms))
        if task.batch >= 0:
            finished[task.batch] = max(finished[task.batch], task.updated_ms)
        if task.due_ms and task.status == PENDING:
            world.timers.append(task.due_ms << SEQ_BITS | task.seq)
    heapq.heapify(world.timers)
    world.outbox.ready()
    world.outbox.expecting = bool(world.timers)
    world.blobs.keep_only(world.account.files)
    for batch in world.batches:
        done = not batch.staging and any(batch.counts.values()) and not batch.counts[PENDING]
        batch.completed_ms = finished[batch.number] if done else 0
