"""Coming again: what a second run of the same command sends, and what it does not."""

from __future__ import annotations

import io
import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest

from scalesync.errors import ConfigError, NameBound
from scalesync.flows.imports.run import run_import
from scalesync.flows.jobs.status import job_status, list_failures
from scalesync.flows.runtime.lease import holding
from scalesync.flows.runtime.options import ImportOptions
from scalesync.ledger.sqlite.store import SqliteLedger
from scalesync.mapping.identity import content_hash
from scalesync.model.jobs import JobSpec
from scalesync.model.records import Outgoing
from scalesync.model.summaries import ImportSummary
from scalesync.model.targets import Mode, Target
from scalesync.sandbox import FaultRule
from scalesync.sources import open as sources
from tests.conftest import FAST, KIND, PROJECT, letter
from tests.flows.conftest import creates, requests


def states(summary: ImportSummary) -> tuple[int, ...]:
    return summary.created, summary.conflicts, summary.failed, summary.pending


async def test_a_finished_job_sends_nothing_and_says_so(make_sandbox, bring, write_records):
    sandbox = await make_sandbox()
    source = write_records(300)
    first = await bring(sandbox, source)
    seen = requests(sandbox)
    again = await bring(sandbox, source)
    assert (first.exit_code, first.created) == (0, 300)
    assert requests(sandbox) == seen
    assert again.requests == 0
    assert "nothing to send" in again.message
    assert (again.exit_code, again.read, again.created) == (0, 300, 300)


async def test_a_finished_job_that_would_adopt_conflicts_sends_nothing_when_there_are_none(
    make_sandbox, bring, write_records
):
    sandbox = await make_sandbox()
    source = write_records(20)
    await bring(sandbox, source, on_conflict="adopt", reclaim=frozenset({"canceled"}))
    seen = requests(sandbox)
    again = await bring(sandbox, source, on_conflict="adopt", reclaim=frozenset({"canceled"}))
    assert requests(sandbox) == seen
    assert again.exit_code == 0


async def test_a_file_that_grew_is_noticed_and_only_its_new_records_are_sent(make_sandbox, bring, write_records):
    sandbox = await make_sandbox()
    await bring(sandbox, write_records(50))
    again = await bring(sandbox, write_records(60))
    assert again.created == 60
    assert creates(sandbox) == 60


async def test_a_killed_rerun_of_a_finished_job_is_not_taken_for_finished(
    make_sandbox, bring, write_records, ask_ledger, settings_for
):
    """`complete` must not survive from an earlier run while a later one is under way."""
    sandbox = await make_sandbox()
    await bring(sandbox, write_records(10), job="j")
    settings = settings_for(sandbox)
    ledger = SqliteLedger.open(settings.ledger, note=print)
    found = await ledger.find_job(settings.target, "j")
    assert found is not None
    await ledger.open_import(JobSpec("j", found.command, found.target, found.identity, found.settings))
    ledger.close()
    assert ask_ledger("SELECT complete FROM jobs") == [(0,)]


async def test_a_limit_takes_the_first_records_and_the_rest_comes_later(make_sandbox, bring, write_records):
    sandbox = await make_sandbox()
    source = write_records(300)
    first = await bring(sandbox, source, limit=40)
    assert (first.read, first.created, first.exit_code) == (40, 40, 0)
    assert "--limit" in first.message
    rest = await bring(sandbox, source)
    assert first.job == rest.job
    assert (rest.created, creates(sandbox)) == (300, 300)


async def test_a_record_changed_before_it_was_created_is_sent_in_its_new_form(make_sandbox, bring, write_records):
    sandbox = await make_sandbox()
    bad = [letter(n, attachment_type="nonsense") if n == 3 else letter(n) for n in range(6)]
    first = await bring(sandbox, write_records(bad))
    assert (first.failed, first.exit_code) == (1, 1)
    mended = await bring(sandbox, write_records(6))
    assert (mended.created, mended.failed, mended.exit_code) == (6, 0, 0)
    assert sandbox.store.world("live").by_unique_id("letter-00003")["params"]["attachment_type"] == "text"


async def test_failed_records_that_did_not_change_are_not_sent_again(make_sandbox, bring, write_records):
    sandbox = await make_sandbox()
    bad = [letter(n, attachment_type="nonsense") if n == 3 else letter(n) for n in range(6)]
    await bring(sandbox, write_records(bad))
    seen = creates(sandbox)
    again = await bring(sandbox, write_records([*bad, letter(6)]))
    assert creates(sandbox) == seen + 1
    assert (again.created, again.failed, again.exit_code) == (6, 1, 1)


