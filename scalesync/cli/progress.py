"""Progress on standard error: a live line on a terminal, a plain line every few seconds elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from scalesync.cli.output import printable, tell
from scalesync.events import Progress, duration

if TYPE_CHECKING:
    from rich.live import Live

PLAIN_EVERY_S = 5.0
WAITING_EVERY_S = 30.0  # the same sentence every five seconds would bury all others
LIVE_EVERY_S = 0.25
BAR_WIDTH = 20
BAR_FROM = 110  # columns; narrower terminals need them for the figures


class ProgressDisplay:
    """An Observer for people. Use it as a context manager, so that it always removes the live line.

    quiet: show nothing.
    mask: takes secrets out of a string.
    clock: seconds, for tests.
    """

    def __init__(
        self,
        *,
        quiet: bool = False,
        terminal: bool | None = None,
        mask: Callable[[str], str] = str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._quiet = quiet
        self._terminal = is_terminal() if terminal is None else terminal
        self._mask = mask
        self._clock = clock
        self._next = clock() + (LIVE_EVERY_S if self._terminal else PLAIN_EVERY_S)
        self._live: Live | None = None
        self._waiting = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            live, self._live = self._live, None
            _harmless(live.stop)

    def progress(self, snapshot: Progress) -> None:
        """Show the snapshot, unless the last one was shown a moment ago."""
        now = self._clock()
        waiting = snapshot.waiting is not None
        if waiting != self._waiting and not self._terminal:
            # The note has just reported the wait, or its end.
            self._waiting, self._next = waiting, now + (WAITING_EVERY_S if waiting else PLAIN_EVERY_S)
        if self._quiet or now < self._next:
            return
        self._next = now + (LIVE_EVERY_S if self._terminal else WAITING_EVERY_S if waiting else PLAIN_EVERY_S)
        if self._terminal:
            _harmless(lambda: self._draw(snapshot))
        else:
            tell(printable(self._mask(progress_line(snapshot))))

    def note(self, text: str) -> None:
        """Show one sentence, above the live line if there is one."""
        if self._quiet:
            return
        line = printable(self._mask(text))
        if self._live is None:
            tell(line)
            return
        console = self._live.console
        _harmless(lambda: console.print(line, markup=False, highlight=False, soft_wrap=True))

    def _draw(self, snapshot: Progress) -> None:
        from rich.console import Console
        from rich.live import Live
        from rich.text import Text

        if self._live is None:
            console = Console(stderr=True)
            self._live = Live(console=console, auto_refresh=False, transient=True, redirect_stdout=False)
            self._live.start()
        bar_width = BAR_WIDTH if self._live.console.width >= BAR_FROM else 0
        shown = printable(self._mask(progress_line(snapshot, bar_width=bar_width)))
        line = Text(shown, no_wrap=True, overflow="ellipsis")
        self._live.update(line, refresh=True)


def is_terminal() -> bool:
    """Whether standard error can show a line that changes."""
    import os

    return sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM") not in {"dumb", "unknown"}


def progress_line(snapshot: Progress, *, bar_width: int = 0) -> str:
    """One snapshot in words: progress, time left, speed, errors."""
    share = _share(snapshot)
    done = f"{snapshot.done:,}" if snapshot.total is None else f"{snapshot.done:,}/{snapshot.total:,}"
    parts = [f"{snapshot.phase} {_bar(share, bar_width)}{done} done"]
    if share is not None:
        parts.append(f"{int(share * 100)} %")
    if snapshot.left_s is not None:
        parts.append(f"{duration(snapshot.left_s)} left")
    if snapshot.waiting is not None:
        parts.append(str(snapshot.waiting))
    else:
        limit = "" if snapshot.limit is None else f" (limit {snapshot.limit})"
        parts.append(f"{snapshot.rate:,.0f}/s{limit}")
    if snapshot.written is not None and snapshot.written != snapshot.done:
        parts.append(f"{snapshot.written:,} written")
    if snapshot.failed:
        parts.append(f"{snapshot.failed:,} failed")
    if snapshot.throttled:
        parts.append(f"{snapshot.throttled:,} throttled")
    parts.append(f"{snapshot.in_flight:,} in flight")
    return ", ".join(parts)


def _share(snapshot: Progress) -> float | None:
    share = snapshot.share
    if share is None and snapshot.total:
        share = snapshot.done / snapshot.total
    return None if share is None else min(max(share, 0.0), 1.0)


def _bar(share: float | None, width: int) -> str:
    if share is None or not width:
        return ""
    filled = int(share * width)
    return f"[{'#' * filled}{'.' * (width - filled)}] "


def _harmless(draw: Callable[[], None]) -> None:
    """Ignore a terminal that went away."""
    try:
        draw()
    except (OSError, ValueError):
        return
