"""SimplePlatform: the base of platforms that take one record in each request.

A platform inherits it and adds `create`, `read` and `page`. The defaults promise little: lists have no order and no
filters, and a document that differs from the known version counts as changed.
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from scalesync.errors import Refused, RemoteError
from scalesync.http.answers import outcome_of
from scalesync.http.transport import Transport
from scalesync.model.outcomes import Comparison, LookupResult, Match, Outcome, OutcomeKind, TaskError
from scalesync.model.records import JsonObject, Outgoing
from scalesync.model.selection import Selection
from scalesync.model.targets import RequestClass
from scalesync.model.task_view import TaskView
from scalesync.ports.changes import Changer
from scalesync.ports.operation import Repeat
from scalesync.ports.platform import Axis, Changes, Commands, Containers, Creator, ExportJobs, Lister, ListPage, Span
from scalesync.ports.spec import PlatformSpec

ABSENT = "(absent)"


@dataclass(frozen=True, slots=True)
class SimpleView:
    """One task, with the few facts that are known. Times are ms since the epoch; 0 if the service names none."""

    ref: str
    key: str | None
    status: str | None = None
    project: str | None = None
    made_ms: int = 0
    changed_ms: int = 0

    @property
    def updated_at(self) -> str | None:
        """The time of the last change, in the form of the ledger."""
        return str(self.changed_ms) if self.changed_ms else None

    def get(self, name: str) -> Any:
        """A member by its neutral name; None if it is not known."""
        return getattr(self, name, None)

    def created_ms(self) -> int:
        """When it was created."""
        return self.made_ms

    def updated_ms(self) -> int:
        """When it changed last."""
        return self.changed_ms or self.made_ms

    def times(self) -> dict[str, int]:
        """created and updated; the time of completion is not known."""
        return {"created": self.made_ms, "updated": self.updated_ms(), "completed": 0}

    def urls(self) -> Iterator[tuple[str, str]]:
        """None."""
        yield from ()


class SimplePlatform(ABC):
    """Creator and lister in one object; the other roles are missing.

    spec: of the platform.
    transport: carries the calls.
    repeat: the default needs a server where a second send is safe: its keys are ENFORCED or PUT.
    """

    spec: ClassVar[PlatformSpec]
    request = RequestClass.CREATE
    most, most_bytes, look_up_most = 1, 2**30, 1
    repeat = Repeat.IDEMPOTENT
    landing_s = 0.0
    one_fate = True
    learned: frozenset[str] = frozenset()
    axis = Axis.NONE
    changes = Changes.NONE
    filters: frozenset[str] = frozenset()

    def __init__(
        self, transport: Transport, task_type: str = "", namespace: str = "", extras: Mapping[str, Any] | None = None
    ) -> None:
        self.transport = transport
        self.task_type = task_type
        self.namespace = namespace
        self.extras = extras or {}
        self.creator: Creator = self
        self.lister: Lister = self
        self.containers: Containers | None = None
        self.commands: Commands | None = None
        self.export_jobs: ExportJobs | None = None
        self.changer: Changer | None = None

    @abstractmethod
    async def create(self, item: Outgoing) -> Outcome:
        """Create the task of one record. If it raises a RemoteError, the error becomes the outcome."""

    @abstractmethod
    async def read(self, ref: str) -> LookupResult:
        """Read one task by the platform's own id. Raises RemoteError."""

    @abstractmethod
    async def page(self, query: Mapping[str, Any], cursor: str | None) -> ListPage:
        """One page of all tasks, `query["limit"]` of them at most. Raises RemoteError."""

    async def find(self, key: str) -> LookupResult:
        """Look one key up. By default the key is also the task's id. Raises RemoteError."""
        return await self.read(key)

    async def send(self, items: Sequence[Outgoing]) -> Sequence[Outcome]:
        """Call `create` for each record."""
        return [await self._create(item) for item in items]

    async def _create(self, item: Outgoing) -> Outcome:
        try:
            return await self.create(item)
        except RemoteError as error:
            return outcome_of(error)

    async def look_up(
        self, keys: Sequence[str], batches: Collection[str] | None = None, *, unsent: bool = False
    ) -> Mapping[str, LookupResult]:
        """Call `find` for each key."""
        return {key: await self.find(key) for key in keys}

    def compare(self, item: Outgoing, task: JsonObject) -> Comparison:
        """Compare each member of the body; the task must hold it as it was sent."""
        body: JsonObject = json.loads(item.body)
        differences = {
            name: (ours, task.get(name, ABSENT)) for name, ours in body.items() if task.get(name, ABSENT) != ours
        }
        view = self.spec.view(json.dumps(task).encode())
        status = view.status or ""
        match = Match.DIFFERENT if differences else Match.EQUAL
        if status in self.spec.vocabulary.dead:
            match = Match.DEAD
        return Comparison(match, view.ref, view.created_ms(), status, differences)

    def task_error(self, task: JsonObject) -> TaskError:
        """A sentence that the service gives no reason."""
        return TaskError("the service gives no reason")

    async def release(self, ref: str) -> Outcome:
        """Refuse, because the service frees no keys."""
        return Outcome(OutcomeKind.REFUSED, message="the service frees no keys")

    async def remove(self, ref: str) -> None:
        """Raises Refused: the service removes no tasks."""
        raise Refused("the service removes no tasks", op="remove a task")

    def query(self, selection: Selection, page_size: int, within: tuple[int, int] | None = None) -> Mapping[str, Any]:
        """The query for all tasks, because lists have no filters."""
        return {"limit": page_size}

    async def span(self, selection: Selection, now_ms: int) -> Span:
        """A span of one place, because lists have no order."""
        return Span(0, 1)

    def place_of(self, task: TaskView) -> int:
        """The only place of the span."""
        return 0

    def version_of(self, task: TaskView, document: bytes) -> int:
        """A number from the document's bytes; it differs if the document differs."""
        return int.from_bytes(hashlib.blake2b(document, digest_size=7).digest(), "big")

    async def cursor(self) -> JsonObject | None:
        """None, because the service keeps no record of changes."""
        return None

    async def probe(self) -> None:
        """Read a page of one task."""
        await self.page({"limit": 1}, None)

    @property
    def server_now_ms(self) -> int:
        """The service's clock in ms, from its Date headers."""
        return self.transport.server_now_ms