async def test_a_record_changed_after_creation_is_a_conflict_until_it_is_put_back(
    make_sandbox, bring, write_records, settings_for
):
    sandbox = await make_sandbox()
    await bring(sandbox, write_records(5))
    changed = await bring(
        sandbox, write_records([letter(n, categories=["x", "y"]) if n == 2 else letter(n) for n in range(5)])
    )
    assert states(changed) == (4, 1, 0, 0)
    assert changed.exit_code == 1
    (group,) = await list_failures(settings_for(sandbox).ledger, None, None)
    assert group.message == "changed_after_creation"
    assert (group.examples[0]["unique_id"], group.examples[0]["line"]) == ("letter-00002", 3)
    back = await bring(sandbox, write_records(5), rescan=True)
    assert (states(back), back.exit_code) == ((5, 0, 0, 0), 0)
    assert creates(sandbox) == 5


async def test_a_record_that_changed_after_creation_is_adopted_on_request(
    make_sandbox, bring, write_records, settings_for, notebook
):
    """The way out of `changed_after_creation` that changes neither the source nor a task."""
    sandbox = await make_sandbox()
    await bring(sandbox, write_records(5))
    rows = [letter(n, categories=["x", "y"]) if n == 2 else letter(n) for n in range(5)]
    source = write_records(rows)
    assert states(await bring(sandbox, source)) == (4, 1, 0, 0)
    dry = await bring(sandbox, source, on_conflict="adopt", dry_run=True)
    assert (dry.created, dry.conflicts, dry.pending) == (5, 0, 0)
    adopted = await bring(sandbox, source, on_conflict="adopt")
    assert (states(adopted), adopted.exit_code) == ((5, 0, 0, 0), 0)
    assert any("1 record differs from its task: --on-conflict adopt accepts that" in note for note in notebook.notes)
    assert await list_failures(settings_for(sandbox).ledger, None, None) == []
    for again in (source, write_records(5)):  # as it is now, and as it was
        summary = await bring(sandbox, again, rescan=True)
        assert (states(summary), summary.exit_code) == ((5, 0, 0, 0), 0)
    third = await bring(
        sandbox, write_records([letter(n, categories=["z"]) if n == 2 else letter(n) for n in range(5)])
    )
    assert (states(third), third.exit_code) == ((4, 1, 0, 0), 1)
    assert creates(sandbox) == 5


async def test_a_job_adopts_the_task_that_another_job_made_of_another_content(
    make_sandbox, bring, write_records, settings_for
):
    sandbox = await make_sandbox()
    theirs = write_records(3, name="theirs.jsonl")
    await bring(sandbox, theirs, job="theirs")
    rows = [letter(n, categories=["x", "y"]) if n == 2 else letter(n) for n in range(3)]
    ours = write_records(rows, name="ours.jsonl")
    assert states(await bring(sandbox, ours, job="ours")) == (2, 1, 0, 0)
    adopted = await bring(sandbox, ours, job="ours", on_conflict="adopt")
    assert (adopted.created, adopted.adopted, adopted.conflicts, adopted.exit_code) == (2, 1, 0, 0)
    for source, job, found in ((theirs, "theirs", (3, 0)), (ours, "ours", (2, 1)), (theirs, "theirs", (3, 0))):
        again = await bring(sandbox, source, job=job, rescan=True)
        assert ((again.created, again.adopted), again.exit_code) == (found, 0)
    # The lines move: what was accepted goes with the unique_id, not with the place.
    moved = await bring(sandbox, write_records([letter(9), *reversed(rows)], name="ours.jsonl"), job="ours")
    assert (moved.created, moved.adopted, moved.conflicts, moved.exit_code) == (3, 1, 0, 0)
    assert await list_failures(settings_for(sandbox).ledger, None, None) == []
    assert creates(sandbox) == 4


async def test_a_fixed_template_makes_no_second_task(make_sandbox, bring, write_records):
    sandbox = await make_sandbox()
    rows = [{key: value for key, value in letter(n).items() if key != "unique_id"} for n in range(4)]
    source = write_records(rows)
    await bring(sandbox, source, job="t", template={"task": {"instruction": "Sort the letters."}})
    again = await bring(sandbox, source, job="t", template={"task": {"instruction": "Sort all letters."}})
    assert (again.created, again.exit_code) == (4, 0)
    assert sandbox.store.world("live").count() == 4


