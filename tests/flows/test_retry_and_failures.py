"""Failures by kind, written back out as a source, and sent again."""

from __future__ import annotations

import json

import pytest

from scalesync.errors import ConfigError, Interrupted
from scalesync.flows.imports.guards import spending
from scalesync.flows.jobs.failures import write_failures
from scalesync.flows.jobs.retry import run_retry
from scalesync.flows.jobs.status import job_status, list_failures
from scalesync.flows.runtime.options import RetryOptions
from scalesync.sandbox import FaultRule
from tests.conftest import FAST, KIND, letter
from tests.flows.conftest import adds_up, creates, requests


@pytest.fixture
def again(settings_for, notebook):
    """again(sandbox, job=None, group=None): retry."""

    async def retry(sandbox, job=None, group=None):
        settings = settings_for(sandbox)
        summary = await run_retry(RetryOptions(job=job, group=group), settings, notebook, limits=FAST, signals=False)
        assert adds_up(summary)
        return summary

    return retry


def mixed(count: int = 12) -> list:
    """Records that fail in two ways, a broken line, and good ones."""
    rows: list = [letter(n) for n in range(count)]
    rows[2] = letter(2, attachment_type="nonsense")
    rows[5] = letter(5, attachment_type="rubbish")
    rows[7] = letter(7, priority=11)
    rows[9] = '{"unique_id": "broken", \n'
    return rows


async def test_failures_are_grouped_by_status_and_message_with_examples(
    make_sandbox, bring, write_records, settings_for
):
    sandbox = await make_sandbox()
    source = write_records(mixed())
    summary = await bring(sandbox, source)
    assert (summary.created, summary.failed, summary.invalid, summary.exit_code) == (8, 3, 1, 1)
    groups = await list_failures(settings_for(sandbox).ledger, None, None)
    assert [(group.state, group.status, group.count) for group in groups] == [
        ("failed", 400, 2),
        ("failed", 400, 1),
        ("invalid", None, 1),
    ] or {(group.state, group.status, group.count) for group in groups} == {
        ("failed", 400, 2),
        ("failed", 400, 1),
        ("invalid", None, 1),
    }
    biggest = groups[0]
    assert {(e["file"], e["line"], e["unique_id"]) for e in biggest.examples} == {
        (str(source), 3, "letter-00002"),
        (str(source), 6, "letter-00005"),
    }
    (only,) = await list_failures(settings_for(sandbox).ledger, None, biggest.group)
    assert only == biggest


async def test_messages_that_name_the_record_are_one_kind(make_sandbox, bring, write_records, settings_for):
    sandbox = await make_sandbox()
    rows = [letter(n) for n in range(3)] + [letter(n, project=f"gone {n} with the wind") for n in range(3, 8)]
    await bring(sandbox, write_records(rows))
    (group,) = await list_failures(settings_for(sandbox).ledger, None, None)
    assert (group.count, len(group.examples)) == (5, 3)


async def test_a_unique_id_that_is_a_word_of_the_message_neither_hides_it_nor_makes_a_kind(
    make_sandbox, bring, write_records, settings_for
):
    sandbox = await make_sandbox()
    rows = [letter(n, unique_id=key, attachment_type="odd") for n, key in enumerate(["text", "video", "letter-3"])]
    await bring(sandbox, write_records(rows))
    (group,) = await list_failures(settings_for(sandbox).ledger, None, None)
    assert group.count == 3
    assert "choose one of these: audio image pdf text video website" in group.message


async def test_failures_of_a_job_nobody_knows_are_a_wrong_name(make_sandbox, bring, write_records, settings_for):
    sandbox = await make_sandbox()
    await bring(sandbox, write_records(1))
    with pytest.raises(ConfigError, match="has no job elsewhere"):
        await list_failures(settings_for(sandbox).ledger, "elsewhere", None)


