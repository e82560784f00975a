"""Promises that no single fault shows: what a second run, a second process and a careless server may not break."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from scalesync.errors import LeaseLost
from scalesync.flows.imports.run import run_import
from scalesync.flows.runtime.options import ImportOptions
from scalesync.sandbox import FaultRule, Sandbox
from scalesync.sandbox.core.wire.messages import Call, Reply
from tests.conftest import FAST, KIND, PROJECT, letter

Answer = Callable[[Call], Reply]


def stand_between(sandbox: Sandbox, act: Callable[[Call, str, Answer], Reply]) -> None:
    """Let `act` answer every request of the API; it gets the sandbox's own answer as a function."""
    plain = sandbox.engine.api

    def api(call: Call, kind: str, authorization: str | None) -> Reply:
        return act(call, kind, lambda changed: plain(changed, kind, authorization))

    sandbox.engine.api = api  # type: ignore[method-assign]


def change(ledger: Path, *statements: str) -> None:
    """Change the ledger from outside the program."""
    with closing(sqlite3.connect(ledger)) as db, db:
        for statement in statements:
            db.execute(statement)


def states(ledger: Path) -> Counter[str]:
    with closing(sqlite3.connect(f"file:{ledger}?mode=ro", uri=True)) as db:
        return Counter(state for (state,) in db.execute("SELECT state FROM rows"))


def letters_of(source: Path) -> ImportOptions:
    return ImportOptions(sources=(str(source),), type=KIND, project=PROJECT)


async def test_rows_that_an_ended_run_left_in_doubt_are_looked_up_and_not_sent_again(
    make_sandbox, settings_for, write_records, notebook, tmp_path
):
    sandbox = await make_sandbox()
    options = letters_of(write_records(120))
    await run_import(options, settings_for(sandbox), notebook, limits=FAST, signals=False)
    change(
        tmp_path / "ledger.db",
        "UPDATE rows SET state='sending', task_id=NULL, status=NULL",
        "UPDATE jobs SET complete=0",
    )
    sandbox.journal.clear()
    summary = await run_import(options, settings_for(sandbox), notebook, limits=FAST, signals=False)
    assert (summary.created, summary.adopted, summary.exit_code) == (120, 0, 0)
    assert sandbox.journal.count("create") == 0


async def test_a_run_whose_lease_was_taken_over_writes_nothing_more(
    make_sandbox, settings_for, write_records, notebook, tmp_path
):
    sandbox = await make_sandbox()
    ledger = tmp_path / "ledger.db"
    seen: list[Counter[str]] = []

    def act(call: Call, kind: str, answer: Answer) -> Reply:
        if kind == "create" and sandbox.journal.count("create") == 100 and not seen:
            change(ledger, "UPDATE jobs SET epoch=epoch+1, owner='another run'")
            seen.append(states(ledger))
        return answer(call)

    stand_between(sandbox, act)
    options = letters_of(write_records(1000))
    try:
        summary = await run_import(options, settings_for(sandbox, rate="500"), notebook, limits=FAST, signals=False)
        told, code = summary.message, summary.exit_code
    except LeaseLost as error:
        told, code = str(error), error.exit_code
    assert (code, "took over" in told) == (3, True)
    assert seen == [states(ledger)]


async def test_a_look_up_that_answers_something_else_proves_nothing(
    make_sandbox, settings_for, write_records, notebook
):
    lost = FaultRule(kind="error", on="create", at=(0,), after_write=True)
    sandbox = await make_sandbox()
    others = [letter(number) | {"unique_id": f"other-{number}"} for number in range(5)]
    await run_import(letters_of(write_records(others)), settings_for(sandbox), notebook, limits=FAST, signals=False)
    sandbox.faults.replace([lost])
    sandbox.journal.clear()
    careless = [3]

    def act(call: Call, kind: str, answer: Answer) -> Reply:
        if "unique_id=" in call.target and careless[0]:
            careless[0] -= 1  # as if the filter were not applied
            return answer(replace(call, target="/tasks?unique_id=other-0&unique_id=other-1"))
        return answer(call)

    stand_between(sandbox, act)
    source = write_records([letter(77)], name="one.jsonl")
    summary = await run_import(letters_of(source), settings_for(sandbox), notebook, limits=FAST, signals=False)
    assert (summary.created, summary.exit_code, careless) == (1, 0, [0])
    assert sandbox.journal.count("create") == 1