async def test_vanished_records_stay_counted_and_are_shown_as_gone(make_sandbox, bring, write_records):
    sandbox = await make_sandbox()
    await bring(sandbox, write_records(10))
    fewer = await bring(sandbox, write_records([letter(n) for n in range(10) if n not in (2, 7)]))
    assert (fewer.read, fewer.created, fewer.gone, fewer.exit_code) == (10, 10, 2, 0)
    back = await bring(sandbox, write_records(10), rescan=True)
    assert (back.created, back.gone) == (10, 0)


async def test_duplicates_and_clashes_are_counted_and_reported_with_file_and_line(
    make_sandbox, bring, write_records, settings_for
):
    sandbox = await make_sandbox()
    rows = [letter(0), letter(1), letter(0), letter(1, categories=["other"]), letter(2)]
    source = write_records(rows)
    summary = await bring(sandbox, source)
    assert (summary.read, summary.created, summary.duplicates, summary.conflicts) == (5, 3, 1, 1)
    assert summary.exit_code == 1
    (group,) = await list_failures(settings_for(sandbox).ledger, None, None)
    example = group.examples[0]
    assert (example["file"], example["line"]) == (str(source), 4)
    assert example["earlier"] == f"{source}:2"


async def test_repeats_are_found_from_block_to_block_and_from_file_to_file(make_sandbox, bring, write_records):
    sandbox = await make_sandbox()
    files = [write_records(300, "a.jsonl"), write_records(300, "b.jsonl")]
    dry = await bring(sandbox, files, dry_run=True)
    summary = await bring(sandbox, files)
    assert (summary.created, summary.duplicates) == (300, 300)
    assert (dry.pending, dry.duplicates) == (300, 300)


async def test_lines_are_reported_as_they_are_now_when_lines_were_put_before_them(
    make_sandbox, bring, write_records, settings_for
):
    sandbox = await make_sandbox()
    bad = letter(9, attachment_type="nonsense")
    await bring(sandbox, write_records([letter(0), bad]))
    await bring(sandbox, write_records([letter(1), "\n", letter(0), bad]))
    (group,) = await list_failures(settings_for(sandbox).ledger, None, None)
    assert group.examples[0]["line"] == 4


async def test_a_line_that_was_invalid_and_is_fixed_is_counted_once(make_sandbox, bring, write_records):
    sandbox = await make_sandbox()
    source = write_records([letter(0), "{not json}\n", letter(2)])
    first = await bring(sandbox, source)
    assert (first.read, first.invalid, first.exit_code) == (3, 1, 1)
    mended = await bring(sandbox, write_records(3), limit=2)
    assert (mended.read, mended.invalid, mended.created) == (3, 0, 3)


async def test_two_jobs_that_name_the_same_unique_id_share_the_row(make_sandbox, bring, write_records):
    sandbox = await make_sandbox()
    one = await bring(sandbox, write_records(10, "one.jsonl"))
    other = await bring(sandbox, write_records([letter(n) for n in range(5, 15)], "other.jsonl"))
    assert one.job != other.job
    assert (one.created, other.created) == (10, 10)
    assert creates(sandbox) == 15
    seen = requests(sandbox)
    assert (await bring(sandbox, write_records(10, "one.jsonl"))).created == 10
    assert creates(sandbox) == 15
    assert requests(sandbox) >= seen


async def test_a_second_job_with_other_content_for_a_shared_id_is_a_conflict_of_its_own(
    make_sandbox, bring, write_records
):
    sandbox = await make_sandbox()
    one, other = write_records(3, "one.jsonl"), write_records([letter(1, categories=["z"])], "other.jsonl")
    await bring(sandbox, one)
    second = await bring(sandbox, other)
    assert (second.read, second.conflicts, second.exit_code) == (1, 1, 1)
    assert (await bring(sandbox, one)).conflicts == 0


