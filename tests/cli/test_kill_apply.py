"""Changes of many tasks, killed again and again over a server that loses answers: each made once, none left out."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from scalesync.sandbox.core.faults import FaultRule
from scalesync.sandbox.scale.state.model import Task
from scalesync.testing.processes import KILLED, KillingJournal, run_program
from scalesync.testing.trial import Trial, key_of, on_trial, until_done
from tests.platforms.scale import ScaleHarness

KILLS = 10
LOST = (
    FaultRule(kind="error", on="mutate", share=0.05, after_write=True),
    FaultRule(kind="reset", on="mutate", share=0.05, after_write=True),
    FaultRule(kind="hang", on="mutate", share=0.02, seconds=0.2, after_write=True),
    FaultRule(kind="error", on="mutate", share=0.05),
    FaultRule(kind="error", on="mutate", at=(40,), status=429, retry_after=0.01),
)


def audits(task: Task) -> int:
    return len(json.loads((task.extra.audits if task.extra else None) or b"[]"))


def effect(change: str, task: Task) -> Any:
    """What tells that the change was made, and how often where that shows."""
    match change:
        case "audit accept":
            return audits(task), task.extra and task.extra.review
        case "tags add":
            return task.tags
        case "metadata merge":
            return json.loads(task.metadata or b"{}").get("seen")
        case _:
            return task.status, task.unique_id


WANTED: Mapping[str, Any] = {
    "audit accept": (1, "accepted"),
    "tags add": ("a", "b"),
    "metadata merge": True,
    "cancel": ("canceled", None),
}
NO_WINDOW = ("--with", "audit_landing_s=0")  # the sandbox carries nothing out after its answer was lost
ARGUMENTS = {
    "tags add": ["tags=a,b"],
    "metadata merge": ['metadata={"seen": true}'],
    "cancel": ["clear_unique_id=yes"],
}


@pytest.mark.parametrize("change", sorted(WANTED))
@pytest.mark.parametrize(
    "records", [300, pytest.param(20_000, marks=(pytest.mark.soak, pytest.mark.timeout(900)))], ids="{}".format
)
def test_kills_and_lost_answers_leave_each_change_made_once(change: str, records: int, tmp_path: Path) -> None:
    async def play(trial: Trial) -> None:
        trial.fill(records)
        world = trial.host.store.world("live")  # type: ignore[attr-defined]
        if change == "audit accept":
            from scalesync.sandbox.scale.tasks.lifecycle import annotate  # noqa: PLC0415

            annotate(world)
        rows = "".join(json.dumps({"unique_id": key_of(number)}) + "\n" for number in range(records))
        (trial.folder / "tasks.jsonl").write_text(rows)
        command = ["apply", *change.split(), *ARGUMENTS.get(change, []), "--tasks", "tasks.jsonl", "--yes", *NO_WINDOW]
        trial.host.engine.journal = KillingJournal()
        trial.strike(*LOST)
        rng = random.Random(records)
        kills = 0
        for number in range(KILLS):
            after = rng.randint(records // 20, records // 8)
            ended = await run_program(trial, *command, after=after, phase=("enter", "leave")[number % 2])
            kills += ended.exit_code == KILLED
            assert ended.exit_code in {KILLED, 0}, ended
        assert kills >= KILLS // 2
        ended = await until_done(lambda: run_program(trial, *command))
        assert (ended.exit_code, ended.summary["applied"] + ended.summary["unchanged"]) == (0, records), ended
        assert Counter(effect(change, task) for task in world.tasks) == {WANTED[change]: records}

    on_trial(ScaleHarness(), tmp_path, play)
