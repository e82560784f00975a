"""A labelling service, live: an object made of roles, as flows and engine see them. Nothing here knows HTTP."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol

from scalesync.model.outcomes import LookupResult, Outcome, TaskError
from scalesync.model.records import JsonObject
from scalesync.model.selection import Selection
from scalesync.model.task_view import TaskView
from scalesync.ports.changes import Changer
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

    async def remove(self, ref: str) -> None:
        """Remove a task for good, or find that it is gone; called only where the key's rule says `removes`.

        Raises RemoteError.
        """


class Axis(Enum):
    """By what a list is ordered, and so can be split into partitions.

    A place on the axis is an integer, and a list runs from its highest place down.

    CREATED: creation time in ms, newest first.
    NUMBER: an id that grows, smallest first; its place is `mirrored`.
    VERSIONS: the time of a version in ms, newest first. The list holds a task once for each of its versions, so one
        reader goes through it, and only the newest version of each task counts.
    NONE: no order to rely on. Every task has place 0, and one chain of pages reads them all.
    """

    CREATED = "created"
    NUMBER = "number"
    VERSIONS = "versions"
    NONE = "none"


TOP = 1 << 62  # the place of id 0


def mirrored(number: int) -> int:
    """The place of an id on the axis NUMBER, and the id of a place."""
    return TOP - number


@dataclass(frozen=True, slots=True)
class Span:
    """Where the tasks of a selection may lie: lo <= place < hi. lo 0: nobody knows how far down they reach.

    last: the place of the task that ends the list, where one question finds it. Tasks may follow it.
    cuts: places at which to divide it in advance, because a count is known for each part.
    """

    lo: int
    hi: int
    last: int | None = None
    cuts: Sequence[int] = ()


class Changes(Enum):
    """How an increment asks for what changed since the one before.

    TIME: by the time of the last change, the bounds `updated_after` and `updated_before` of a Selection.
    VERSION: by a cursor of the service's own, `since` of a Selection.
    NONE: not at all. An increment reads everything and keeps what differs from the versions known.
    """

    TIME = "time"
    VERSION = "version"
    NONE = "none"


class ChangeFeed(Protocol):
    """What increments ask by.

    filters: the members and bounds of a Selection that reach the service; the export applies the others itself.
    """

    changes: Changes
    filters: frozenset[str]

    def version_of(self, task: TaskView, document: bytes) -> int:
        """The version of a task: a number that grows with each change; with Changes.NONE it need only differ."""

    async def cursor(self) -> JsonObject | None:
        """The state of changes now, for the next increment; None unless changes go by VERSION. Raises RemoteError."""


class Lister(ChangeFeed, Protocol):
    """Lists tasks in pages."""

    axis: Axis

    def query(self, selection: Selection, page_size: int, within: tuple[int, int] | None = None) -> Mapping[str, Any]:
        """A selection as the query that `page` takes.

        within: lo <= place < hi.

        The answer may begin one place earlier, and may continue below lo: what is outside is left out by the caller.
        """

    async def page(self, query: Mapping[str, Any], cursor: str | None) -> ListPage:
        """One page of the tasks that match `query`, from an opaque cursor on. Raises RemoteError.

        A cursor should be a place in the order and not a number of tasks to skip, for tasks come and go meanwhile.
        """

    async def span(self, selection: Selection, now_ms: int) -> Span:
        """The time range of a selection's tasks, by the platform's clock. Raises RemoteError."""

    def place_of(self, task: TaskView) -> int:
        """The place of a task."""

    async def probe(self) -> None:
        """The cheapest question that shows whether key and address work. Raises RemoteError."""

    async def read(self, ref: str) -> LookupResult:
        """Read one task by the platform's own id. Raises RemoteError."""


class Containers(Protocol):
    """Projects and batches, or what the platform calls them."""

    async def project(self, name: str) -> JsonObject | None:
        """A project by name, None if there is none; its settings are remembered for comparisons of its tasks."""

    async def know_project(self, name: str) -> None:
        """Read a project unless it was read, so that its tasks can be compared."""

    async def check_project(self, name: str) -> None:
        """Raises NoSuchProject if it does not exist, ConfigError if it takes another type of task."""

    async def projects(self) -> Sequence[JsonObject]:
        """Every project of the account."""

    async def batch(self, name: str) -> JsonObject | None:
        """A batch by name, None if there is none."""

    async def batch_names(self, project: str | None = None) -> Sequence[str]:
        """Names of batches, of one project if it is given; one page of them."""

    async def create_batch(self, name: str, project: str) -> bool:
        """Create a batch; False if the name was taken meanwhile."""

    async def finalize_batch(self, name: str) -> None:
        """Close a batch, so that work on it begins."""

    def is_open(self, batch: JsonObject) -> bool:
        """Whether tasks may still be put into a batch."""


class Blueprints(Protocol):
    """Says of a task that follows a blueprint whether it fits, before it is sent."""

    async def check(self, project: str, name: str | None) -> bool:
        """Check that a project has a blueprint of this name, or an active one without a name.

        Returns False if the service does not say which it has. Raises ConfigError with the nearest name, RemoteError.
        """

    def wrong(self, body: JsonObject, meant: Collection[str]) -> str:
        """Why a body does not fit, all reasons in one sentence; empty if it does.

        meant: fields that a person named, in a template or with --set.
        """

    async def moved(self, project: str) -> tuple[str, str | None] | None:
        """The active blueprint of a project that was checked, as it was then and as it is now, with one request.

        Returns None if it is the same, or if the service does not say. Raises RemoteError.
        """


class CommandState(Enum):
    """The progress of a command that the service accepted."""

    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class CommandStatus:
    """The answer of a poll.

    refs: of the created tasks, in order, if the service says so.
    after_s: when to ask again, None: the engine decides.
    message: of a failed command.
    nothing_done: of a failed command, whether it is certain that nothing was carried out.
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


@dataclass(frozen=True, slots=True)
class ExportFile:
    """Where the file of an export job is.

    headers: to be sent with the request, such as a credential.
    array: the documents are the elements of a JSON array; otherwise one stands on each line.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    array: bool = False


class ExportJobs(ChangeFeed, Protocol):
    """Exports that the service makes as a file."""

    async def submit(self, selection: Selection) -> str:
        """Start an export; returns the id of its command. Raises RemoteError."""

    async def status(self, command: str) -> CommandStatus | None:
        """How far it is; None when the service no longer has it. Raises RemoteError."""

    async def file(self, command: str) -> ExportFile:
        """The file of a command that is done. Raises RemoteError."""


class Platform(Protocol):
    """One run's live object. A role that the platform lacks is None; `spec.offers` says why."""

    spec: PlatformSpec
    creator: Creator
    lister: Lister
    containers: Containers | None
    commands: Commands | None
    export_jobs: ExportJobs | None
    blueprints: Blueprints | None
    changer: Changer | None

    @property
    def server_now_ms(self) -> int:
        """The service's clock, by its replies; the local clock before the first reply."""
