"""What the API answers, as objects: the JSON as it came, with names and types for what is known of it.

A field that nobody knows stays and is an attribute too. A known field that the answer does not have is None. Times are
the text that came; `at` makes a datetime of it.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, ClassVar, Self

from scalesync.model.records import JsonObject
from scalesync.times import parse_iso


class Resource(Mapping[str, Any]):
    """An answer. It is a mapping of what came, and has its fields as attributes."""

    __slots__ = ("_fields",)
    _known: ClassVar[frozenset[str]] = frozenset()

    def __init_subclass__(cls) -> None:
        before = (vars(each).get("_known", ()) for each in cls.mro())
        cls._known = frozenset(inspect.get_annotations(cls)).union(*before)

    def __init__(self, fields: JsonObject) -> None:
        self._fields = fields

    @classmethod
    def of(cls, fields: JsonObject, client: Any) -> Self:
        """An answer that `client` got; most answers need it no longer."""
        return cls(fields)

    def as_dict(self) -> JsonObject:
        """All fields as they came; the same object each time."""
        return self._fields

    def at(self, name: str) -> datetime | None:
        """A time of the object as an aware datetime; None if it has none yet.

        Raises AttributeError for a name that it does not have, and ValueError for a field that is not a time.
        """
        text = getattr(self, name)
        try:
            return None if text is None else parse_iso(text)
        except (TypeError, ValueError):
            raise ValueError(f"{type(self).__name__}: {name} is not a time: {text!r}") from None

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "_fields":
            raise AttributeError(name)
        try:
            return self._fields[name]
        except KeyError:
            if name in self._known:
                return None
            raise AttributeError(f"{type(self).__name__} has no field {name!r}") from None

    def __getitem__(self, name: str) -> Any:
        return self._fields[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and isinstance(other, Resource) and self._fields == other._fields

    def __hash__(self) -> int:
        raise TypeError(f"{type(self).__name__} may change, so it cannot be a key of a set or dictionary")

    def __repr__(self) -> str:
        shown = next((f"{name}={self._fields[name]!r}" for name in ("task_id", "name", "id", "email")
                      if name in self._fields), "")  # fmt: skip
        return f"{type(self).__name__}({shown})"

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *self._fields})

    def __copy__(self) -> Self:
        return type(self)(dict(self._fields))


class Task(Resource):
    """A task of version 1."""

    task_id: str
    type: str
    status: str
    created_at: str
    updated_at: str | None
    completed_at: str | None
    instruction: str | None
    params: JsonObject
    response: JsonObject | None
    metadata: JsonObject
    project: str | None
    batch: str | None
    unique_id: str | None
    tags: list[str] | None
    priority: int | None
    callback_url: str | None
    callback_succeeded: bool | None
    is_test: bool | None
    work_started: bool | None
    customer_review_status: str | None


class Batch(Resource):
    """A batch of version 1."""

    name: str
    project: str
    status: str
    created_at: str
    callback: str | None
    metadata: JsonObject


class BatchStatus(Resource):
    """How many tasks of a batch are in which status; None stands for 0."""

    status: str
    pending: int | None
    completed: int | None
    error: int | None
    canceled: int | None


class Project(Resource):
    """A project of version 1. param_history: all versions of its parameters, the last one counts."""

    name: str
    type: str
    created_at: str
    param_history: list[JsonObject]

    @property
    def params(self) -> JsonObject:
        """The parameters that count."""
        history: list[JsonObject] = self._fields.get("param_history") or [{}]
        return history[-1]


class Blueprint(Resource):
    """The stages of multi-stage tasks. Its members are a guess: `platforms.scale.multistage.wire`.

    active: new tasks of the project follow it, unless they name another one.
    """

    name: str
    delivery: str
    stages: list[JsonObject]
    active: bool | None
    created_at: str | None
    version: int | None


class TaskTemplate(Resource):
    """The template of a project's tasks."""

    id: str
    version: int
    created_at: str
    updated_at: str
    template_variables: JsonObject
    response_schema: JsonObject | None
    auto_onboard_enabled: bool | None


class File(Resource):
    """A file that was uploaded. attachment_url: what a task names as its attachment."""

    id: str
    attachment_url: str
    mime_type: str | None
    project_names: list[str] | None
    size: int | None
    created_at: str | None
    updated_at: str | None
    display_name: str | None
    reference_id: str | None
    metadata: JsonObject | None


class QualityTask(Resource):
    """An evaluation or training task."""

    id: str
    expected_response: JsonObject
    initial_response: JsonObject | None
    status: str | None
    created_at: str | None


class Teammate(Resource):
    """Somebody of the account."""

    email: str
    role: str
    company: str | None
    firstName: str | None
    lastName: str | None
    isStudioLabeler: bool | None
    expiry: str | None


class Assignments(Resource):
    """Addresses of people, each with the names of their projects."""


class Group(Resource):
    """People who work together on a project."""

    id: str
    name: str
    numWorkers: int
    isSingleton: bool
    workers: list[JsonObject] | None


class StudioBatch(Resource):
    """A pending batch in the order of the Studio."""

    id: str
    name: str
    projectId: str
    projectName: str
    batchType: str
    studioPriority: int | None
    total: int
    completed: int
    groups: list[JsonObject]


class FixlessAudit(Resource):
    """An audit that changes no answer."""

    id: str
    task_id: str


class V2Task(Resource):
    """A chat task. project, batch: ids, or objects where they were to be shown."""

    task_id: str
    project: Any
    batch: Any
    status: str
    created_at: str
    completed_at: str | None
    metadata: JsonObject | None
    threads: list[JsonObject] | None
    errors: list[JsonObject] | None
    sensitive_content_reports: list[JsonObject] | None


class V2Batch(Resource):
    """A batch of chats."""

    id: str
    name: str
    project: Any
    status: str
    created_at: str
    completed_at: str | None
    callback: str | None
    metadata: JsonObject


class V2BatchChange(Resource):
    """What was begun with a batch, which is not finished when the answer comes."""

    batch: JsonObject
    message: str


class V2Project(Resource):
    """A chat project."""

    id: str
    name: str
    created_at: str
    types: list[str] | None
    models: list[Any] | None


class V2Delivery(Resource):
    """Tasks of a project that were delivered together."""

    id: str
    name: str
    task_count: int
    delivered_at: str
    project: Any


class V2DeliveredTask(Resource):
    """An answer, delivered or not yet."""

    task_id: str
    created_at: str | None
    delivery_id: str | None
    delivered_at: str | None
    response_schema_id: str | None
    response: JsonObject | None


class V2Dataset(Resource):
    """A dataset."""

    id: str
    name: str


class V2DatasetDelivery(Resource):
    """Tasks of a dataset that were delivered together."""

    id: str
    name: str
    delivered_at: str
    dataset: Any
    metadata: JsonObject


class V2DatasetTask(Resource):
    """A task of a dataset with its answer."""

    task_id: str
    dataset: Any
    delivery: Any
    response: JsonObject


class V2Annotation(Resource):
    """One annotation of a chat."""

    id: str
    key: str
    type: str
    title: str | None
    description: str | None
    labels: list[str] | None
    value: Any
    possible_values: list[Any] | None
    justification: str | None
    metadata: JsonObject | None


class V2Schema(Resource):
    """A JSON Schema. schema: with its id, and its text as `json`."""

    schema: JsonObject


CLASSES: dict[str, type[Resource]] = {kind.__name__: kind for kind in Resource.__subclasses__()}
