"""Runs the `console` blocks of a document as a reader would, and compares what they print word for word.

A block holds commands (`$ ...`) and what they print, standard error included. The whole document is one shell in one
folder. Four things are special:

- `$ export NAME=VALUE ...` sets the environment of the commands after it.
- `$ scalesync sandbox ...` starts the server and leaves it running; it listens on a free port, which reads as 8787.
- A line `^C` sends SIGINT to the running command: when the lines before it have been printed or, where there are none,
  when the command has made fifty tasks.
- An id of a task, batch or file that a command printed stands for the one that it prints now, in the commands after it.
- `$ echo $?` prints the exit code of the command before it.

What must differ from run to run is replaced on both sides before comparing: `RULES`.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HOME = "/home/you"  # stands for the folder of the shell
PORT = "8787"  # stands for the sandbox's port
TASKS_BEFORE_INTERRUPT = 50

ID = re.compile(r"\b(?:[0-9a-f]{24}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\b")
# pattern, replacement
RULES = (
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d\b"), "MINUTE"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"), "TIME"),
    (re.compile(r"\b\d\d:\d\d:\d\d\b"), "CLOCK"),
    (ID, "TASK-ID"),
    (re.compile(r"(?<=-)[0-9a-f]{10}\b"), "HASH"),  # the end of a derived job name
    (re.compile(r"[\d.]+ [KM]iB\b|[\d,]+ bytes\b"), "SIZE"),
    (re.compile(r"^requests .*$", re.MULTILINE), "requests MEASURED"),
)
# Shown every five seconds where standard error is no terminal: how many depends on the machine.
PROGRESS = re.compile(r"^(?:import|export) .* in flight$")
# An interrupted run: how far it came.
COUNTS = re.compile(r"^(read|created|pending) +[\d,]+$|^[\d,]+(?= records pending)", re.MULTILINE)


@dataclass(slots=True)
class Step:
    """One command of a document and what stands under it. start: its first line of output, from 0."""

    command: str
    start: int
    lines: list[str] = field(default_factory=list)


def read_steps(text: str) -> Iterator[Step]:
    """The commands of all console blocks, in order."""
    step: Step | None = None
    inside = False
    for number, line in enumerate(text.split("\n")):
        if line.startswith("```"):
            if step is not None:
                yield step
            inside, step = line == "```console", None
        elif inside and line.startswith("$ "):
            if step is not None:
                yield step
            step = Step(line.removeprefix("$ "), number + 1)
        elif inside:
            assert step is not None, f"line {number + 1}: a console block begins with a command"
            step.lines.append(line)


def normalise(lines: list[str]) -> list[str]:
    """The lines with what must differ replaced."""
    interrupted = "^C" in lines
    text = "\n".join(line for line in lines if not PROGRESS.match(line))
    for pattern, replacement in RULES:
        text = pattern.sub(replacement, text)
    if interrupted:
        text = re.sub(" {2,}", "  ", COUNTS.sub(lambda found: f"{found[1] or ''} COUNT".strip(), text))
    return text.split("\n")


class Shell:
    """One folder, one environment, at most one sandbox."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        kept = {name: os.environ[name] for name in ("SYSTEMROOT", "TEMP", "TMP") if name in os.environ}
        homes = dict.fromkeys(("HOME", "XDG_CONFIG_HOME"), str(folder / "home"))
        self.environment = {
            **kept,
            **homes,
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "PYTHONPATH": str(ROOT),
            "PYTHONWARNINGS": "error",
            "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
            "COLUMNS": "80",
        }
        self._port = ""
        self._ids: dict[str, str] = {}
        self._sandbox: subprocess.Popen[str] | None = None
        self._code = 0

    def run(self, step: Step) -> list[str]:
        """Run one command; returns the lines it printed, its own names in place."""
        command = step.command.replace(f"127.0.0.1:{PORT}", f"127.0.0.1:{self._port or PORT}")
        command = ID.sub(lambda found: self._ids.get(found[0], found[0]), command)
        if command.startswith("export "):
            self.environment |= dict(word.split("=", 1) for word in shlex.split(command)[1:])
            return []
        if command.startswith("scalesync sandbox"):
            return self._shown(self._serve(command))
        printed = self._execute(f"(exit {self._code}); {_in_place(command)}", step.lines)
        self._ids |= zip(ID.findall("\n".join(step.lines)), ID.findall(printed), strict=False)
        return self._shown(printed)

    def _shown(self, text: str) -> list[str]:
        text = text.replace(f"127.0.0.1:{self._port}", f"127.0.0.1:{PORT}").replace(str(self.folder), HOME)
        return text.rstrip("\n").split("\n") if text else []

    def _start(self, command: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["/bin/bash", "-c", command],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def _serve(self, command: str) -> str:
        self._sandbox = self._start(f"exec {command} --port 0")
        assert self._sandbox.stdout is not None
        printed = ""
        for line in self._sandbox.stdout:
            printed += line
            if line.startswith("  scalesync export"):
                break
        found = re.search(r"127\.0\.0\.1:(\d+)/v1", printed)
        assert found, printed
        self._port = found[1]
        return printed

    def _execute(self, command: str, expected: list[str]) -> str:
        before = self._tasks() if "^C" in expected else 0
        process = self._start(command)
        assert process.stdout is not None
        printed = ""
        try:
            if "^C" in expected:
                for _ in range(expected.index("^C")):
                    printed += process.stdout.readline()
                if not printed:
                    while process.poll() is None and self._tasks() < before + TASKS_BEFORE_INTERRUPT:
                        pass
                printed += "^C\n"
                process.send_signal(signal.SIGINT)
            printed += process.communicate(timeout=30)[0]
        finally:
            process.kill()
            process.wait()
        self._code = process.returncode
        return printed

    def _tasks(self) -> int:
        with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/_sandbox/stats", timeout=10) as reply:
            worlds = json.load(reply)["worlds"]
        return sum(int(world["total"]) for world in worlds.values())

    def close(self) -> None:
        """End the sandbox."""
        if self._sandbox is not None:
            self._sandbox.send_signal(signal.SIGINT)
            self._sandbox.communicate(timeout=10)


def _in_place(command: str) -> str:
    """The command so that it takes the shell's place, and its signals."""
    if command.startswith("echo "):
        return command
    return f"exec env {command}" if re.match(r"\w+=", command) else f"exec {command}"


@contextmanager
def shell(folder: Path) -> Iterator[Shell]:
    """A shell whose sandbox ends with it."""
    made = Shell(folder)
    try:
        yield made
    finally:
        made.close()


@dataclass(frozen=True, slots=True)
class Replay:
    """What a document's commands printed now, beside what stands there."""

    text: str
    printed: list[tuple[Step, list[str]]]

    @property
    def differing(self) -> list[tuple[Step, list[str]]]:
        """The commands that printed something else."""
        return [(step, actual) for step, actual in self.printed if normalise(actual) != normalise(step.lines)]

    def updated(self, *, whole: bool) -> str:
        """The document with what was printed now: where it differs, or everywhere."""
        lines = self.text.split("\n")
        for step, actual in reversed(self.printed if whole else self.differing):
            lines[step.start : step.start + len(step.lines)] = [line for line in actual if not PROGRESS.match(line)]
        return "\n".join(lines)


def replay(document: Path, folder: Path) -> Replay:
    """Run a document's commands in the folder."""
    text = document.read_text("utf-8")
    with shell(folder) as running:
        return Replay(text, [(step, running.run(step)) for step in read_steps(text)])
