"""Chats exactly once: lost replies, kills, writes that land late; and what a look-up by listing costs."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from types import MappingProxyType
from urllib.parse import parse_qs

import anyio.to_thread
import pytest
from scaleapi import ScaleClient

from scalesync.flows.runtime.wiring import LISTED, SEARCHED
from scalesync.sandbox import Sandbox
from scalesync.sandbox.core.faults import FaultRule
from scalesync.sandbox.scale.state.model import CANCELED, Extra
from scalesync.testing.processes import KILLED, KillingJournal, run_program
from scalesync.testing.trial import JOB, SOURCE, Trial, key_of, on_trial, until_done
from tests.platforms.chat import LABEL, ChatHarness

BATCH = "pilot"
KILLS = 3
# Of 100 creates, ten land and lose their reply in three ways, and four do not land.
LOST = (
    FaultRule(kind="error", on="create", share=0.04, after_write=True),
    FaultRule(kind="reset", on="create", share=0.04, after_write=True),
    FaultRule(kind="hang", on="create", share=0.02, seconds=0.2, after_write=True),
    FaultRule(kind="error", on="create", share=0.04),
)


class NoWindow(ChatHarness):
    """Chats with a landing window of 0."""

    landing_s = 0.0
    extras = MappingProxyType({"landing_s": "0"})


def import_of(trial: Trial) -> list[str]:
    """The arguments of the import."""
    places = ["--project", trial.harness.project, "--batch", BATCH]
    return ["import", SOURCE, *places, "--type", "chat", "--api", "v2", "--job", JOB, "--yes"]


def told_by_the_sdk(trial: Trial) -> Counter[str]:
    """The keys of all chats of the batch, as the official SDK lists them."""
    assert isinstance(trial.host, Sandbox)
    client = ScaleClient(trial.harness.key).v2
    client.api_client.configuration.host = trial.host.origin
    keys: Counter[str] = Counter()
    token = None
    while True:
        page = client.get_tasks(batch_name=BATCH, limit=100, next_token=token)
        keys.update(task.metadata[LABEL] for task in page.tasks)
        token = page.next_token
        if not token:
            return keys


@pytest.mark.parametrize(
    "records", [300, pytest.param(10_000, marks=(pytest.mark.soak, pytest.mark.timeout(900)))], ids="{}".format
)
def test_none_is_lost_and_none_is_there_twice_with_lost_replies_and_kills(records: int, tmp_path: Path) -> None:
    async def play(trial: Trial) -> None:
        trial.write(range(records))
        trial.host.engine.journal = journal = KillingJournal()
        trial.strike(*LOST)
        rng = random.Random(records)
        for number in range(KILLS):
            after = rng.randint(records // 6, records // 4)
            killed = await run_program(trial, *import_of(trial), after=after, phase=("enter", "leave")[number % 2])
            assert killed.exit_code == KILLED, killed
        ended = await until_done(lambda: run_program(trial, *import_of(trial)))
        assert (ended.exit_code, ended.summary["created"]) == (0, records), ended
        trial.check_held(range(records))
        faults = journal.faults
        assert min(faults.values()) >= 4, faults
        assert sum(faults.values()) > records / 10, faults
        assert journal.count("create") <= records + faults["error"] + faults["reset"], "what landed is not sent again"
        told = await anyio.to_thread.run_sync(told_by_the_sdk, trial)
        assert told == Counter(key_of(number) for number in range(records))
        found = await run_program(trial, "verify", "--job", JOB, "--api", "v2")
        assert (found.exit_code, found.summary["with_task"]) == (0, records), found

    on_trial(NoWindow(), tmp_path, play)


def test_what_lands_after_the_window_is_there_twice_until_verify_repairs_it(tmp_path: Path) -> None:
    late = 5

    async def play(trial: Trial) -> None:
        trial.write(range(40))
        trial.strike(FaultRule(kind="late", on="create", seconds=3.5, times=late))
        summary = await trial.bring(batch=BATCH)
        while len(trial.held()) < 40 + late:
            await anyio.sleep(0.05)
        assert trial.host.journal.faults["late"] == late
        assert summary.created == 40, summary
        found = await trial.verify()
        assert dict(found.findings) == {"duplicate": late}, found
        twice = {key for key, number in Counter(task.key for task in trial.held()).items() if number == 2}
        assert {one["unique_id"] for one in trial.found()} == twice
        repaired = await trial.repair()
        assert (dict(repaired.done), repaired.left) == ({"remove": late}, 0), repaired
        trial.check_held(range(40))
        assert dict((await trial.verify()).findings) == {}
        assert isinstance(trial.host, Sandbox)
        statuses = Counter(task.status for task in trial.host.store.world("live").tasks)
        assert statuses[CANCELED] == late

    on_trial(NoWindow(), tmp_path, play)


def test_a_second_task_on_which_work_has_begun_stays(tmp_path: Path) -> None:
    """Version 2 shows it as pending, so only the refusal of its cancel says so."""

    async def play(trial: Trial) -> None:
        trial.write(range(10))
        await trial.bring(batch=BATCH)
        harness = trial.harness
        assert isinstance(harness, ChatHarness)
        assert isinstance(trial.host, Sandbox)
        second = harness.make(trial.host, key_of(3), harness.record(3), batch=BATCH)
        task = trial.host.store.world("live").find(second)
        assert task is not None
        task.extra = task.extra or Extra()
        task.extra.started = True
        await trial.verify()
        assert (await trial.repair()).left == 1
        assert second in {one.ref for one in trial.held()}
        assert dict((await trial.verify()).findings) == {"duplicate": 1}, "and its key still counts"

    on_trial(NoWindow(), tmp_path, play)


def test_the_project_is_listed_once_and_then_the_batch_for_each_lost_reply(tmp_path: Path) -> None:
    async def play(trial: Trial) -> None:
        trial.write(range(900))
        trial.fill(700, first=10_000)  # of the same project, in no batch
        trial.strike(FaultRule(kind="error", on="create", after_write=True, at=(100, 800)))
        summary = await trial.bring(batch=BATCH)
        assert (summary.created, summary.exit_code) == (900, 0), summary
        queries = [parse_qs(seen.query) for seen in trial.host.journal.of("list")]
        batches = [query.get("batch_name", ["none"])[0] for query in queries]
        assert batches[:7] == ["none"] * 7, "the project before the first create"
        assert set(batches[7:]) == {BATCH}
        assert len(queries) <= 7 + 2 * 10, "at most a list for each lost reply"
        assert trial.listener.notes.count(SEARCHED) == 1
        assert LISTED not in trial.listener.notes
        before = trial.host.journal.count("list")
        found = await trial.verify()
        assert (found.with_task, dict(found.findings)) == (900, {})
        assert trial.host.journal.count("list") - before <= 16 + 9 + 1, "once for the records, once for strangers"

    on_trial(NoWindow(), tmp_path, play)


@pytest.mark.parametrize("known", [100, 40])
def test_a_lost_ledger_and_another_batch_make_no_second_task(known: int, tmp_path: Path) -> None:
    async def play(trial: Trial) -> None:
        trial.write(range(known))
        assert (await trial.bring(batch=BATCH)).created == known
        trial.lose_ledger()
        trial.write(range(100))
        summary = await trial.bring(batch="second")
        assert (summary.created, summary.conflicts) == (100 - known, known), summary
        trial.check_held(range(100))
        found = await trial.verify()
        assert dict(found.findings) == {"moved": known}, found

    on_trial(NoWindow(), tmp_path, play)


def test_records_without_a_batch_are_looked_up_in_the_project_and_a_note_says_so_once(tmp_path: Path) -> None:
    async def play(trial: Trial) -> None:
        trial.write(range(90))
        trial.strike(FaultRule(kind="error", on="create", after_write=True, at=(3, 50)))
        summary = await trial.bring()
        assert (summary.created, summary.exit_code) == (90, 0), summary
        assert trial.listener.notes.count(LISTED) == 1
        trial.listener.notes.clear()
        await trial.verify()
        assert trial.listener.notes.count(LISTED) == 1

    on_trial(NoWindow(), tmp_path, play)


def test_a_batch_is_created_filled_and_finalized_once_all_of_it_is_in(tmp_path: Path) -> None:
    async def play(trial: Trial) -> None:
        trial.write_refused(range(20), 20)
        first = await trial.bring(batch=BATCH, finalize=True)
        assert (first.failed, first.exit_code) == (1, 1), first
        assert f"batch {BATCH} stays open" in first.message
        trial.write_refused(range(20), 20, **trial.harness.correction())
        assert (await trial.retry()).exit_code == 0
        again = await trial.bring(batch=BATCH, finalize=True)
        assert (again.created, again.exit_code) == (21, 0), again
        assert isinstance(trial.host, Sandbox)
        (batch,) = trial.host.store.world("live").batches
        assert (batch.name, batch.staging) == (BATCH, False)

    on_trial(NoWindow(), tmp_path, play)


def test_a_dry_run_reads_and_sends_nothing(tmp_path: Path) -> None:
    async def play(trial: Trial) -> None:
        trial.write(range(20))
        summary = await trial.bring(batch=BATCH, dry_run=True)
        assert (summary.pending, summary.exit_code) == (20, 0), summary
        assert (trial.held(), trial.host.journal.count("create"), trial.host.journal.count("mutate")) == ([], 0, 0)

    on_trial(NoWindow(), tmp_path, play)


def test_a_project_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    async def play(trial: Trial) -> None:
        trial.write(range(3))
        trial.host.engine.journal = KillingJournal()
        source = str(tmp_path / SOURCE)
        ended = await run_program(trial, "import", source, "--type", "chat", "--project", "suit", "--api", "v2")
        assert ended.exit_code == 2
        assert "there is no project 'suit' in this account" in ended.summary["error"]
        assert "did you mean 'suite'" in ended.summary["error"]

    on_trial(NoWindow(), tmp_path, play)