async def test_what_was_written_out_can_be_fixed_and_imported(
    make_sandbox, bring, write_records, settings_for, tmp_path
):
    sandbox = await make_sandbox()
    await bring(sandbox, write_records(mixed()))
    out = tmp_path / "failed.jsonl"
    done = await write_failures(settings_for(sandbox), None, None, out)
    assert (done.written, done.bad) == (3, 1)
    lines = out.read_text().splitlines()
    reasons = [json.loads(line) for line in (tmp_path / "failed.jsonl.reasons.jsonl").read_text().splitlines()]
    assert [reason["line"] for reason in reasons] == [3, 6, 8]
    assert [json.loads(line)["unique_id"] for line in lines] == ["letter-00002", "letter-00005", "letter-00007"]
    assert (tmp_path / "failed.jsonl.bad.txt").read_text().strip() == '{"unique_id": "broken",'
    mended = tmp_path / "mended.jsonl"
    mended.write_text("".join(json.dumps(letter(n)) + "\n" for n in (2, 5, 7, 9)))
    summary = await bring(sandbox, mended)
    assert (summary.created, summary.exit_code) == (4, 0)
    assert sandbox.store.world("live").count() == 12


async def test_a_group_can_be_written_out_alone(make_sandbox, bring, write_records, settings_for, tmp_path):
    sandbox = await make_sandbox()
    await bring(sandbox, write_records(mixed()))
    groups = await list_failures(settings_for(sandbox).ledger, None, None)
    out = tmp_path / "failed.jsonl"
    assert (await write_failures(settings_for(sandbox), None, groups[0].group, out)).written == 2


async def test_clashes_and_conflicts_are_written_out_as_they_stand(
    make_sandbox, bring, write_records, settings_for, tmp_path
):
    sandbox = await make_sandbox()
    await bring(sandbox, write_records([letter(0), letter(0, categories=["x"])]))
    out = tmp_path / "failed.jsonl"
    await write_failures(settings_for(sandbox), None, None, out)
    assert json.loads(out.read_text()) == letter(0, categories=["x"])


async def test_a_clash_is_reported_and_written_out_by_its_own_source_when_another_job_has_the_row(
    make_sandbox, bring, write_records, settings_for, tmp_path
):
    sandbox = await make_sandbox()
    rows = [letter(0, attachment_type="nonsense"), letter(0)]
    source = write_records(rows)
    await bring(sandbox, source, job="a")
    mended = write_records([letter(n) for n in (1, 2, 0)], "mended.jsonl")
    assert (await bring(sandbox, mended, job="b")).created == 3
    groups = await list_failures(settings_for(sandbox).ledger, "a", None)
    (clash,) = [group.examples[0] for group in groups if "earlier" in group.examples[0]]
    assert (clash["line"], clash["earlier"]) == (2, f"{source}:1")
    out = tmp_path / "failed.jsonl"
    written = await write_failures(settings_for(sandbox), "a", None, out)
    assert (written.written, written.left) == (2, ())
    assert [json.loads(line) for line in out.read_text().splitlines()] == rows


async def test_invalid_records_are_kept_with_what_was_found(make_sandbox, bring, write_records, settings_for):
    sandbox = await make_sandbox()
    rows = [letter(0, unique_id=["no", "text"]), '"just text"\n', letter(1)]
    await bring(sandbox, write_records(rows))
    groups = await list_failures(settings_for(sandbox).ledger, None, None)
    assert sum(group.count for group in groups) == 2
    assert {group.state for group in groups} == {"invalid"}


async def test_texts_that_a_database_cannot_hold_do_no_harm(make_sandbox, bring, tmp_path, settings_for):
    """Bytes that are no UTF-8, halves of surrogate pairs in keys, names and values, zero bytes."""
    sandbox = await make_sandbox()
    source = tmp_path / "odd.jsonl"
    good = json.dumps(letter(0)).encode()
    odd = [
        b'{"unique_id": "\xff\xfe"}',
        b'{"unique_id": "\\ud800"}',
        b'{"unique_id": "a", "attachment": "\\udfff"}',
        b'{"unique_id": "b", "batch": "\\ud800"}',
        b'{"unique_id": "c", "project": "\\ud800"}',
        json.dumps(letter(3, unique_id="zero\0byte")).encode(),
    ]
    source.write_bytes(b"\n".join([good, *odd, b""]))
    summary = await bring(sandbox, source)
    assert (summary.read, summary.created, summary.invalid) == (7, 2, 5)
    await write_failures(settings_for(sandbox), None, None, tmp_path / "out.jsonl")


