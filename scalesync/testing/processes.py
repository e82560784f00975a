"""The program in a process of its own, which the emulator kills at a chosen request.

The moment is counted in requests, so no clock decides: `enter` is when a request has arrived and nothing of it has been
done, `leave` when it has been carried out and its reply has not yet been written.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

import anyio.to_thread

from scalesync.sandbox.core.journal import Journal, Seen
from scalesync.testing.trial import RATE, Trial, until_done

KILLED = -signal.SIGKILL if hasattr(signal, "SIGKILL") else -9
KEPT = ("PATH", "SYSTEMROOT", "TEMP", "TMP", "PYTHONPATH", "SCALESYNC_TRANSPORT")


class Ended(NamedTuple):
    """A process that is over: its exit code, negative for a signal, and the JSON that it printed."""

    exit_code: int
    summary: Mapping[str, Any]
    errors: str


class KillingJournal(Journal):
    """Counts requests, those of the control plane too; at the armed one it kills."""

    def __init__(self, size: int | None = 0) -> None:
        super().__init__(size)
        self.seen = 0
        self.pid = 0
        self.left = 0
        self.phase = "enter"
        self.in_flight_then = 0

    def arm(self, pid: int, after: int, phase: str) -> None:
        """Kill a process at the n-th request from now."""
        self.pid, self.left, self.phase, self.in_flight_then = pid, after, phase, 0

    def enter(self) -> None:
        """A request came in."""
        super().enter()
        self.seen += 1
        self._count("enter")

    def leave(self, seen: Seen) -> None:
        """It was carried out."""
        self._count("leave")
        super().leave(seen)

    def _count(self, phase: str) -> None:
        if not self.pid or phase != self.phase:
            return
        self.left -= 1
        if self.left <= 0:
            self.in_flight_then = max(1, self.in_flight)
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            self.pid = 0


async def run_program(trial: Trial, *arguments: str, after: int = 0, phase: str = "enter") -> Ended:
    """Run `scalesync ARGUMENTS` in the trial's folder. after: kill it at that request, 0 lets it end."""
    journal = trial.host.engine.journal
    assert isinstance(journal, KillingJournal)
    extras = (text for name, value in trial.harness.extras.items() for text in ("--with", f"{name}={value}"))
    common = ("--ledger", "ledger.db", "--rate", RATE, "--json", "--quiet", *extras)

    def started(pid: int) -> None:
        if after:
            journal.arm(pid, after, phase)

    run = partial(trial.harness.run, [*arguments, *common], trial.folder, _environment(trial), started)
    code, out, err = await anyio.to_thread.run_sync(run)
    journal.pid = 0
    return Ended(code, json.loads(out) if out.strip() else {}, err)


async def killed_and_run_again(trial: Trial, *arguments: str, kills: Iterable[int], phase: str) -> None:
    """Run the program, killed after each of these numbers of requests, and then until it is done.

    The manifest of an export does not change before its end; that of a backfill changes with each window.
    """
    manifest = trial.folder / "out" / "manifest.json"
    before = manifest.read_bytes() if manifest.exists() else None
    for after in kills:
        killed = await run_program(trial, *arguments, after=after, phase=phase)
        assert killed.exit_code == KILLED, killed
        now = manifest.read_bytes() if manifest.exists() else None
        assert now == before or arguments[0] != "export", "an export is there once it is whole"
    ended = await until_done(partial(run_program, trial, *arguments))
    assert ended.exit_code == 0, ended


def _environment(trial: Trial) -> dict[str, str]:
    """Only what the program needs; nothing of the person's own settings."""
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    homes = dict.fromkeys(("HOME", "XDG_CONFIG_HOME", "APPDATA"), str(trial.folder))
    names = trial.spec.variables
    own = {names.key: trial.harness.key, names.url: trial.host.base_url}
    quiet = {"PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring"}
    return {**kept, **homes, **quiet, **own, **trial.harness.environ}
