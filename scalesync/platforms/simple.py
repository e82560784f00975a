"""SimplePlatform: a service that takes one record in each request, with what most such services have in common.

A platform inherits it and adds `create`, `read` and `page`. What it leaves as it is says no more than is certain: lists
have no order and no filters, and whatever differs from the version known counts as changed.
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from scalesync.errors import RemoteError
from scalesync.http.answers import outcome_of
from scalesync.http.transport import Transport
from scalesync.model.outcomes import Comparison, LookupResult, Match, Outcome, OutcomeKind, TaskError
from scalesync.model.records import JsonObject, Outgoing
from scalesync.model.selection import Selection
from scalesync.model.targets import RequestClass
from scalesync.model.task_view import TaskView
from scalesync.ports.operation import Repeat
from scalesync.ports.platform import Axis, Changes, Commands, Containers, Creator, ExportJobs, Lister, ListPage, Span
from scalesync.ports.spec import PlatformSpec

ABSENT = "(absent)"


@dataclass(frozen=True, slots=True)
class SimpleView:
    """One task, with the little that is known of it. Times in ms since the epoch, 0 where the service names none."""

    ref: str
    key: str | None
    status: str | None = None
    project: str | None = None
    made_ms: int = 0
    changed_ms: int = 0

    @property
    def updated_at(self) -> str | None:
        """The time of the last change as it stands in the ledger."""
        return str(self.changed_ms) if self.changed_ms else None

    def get(self, name: str) -> Any:
        """A member by its neutral name, None where it is not known."""
        return getattr(self, name, None)

    def created_ms(self) -> int:
        """When it was made."""
        return self.made_ms

    def updated_ms(self) -> int:
        """When it changed last."""
        return self.changed_ms or self.made_ms

    def times(self) -> dict[str, int]:
        """created and updated; when a task was completed is not known."""
        return {"created": self.made_ms, "updated": self.updated_ms(), "completed": 0}

    def urls(self) -> Iterator[tuple[str, str]]:
        """None."""
        yield from ()


class SimplePlatform(ABC):
    """Creator and lister in one object; the other roles are missing.

    spec: of the platform. transport: carries the calls. repeat: as it is, sending again must be safe, as it is where
    the key is ENFORCED or PUT.
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

    @abstractmethod
    async def create(self, item: Outgoing) -> Outcome:
        """Make the task of one record. A RemoteError that it raises becomes the outcome that it stands for."""

    @abstractmethod
    async def read(self, ref: str) -> LookupResult:
        """Read one task by the platform's own id. Raises RemoteError."""

    @abstractmethod
    async def page(self, query: Mapping[str, Any], cursor: str | None) -> ListPage:
        """One page of all tasks, `query["limit"]` of them at most. Raises RemoteError."""

    async def find(self, key: str) -> LookupResult:
        """Look one key up; as it is, the key is the id as well. Raises RemoteError."""
        return await self.read(key)

    async def send(self, items: Sequence[Outgoing]) -> Sequence[Outcome]:
        """`create` for each."""
        return [await self._create(item) for item in items]

    async def _create(self, item: Outgoing) -> Outcome:
        try:
            return await self.create(item)
        except RemoteError as error:
            return outcome_of(error)

    async def look_up(self, keys: Sequence[str]) -> Mapping[str, LookupResult]:
        """`find` for each."""
        return {key: await self.find(key) for key in keys}

    def compare(self, item: Outgoing, task: JsonObject) -> Comparison:
        """Each member of the body must stand in the task as it was sent."""
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
        """No reason."""
        return TaskError("the service gives no reason")

    async def release(self, ref: str) -> Outcome:
        """Refused: the service frees no keys."""
        return Outcome(OutcomeKind.REFUSED, message="the service frees no keys")

    def query(self, selection: Selection, page_size: int, within: tuple[int, int] | None = None) -> Mapping[str, Any]:
        """All tasks."""
        return {"limit": page_size}

    async def span(self, selection: Selection, now_ms: int) -> Span:
        """The one place that there is."""
        return Span(0, 1)

    def place_of(self, task: TaskView) -> int:
        """The one place that there is."""
        return 0

    def version_of(self, task: TaskView, document: bytes) -> int:
        """A number that differs where the document does."""
        return int.from_bytes(hashlib.blake2b(document, digest_size=7).digest(), "big")

    async def cursor(self) -> JsonObject | None:
        """None: the service keeps no account of changes."""
        return None

    async def probe(self) -> None:
        """A page of one task."""
        await self.page({"limit": 1}, None)

    @property
    def server_now_ms(self) -> int:
        """The service's clock by its Date headers."""
        return self.transport.server_now_ms