async def test_a_failed_record_moved_to_a_file_of_its_own_hides_nothing_where_it_stood(
    make_sandbox, bring, write_records
):
    sandbox = await make_sandbox()
    await bring(sandbox, write_records([letter(0), letter(1, attachment_type="nonsense"), "no json\n"]), job="a")
    left = write_records([letter(0), "no json\n"])
    without = await bring(sandbox, left, job="a")
    assert (without.failed, without.invalid, without.gone) == (0, 1, 1)
    mended = await bring(sandbox, write_records([letter(1)], "mended.jsonl"), job="b")
    assert (mended.created, mended.exit_code) == (1, 0)
    again = await bring(sandbox, left, job="a")
    assert (again.requests, again.read, again.created, again.invalid, again.conflicts) == (0, 2, 1, 1, 0)


async def test_a_finished_job_whose_record_another_one_is_sending_is_not_reported_as_finished(
    make_sandbox, bring, write_records, tmp_path
):
    sandbox = await make_sandbox()
    source = write_records([letter(0), letter(1, attachment_type="nonsense")])
    await bring(sandbox, source, job="a")
    with closing(SqliteLedger.open(tmp_path / "ledger.db", note=print)) as ledger:
        found = await ledger.find_job(Target(sandbox.base_url, Mode.LIVE), "a")
        other = await ledger.open_import(JobSpec("b", "import", found.target, {"sources": ["b"]}, {}))
        mended = Outgoing("letter-00001", content_hash(PROJECT, KIND, letter(1)), b"{}", source=1, line=1)
        await other.admit([mended], [], now_ms=1)
    again = await bring(sandbox, source, job="a")
    assert (again.created, again.pending, again.exit_code) == (1, 1, 1)
    assert "another job must still send it" in again.message


async def test_two_jobs_at_once_with_other_content_for_shared_ids_share_them_out(
    make_sandbox, bring, write_records, ask_ledger
):
    """Whoever's request came first has the task; to the other job it is a conflict, and stays one."""
    sandbox = await make_sandbox()
    sandbox.faults.replace([FaultRule(kind="latency", on="create", seconds=0.0, jitter=0.02)])
    one = write_records(60, "one.jsonl")
    other = write_records([letter(n, categories=["z"]) for n in range(60)], "other.jsonl")
    ends: dict[str, ImportSummary] = {}

    async def run(name: str, source: Path, **options: Any) -> None:
        ends[name] = await bring(sandbox, source, job=name, **options)

    async with anyio.create_task_group() as group:
        group.start_soon(run, "a", one)
        group.start_soon(run, "b", other)
    kinds = Counter(
        "b" if task["params"]["categories"] == ["z"] else "a" for task in sandbox.store.world("live").documents()
    )
    for again in ({}, {"rescan": True}):
        assert sum(kinds.values()) == 60
        for name, source in (("a", one), ("b", other)):
            if again:
                await run(name, source, **again)
            assert (ends[name].created, ends[name].conflicts) == (kinds[name], 60 - kinds[name])
            assert ends[name].exit_code == (0 if kinds[name] == 60 else 1)


async def test_the_batch_of_a_task_that_was_not_asked_for_is_read_before_it_is_doubted(
    make_sandbox, bring, write_records, tmp_path, ask_ledger
):
    """A job without a batch takes the tasks of one that has; the one with the batch finds them as it wants them."""
    sandbox = await make_sandbox()
    source = write_records(10)
    here = {"ledger": tmp_path / "ledger.db"}
    await bring(sandbox, source, batch="b", settings={"ledger": tmp_path / "one.db"})
    taken = await bring(sandbox, source, settings=here)
    asked = await bring(sandbox, source, batch="b", settings=here)
    assert (taken.created, asked.created, asked.exit_code) == (10, 10, 0)
    seen = requests(sandbox)
    assert (await bring(sandbox, source, batch="b", rescan=True, settings=here)).created == 10
    assert requests(sandbox) - seen <= 3
    apart = await bring(sandbox, source, batch="other", settings=here)
    assert (apart.created, apart.conflicts) == (0, 10)


async def test_a_ledger_that_knows_no_batches_learns_them(make_sandbox, bring, write_records, tmp_path):
    sandbox = await make_sandbox()
    source = write_records(10)
    await bring(sandbox, source, batch="b", max_new=4)
    with sqlite3.connect(tmp_path / "ledger.db") as db:
        db.execute("UPDATE rows SET content = substr(content, 1, 16)")
    done = await bring(sandbox, source, batch="b")
    assert (done.created, done.conflicts, done.exit_code) == (10, 0, 0)
    assert creates(sandbox) == 10
    with sqlite3.connect(tmp_path / "ledger.db") as db:
        assert db.execute("SELECT count(*) FROM rows WHERE length(content) = 17").fetchone() == (10,)


