"""Frozen values that travel between the layers. No I/O, no policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import Any, NamedTuple, Protocol

JsonObject = dict[str, Any]


class Mode(StrEnum):
    """Which of the account's two worlds a key opens."""

    LIVE = "live"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Target:
    """Where rows belong: API root, mode and account label. Rotating a key keeps the target."""

    base_url: str
    mode: Mode
    account: str = "default"

    def __str__(self) -> str:
        return f"{self.base_url} ({self.mode}, account {self.account})"


class RequestClass(StrEnum):
    """Kinds of requests that have a rate and a width of their own."""

    CREATE = "create"
    LIST = "list"
    MUTATE = "mutate"
    FILES = "files"


# --- sources -----------------------------------------------------------------------------------


class SourceRecord(NamedTuple):
    """One record as the source holds it. line: 1-based line (text) or record number (others).

    about: what a folder knows of the record's file, which is no part of the record; see records/about.py.
    before: the record as earlier versions read it, where it was another one to them. inner: of a record in a folder,
    its line or number in its own file.
    """

    line: int
    value: JsonObject
    about: JsonObject | None = None
    before: JsonObject | None = None
    inner: int = 1


@dataclass(frozen=True, slots=True)
class BadRecord:
    """A place in a source that is no record. raw: the text as found, cut to 4,096 characters.

    whole: all of its bytes, None where they are not at hand: longer than a record may be, or no text.
    """

    line: int
    reason: str
    raw: str
    whole: bytes | None = field(default=None, compare=False, repr=False)


class Mark(NamedTuple):
    """How the lines of a source read from the first to `line`: the digest of all of them."""

    line: int
    digest: str


@dataclass(frozen=True, slots=True)
class Block:
    """Some consecutive records of one source; `consumed` is bytes of the file read so far.

    mark: of a line up to which everything stands in this block or an earlier one, where the source has lines.
    source: its number. last: the source is read to its end; where that shows too late, an empty block says so.
    """

    records: Sequence[SourceRecord | BadRecord]
    consumed: int
    mark: Mark | None = None
    source: int = 1
    last: bool = False


Load = Sequence[Block]
"""Consecutive blocks, of one source or of many small ones, that are worked on together."""


class Former(NamedTuple):
    """How an older version knew a record. content: as in `Outgoing`; key: its unique_id, if that was another."""

    content: bytes
    key: str | None


@dataclass(slots=True)
class Outgoing:
    """One record on its way to the platform.

    key: unique_id. content: 16-byte hash of the canonical source record, then the name of its batch, if it has one.
    body: the encoded create call.
    shape: the same number for bodies with the same fields. intent_ms: when the intent became durable, server time in
    ms. attempts: requests sent so far by this run;
    unclear: those of them whose outcome was not known; one more when an earlier run left the record in doubt.
    former: where an older version had another content for the same record. inside: of a folder, the file in it, and the
    line or number there.
    """

    key: str
    content: bytes
    body: bytes
    source: int
    line: int
    project: str | None = None
    batch: str | None = None
    shape: int = -1
    intent_ms: int = 0
    attempts: int = 0
    unclear: int = 0
    former: Former | None = None
    inside: tuple[str, int] | None = None


# --- what the platform answers -----------------------------------------------------------------


class OutcomeKind(Enum):
    """What one send came to; each kind has one disposition."""

    CREATED = "created"
    TAKEN = "taken"  # the key is in use: read and compare
    REFUSED = "refused"  # definite no for this record
    THROTTLED = "throttled"  # not processed, wait
    UNAVAILABLE = "unavailable"  # not processed, no connection
    UNKNOWN = "unknown"  # may have been processed: settle by look-up
    NOT_ALLOWED = "not_allowed"  # the key or account: stop the job


class Outcome(NamedTuple):
    """The answer for one record. ref: the platform's id, of the other task when TAKEN.

    retry_after_s: seconds that the platform asked to wait. astray: something else than the platform answered.
    A platform that answers with a command to poll reports UNKNOWN with `ticket` set; settling finds it.
    """

    kind: OutcomeKind
    ref: str | None = None
    status: int | None = None
    message: str = ""
    retry_after_s: float | None = None
    ticket: str | None = None
    astray: bool = False


class Presence(Enum):
    """What a look-up says of a key."""

    FOUND = "found"
    ABSENT = "absent"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Finding:
    """One key looked up. task: the platform's document when FOUND.

    short: ABSENT, but the list told of more tasks than it showed. A platform that refuses a key in use may be sent the
    record all the same; nothing else may rest on it.
    """

    presence: Presence
    task: JsonObject | None = None
    short: bool = False


class Likeness(Enum):
    """How a task found under our key compares with the record."""

    EQUAL = "equal"
    DIFFERENT = "different"
    DEAD = "dead"  # canceled or in error: nobody works on it


