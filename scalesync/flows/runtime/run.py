"""What every run does in addition to its work: progress, heartbeat of the lease, Ctrl-C, and an orderly end."""

from __future__ import annotations

import signal
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import anyio

from scalesync.errors import Interrupted, ScalesyncError
from scalesync.events import Observer, Progress
from scalesync.model.targets import RequestClass
from scalesync.pacing.pace import Pace
from scalesync.ports.job_ledger import JobLedger

HEARTBEAT_S = 15.0
PROGRESS_S = 0.25


class SignalDesk:
    """The receiver of SIGINT, SIGTERM and SIGHUP.

    A loop has one handler for each signal, so the program has one receiver, and each run registers here. After the last
    run ended in order, only closing and reporting are left, and signals change nothing.
    """

    def __init__(self) -> None:
        self._stop: Callable[[ScalesyncError], None] | None = None
        self._ended = False

    def ring(self, number: int) -> bool:
        """Pass a signal on. Returns False if no run takes it; then the caller cancels its work."""
        if self._stop is not None:
            name = "Ctrl-C" if number == signal.SIGINT else _named(number)
            self._stop(Interrupted(f"stopped by {name}; the same command resumes"))
            return True
        return self._ended

    @contextmanager
    def taken(self, stop: Callable[[ScalesyncError], None]) -> Iterator[None]:
        """Let signals stop the work inside."""
        self._stop = stop
        try:
            yield
        finally:
            self._stop = None
        self._ended = True


def _named(number: int) -> str:
    name = signal.Signals(number).name
    return f"{name} (the terminal was closed)" if name == "SIGHUP" else name


DESK: ContextVar[SignalDesk | None] = ContextVar("DESK", default=None)


@contextmanager
def taking_signals(stop: Callable[[ScalesyncError], None], *, wanted: bool) -> Iterator[None]:
    """Turn SIGINT, SIGTERM and SIGHUP into a stop of the work inside, if the calling program wants that."""
    desk = DESK.get()
    if desk is None or not wanted:
        yield
        return
    with desk.taken(stop):
        yield


async def heartbeat(*steps: Callable[[], Awaitable[None]]) -> None:
    """Renew the lease, and everything else that needs it, as long as the run lives."""
    while True:
        await anyio.sleep(HEARTBEAT_S)
        for step in steps:
            await step()


async def save_limits(job: JobLedger, pace: Pace) -> None:
    """Save what the run has learned of the limits so far."""
    learned = {cls: found for cls in RequestClass if (found := pace.learned(cls)) is not None}
    if learned:
        await job.save_limits(learned)


async def guarded(work: Callable[[], Awaitable[None]], stop: Callable[[ScalesyncError], None]) -> None:
    """Run a background task. A ScalesyncError stops the run in order instead of cancelling the task group."""
    try:
        await work()
    except ScalesyncError as error:
        stop(error)


@contextmanager
def plain_errors() -> Iterator[None]:
    """Unwrap a group that holds one ScalesyncError; any other group stays as it is."""
    try:
        yield
    except BaseExceptionGroup as group:
        errors = list(leaves(group))
        if not all(isinstance(error, ScalesyncError) for error in errors):
            raise
        raise errors[0] from None


def leaves(group: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    """The errors in a group and in the groups within it."""
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from leaves(error)
        else:
            yield error


async def report(observer: Observer, snapshot: Callable[[], Progress]) -> None:
    """Show progress a few times a second."""
    while True:
        observer.progress(snapshot())
        await anyio.sleep(PROGRESS_S)