async def test_a_record_that_was_refused_in_another_form_is_sent_when_it_is_fixed_back(
    make_sandbox, bring, write_records, tmp_path
):
    sandbox = await make_sandbox()
    good, bad = letter(0), letter(0, categories=[])
    await bring(sandbox, write_records([good]), max_new=0)
    with sqlite3.connect(tmp_path / "ledger.db") as db:  # as a run leaves it that was killed with the request under way
        db.execute("DELETE FROM rows")
    with closing(SqliteLedger.open(tmp_path / "ledger.db", note=print)) as ledger:
        (row,) = await ledger.jobs()
        found = await ledger.find_job(Target(sandbox.base_url, Mode.LIVE), row.name)
        async with holding(ledger, found) as hold:
            content = content_hash(PROJECT, KIND, good)
            record = Outgoing(good["unique_id"], content, b"{}", source=1, line=1)
            await hold.job.admit([record], [], now_ms=1)
    refused = await bring(sandbox, write_records([bad]))
    assert refused.failed == 1
    mended = await bring(sandbox, write_records([good]), rescan=True)
    assert (mended.created, mended.exit_code) == (1, 0)


async def test_work_beside_a_job_writes_back_no_old_picture_of_it(make_sandbox, bring, write_records, tmp_path):
    """A refresh of many jobs takes its picture of the last one minutes before its turn."""
    sandbox = await make_sandbox()
    await bring(sandbox, write_records(3), job="j", sets=("priority=10",))
    with closing(SqliteLedger.open(tmp_path / "ledger.db", note=print)) as ledger:
        target = Target(sandbox.base_url, Mode.LIVE)
        old = await ledger.find_job(target, "j")
        new = JobSpec("j", old.command, target, old.identity, {**old.settings, "sets": ["priority=20"]})
        run = await ledger.open_import(new)
        await run.reopen(lambda *_: True)
        await run.finish(complete=False, exit_code=3, figures={})
        async with holding(ledger, old) as hold:
            assert not hold.complete
        found = await ledger.find_job(target, "j")
    assert old.complete
    assert not found.complete
    assert found.settings["sets"] == ["priority=20"]


async def test_a_run_with_a_test_key_leaves_the_live_account_untouched(make_sandbox, bring, write_records):
    sandbox = await make_sandbox()
    source = write_records(20)
    trial = await bring(sandbox, source, key="test_k")
    live = await bring(sandbox, source)
    assert (trial.mode, live.mode) == ("test", "live")
    assert (trial.created, live.created) == (20, 20)
    assert sandbox.store.world("test").count() == sandbox.store.world("live").count() == 20


async def test_a_rotated_key_of_the_same_account_continues(make_sandbox, bring, write_records):
    sandbox = await make_sandbox()
    await bring(sandbox, write_records(30), limit=10, key="live_old")
    sandbox.revoke("live_old")
    summary = await bring(sandbox, write_records(30), key="live_new")
    assert (summary.created, creates(sandbox)) == (30, 30)


async def test_a_name_bound_to_something_else_is_refused_and_shows_both(make_sandbox, bring, write_records):
    sandbox = await make_sandbox()
    source = write_records(2)
    await bring(sandbox, source, job="nightly")
    seen = requests(sandbox)
    now = f"job nightly is an import of type categorization into project {PROJECT}"
    for asked, told in [
        ({"type": "textcollection"}, f"an import of type textcollection into project {PROJECT}"),
        ({"project": None}, "an import of type categorization without a project"),
        ({"batch": "b"}, f"an import of type categorization into project {PROJECT} and batch b"),
    ]:
        with pytest.raises(NameBound) as refusal:
            await bring(sandbox, source, job="nightly", **asked)
        assert refusal.value.exit_code == 2
        assert str(refusal.value) == f"{now}, and not {told}; choose another --job name for this"
    assert requests(sandbox) == seen