async def test_retry_sends_all_failed_records_again(make_sandbox, bring, again, write_records):
    sandbox = await make_sandbox([FaultRule(kind="error", on="create", at=(3, 5), status=422)])
    await bring(sandbox, write_records(10), settings={"concurrency": 1})
    summary = await again(sandbox)
    assert (summary.exit_code, summary.created, summary.failed) == (0, 10, 0)
    assert creates(sandbox) == 12


async def test_retry_of_one_group_leaves_the_others(make_sandbox, bring, again, write_records, settings_for):
    sandbox = await make_sandbox(
        [
            FaultRule(kind="error", on="create", at=(3,), status=422),
            FaultRule(kind="error", on="create", at=(5,), status=400),
        ]
    )
    await bring(sandbox, write_records(10), settings={"concurrency": 1})
    groups = {group.status: group.group for group in await list_failures(settings_for(sandbox).ledger, None, None)}
    summary = await again(sandbox, group=groups[422])
    assert (summary.exit_code, summary.created, summary.failed) == (1, 9, 1)


async def test_retry_keeps_template_and_settings_of_the_job(make_sandbox, bring, again, write_records):
    sandbox = await make_sandbox([FaultRule(kind="error", on="create", at=(1,), status=422)])
    rows = [{"who": f"r{n}", "attachment": "a", "attachment_type": "text"} for n in range(3)]
    await bring(
        sandbox,
        write_records(rows),
        job="shaped",
        template={"task": {"categories": ["{who}", "other"]}, "keep": ["attachment", "attachment_type"]},
        sets=("priority=20",),
        unique_id="id-{who}",
        settings={"concurrency": 1},
    )
    assert (await again(sandbox, job="shaped")).created == 3
    task = sandbox.store.world("live").by_unique_id("id-r1")
    assert (task["params"]["categories"], task["priority"]) == (["r1", "other"], 20)


async def test_retry_when_nothing_failed_says_so_and_sends_nothing(make_sandbox, bring, again, write_records):
    sandbox = await make_sandbox()
    await bring(sandbox, write_records(3))
    seen = requests(sandbox)
    summary = await again(sandbox)
    assert requests(sandbox) == seen
    assert (summary.exit_code, summary.message) == (0, "nothing to send: the job has no failed records")


async def test_retry_of_a_group_that_nobody_has_sends_nothing(make_sandbox, bring, again, write_records):
    sandbox = await make_sandbox()
    await bring(sandbox, write_records(mixed()))
    seen = requests(sandbox)
    summary = await again(sandbox, group="failed-400-ffffff")
    assert (requests(sandbox), summary.exit_code) == (seen, 1)
    assert "no failed records in group" in summary.message


async def test_retry_of_a_job_whose_source_is_gone_costs_nothing(make_sandbox, bring, again, write_records, ask_ledger):
    sandbox = await make_sandbox()
    source = write_records(mixed())
    await bring(sandbox, source)
    source.unlink()
    with pytest.raises(ConfigError, match="no such file"):
        await again(sandbox)
    assert ask_ledger("SELECT count(*) FROM rows WHERE state='failed'") == [(3,)]


async def test_retry_needs_a_name_when_there_are_several_jobs(make_sandbox, bring, again, write_records):
    sandbox = await make_sandbox()
    await bring(sandbox, write_records(1, "a.jsonl"), job="a")
    await bring(sandbox, write_records(1, "b.jsonl"), job="b")
    with pytest.raises(ConfigError, match="a, b"):
        await again(sandbox)
    with pytest.raises(ConfigError, match="no import job c"):
        await again(sandbox, job="c")


