"""The quota file: who may read it, what another boot means, and what happens when it cannot be used."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from scalesync.flows.runtime.wiring import make_gate
from scalesync.ledger.sqlite import quota
from scalesync.ledger.sqlite.quota import QuotaFile, quota_path
from scalesync.ledger.sqlite.store import SqliteLedger
from scalesync.model.targets import RequestClass
from scalesync.pacing.limiter import Rate
from scalesync.pacing.shared_slots import SharedSlots, client_of
from scalesync.pacing.slots import Lane, QuotaState, Report

CREATE = RequestClass.CREATE


def add(text: bytes) -> Callable[[bytes | None], tuple[bytes, bytes | None]]:
    return lambda data: ((data or b"") + text, data)


async def test_a_change_sees_what_the_last_one_left_whoever_made_it(tmp_path):
    first, second = QuotaFile(tmp_path / "q"), QuotaFile(tmp_path / "q")
    assert await first.change("a", add(b"1")) is None
    assert await second.change("a", add(b"2")) == b"1"
    assert await first.change("b", add(b"9")) is None
    first.close("a", add(b"3"))
    first.close("a", add(b"not twice"))
    assert await second.change("a", add(b"")) == b"123"
    second.close("a", add(b""))
    assert stat.S_IMODE(os.stat(tmp_path / "q").st_mode) == 0o600
    with pytest.raises(OSError, match="is closed"):
        await second.change("a", add(b""))


async def test_many_at_once_lose_nothing(tmp_path):
    files = [QuotaFile(tmp_path / "q") for _ in range(6)]
    await asyncio.gather(*(file.change("a", add(b".")) for file in files for _ in range(50)))
    assert len(await files[0].change("a", add(b"")) or b"") == 300
    for file in files:
        file.close("a", add(b""))


async def test_a_change_that_fails_changes_nothing(tmp_path):
    file = QuotaFile(tmp_path / "q")
    await file.change("a", add(b"1"))

    def fail(data: bytes | None) -> tuple[bytes, None]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await file.change("a", fail)
    assert await file.change("a", add(b"")) == b"1"
    file.close("a", add(b""))


def test_the_file_is_made_when_it_is_first_asked_for(tmp_path):
    QuotaFile(tmp_path / "q").close("a", add(b"1"))
    assert not (tmp_path / "q").exists()


def test_every_spelling_of_a_ledger_has_one_quota_file(tmp_path, monkeypatch):
    (tmp_path / "real.db").touch()
    (tmp_path / "link.db").symlink_to("real.db")
    monkeypatch.chdir(tmp_path)
    assert quota_path(Path("link.db")) == quota_path(tmp_path / "real.db") == tmp_path / "real.db.quota"


async def failure(file: QuotaFile) -> str:
    with pytest.raises(OSError, match="cannot be used") as caught:
        await file.change("a", add(b"1"))
    file.close("a", add(b""))
    return str(caught.value)


async def test_a_folder_that_cannot_be_written_is_reported(plain_user):
    plain_user.chmod(0o500)
    assert "Permission denied" in await failure(QuotaFile(plain_user / "q"))
    plain_user.chmod(0o700)


async def test_a_file_that_is_something_else_is_reported(tmp_path):
    (tmp_path / "q").write_text("no database at all, but long enough to be taken for one" * 20)
    assert "not a database" in await failure(QuotaFile(tmp_path / "q"))


async def test_a_file_that_stays_locked_is_reported(tmp_path):
    file = QuotaFile(tmp_path / "q", busy_s=0.1)
    await file.change("a", add(b"1"))
    other = sqlite3.connect(tmp_path / "q", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert "locked" in await failure(file)
    other.close()


async def test_a_network_file_system_is_reported(tmp_path, monkeypatch):
    monkeypatch.setattr(quota, "file_system", lambda path: "nfs4")
    assert "its file system (nfs4) cannot share memory" in await failure(QuotaFile(tmp_path / "q"))
    assert not (tmp_path / "q").exists()


@pytest.mark.parametrize(
    "old",
    [
        QuotaState(boot="another", written=5.0, depth=1, lanes={"create": Lane(used=[99.9])}),
        QuotaState(boot="this", written=5000.0, depth=1, lanes={"create": Lane(used=[99.9])}),
        QuotaState(layout=99, boot="this", depth=1, lanes={"create": Lane(used=[99.9])}),
        b"\xc1 no state",
    ],
    ids=["another boot", "from the future", "another layout", "damaged"],
)
async def test_a_state_that_means_nothing_is_replaced(tmp_path, old):
    file = QuotaFile(tmp_path / "q")
    data = msgspec.msgpack.encode(old) if isinstance(old, QuotaState) else old
    await file.change("t", lambda _: (data, None))
    source = SharedSlots(file, "t", client_of({CREATE: Rate(1, 10)}, None), clock=lambda: 100.0, boot="this")
    grant = await source.lease(CREATE, 1, Report())
    assert [slot.opens for slot in grant.slots] == [100.0]
    source.close([])


async def test_a_book_of_this_boot_counts_for_the_next_process(tmp_path):
    for number in range(2):
        file = QuotaFile(tmp_path / "q")
        client = client_of({CREATE: Rate(1, 10)}, None)
        source = SharedSlots(file, "t", client, clock=lambda now=100.0 + number: now, boot="this")
        grant = await source.lease(CREATE, 1, Report())
        source.close([(CREATE, Report(used=[(slot.number, 100.1) for slot in grant.slots]))])
    assert not grant.slots
    assert 105 < grant.again_at < 110.2


async def test_a_run_without_a_usable_quota_file_continues_and_says_so_once(tmp_path, settings_for, make_sandbox):
    sandbox = await make_sandbox()
    settings = settings_for(sandbox, rate="50")
    SqliteLedger.open(settings.ledger, note=print).close()
    quota_path(settings.ledger).mkdir()
    notes: list[str] = []
    _, gate = make_gate(settings.way, CREATE, notes.append)
    for _ in range(5):
        await gate.acquire(CREATE)
        await gate.handover(CREATE)
        gate.release()
    gate.end()
    assert len(notes) == 1
    assert notes[0].startswith("other runs do not share this run's rate: ")
    assert "ledger.db.quota cannot be used: " in notes[0]


async def test_without_a_ledger_no_file_is_made(tmp_path, settings_for, make_sandbox):
    sandbox = await make_sandbox()
    _, gate = make_gate(settings_for(sandbox, rate="50").way, CREATE)
    await gate.acquire(CREATE)
    await gate.handover(CREATE)
    gate.release()
    gate.end()
    assert list(tmp_path.iterdir()) == []