@dataclass(frozen=True, slots=True)
class Mishap:
    """Why a task is in error, as the platform tells it. status: of what it could not fetch, None when not told."""

    words: str
    status: int | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """Comparison of a record with a task. differences: field -> (ours, theirs). mishap: of a task in error."""

    likeness: Likeness
    ref: str
    created_ms: int
    status: str
    differences: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    not_comparable: frozenset[str] = frozenset()
    mishap: Mishap | None = None


# --- ledger ------------------------------------------------------------------------------------


class RowState(StrEnum):
    """States of a row; docs/ledger.md draws the moves."""

    PENDING = "pending"  # known, no request has left for it
    SENDING = "sending"  # durable intent; a request may have left, its outcome is not known
    CREATED = "created"
    ADOPTED = "adopted"
    CONFLICT = "conflict"
    FAILED = "failed"


class RecordState(StrEnum):
    """States of a source record that has no row of its own in its job."""

    DUPLICATE = "duplicate"
    CLASH = "clash"
    INVALID = "invalid"
    SHARED = "shared"
    CHANGED = "changed_after_creation"


class Settled(NamedTuple):
    """The end of one row's journey in this run, or its return to pending.

    reason: one sentence for failures and conflicts. detail: JSON-able, such as field differences.
    event: a word for the history when something out of the ordinary happened. content: of the record that it is about,
    as in `Outgoing`; empty stands for whatever the row holds.
    """

    key: str
    state: RowState
    ref: str | None = None
    status: int | None = None
    reason: str | None = None
    detail: Mapping[str, Any] | None = None
    attempts: int = 1
    event: str | None = None
    content: bytes = b""


@dataclass(frozen=True, slots=True)
class Aside:
    """A source record that has no row of its own: duplicate, clash, invalid, shared or changed.

    detail: JSON-able, such as field differences. content: of a record that is whole, as in `Outgoing`.
    batch: of an invalid one, where it can be told; it is not kept.
    """

    source: int
    line: int
    state: RecordState
    key: str | None = None
    reason: str | None = None
    raw: str | None = None
    detail: Mapping[str, Any] | None = None
    content: bytes | None = None
    batch: str | None = None


# --- results -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ImportSummary:
    """Counts over the whole job, then figures of this run (seconds, tasks per second).

    throttled: answers of 429. server_errors: of 500 and above. retry_after_seconds: that the server asked to wait.
    waited_seconds: in which nothing got through, and the run said so. limit_per_second: as it was found, None before
    one was met.
    """

    job: str
    target: str
    mode: str
    read: int
    created: int
    adopted: int
    conflicts: int
    failed: int
    invalid: int
    pending: int
    duplicates: int
    requests: int
    retries: int
    throttled: int
    seconds: float
    tasks_per_second: float
    peak_in_flight: int
    gone: int = 0
    server_errors: int = 0
    retry_after_seconds: float = 0.0
    waited_seconds: float = 0.0
    limit_per_second: float | None = None
    message: str = ""
    exit_code: int = 0


@dataclass(frozen=True, slots=True)
class ExportSummary:
    """What an export wrote; `watermark` is server time in ISO 8601."""

    job: str
    target: str
    mode: str
    tasks: int
    files: int
    bytes: int
    responses_downloaded: int
    responses_failed: int
    unsettled: int
    requests: int
    retries: int
    throttled: int
    seconds: float
    watermark: str | None
    server_errors: int = 0
    retry_after_seconds: float = 0.0
    waited_seconds: float = 0.0
    limit_per_second: float | None = None
    message: str = ""
    exit_code: int = 0


# --- task types --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TaskFields:
    """What is known of a task type. required: groups of fields, one of each is needed. names: all that are known."""

    required: tuple[tuple[str, ...], ...]
    names: frozenset[str]


# --- what an export wants ----------------------------------------------------------------------


class Members(Protocol):
    """Anything whose members can be asked for by name."""

    def get(self, name: str, /) -> Any:
        """A member, None when there is none."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which tasks belong to an export. bounds: name such as created_after -> ms since the epoch.

    after is inclusive, before exclusive; several values of one filter mean any of them. judged_here: the server was
    not asked for what can change, so a task that does not tell its review status does not match.
    """

    project: str | None
    batch: str | None
    type: str | None
    status: frozenset[str]
    review_status: tuple[str, ...]
    tags: frozenset[str]
    bounds: Mapping[str, int]
    judged_here: bool = False

    def matches(self, task: Members, times: Mapping[str, int]) -> bool:
        """Whether a task belongs here. times: created, updated, completed in ms, 0 when the task has none."""
        for name in ("project", "batch", "type"):
            wanted = getattr(self, name)
            if wanted and task.get(name) != wanted:
                return False
        if self.status and task.get("status") not in self.status:
            return False
        if self.tags and not self.tags & set(task.get("tags") or ()):
            return False
        review = task.get("customer_review_status")
        if self.review_status and review not in self.review_status and (review is not None or self.judged_here):
            return False
        for name, ms in self.bounds.items():
            what, _, side = name.partition("_")
            at = times[what]
            if not at or (at < ms if side == "after" else at >= ms):
                return False
        return True
