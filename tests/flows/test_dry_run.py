"""--dry-run: it counts what the run after it counts."""

from __future__ import annotations

import pytest

from scalesync.errors import LedgerUnusable
from tests.conftest import PROJECT, letter
from tests.flows.conftest import COUNTED


def counted(summary):
    return {name: getattr(summary, name) for name in (*COUNTED, "gone", "exit_code")}


LIFE = {
    "changed after creation": {"rows": [letter(0), letter(1, categories=["z"]), letter(2)]},
    "a line less": {"rows": [letter(0)]},
    "clash": {"rows": [letter(0), letter(1), letter(1, categories=["z"])]},
    "another type": {"rows": [letter(0), letter(1)], "type": "textcollection", "project": None, "job": None},
    "a batch without a project": {
        "rows": [letter(7), letter(8, project=PROJECT)],
        "project": None,
        "batch": "new",
        "job": None,
    },
    "a failure that stays": {"rows": [letter(3, attachment_type="nonsense")]},
}


@pytest.mark.parametrize("name", LIFE)
async def test_a_dry_run_predicts_what_the_run_counts(name, make_sandbox, bring, write_records):
    sandbox = await make_sandbox()
    bad = letter(3, attachment_type="nonsense")
    await bring(sandbox, write_records([letter(0), letter(1), letter(2), bad]), job="j")
    then = {"job": "j", **LIFE[name]}
    source = write_records(then.pop("rows"))
    dry = counted(await bring(sandbox, source, dry_run=True, **then))
    dry["created"] += dry.pop("pending")
    done = counted(await bring(sandbox, source, **then))
    done.pop("pending")
    assert dry == done


async def test_a_task_that_must_be_read_to_know_its_batch_counts_as_pending(make_sandbox, bring, write_records):
    sandbox = await make_sandbox()
    source = write_records(2)
    await bring(sandbox, source, job="j")
    dry = await bring(sandbox, source, batch="b", job="other", dry_run=True)
    assert (dry.pending, dry.created, dry.conflicts) == (2, 0, 0)
    assert (await bring(sandbox, source, batch="b", job="other")).conflicts == 2


async def test_a_dry_run_shows_the_first_task_to_come_and_takes_a_fixed_record_for_one(
    make_sandbox, bring, write_records, notebook
):
    sandbox = await make_sandbox()
    await bring(sandbox, write_records([letter(0), letter(1, attachment_type="nonsense")]))
    notebook.notes.clear()
    mended = await bring(sandbox, write_records([letter(0), letter(1)]), dry_run=True)
    assert (mended.created, mended.pending, mended.failed, mended.exit_code) == (1, 1, 0, 0)
    (shown,) = [note for note in notebook.notes if "first task" in note]
    assert shown.startswith('the first task would be:\n{\n  "')
    assert '"unique_id": "letter-00001"' in shown


async def test_a_dry_run_with_findings_or_without_a_place_for_the_ledger_ends_as_the_run(
    make_sandbox, bring, write_records, tmp_path
):
    sandbox = await make_sandbox()
    assert (await bring(sandbox, write_records([letter(0), "broken\n"]), dry_run=True)).exit_code == 1
    nowhere = {"ledger": tmp_path / "none" / "l.db"}
    for dry_run in (True, False):
        with pytest.raises(LedgerUnusable, match=r"folder of the ledger .* does not exist"):
            await bring(sandbox, write_records(1), dry_run=dry_run, settings=nowhere)
    assert not (tmp_path / "none").exists()
