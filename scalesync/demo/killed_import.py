"""The second import of the demo, in a process of its own: killed half way, and run again to its end."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import anyio
import orjson

from scalesync.demo.inputs import DEMO_KEY, SECOND, TASK_TYPE
from scalesync.errors import ScalesyncError
from scalesync.events import Observer, Progress
from scalesync.sandbox import Sandbox

POLL_S = 0.01


def _command(home: Path) -> list[str]:
    return [
        *(sys.executable, "-m", "scalesync", "import", str(home / "docstrings.jsonl"), "--type", TASK_TYPE),
        *("--project", SECOND, "--template", str(home / "template.toml"), "--job", "second", "--yes"),
        *("--ledger", str(home / "scalesync.db"), "--rate", "auto", "--json", "--quiet"),
    ]


def _environment(sandbox: Sandbox) -> dict[str, str]:
    return {**os.environ, "SCALE_API_KEY": DEMO_KEY, "SCALE_API_URL": sandbox.base_url}


@contextmanager
def _importing(home: Path, sandbox: Sandbox) -> Iterator[tuple[subprocess.Popen[bytes], IO[bytes]]]:
    """The second import as a process, and its output; killed at the end unless it has ended.

    It is not the loop's own kind of process: a Ctrl-C ends the loop before that kind has closed its pipes, and it
    reports this with a traceback.
    """
    with (
        tempfile.TemporaryFile() as said,
        subprocess.Popen(  # noqa: S603 - this program itself, without a shell
            _command(home), env=_environment(sandbox), stdin=subprocess.DEVNULL, stdout=said, stderr=said
        ) as process,
    ):
        try:
            yield process, said
        finally:
            process.kill()


async def import_and_kill(home: Path, sandbox: Sandbox, records: int, observer: Observer) -> int:
    """Start the second import, kill it when half of its tasks exist; returns their number."""
    world = sandbox.store.world("live")
    before, started = world.count(), time.monotonic()
    with _importing(home, sandbox) as (process, _):
        while process.poll() is None and world.count() - before < records // 2:
            await anyio.sleep(POLL_S)
            observer.progress(_progress(world.count() - before, records, time.monotonic() - started, sandbox))
        if process.returncode is not None:
            raise ScalesyncError(f"the demo's second import ended by itself with exit code {process.returncode}")
    while True:  # what the server had received is still carried out
        if not sandbox.journal.in_flight:
            return world.count() - before
        await anyio.sleep(POLL_S)


def _progress(done: int, total: int, seconds: float, sandbox: Sandbox) -> Progress:
    return Progress(
        phase="second import",
        done=done,
        total=total,
        share=None,
        failed=0,
        throttled=0,
        rate=done / seconds if seconds else 0.0,
        in_flight=sandbox.journal.in_flight,
        seconds=seconds,
    )


async def resume(home: Path, sandbox: Sandbox) -> dict[str, Any]:
    """Run the killed command again, to its end; returns its summary."""
    with _importing(home, sandbox) as (process, said):
        while process.poll() is None:
            await anyio.sleep(POLL_S)
        said.seek(0)
        text = said.read()
    if process.returncode:
        reason = text.decode("utf-8", "replace").strip().removeprefix("scalesync: ")
        raise ScalesyncError(f"the demo's resumed import ended with exit code {process.returncode}: {reason}")
    summary: dict[str, Any] = orjson.loads(text.splitlines()[-1])
    return summary
