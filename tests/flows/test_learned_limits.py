"""What a run learned of a server's limit is kept in the ledger, per target, for the next run to begin with."""

from __future__ import annotations

import json
import sqlite3

from sqlite_utils import Database

from scalesync.flows.runtime import wiring
from scalesync.ledger.sqlite import schema
from scalesync.ledger.sqlite.connection import open_ledger
from scalesync.ledger.sqlite.store import SqliteLedger
from scalesync.model.targets import RequestClass

LEARNED = {"version": 1, "rate": 40.0, "window_s": 0.0, "width": 9}


def ledger_of(settings) -> SqliteLedger:
    return SqliteLedger.open(settings.ledger, note=print)


async def test_an_import_that_met_a_limit_leaves_it_for_the_next(
    make_sandbox, bring, write_records, ask_ledger, settings_for, monkeypatch
):
    sandbox = await make_sandbox(rate=200, rate_burst=20)
    summary = await bring(sandbox, write_records(900), job="one", yes=True)
    assert (summary.exit_code, summary.created) == (0, 900)
    assert summary.throttled > 0
    ((name, text),) = ask_ledger("SELECT class, learned FROM paces")
    assert name == "create"
    assert 60 < json.loads(text)["rate"] < 400  # a few seconds on a busy machine: the order of it, no more

    begun = []

    class Watched(wiring.Pace):
        def __init__(self, *args, **switches):
            super().__init__(*args, **switches)
            begun.append(self.rate(RequestClass.CREATE))

    monkeypatch.setattr(wiring, "Pace", Watched)
    await bring(sandbox, write_records(950), job="two", yes=True)
    await bring(sandbox, write_records(20), job="three", key="test_k")
    assert 60 < begun[0] < 400
    assert begun[1] is None or begun[1] != begun[0]  # the other world is another target
    assert sandbox.journal.count("create", 200) == 950 + 20


def test_a_ledger_from_before_gets_the_table(tmp_path, monkeypatch):
    path = tmp_path / "old.db"
    db = sqlite3.connect(path)
    for statement in schema._FIRST.split(";\n"):
        db.execute(statement)
    db.execute("INSERT INTO targets VALUES (1, 'u', 'live', 'default', '')")
    old = Database(db)
    schema.migrations().ensure_migrations_table(old)
    old[schema.TABLE].insert({"migration_set": "scalesync", "name": "m001_first", "applied_at": "2026-11-20"})
    db.commit()
    db.close()
    with_table = open_ledger(path, create=False, note=print)
    assert with_table.execute("SELECT count(*) FROM paces").fetchone() == (0,)
    assert with_table.execute("SELECT base_url FROM targets").fetchone() == ("u",)
    with_table.close()
