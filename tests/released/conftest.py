"""What a released version left behind, put into a folder of the test's own, with a sandbox that holds the same tasks.

The archives name a folder and an address that nobody has. Here they become the test's, and with them the names that
were derived from them; nothing else of what was left is touched.
"""

from __future__ import annotations

import hashlib
import json
import re
import signal
import sqlite3
import tarfile
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import pytest
from anyio.from_thread import start_blocking_portal

from scalesync.cli.main import run as program
from scalesync.sandbox import Sandbox, SandboxConfig

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
NOWHERE, NO_ORIGIN = "/fixture/project", "http://127.0.0.1:1"
KEY = "live_fixture"
DERIVED = re.compile(r"(?:import|export|backfill|compact)-.*-[0-9a-f]{10}")
COLUMNS = {
    "targets": ("base_url",),
    "jobs": ("identity", "settings"),
    "splits": ("name", "spec", "cursor"),
    "events": ("detail",),
    "rows": ("reason", "detail"),
    "other_records": ("reason", "raw", "detail"),
}


@dataclass(frozen=True)
class Ended:
    """A command that is over."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The one line of standard output."""
        (line,) = self.out.splitlines()
        told: dict[str, Any] = json.loads(line)
        return told


@dataclass
class Clock:
    """The server's, ahead of this machine's."""

    ahead_ms: int = 0

    def __call__(self) -> int:
        return time.time_ns() // 1_000_000 + self.ahead_ms


@dataclass
class Left:
    """The folder of then, the sandbox of then, and today's program."""

    root: Path
    sandbox: Sandbox
    capsys: pytest.CaptureFixture[str]
    clock: Clock

    def run(self, *args: str) -> Ended:
        """One command in the folder, in this process."""
        self.capsys.readouterr()
        code = program([*args, "--json"])
        return Ended(code, *self.capsys.readouterr())

    def bring(self, *args: str) -> Ended:
        """An import as it was typed then."""
        return self.run("import", *args, "--type", "categorization", "--project", "letters")

    def ask(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """What the ledger holds."""
        with closing(sqlite3.connect(self.root / "scalesync.db")) as db:
            return db.execute(sql, values).fetchall()

    def derived(self, start: str) -> str:
        """The one job whose name was derived and begins so."""
        ((name,),) = self.ask("SELECT name FROM jobs WHERE name LIKE ? || '-%'", start)
        return str(name)

    @property
    def tasks(self) -> int:
        """How many tasks there are."""
        return self.sandbox.store.world("live").count()

    def creates(self) -> int:
        """Create calls since the test began."""
        return self.sandbox.journal.count("create")


@pytest.fixture
def left(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Left]:
    """What the version named by the module's RELEASE left."""
    with tarfile.open(FIXTURES / request.module.RELEASE / "fixture.tar.xz") as tar:
        tar.extractall(tmp_path, filter="data")
    root = tmp_path / "project"
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.chdir(root)
    monkeypatch.setenv("SCALE_API_KEY", KEY)
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
    clock = Clock()
    config = SandboxConfig(data=root / "server.data", seed=3, journal_size=100_000, clock=clock)
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(Sandbox(config)) as sandbox:
        monkeypatch.setenv("SCALE_API_URL", sandbox.base_url)
        relocate(root, sandbox.origin)
        yield Left(root, sandbox, capsys, clock)
    signal.signal(signal.SIGTERM, before)


def relocate(root: Path, origin: str) -> None:
    """Put this folder and this address where nobody's are, in the ledger, the manifests and the profiles."""
    pairs = {NOWHERE: str(root), NO_ORIGIN: origin}
    with closing(sqlite3.connect(root / "scalesync.db")) as db:
        for table, columns in COLUMNS.items():
            for column in columns:
                for old, new in pairs.items():
                    db.execute(f"UPDATE {table} SET {column}=replace({column}, ?, ?)", (old, new))
        jobs = "SELECT j.id, j.name, j.command, j.identity, t.base_url FROM jobs j JOIN targets t ON t.id = j.target"
        for number, name, command, identity, base_url in db.execute(jobs).fetchall():
            if DERIVED.fullmatch(name):
                pairs[name] = derived_then(command, f"{base_url} (live, account default)", json.loads(identity), name)
                db.execute("UPDATE jobs SET name=? WHERE id=?", (pairs[name], number))
        db.execute("UPDATE jobs SET settings=json_set(settings, '$.job', name) WHERE command='import'")
        db.commit()
    for path in root.glob("*/manifest.json"):
        name = json.loads(path.read_text())["job"]
        if name.startswith("compact-"):
            folder = root / name.split("-")[1]
            target = f"{origin}/v1 (live, account default)"
            pairs[name] = derived_then("compact", target, {"from": str(folder), "as_of": None}, name)
    for path in [*root.glob("*/manifest.json"), *root.glob("config/*.toml")]:
        text = path.read_text()
        for old, new in pairs.items():
            text = text.replace(old, new)
        path.write_text(text)


def derived_then(command: str, target: str, identity: dict[str, Any], name: str) -> str:
    """The name that 3cfd558 derived; the readable part stays as it is."""
    data = orjson.dumps([command, target, identity], option=orjson.OPT_SORT_KEYS)
    return f"{name[:-11]}-{hashlib.blake2b(data, digest_size=5).hexdigest()}"
