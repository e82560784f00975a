"""Questions to the person at the terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable

from scalesync.cli.output import tell

YES = frozenset({"y", "yes"})


def asker(mask: Callable[[str], str]) -> Callable[[str], bool] | None:
    """A function that asks a question and waits for the answer; None without a terminal.

    It reads without Python's buffer: a thread that waits in the buffer holds its lock, and the interpreter dies over
    that lock when Ctrl-C ends the program.
    """
    if any(stream is None or not stream.isatty() for stream in (sys.stdin, sys.stderr)):
        return None

    def ask(question: str) -> bool:
        tell(mask(f"{question} [y/N]"))
        with open(sys.stdin.fileno(), "rb", buffering=0, closefd=False) as typed:
            return typed.readline().decode("utf-8", "replace").strip().casefold() in YES

    return ask
