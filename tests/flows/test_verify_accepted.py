"""What --on-conflict adopt accepted is no finding of verify, as long as the task stays as it was."""

from __future__ import annotations

import json

import pytest

from tests.conftest import letter
from tests.flows.test_import_conflicts import call
from tests.flows.test_verify import change_ledger


def other(number: int, by: str = "another"):
    """A record under the same unique_id, with other content."""
    return letter(number, metadata={"by": by})


async def set_metadata(sandbox, number: int, metadata) -> None:
    ref = sandbox.store.world("live").by_unique_id(f"letter-{number:05d}")["task_id"]
    await call(sandbox, "POST", f"/task/{ref}/setMetadata", metadata)


@pytest.fixture
def second(bring, write_records):
    """second(sandbox, **options): the import of a job whose first record has another job's unique_id."""

    async def run(sandbox, by: str = "another", **options):
        return await bring(sandbox, write_records([other(0, by), letter(2)], "2.jsonl"), job="second", **options)

    return run


@pytest.fixture
async def sandbox(make_sandbox, bring, write_records):
    """One with the tasks of job `first`."""
    served = await make_sandbox()
    assert (await bring(served, write_records(2, "1.jsonl"), job="first")).created == 2
    return served


async def test_a_task_of_another_job_that_was_accepted_is_counted_and_no_finding(sandbox, second, verify):
    assert (await second(sandbox)).conflicts == 1
    found = await verify(sandbox, "second")
    assert (found.findings, found.accepted) == ({"changed": 1}, 0)
    assert (await second(sandbox, on_conflict="adopt")).exit_code == 0
    for _ in range(2):
        found = await verify(sandbox, "second")
        assert (found.findings, found.exit_code, found.file) == ({}, 0, None)
        assert (found.read, found.with_task, found.accepted) == (2, 2, 1)
        assert found.message.startswith("2 records read, 2 have their task, accepted as they are: 1")
    assert (await verify(sandbox, "first")).accepted == 0


async def test_a_task_that_changed_after_that_is_a_finding_until_it_is_accepted_again(sandbox, second, verify):
    await second(sandbox, on_conflict="adopt")
    assert (await verify(sandbox, "second")).accepted == 1
    await set_metadata(sandbox, 0, {"number": 99})
    for _ in range(2):
        found = await verify(sandbox, "second")
        assert (found.findings, found.accepted) == ({"changed": 1}, 0)
    (line,) = map(json.loads, found.file.read_text().splitlines())
    assert line["detail"] == (
        "the task changed in metadata since it was accepted; --on-conflict adopt --rescan accepts it again"
    )
    assert line["differences"] == {"metadata": {"record": {"by": "another"}, "task": {"number": 99}}}
    assert (await second(sandbox, rescan=True)).exit_code == 0
    assert (await verify(sandbox, "second")).findings == {"changed": 1}  # only who says so accepts
    await second(sandbox, on_conflict="adopt", rescan=True)
    found = await verify(sandbox, "second")
    assert (found.findings, found.accepted) == ({}, 1)


async def test_a_record_that_changed_again_or_a_task_that_died_is_a_finding(sandbox, second, verify):
    await second(sandbox, on_conflict="adopt")
    assert (await second(sandbox, by="a third")).conflicts == 1
    found = await verify(sandbox, "second")
    assert (found.findings, found.accepted) == ({"changed": 1}, 0)
    assert (await second(sandbox)).conflicts == 0
    assert (await verify(sandbox, "second")).accepted == 1
    ref = sandbox.store.world("live").by_unique_id("letter-00000")["task_id"]
    await call(sandbox, "POST", f"/task/{ref}/cancel")
    found = await verify(sandbox, "second")
    assert (found.findings, found.accepted) == ({"canceled": 1}, 0)


async def test_a_record_that_changed_after_its_own_task_was_made_is_accepted_alike(
    sandbox, bring, write_records, verify
):
    source = write_records([other(0), letter(1)], "1.jsonl")
    assert (await bring(sandbox, source, job="first")).conflicts == 1
    assert (await verify(sandbox, "first")).findings == {"changed": 1}
    assert (await bring(sandbox, source, job="first", on_conflict="adopt")).created == 2
    found = await verify(sandbox, "first")
    assert (found.findings, found.accepted) == ({}, 1)
    await set_metadata(sandbox, 0, {"number": 99})
    assert (await verify(sandbox, "first")).findings == {"changed": 1}
    await bring(sandbox, source, job="first", on_conflict="adopt", rescan=True)
    assert (await verify(sandbox, "first")).accepted == 1


@pytest.mark.parametrize("kept", ["acceptance", "terms of no version", "row alone"])
async def test_a_stranger_s_task_that_was_accepted_is_compared_with_what_it_was_then(
    kept, make_sandbox, bring, write_records, verify, tmp_path
):
    """It was looked up, so what differed is known from then on. Older versions kept it in the row only."""
    sandbox = await make_sandbox()
    await call(sandbox, "POST", "/task/categorization", other(0) | {"project": "letters"})
    source = write_records(2)
    done = await bring(sandbox, source, on_conflict="adopt")
    assert (done.created, done.adopted) == (1, 1)
    if kept == "terms of no version":
        change_ledger(tmp_path, "UPDATE acceptances SET terms=NULL")
    if kept == "row alone":
        change_ledger(tmp_path, "DELETE FROM acceptances")
    if kept != "terms of no version":
        await set_metadata(sandbox, 0, {"by": "somebody"})
        assert (await verify(sandbox)).findings == {"changed": 1}
        await bring(sandbox, source, on_conflict="adopt", rescan=True)
    found = await verify(sandbox)
    assert (found.findings, found.accepted) == ({}, 1)
    await set_metadata(sandbox, 0, {"by": "nobody"})
    assert (await verify(sandbox)).findings == {"changed": 1}
