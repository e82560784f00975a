"""Runs the program over a layout: here, against a sandbox in this process, or as a process that gets SIGKILL."""

from __future__ import annotations

import errno
import gc
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import DEVNULL, PIPE
from typing import Any

import anyio

from scalesync.config.settings import Settings
from scalesync.flows.imports.run import run_import
from scalesync.flows.jobs.status import list_failures
from scalesync.flows.runtime.options import ImportOptions
from scalesync.flows.runtime.setup.services import resolve_settings
from scalesync.model.summaries import ImportSummary
from scalesync.sandbox import FaultRule, Sandbox
from tests.cli.conftest import environment
from tests.conftest import FAST, KIND, PROJECT, Notebook
from tests.reading.layout import Layout
from tests.reading.ledgerless import EXPRESSION, FIXED, TEMPLATE
from tests.reading.points import ONCE
from tests.reading.program import set_grain
from tests.reading.rendering import input_format

KEY = "live_k"
SLOW = FaultRule(kind="latency", on="create", seconds=0.01)  # some are in flight whenever a kill comes
WAIT_S = 40.0


@dataclass(frozen=True, slots=True)
class Complaint:
    """One failing record as `failures` lists it."""

    state: str
    file: str
    line: int
    reason: str


@dataclass(slots=True)
class Bench:
    """A layout, a sandbox and a ledger."""

    layout: Layout
    sandbox: Sandbox
    job: str | None
    notes: Notebook = field(default_factory=Notebook)

    @property
    def settings(self) -> Settings:
        """Of a live key, with the ledger in the layout's folder."""
        ledger = self.layout.folder / "ledger.db"
        return resolve_settings(base_url=self.sandbox.base_url, ledger=ledger, environ={"SCALE_API_KEY": KEY})

    async def go(self, **more: Any) -> ImportSummary:
        """One run in this process."""
        point = self.layout.point
        options = ImportOptions(
            sources=self.layout.arguments(),
            type=KIND,
            project=PROJECT,
            job=more.pop("job", self.job),
            template=TEMPLATE,
            sets=tuple(f"{name}={json.dumps(value)}" for name, value in FIXED.items()),
            unique_id=EXPRESSION if point.ids == "expression" else None,
            format=self._format,
            delimiter=self._delimiter,
            yes=True,
            describe_all=self.layout.describes,
            **more,
        )
        set_grain(point.grain)
        try:
            with fed(self.layout), anyio.fail_after(WAIT_S):
                return await run_import(options, self.settings, self.notes, limits=FAST, signals=False)
        finally:
            set_grain("coarse")

    @property
    def _format(self) -> str | None:
        return input_format(self.layout.point) if self.layout.point.container == "stdin" else None

    @property
    def _delimiter(self) -> str | None:
        return None

    async def complaints(self, job: str | None) -> list[Complaint]:
        """Every failing record, as `scalesync failures` has it."""
        groups = await list_failures(self.settings.ledger, job, None, examples=1 << 30)
        return [
            Complaint(group.state, str(example["file"]), int(example["line"]), str(example["reason"]))
            for group in groups
            for example in group.examples
        ]

    @property
    def creates(self) -> int:
        """Create calls so far."""
        return self.sandbox.journal.count("create")

    async def kill_at(self, tasks: int) -> bool:
        """Run the program as a process and kill it when the server holds so many tasks; False when it ended before."""
        layout, folder = self.layout, self.layout.folder
        template = folder / "template.json"
        template.write_text(json.dumps(TEMPLATE))
        words = [
            *(sys.executable, "-m", "tests.reading.program", layout.point.grain, "import", *layout.arguments()),
            *("--type", KIND, "--project", PROJECT, "--template", str(template), "--yes", "--quiet", "--json"),
            *("--base-url", self.sandbox.base_url, "--ledger", str(folder / "ledger.db")),
            *(word for name, value in FIXED.items() for word in ("--set", f"{name}={json.dumps(value)}")),
            *(("--unique-id", EXPRESSION) if layout.point.ids == "expression" else ()),
            *(("--job", self.job) if self.job else ()),
            *(("--describe-all",) if layout.describes else ()),
            *(("--input-format", self._format) if self._format else ()),
        ]
        env = environment(folder, SCALE_API_KEY=KEY, PYTHONPATH=str(Path(__file__).resolve().parents[2]))
        self.sandbox.faults.replace([SLOW])
        with _source(layout) as stdin:
            process = await anyio.open_process(words, cwd=folder, env=env, stdin=stdin, stdout=DEVNULL, stderr=PIPE)
            async with process:
                with anyio.fail_after(WAIT_S):
                    while self.sandbox.store.world("live").count() < tasks and process.returncode is None:
                        await anyio.sleep(0.002)
                    killed = process.returncode is None
                    if killed:
                        process.send_signal(signal.SIGKILL)
                    code = await process.wait()
                error = b"" if killed else b"".join([piece async for piece in process.stderr or ()])
        self.sandbox.faults.replace([])
        assert killed or code in (0, 1), error.decode()[-2000:]
        return killed


@contextmanager
def fed(layout: Layout) -> Iterator[None]:
    """Standard input or the named pipe has a writer while the program runs."""
    with _source(layout) as stdin:
        if stdin == DEVNULL:
            yield
            return
        before, sys.stdin = sys.stdin, os.fdopen(os.dup(stdin))
        try:
            yield
        finally:
            sys.stdin.close()
            sys.stdin = before


@contextmanager
def _source(layout: Layout) -> Iterator[int]:
    """The descriptor to read standard input from, DEVNULL where it is not a source."""
    container, data = layout.point.container, layout.bytes() if layout.point.container in ONCE else b""
    if container == "stdin":
        reading, writing = os.pipe()
        with _writing(writing, data):
            try:
                yield reading
            finally:
                os.close(reading)
    elif container == "pipe":
        (path,) = layout.arguments()
        _wait_for_readers(path)
        with _writing(path, data):
            try:
                yield DEVNULL
            finally:  # a writer that still waits for a reader is let go
                os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
    else:
        yield DEVNULL


def _wait_for_readers(path: str) -> None:
    """Wait until nobody reads a named pipe: the thread of an earlier run may hold it a moment longer than that run.

    Otherwise it would get what is for the next run.
    """
    for _ in range(int(WAIT_S * 100)):
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            return
        gc.collect()
        time.sleep(0.01)


@contextmanager
def _writing(end: int | str, data: bytes) -> Iterator[None]:
    """A thread writes into a pipe; a named one is opened when the program has opened it."""

    def write() -> None:
        with suppress(BrokenPipeError), open(end, "wb") as pipe:
            pipe.write(data)

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    yield
    thread.join(WAIT_S)
