"""What the suite must know of a platform and of its emulator."""

from __future__ import annotations

import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from scalesync.model.records import JsonObject
from scalesync.sandbox.core.faults import FaultRule
from scalesync.sandbox.core.host import Host

PATIENCE_S = 50.0  # for a process to end


class Held(NamedTuple):
    """One task as the emulator holds it. document: as a list shows it, byte for byte."""

    key: str | None
    ref: str
    document: bytes


class PlatformHarness(ABC):
    """One platform and its emulator, which is an app on `scalesync.sandbox.core`.

    platform: its name. key: an API key that the emulator takes. project: where tasks are made. type: of the tasks,
    where the platform has types. environ: what a process needs beside the usual to find the platform. extras: options
    of the platform, as `--with` takes them. landing_s: the landing window, where these change it.
    """

    platform: ClassVar[str]
    key: ClassVar[str]
    project: ClassVar[str] = "suite"
    type: ClassVar[str] = ""
    environ: Mapping[str, str] = {}
    extras: Mapping[str, str] = {}
    landing_s: float | None = None

    @abstractmethod
    def emulator(self, faults: Sequence[FaultRule] = (), **switches: Any) -> Host:
        """An emulator that is not started yet and in which the project exists. switches: of its configuration."""

    @abstractmethod
    def record(self, number: int) -> JsonObject:
        """A record that becomes a task; no two numbers give the same one. It has no key of its own."""

    @abstractmethod
    def refused(self) -> JsonObject:
        """A record that the platform refuses."""

    def correction(self) -> JsonObject:
        """The fields that make the refused record a good one when they are laid over it; as it is, all of a record."""
        return self.record(0)

    @abstractmethod
    def make(self, host: Any, key: str, record: JsonObject) -> str:
        """Make the task of a record under a key, past the network; its id."""

    @property
    def listed_project(self) -> str | None:
        """The project that exports name; None for a list that belongs to no project."""
        return self.project

    def made(self, host: Any) -> None:  # noqa: B027 - most platforms have nothing to do here
        """Several tasks were made: have lists show them, where that takes more than to make them."""

    @abstractmethod
    def tasks(self, host: Any) -> Sequence[Held]:
        """Every task in the project."""

    @abstractmethod
    def finish(self, host: Any, count: int) -> None:
        """Have the `count` oldest tasks that wait done."""

    def begin(self, host: Any, ref: str) -> None:
        """Have somebody begin to work on a task; where keys may repeat."""
        raise NotImplementedError

    def die(self, host: Any, ref: str) -> None:
        """Have a task end in a status whose key may be freed, the first that the vocabulary names."""
        raise NotImplementedError

    @abstractmethod
    def correct(self, host: Any, ref: str) -> None:
        """Have the answer of a task that is done corrected, which changes the task."""

    @abstractmethod
    def remove(self, host: Any, ref: str) -> None:
        """Take a task away, as nobody but the service can."""

    def run(
        self, arguments: Sequence[str], folder: Path, environ: Mapping[str, str], started: Callable[[int], None]
    ) -> tuple[int, str, str]:
        """Run the program to its end: exit code, negative for a signal, standard output and error.

        started: to be called with the id of the process. In a thread of its own, so it may block.
        """
        process = subprocess.Popen(  # noqa: S603 - the interpreter itself
            [sys.executable, "-m", "scalesync", *arguments],
            cwd=folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        with process:
            started(process.pid)
            try:
                out, err = process.communicate(timeout=PATIENCE_S)
            finally:
                process.kill()
        return process.returncode, out, err

    def expire(self, host: Any) -> bool:
        """Let every token end now; False where the platform has none."""
        return False
