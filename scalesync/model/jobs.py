"""Jobs of the ledger: as asked for, as stored, as shown to people, with their sources and failing records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scalesync.model.records import Checkpoint
from scalesync.model.targets import Target


@dataclass(frozen=True, slots=True)
class JobSpec:
    """A job as named or derived.

    identity: what the name is bound to.
    settings: may change between runs.
    """

    name: str
    command: str
    target: Target
    identity: Mapping[str, Any]
    settings: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StoredJob:
    """A job as the ledger holds it before a run begins."""

    id: int
    name: str
    command: str
    target: Target
    identity: Mapping[str, Any]
    settings: Mapping[str, Any]
    complete: bool


@dataclass(frozen=True, slots=True)
class SourceSplit:
    """One source file of a job.

    state: `open`, `read`, or `gone` when it was no longer met.
    spec: path (relative if it is beneath the ledger's folder), size, time, the name as typed, and `under`: the name
        typed for it, by what it is.
    shaping: the settings that it was read under, None if unknown.
    """

    number: int
    name: str
    spec: Mapping[str, Any]
    state: str
    shaping: str | None

    @property
    def is_gone(self) -> bool:
        """Whether the source was no longer met."""
        return self.state == "gone"


@dataclass(frozen=True, slots=True)
class SourceCursor:
    """The progress in a source.

    settings: those that it is read under.
    marks: checkpoints, each with the home rows up to it.
    """

    settings: str
    marks: Sequence[tuple[Checkpoint, int]] = ()


@dataclass(frozen=True, slots=True)
class Feeder:
    """The part of a job that fills one batch.

    out: records for it that have no task in it yet.
    unusable: places of its input that cannot be used, if all of them are for this batch.
    running: a process is at it now.
    unread: that, or some input was never read to its end.
    """

    job: str
    out: int
    unusable: int
    unread: bool
    running: bool


@dataclass(frozen=True, slots=True)
class JobRow:
    """One job with the facts of its newest run; work beside the job's own does not count.

    running: the process that runs it, in words, None if there is none.
    message: the last sentence of that run.
    """

    id: int
    name: str
    command: str
    target: Target
    settings: Mapping[str, Any]
    complete: bool
    running: str | None
    counts: Mapping[str, int]
    started_at: str | None
    ended_at: str | None
    exit_code: int | None
    sources: tuple[str, ...]
    windows: tuple[Mapping[str, Any], ...] = ()
    message: str = ""


@dataclass(frozen=True, slots=True)
class Stop:
    """A job with a last run that stopped before its end, and that run's last sentence."""

    job: str
    target: Target
    exit_code: int
    message: str


@dataclass(frozen=True, slots=True)
class Failure:
    """A record that is failed, invalid or in conflict, or a change that is failed or unclear.

    path: the source, as its split is named; empty if no file names the change.
    file: as it was named.
    task_id: of a change, the task that it is about; of a batch `detail` has the name.
    earlier: for a clash, file and line of the first record with the same unique_id.
    raw: an invalid place as found, cut.
    content: hash of the row's record.
    repeat: a clash, which is another record than the row's.
    """

    job: str
    target: Target
    state: str
    unique_id: str | None
    path: str
    file: str
    line: int
    status: int | None
    reason: str
    task_id: str | None
    detail: str | None
    raw: str | None
    earlier: str | None
    content: bytes | None
    repeat: bool
