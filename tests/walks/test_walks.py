"""Commands in any order keep every promise: a few walks in each run of the tests, many in the soak."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from scalesync.sandbox import FaultRule
from scalesync.sandbox.core.faults import LIES
from tests.walks.lies import HIDING, draw_lies
from tests.walks.oracle import Row, Task, expected, forgotten, repeated
from tests.walks.sources import Files, Letter
from tests.walks.steps import draw_steps
from tests.walks.walk import walk


@pytest.mark.parametrize("seed", [0])
def test_commands_in_any_order_keep_every_promise(tmp_path: Path, seed: int) -> None:
    outcome = walk(tmp_path, seed, draw_steps(seed, 8, lies=True))
    assert outcome.wrong == [], "\n".join(outcome.log)
    assert outcome.commands > 8
    assert outcome.lied_to > 1


@pytest.mark.soak
@pytest.mark.timeout(1200)
def test_many_long_walks_keep_every_promise(tmp_path: Path) -> None:
    for seed in range(1000, 1040):
        outcome = walk(tmp_path / str(seed), seed, draw_steps(seed, 25))
        assert outcome.wrong == [], "\n".join(outcome.log)


def files_with(folder: Path, *letters: Letter, own_ids: bool = True) -> Files:
    return Files(folder, own_ids, {"a.jsonl": list(letters)})


def test_the_oracle_counts_each_way_a_record_can_end(tmp_path: Path) -> None:
    files = files_with(
        tmp_path,
        *(Letter(1), Letter(2), Letter(2), Letter(2, version=1)),
        *(Letter(3, poison=True), Letter(4, version=1), Letter(5), Letter(6, bad=True)),
    )
    tasks = [
        Task("t1", "letter-0001", "pending", (1, 0)),
        Task("t2", "letter-0002", "completed", (2, 0)),
        Task("t4", "letter-0004", "pending", (4, 0)),
        Task("t5", "letter-0005", "canceled", (5, 0)),
        Task("t7", "letter-0007", "pending", (7, 0)),
    ]
    told = expected(files, tasks)
    assert (told.read, told.tasks, told.gone) == (9, 3, 1)
    assert (told.conflicts, told.failed, told.invalid, told.duplicates) == (3, 1, 1, 1)


def test_the_oracle_sees_a_record_that_is_paid_twice(tmp_path: Path) -> None:
    twice = [Task("t1", "x", "pending", (1, 0)), Task("t2", None, "pending", (1, 0))]
    assert repeated(twice, files_with(tmp_path, Letter(1)))
    dead = [Task("t1", "x", "pending", (1, 0)), Task("t2", None, "canceled", (1, 0))]
    assert not repeated(dead, files_with(tmp_path, Letter(1)))


def test_the_oracle_sees_a_task_that_the_ledger_forgot() -> None:
    tasks = [Task(f"t{n}", f"letter-{n:04d}", "pending", (n, 0)) for n in range(1, 6)]
    tasks += [Task("t6", "letter-0006", "canceled", (6, 0)), Task("t7", None, "pending", (7, 0))]
    before = [Row(f"letter-{n:04d}", "created", f"t{n}") for n in range(1, 8)]
    now = ["created", "sending", "conflict", "pending", "failed", "pending", "pending"]
    after = [Row(f"letter-{n:04d}", state, None) for n, state in enumerate(now, start=1)]
    assert [row.task_id for row in forgotten(before, after, tasks)] == ["t4", "t5"]
    assert [row.task_id for row in forgotten(before[:1], [], tasks)] == ["t1"]


def test_every_kind_of_lie_is_drawn_and_none_that_nothing_can_show() -> None:
    drawn = [draw_lies(random.Random(seed), ends=bool(seed % 2)) for seed in range(300)]
    kinds = [{rule["kind"] for rule in lies.rules} for lies in drawn]
    assert set().union(*kinds) == set(LIES)
    assert not any("total" in told and told & HIDING for told in kinds)
    for lies in drawn:
        for rule in lies.rules:
            FaultRule(**rule)