async def test_shared_failures_are_seen_and_retried_from_either_job(
    make_sandbox, bring, again, write_records, settings_for
):
    sandbox = await make_sandbox([FaultRule(kind="error", on="create", at=(0,), status=422)])
    await bring(sandbox, write_records(1, "a.jsonl"), job="a")
    other = await bring(sandbox, write_records(2, "b.jsonl"), job="b")
    assert (other.failed, other.created) == (1, 1)
    assert {group.job for group in await list_failures(settings_for(sandbox).ledger, None, None)} == {"a", "b"}
    assert (await again(sandbox, job="b")).created == 2
    by_name = {row.job: row for row in await job_status(settings_for(sandbox).ledger, None)}
    assert (by_name["a"].counts["failed"], by_name["a"].counts["created"]) == (0, 1)
    assert KIND


async def test_records_that_changed_afterwards_are_one_group_in_every_job(
    make_sandbox, bring, write_records, settings_for
):
    sandbox = await make_sandbox()
    await bring(sandbox, write_records(2, "a.jsonl"), job="a")
    await bring(sandbox, write_records([letter(0, priority=20)], "a.jsonl"), job="a")
    await bring(sandbox, write_records([letter(1, priority=20)], "b.jsonl"), job="b")
    groups = await list_failures(settings_for(sandbox).ledger, None, None)
    assert len(groups) == 2
    assert len({group.group for group in groups}) == 1
    assert {(group.status, group.message) for group in groups} == {(None, "changed_after_creation")}


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("letters.jsonl", "letters.jsonl"),
        ("./letters.jsonl", "./letters.jsonl"),
        ("lett*.jsonl", "letters.jsonl"),
        ("{here}/letters.jsonl", "{here}/letters.jsonl"),
        ("{here}/lett*.jsonl", "{here}/letters.jsonl"),
    ],
)
async def test_places_are_reported_as_typed_after_a_retry_too(
    typed, shown, make_sandbox, bring, again, write_records, settings_for, tmp_path, monkeypatch
):
    sandbox = await make_sandbox()
    write_records(mixed())
    monkeypatch.chdir(tmp_path)
    await bring(sandbox, typed.format(here=tmp_path), job="j")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert (await again(sandbox)).failed == 3
    groups = await list_failures(settings_for(sandbox).ledger, None, None)
    files = {example["file"] for group in groups for example in group.examples}
    assert files == {shown.format(here=tmp_path)}
    (row,) = await job_status(settings_for(sandbox).ledger, None)
    assert row.sources == (shown.format(here=tmp_path),)
    monkeypatch.chdir(tmp_path)
    seen = creates(sandbox)
    assert (await bring(sandbox, typed.format(here=tmp_path), job="j")).failed == 3
    assert creates(sandbox) == seen


async def test_many_records_with_a_live_key_are_sent_again_when_somebody_says_so(
    make_sandbox, bring, write_records, settings_for, notebook, monkeypatch
):
    monkeypatch.setattr(spending, "FREE_NEW_TASKS", 5)
    sandbox = await make_sandbox()
    rows = [letter(n, **({"attachment_type": "nonsense"} if n % 2 else {})) for n in range(14)]
    assert (await bring(sandbox, write_records(rows), yes=True)).failed == 7
    asked: list[str] = []

    async def retry(*, answer):
        def confirm(question):
            asked.append(question)
            return answer

        settings = settings_for(sandbox)
        await run_retry(RetryOptions(), settings, notebook, limits=FAST, signals=False, confirm=confirm)

    with pytest.raises(Interrupted, match="nothing was sent"):
        await retry(answer=False)
    assert creates(sandbox) == 14
    await retry(answer=True)
    assert creates(sandbox) == 21
    assert asked == [f"send 7 records again at {settings_for(sandbox).target}?"] * 2
    monkeypatch.setattr(spending, "FREE_NEW_TASKS", 7)
    await retry(answer=False)
    assert (len(asked), creates(sandbox)) == (2, 28)
