"""A labelling service, live: an object made of roles, as flows and engine see them. Nothing here knows HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

from scalesync.model.outcomes import LookupResult, Outcome, TaskError
from scalesync.model.records import JsonObject
from scalesync.model.selection import Selection
from scalesync.ports.operation import Operation
from scalesync.ports.spec import PlatformSpec


@dataclass(frozen=True, slots=True)
class ListPage:
    """One page of tasks.

    documents: raw bytes of each task as sent.
    cursor: opaque, None at the end.
    total: how many tasks match the query, None when the platform does not say.
    """

    documents: Sequence[bytes]
    cursor: str | None
    total: int | None


class Creator(Operation, Protocol):
    """Makes tasks, finds them again and frees their keys.

    learned: names of fields that it found not to be echoed by the service; a run is given those of earlier runs.
    """

    learned: frozenset[str]

    def task_error(self, task: JsonObject) -> TaskError:
        """Why a task is in error, in the service's own words."""

    async def release(self, ref: str) -> Outcome:
        """Free the key of a dead task, so that the record can be sent again."""


class Axis(Enum):
    """By what a list is ordered, and so can be cut into partitions.

    CREATED: creation time, newest first.
    NUMBER: an id that grows, smallest first.
    NONE: one chain of pages.
    """

    CREATED = "created"
    NUMBER = "number"
    NONE = "none"


class Lister(Protocol):
    """Lists tasks in pages."""

    axis: Axis

    def query(self, selection: Selection, page_size: int) -> Mapping[str, Any]:
        """A selection as the query that `page` takes."""

    async def page(self, query: Mapping[str, Any], cursor: str | None) -> ListPage:
        """One page of the tasks that match `query`, from an opaque cursor on. Raises RemoteError."""

    async def probe(self) -> None:
        """The cheapest question that shows whether key and address work. Raises RemoteError."""

    async def read(self, ref: str) -> LookupResult:
        """Read one task by the platform's own id. Raises RemoteError."""


class Containers(Protocol):
    """Projects and batches, or what the platform calls them."""

    async def project(self, name: str) -> JsonObject | None:
        """A project by name, None when there is none; what it says is remembered for comparisons of its tasks."""

    async def know_project(self, name: str) -> None:
        """Read a project unless it was read, so that tasks in it can be compared."""

    async def check_project(self, name: str) -> None:
        """Raises NoSuchProject when it does not exist, ConfigError when it takes another type of task."""

    async def projects(self) -> Sequence[JsonObject]:
        """Every project of the account."""

    async def batch(self, name: str) -> JsonObject | None:
        """A batch by name, None when there is none."""

    async def batch_names(self, project: str | None = None) -> Sequence[str]:
        """Names of batches, of a project where one is named; one page of them."""

    async def create_batch(self, name: str, project: str) -> bool:
        """False when the name was taken meanwhile."""

    async def finalize_batch(self, name: str) -> None:
        """Close a batch, so that work on it begins."""

    def is_open(self, batch: JsonObject) -> bool:
        """Whether tasks may still be put into a batch."""


class CommandState(Enum):
    """How far the service is with a command that it accepted."""

    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class CommandStatus:
    """What a poll said.

    refs: of the tasks that were made, in order, where the service says so.
    after_s: when to ask again, None: the engine decides.
    message: of a command that failed.
    nothing_done: of one that failed, whether it is certain that nothing was carried out.
    """

    state: CommandState
    refs: Sequence[str] = ()
    after_s: float | None = None
    message: str = ""
    nothing_done: bool = False


class Commands(Protocol):
    """Polls commands: requests that the service accepted, and carries out later."""

    async def poll(self, command: str) -> CommandStatus:
        """Ask about one command by its id. Raises RemoteError."""


class ExportJobs(Protocol):
    """Exports that the service makes as a file."""

    async def submit(self, selection: Selection) -> str:
        """Have an export made; the id of the command that makes it. Raises RemoteError."""

    async def status(self, command: str) -> CommandStatus:
        """Ask about it. Raises RemoteError."""

    def documents(self, command: str) -> AsyncIterator[bytes]:
        """Raw documents of the finished file, cut out of it as it streams. Raises RemoteError."""


class Platform(Protocol):
    """One run's live object. A role that the platform lacks is None; `spec.offers` says why."""

    spec: PlatformSpec
    creator: Creator
    lister: Lister
    containers: Containers | None
    commands: Commands | None
    export_jobs: ExportJobs | None

    @property
    def server_now_ms(self) -> int:
        """The service's clock, by its replies; the local clock before the first reply."""
