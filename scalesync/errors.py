"""Every error that scalesync raises on purpose, one tree.

    ScalesyncError                   exit code 1
    +-- ConfigError                  2: wrong usage, setting, profile or key source; nothing was sent
    |   +-- SourceError              2: a source is missing or cannot be read; names file and line
    |   +-- NameBound                2: the job's name belongs to something else
    |   +-- NoSuchProject            2: the account has no project of that name
    |   +-- LedgerUnusable           2: ledger newer than the program, not a ledger, read-only
    +-- StopRun                      3: stopped early, the same command resumes
    |   +-- Interrupted              3: Ctrl-C, SIGTERM or SIGHUP
    |   +-- KeyRefused               3: 401, 402 or 403, confirmed by a second call
    |   +-- JobRunning               3: another run holds the job's lease
    |   +-- LeaseLost                3: another run took the lease over; nothing more may be written
    |   +-- DiskFull                 3: no space for ledger or output
    |   +-- LedgerBusy               3: the ledger stayed locked
    |   +-- BudgetUsed               3: retry budget, --max-new and the like
    |   +-- AllRefused               3: the first records were all refused with one message
    |   +-- PackageFailed            3: the code of another package failed
    +-- RecordError                  the record is invalid and counted; the run continues
    +-- RemoteError                  one call failed; says what may be done next
        +-- Throttled                429: wait, then send again
        +-- Unavailable              certainly not processed (no connection): send again
        +-- OutcomeUnknown           sent, no trustworthy reply: look up before anything else
        |   +-- NotTheApi            something else answered: a redirect, a web page
        +-- Refused                  definite no for this call (400, 404, 409, 422)
        +-- NotAllowed               401, 402, 403

The class decides what happens: `exit_code` for the program, the class itself for the engine.
"""

from __future__ import annotations

from collections.abc import Iterable


class ScalesyncError(Exception):
    """Root of the tree. The text is one sentence for a person: what, where, what to do next."""

    exit_code = 1


class ConfigError(ScalesyncError):
    """Wrong usage or configuration; no record was sent."""

    exit_code = 2


class SourceError(ConfigError):
    """A source that cannot be opened or read at all.

    file: the path or URL as typed.
    line: 1-based, None when the whole file is meant.
    """

    def __init__(self, reason: str, file: str, line: int | None = None) -> None:
        where = file if line is None else f"{file}:{line}"
        super().__init__(f"{where}: {reason}")
        self.file = file
        self.line = line


class NameBound(ConfigError):
    """The job's name was bound to other settings at its first use."""


class NoSuchProject(ConfigError):
    """The account has no project of that name."""


class LedgerUnusable(ConfigError):
    """The ledger file cannot be used by this program."""


class StopRun(ScalesyncError):
    """The run ended early and the same command resumes it."""

    exit_code = 3


class Interrupted(StopRun):
    """Ctrl-C, SIGTERM or SIGHUP."""


class KeyRefused(StopRun):
    """The platform refused the API key twice."""


class JobRunning(StopRun):
    """Another run of the same job holds its lease."""


class LeaseLost(StopRun):
    """The lease went to another run; this one must write nothing more."""


class DiskFull(StopRun):
    """No space left for the ledger or an output file."""


class LedgerBusy(StopRun):
    """The ledger stayed locked by another program."""


class BudgetUsed(StopRun):
    """A retry budget or a --max-* limit is used up."""


class AllRefused(StopRun):
    """The first records were all refused with one message; they stay pending."""


class PackageFailed(StopRun):
    """A source format, encoder or platform of another package raised what it should not."""


class RecordError(ScalesyncError):
    """This record cannot become a task; it is counted as invalid."""


class NoColumn(RecordError):
    """A template or expression names a column that this record does not have.

    name: as written.
    columns: those of the record.
    """

    def __init__(self, message: str, name: str, columns: Iterable[str]) -> None:
        super().__init__(message)
        self.name = name
        self.columns = tuple(columns)


class RemoteError(ScalesyncError):
    """One call to the platform failed.

    status: HTTP status, None without a reply.
    op: the call in words ("create task").
    retry_after_s: seconds that the platform asked to wait, None when it did not say.
    """

    def __init__(
        self, message: str, *, op: str = "", status: int | None = None, retry_after_s: float | None = None
    ) -> None:
        super().__init__(message)
        self.op = op
        self.status = status
        self.retry_after_s = retry_after_s


class Throttled(RemoteError):
    """Answered 429, or with a wait that the platform asked for: not processed."""


class LongPause(Throttled):
    """Not sent: the platform asked for a pause that is longer than the caller wants to wait."""


class Unavailable(RemoteError):
    """The request cannot have been processed: no connection was made."""


class OutcomeUnknown(RemoteError):
    """The request may have been processed: timeout, reset, 5xx, or a body cut short."""


class NotTheApi(OutcomeUnknown):
    """Something else than the API answered: a redirect, a web page, nothing. The sentence says what and from where."""


class Refused(RemoteError):
    """A definite no for this call."""


class NotAllowed(RemoteError):
    """The key is not valid, not paid for, or not permitted."""