async def test_credentials_of_an_address_are_neither_shown_nor_kept(
    make_sandbox, bring, write_records, tmp_path, ask_ledger, monkeypatch
):
    pytest.importorskip("fsspec")
    asked: list[str] = []
    content = write_records(2).read_bytes()

    def open_url(url: str) -> io.BytesIO:
        asked.append(url)
        return io.BytesIO(content)

    monkeypatch.setattr(sources, "open_url", open_url)
    sandbox = await make_sandbox()
    typed = "http://user:hunter2@h.test/m{}.jsonl?sig=S"
    assert (await bring(sandbox, typed.format(1), job="j")).created == 2
    assert set(asked) == {typed.format(1)}
    with pytest.raises(NameBound) as refusal:
        await bring(sandbox, typed.format(2), job="j", batch="b")
    derived = await bring(sandbox, "http://user:hunter2@h.test")
    told = f"{refusal.value} {derived.job} {ask_ledger('SELECT identity, settings FROM jobs')}"
    assert not any(secret in told for secret in ("user", "hunter2"))


async def test_two_patterns_with_a_question_mark_are_two_jobs(make_sandbox, bring, write_records, tmp_path):
    sandbox = await make_sandbox()
    for name in ("a1.jsonl", "a22.jsonl"):
        write_records(2, name)
    one, two = [(await bring(sandbox, f"file://{tmp_path}/{glob}.jsonl")).job for glob in ("a?", "a??")]
    assert one != two


async def test_standard_input_needs_a_name(make_sandbox, bring, write_records):
    sandbox = await make_sandbox()
    with pytest.raises(ConfigError, match="--job"):
        await bring(sandbox, "-")
    assert requests(sandbox) == 0


async def test_status_tells_what_was_read_and_how_it_ended(make_sandbox, bring, write_records, settings_for):
    sandbox = await make_sandbox()
    source = write_records([letter(0), letter(1, attachment_type="nonsense")])
    await bring(sandbox, source, job="mixed")
    (status,) = await job_status(settings_for(sandbox).ledger, None)
    assert (status.job, status.state, status.mode, status.running) == ("mixed", "finished", "live", None)
    assert (status.counts["created"], status.counts["failed"]) == (1, 1)
    assert status.sources == (str(source),)
    assert status.last == "done, with findings"


async def test_read_is_the_sum_over_a_life_of_changes(make_sandbox, bring, write_records):
    """The helper checks the sum at each step; here the total is also the number of things ever met."""
    sandbox = await make_sandbox()
    rows = [letter(0), "no json\n", letter(1), letter(0), letter(1, categories=["q"])]
    assert (await bring(sandbox, write_records(rows))).read == 5
    rows[1] = letter(2)
    assert (await bring(sandbox, write_records(rows))).read == 5
    assert (await bring(sandbox, write_records(rows[:2]))).read == 3
    assert (await bring(sandbox, write_records([]))).read == 3


async def test_the_derived_name_follows_what_was_asked_and_not_how(make_sandbox, bring, write_records):
    sandbox = await make_sandbox()
    source = write_records(2)
    plain = await bring(sandbox, source)
    slower = await bring(sandbox, source, settings={"rate": "50"}, sets=("priority=10",))
    elsewhere = await bring(sandbox, source, type="textcollection", project=None, sets=("fields=[]",), dry_run=True)
    assert plain.job == slower.job
    assert plain.job != elsewhere.job


async def test_progress_never_says_more_than_is_settled(make_sandbox, settings_for, write_records, notebook):
    sandbox = await make_sandbox()
    options = ImportOptions(sources=(str(write_records(600)),), type=KIND, project=PROJECT)
    await run_import(options, settings_for(sandbox, rate="500"), notebook, limits=FAST, signals=False)
    told = [(look.share, look.done) for look in notebook.snapshots if look.share is not None]
    assert told[-1] == (1.0, 600)
    assert all(share <= done / 600 + 0.01 for share, done in told)
    assert len(notebook.snapshots) > len(told)


async def test_a_resumed_run_counts_what_its_percentage_is_of(make_sandbox, settings_for, write_records, notebook):
    sandbox = await make_sandbox()
    options = ImportOptions(sources=(str(write_records(600)),), type=KIND, project=PROJECT)
    settings = settings_for(sandbox, rate="500")
    await run_import(replace(options, limit=400), settings, notebook, limits=FAST, signals=False)
    assert notebook.snapshots[-1].done == 400
    notebook.snapshots.clear()
    await run_import(options, settings, notebook, limits=FAST, signals=False)
    told = [(look.share, look.done) for look in notebook.snapshots if look.share is not None]
    assert told[-1] == (1.0, 600)
    assert all(abs(share - done / 600) < 0.05 for share, done in told)
