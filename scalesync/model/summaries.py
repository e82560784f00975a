"""What a run returns."""

from __future__ import annotations

from dataclasses import dataclass

IMPORT_AGAIN = "run the import again"  # what a person does about records that are pending


@dataclass(frozen=True, slots=True)
class ImportSummary:
    """Counts over the whole job, then figures of this run (seconds, tasks per second).

    throttled: answers of 429.
    server_errors: of 500 and above.
    retry_after_seconds: that the server asked to wait.
    waited_seconds: in which nothing got through, and the run said so.
    limit_per_second: as it was found, None before one was met.
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
    """What an export wrote; `watermark` is server time in ISO 8601.

    files, bytes: of all data files, those with stages and with tasks that left as well.
    stages: deliveries of stages, which do not count as tasks.
    """

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
    stages: int = 0
    server_errors: int = 0
    retry_after_seconds: float = 0.0
    waited_seconds: float = 0.0
    limit_per_second: float | None = None
    message: str = ""
    exit_code: int = 0


@dataclass(frozen=True, slots=True)
class ChangeSummary:
    """One `apply`: counts over the whole job, then figures of this run, as in ImportSummary.

    change: its name, such as "tags add".
    read: rows that name what to change; applied + unchanged + failed + unclear + pending + invalid + duplicates.
    unchanged: the task was so already; known where it was read first.
    unclear: it may have been carried out, and must not be repeated.
    duplicates: rows that name a task that a later row names, too.
    """

    job: str
    target: str
    mode: str
    change: str
    read: int
    applied: int
    unchanged: int
    failed: int
    unclear: int
    pending: int
    invalid: int
    duplicates: int
    requests: int = 0
    retries: int = 0
    throttled: int = 0
    seconds: float = 0.0
    tasks_per_second: float = 0.0
    peak_in_flight: int = 0
    server_errors: int = 0
    retry_after_seconds: float = 0.0
    waited_seconds: float = 0.0
    limit_per_second: float | None = None
    plan: str = ""
    message: str = ""
    exit_code: int = 0
