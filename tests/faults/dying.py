"""The program as it is, but it finishes a data file every few tasks and may kill itself at a file operation.

    python -m tests.faults.dying NUMBER ROWS scalesync's own arguments...

NUMBER: the step at which SIGKILL strikes, 0 for never. Steps are counted from 1: one right before each fsync, rename,
truncation or removal of a file, one right after it. ROWS: tasks per data file. At the end the number of steps is told
on standard error.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from scalesync.__main__ import main
from scalesync.outputs.writer import SegmentWriter

OPERATIONS = ("fsync", "fdatasync", "rename", "replace", "link", "unlink", "ftruncate", "truncate")
MARK = "steps: "


class Countdown:
    """Kills this process at the n-th step."""

    def __init__(self, strike: int) -> None:
        self.strike = strike
        self.steps = 0

    def wrap(self, operation: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            self._step()
            result = operation(*args, **kwargs)
            self._step()
            return result

        return wrapped

    def _step(self) -> None:
        self.steps += 1
        if self.steps == self.strike:
            os.kill(os.getpid(), signal.SIGKILL)


def run(strike: int, rows: int, arguments: list[str]) -> None:
    countdown = Countdown(strike)
    for name in OPERATIONS:
        setattr(os, name, countdown.wrap(getattr(os, name)))
    SegmentWriter.full = property(lambda writer: writer.rows >= rows)  # type: ignore[assignment,method-assign]
    sys.argv = ["scalesync", *arguments]
    try:
        main()
    finally:
        sys.stderr.write(f"{MARK}{countdown.steps}\n")


if __name__ == "__main__":
    run(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
