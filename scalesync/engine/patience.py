"""Patience: remembers what keeps a run from making progress, and ends the run when that lasts too long."""

from __future__ import annotations

from collections.abc import Callable

import anyio

from scalesync.engine.calls import too_long
from scalesync.engine.limits import Tally
from scalesync.engine.waits import LATE_S, THROTTLED_S, Waits
from scalesync.errors import BudgetUsed, ScalesyncError
from scalesync.model.targets import RequestClass

SURE_S = 5.0  # a silence of this length shows that a wait holds up everything, not only look-ups


class Patience:
    """Of one run.

    stall_s: of nothing but trouble before the run gives up.
    busy: whether anything is to be done.
    request: kind of the run's own calls.
    on_landing: called with how many seconds records wait until a request without an answer can no longer take effect.
    """

    def __init__(
        self,
        waits: Waits,
        tally: Tally,
        stall_s: float,
        busy: Callable[[], bool],
        stop: Callable[[ScalesyncError], None],
        *,
        request: RequestClass = RequestClass.CREATE,
    ) -> None:
        self.on_landing: Callable[[float], None] | None = None
        self._waits = waits
        self._tally = tally
        self._stall_s = stall_s
        self._busy = busy
        self._stop = stop
        self._request = request

    def trouble(
        self,
        message: str,
        cls: str | None = None,
        *,
        asked_s: float | None = None,
        throttled: bool = False,
    ) -> None:
        """Remember why nothing moves, for a later sentence.

        cls: kind of the calls that failed; None for the run's own.
        """
        self._tally.last_trouble = message
        self._waits.met(
            cls or self._request,
            message,
            patience_s=self._stall_s,
            asked_s=asked_s,
            tell_after_s=THROTTLED_S if throttled else LATE_S,
            busy=self._busy,
        )

    def answered(self, cls: str) -> None:
        """Calls of this kind get through, with any result."""
        self._waits.passed(cls)

    def pending(self, message: str, cls: str) -> None:
        """The service takes time for accepted work."""
        self._waits.met(cls, message, patience_s=self._stall_s)

    def landing(self, wait_s: float) -> None:
        """Records wait until a request without an answer is too late to take effect; that is not a problem."""
        self._waits.passes += 1
        if self.on_landing is not None:
            self.on_landing(wait_s)

    async def watch(self) -> None:
        """Stop the run when patience is over; runs for as long as the engine."""
        while True:
            await anyio.sleep(min(1.0, self._stall_s / 4))
            stuck = self._waits.stuck()
            if stuck is None:
                continue
            now = self._waits.clock()
            if stuck.beyond and now >= stuck.since + min(SURE_S, self._stall_s / 4):
                left_s = stuck.asked_until - now
                self._stop(too_long(stuck.why, stuck.asked_s or left_s, self._stall_s, left_s))
            elif now > stuck.since + self._stall_s:
                self._stop(
                    BudgetUsed(
                        f"nothing got through for {self._stall_s:.0f} s (last: {stuck.why});"
                        " run the same command to resume"
                    )
                )
