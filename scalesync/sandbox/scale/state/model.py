"""What the sandbox holds: tasks, batches, projects. Compact, because memory holds a million tasks."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

PENDING = "pending"
COMPLETED = "completed"
CANCELED = "canceled"
ERROR = "error"
STATUSES = (PENDING, COMPLETED, CANCELED, ERROR)
REVIEWS = ("pending", "accepted", "fixed", "rejected", "commented")


class StageRun(msgspec.Struct, array_like=True, gc=False):
    """One stage of a multi-stage task: it waits until it is started, or skipped. Times in ms, 0 for never."""

    started_ms: int = 0
    due_ms: int = 0  # the timer completes it then; 0: no timer
    completed_ms: int = 0
    delivered_ms: int = 0  # rises with each correction, and stays when the task is recalled
    revision: int = 0  # rises with each correction
    skipped: str = ""  # the reason
    response: bytes | None = None  # JSON that replaces the drawn answer

    @property
    def over(self) -> bool:
        """Whether it is completed or skipped, so that the stages behind it may run."""
        return bool(self.completed_ms or self.skipped)


class Extra(msgspec.Struct, omit_defaults=True, gc=False):
    """Fields that few tasks have."""

    response: bytes | None = None  # JSON that replaces the synthetic answer
    review: str | None = None
    audits: bytes | None = None  # JSON array
    started: bool = False
    clear_on_error: bool = False
    deleted: bool = False  # only v2 has this status
    called: bool | None = None  # callback_succeeded: whether the last callback was answered with 2xx
    steps: int = 0  # attempts and reviews of the project's pipeline that are done
    blueprint: int = -1  # number of the blueprint of a multi-stage task; -1 for none
    stages: list[StageRun] = []  # in the order of the blueprint


class Task(msgspec.Struct, array_like=True, gc=False):
    """One task. It names its project and batch by number, so it is never part of a reference cycle (gc=False)."""

    seq: int  # place in the world's order of creation; the end of the id
    created_ms: int
    type: str
    body: bytes  # JSON members that never change: type, instruction, params, ...
    project: int = -1
    batch: int = -1
    version: int = -1  # project_param_version; -1 for none
    status: str = PENDING
    updated_ms: int = 0
    completed_ms: int = 0  # 0: never completed
    due_ms: int = 0  # the timer completes or fails it then; 0: no timer
    bad: bool = False  # its attachment cannot be fetched
    listed: bool = True  # False while lists lag behind
    priority: int = 0
    revision: int = 0  # rises with each new answer
    unique_id: str | None = None
    metadata: bytes | None = None  # None is {}
    tags: tuple[str, ...] | None = None
    extra: Extra | None = None


@dataclass(slots=True)
class Batch:
    """One batch and its counters, which always agree with its tasks."""

    number: int
    id: str
    name: str
    project: int
    created_ms: int
    staging: bool
    rapid: bool
    callback: str = ""
    metadata: bytes = b"{}"
    options: dict[str, bool] = field(default_factory=dict)
    archived: bool = False
    completed_ms: int = 0
    audited_ms: int = 0
    paused: bool = False  # as only v2 can say; so is `cancelled`
    cancelled: bool = False
    turn: str = ""  # pause, resume or cancel, which takes effect at turn_ms
    turn_ms: int = 0
    called: bool = False  # its callback was called; it is called once
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STATUSES, 0))

    @property
    def status(self) -> str:
        """`staging`, `in_progress` or `completed`."""
        if self.staging:
            return "staging"
        return "completed" if self.completed_ms else "in_progress"


class Version(msgspec.Struct):
    """One entry of a project's history; `params` maps names to raw JSON."""

    created_ms: int
    params: dict[str, bytes]


@dataclass(slots=True)
class Project:
    """One project; the last version counts."""

    number: int
    id: str
    name: str
    type: str
    created_ms: int
    rapid: bool = False
    studio: bool = False
    archived: bool = False
    options: dict[str, bytes] = field(default_factory=dict)
    versions: list[Version] = field(default_factory=list)
    ontologies: list[bytes] = field(default_factory=list)
    types: list[str] = field(default_factory=list)  # GenAI types, which v2 shows; so are `models`
    models: list[str] = field(default_factory=list)

    @property
    def stages(self) -> bool:
        """Whether its batches start in `staging`. Source: Node SDK."""
        return self.rapid or self.studio
