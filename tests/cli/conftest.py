"""The real program as a subprocess, in an empty folder and with a clean environment."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from scalesync.cli.main import run as program
from tests import forked

KEY = "test_0123456789abcdef"
LIVE_KEY = "live_0123456789abcdef"
PROGRAM = [sys.executable, "-W", "error", "-m", "scalesync"]
KEPT = ("PATH", "SYSTEMROOT", "TEMP", "TMP", "PYTHONPATH", "VIRTUAL_ENV")


@dataclass(frozen=True)
class Ended:
    """A run of the program that is over."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """The one line of standard output."""
        (line,) = self.out.splitlines()
        return json.loads(line)


def environment(folder: Path, **extra: str) -> dict[str, str]:
    """Only what the program needs; its config folder lies in `folder`, and no keyring answers."""
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    homes = dict.fromkeys(("HOME", "XDG_CONFIG_HOME", "APPDATA", "LOCALAPPDATA"), str(folder / "home"))
    quiet = {"PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring", "COLUMNS": "80"}
    return {**kept, **homes, **quiet, **extra}


@dataclass(frozen=True)
class Served:
    """A sandbox in a process of its own."""

    base_url: str
    control_url: str
    process: forked.Forked | subprocess.Popen[bytes]

    def ask(self, path: str, body: Mapping[str, Any] | None = None, key: str = KEY) -> Any:
        """GET, or POST with a body; `path` begins with /v1/ or /_sandbox/."""
        request = urllib.request.Request(
            self.base_url.removesuffix("/v1") + path,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Basic {b64encode(f'{key}:'.encode()).decode()}"},
        )
        with urllib.request.urlopen(request, timeout=20) as reply:
            return json.load(reply)

    def tasks(self, world: str = "test") -> int:
        """How many tasks the store holds."""
        return int(self.ask("/_sandbox/stats")["worlds"][world]["total"])


@contextmanager
def sandbox(folder: Path, *args: str, fresh: bool = False) -> Iterator[Served]:
    """`scalesync sandbox ARGS...` on a free port, ended by SIGINT, which must be no error."""
    reads, writes = os.pipe()
    with open(os.devnull, "r+b") as null, open(reads, encoding="utf-8") as output:
        process = forked.start(
            "scalesync",
            ("sandbox", "--port", "0", "--json", *args),
            folder=folder,
            environment=environment(folder),
            descriptors=(null.fileno(), writes, null.fileno()),
            fresh=fresh,
        )
        os.close(writes)
        try:
            line = output.readline()
            assert line, "the sandbox did not start"
            yield Served(**json.loads(line), process=process)
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                assert process.wait(10) == 0
                assert output.read() == ""
        finally:
            process.kill()
            process.wait(10)


Run = Callable[..., Ended]


@pytest.fixture
def run_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., Ended]]:
    """The same without a process, for command lines that end before any flow begins."""
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.chdir(tmp_path)
    for name in ("SCALE_API_URL", "_SCALESYNC_COMPLETE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SCALE_API_KEY", KEY)

    def go(*args: str) -> Ended:
        code = program(args)
        return Ended(code, *capsys.readouterr())

    yield go
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run `scalesync ARGS...` in tmp_path, forked: run("status", env={...}, key=None for no key)."""

    def go(
        *args: str | Path,
        key: str | None = KEY,
        env: Mapping[str, str] | None = None,
        stdin: str | None = None,
        fresh: bool = False,
    ) -> Ended:
        keyed = {} if key is None else {"SCALE_API_KEY": key}
        given = environment(tmp_path, **keyed, **(env or {}))
        typed = [*map(str, args)]
        ended = Ended(*forked.run("scalesync", typed, folder=tmp_path, environment=given, stdin=stdin, fresh=fresh))
        assert "Traceback" not in ended.err
        for secret in (key, LIVE_KEY):
            assert secret is None or secret not in ended.out + ended.err
        return ended

    return go


@pytest.fixture
def run_new_interpreter(run: Run) -> Run:
    """`run` in a new interpreter, not forked (tests/cli/test_new_interpreter.py)."""
    return partial(run, fresh=True)
