"""import --type multistage: on rails, with the blueprint that was named, and what a job remembers of it."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from scalesync.errors import ConfigError, Unavailable
from scalesync.flows.jobs.rebuild import run_rebuild
from scalesync.flows.jobs.retry import run_retry
from scalesync.flows.runtime.options import ImportOptions, RetryOptions
from scalesync.platforms.scale.multistage.check import findings
from scalesync.platforms.scale.multistage.rails import ScaleBlueprints
from scalesync.sandbox import FaultRule
from scalesync.sandbox.scale.tasks import create
from tests.conftest import FAST
from tests.flows.conftest import creates
from tests.flows.street import DRIVE, WHOLE, Street

OTHER = {**WHOLE, "name": "other"}


def scene(number: int, **more: Any) -> dict[str, Any]:
    return {
        "unique_id": f"scene-{number}",
        "attachments": [f"https://x.test/{number}.sfs"],
        "scene_format": "sfs",
        **more,
    }


@pytest.fixture
async def street(make_sandbox) -> Street:
    return Street(await make_sandbox(), [0])


@pytest.fixture
def take(bring, write_records):
    """take(street, records, **options): import scenes."""

    async def run(street: Street, records: list[Any], name: str = "scenes.jsonl", **options: Any):
        source = write_records(records, name)
        return await bring(street.sandbox, source, **{"type": "multistage", "project": "street", **options})

    return run


def followed(street: Street) -> Counter[str]:
    return Counter(task["blueprint"] for task in street.world.documents())


async def test_tasks_follow_the_named_blueprint_their_own_one_or_the_active_one(street, take):
    records = [scene(0), scene(1, blueprint="whole"), scene(2, blueprint="")]
    assert (await take(street, [scene(9)], "active.jsonl")).created == 1
    assert followed(street) == {"drive": 1}
    (task,) = street.world.tasks
    assert b"blueprint" not in task.body  # nothing is sent that nobody said
    street.world.add_blueprint("street", OTHER)
    assert (await take(street, records, blueprint="other")).created == 3
    assert followed(street) == {"drive": 1, "other": 2, "whole": 1}
    await take(street, [scene(30, blueprint=""), scene(31, blueprint=None)], "empty.jsonl")
    assert followed(street)["drive"] == 3
    forced = [scene(number + 20, blueprint="whole") for number in range(2)]
    await take(street, forced, "forced.jsonl", blueprint="other", force=True)
    assert followed(street)["other"] == 4


@pytest.mark.parametrize("dry_run", [False, True])
async def test_a_blueprint_that_is_not_there_stops_the_import_before_anything_is_sent(street, take, dry_run):
    with pytest.raises(ConfigError, match="project 'street' has no blueprint 'drove'; did you mean 'drive'"):
        await take(street, [scene(0)], blueprint="drove", dry_run=dry_run)
    with pytest.raises(ConfigError, match="has no blueprint 'zebra'; it has drive, whole"):
        await take(street, [scene(0)], blueprint="zebra", dry_run=dry_run)
    street.world.add_project("bare", "multistage")
    with pytest.raises(ConfigError, match=r"no active blueprint.*give it one \(scalesync scale blueprints push\)"):
        await take(street, [scene(0)], project="bare", dry_run=dry_run)
    assert creates(street.sandbox) == 0


@pytest.mark.parametrize("dry_run", [False, True])
async def test_each_record_is_checked_and_each_reason_is_told(street, take, dry_run, notebook, ask_ledger):
    records = [
        scene(0),
        scene(1, scene_format=""),
        scene(2, attachments="https://x.test/2.sfs", scene_fromat="sfs"),
        scene(3, blueprint="drove"),
        scene(4, blueprint=7),
        scene(5, project="nowhere"),
        scene(6, project="bare", blueprint="drive"),
        scene(7, metadata={"any": "thing"}, instruction="look", priority=10),
    ]
    street.world.add_project("bare", "multistage")
    summary = await take(street, records, dry_run=dry_run)
    done = (summary.pending if dry_run else summary.created, summary.invalid)
    assert done == (2, 6)
    assert creates(street.sandbox) == (0 if dry_run else 2)
    if dry_run:
        assert any("scenes.jsonl:2: scene_format is missing" in note for note in notebook.notes)
        return
    told = dict(ask_ledger("SELECT line, reason FROM other_records WHERE state='invalid'"))
    assert told[2] == "scene_format is missing"
    assert told[3].startswith("attachments is a string, not a list; 'scene_fromat' is not a field of multistage tasks")
    assert "did you mean 'scene_format'?" in told[3]
    assert "did you mean 'drive'?" in told[4]
    assert told[5] == "blueprint is a number, not a string"
    assert told[6] == "there is no project 'nowhere' in this account"
    assert told[7] == "project 'bare' has no blueprint 'drive'; it has none"


async def test_a_field_that_a_person_named_is_sent_although_nobody_knows_it(street, take):
    strange = [scene(0, calibration="c-7")]
    assert (await take(street, strange, "a.jsonl")).invalid == 1
    keep = {"keep": ["unique_id", "attachments", "scene_format", "calibration"]}
    assert (await take(street, strange, "b.jsonl", template=keep)).created == 1
    assert (await take(street, [scene(1)], "c.jsonl", sets=('calibration="c-8"',))).created == 1


async def test_a_record_that_names_only_a_batch_is_checked_in_the_batchs_project(street, take):
    street.world.add_batch("street", "march")
    records = [scene(0, batch="march", blueprint="whole"), scene(1, batch="march", blueprint="wole")]
    summary = await take(street, records, project=None)
    assert (summary.created, summary.invalid, followed(street)) == (1, 1, Counter(whole=1))


async def test_a_job_remembers_its_blueprint(street, take, settings_for, notebook):
    street.sandbox.faults.replace([FaultRule(kind="error", on="create", status=422, at=(1, 3, 5))])
    records = [scene(number) for number in range(6)]
    first = await take(street, records, blueprint="whole", job="j")
    assert (first.created, first.failed) == (3, 3)
    street.sandbox.faults.replace([])
    await run_retry(RetryOptions(job="j"), settings_for(street.sandbox), notebook, limits=FAST, signals=False)
    assert followed(street) == {"whole": 6}
    again = await take(street, [*records, scene(7)], job="j")
    assert again.created == 7
    assert followed(street) == {"whole": 7}
    assert any(
        "records that name no blueprint get 'whole', as in the job's last run" in text for text in notebook.notes
    )
    await take(street, [*records, scene(7), scene(8)], job="j", blueprint="drive")
    assert followed(street) == {"whole": 7, "drive": 1}
    assert any("--blueprint changed since the last run: 7 tasks that are there keep" in text for text in notebook.notes)


def activating(street: Street, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    """Make `whole` the active blueprint before the create of this number."""
    seen, inner, blueprints = [0], create.make_task, street.world.blueprints

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        seen[0] += 1
        if seen[0] == at:
            blueprints.activate(next(each for each in blueprints.all if each.name == "whole"))
        return inner(*args, **kwargs)

    monkeypatch.setattr(create, "make_task", wrapped)


ANOTHER = "the active blueprint of project 'street' was 'drive' when this run began, and is 'whole' now"


async def test_a_blueprint_that_is_made_active_during_an_import_is_told_once(street, take, notebook, monkeypatch):
    activating(street, monkeypatch, 4)
    records = [scene(number) for number in range(8)]
    summary = await take(street, records, settings={"concurrency": 1})
    assert (summary.exit_code, followed(street)) == (0, {"drive": 3, "whole": 5})
    (told,) = [note for note in notebook.notes if "active blueprint" in note]
    assert told.startswith(ANOTHER)
    notebook.notes.clear()
    await take(street, [*records, scene(9)], settings={"concurrency": 1})
    assert not any("active blueprint" in note for note in notebook.notes), "it was so from this run's beginning"


async def test_an_import_is_done_although_its_last_look_fails(street, take, notebook, monkeypatch):
    async def gone(self: ScaleBlueprints, project: str) -> None:
        raise Unavailable("the server is away")

    monkeypatch.setattr(ScaleBlueprints, "moved", gone)
    assert (await take(street, [scene(0)])).exit_code == 0
    words = "whether project 'street' has another active blueprint by now is not known: the server is away"
    assert words in notebook.notes


async def test_records_that_name_their_blueprint_need_no_last_look(street, take, notebook, monkeypatch):
    activating(street, monkeypatch, 2)
    await take(street, [scene(number, blueprint="whole") for number in range(4)], settings={"concurrency": 1})
    assert not any("active blueprint" in note for note in notebook.notes)


async def test_the_blueprint_of_a_task_is_compared(street, take, verify, settings_for, tmp_path, ask_ledger):
    await take(street, [scene(0), scene(1)], job="first", blueprint="whole")
    assert (await verify(street.sandbox, "first", tmp_path / "v.jsonl")).exit_code == 0
    (tmp_path / "ledger.db").unlink()
    found = await take(street, [scene(0), scene(1, blueprint="whole")], job="second", blueprint="drive")
    assert (found.conflicts, found.created + found.adopted) == (1, 1)
    ((detail,),) = ask_ledger("SELECT detail FROM rows WHERE state='conflict'")
    assert json.loads(detail)["differences"]["blueprint"] == {"record": "drive", "task": "whole"}


async def test_a_record_that_was_not_sent_is_invalid_to_verify_and_rebuild_too(
    street, take, verify, settings_for, notebook, tmp_path
):
    records = [scene(0), scene(1, blueprint="drove"), scene(2, scene_fromat="sfs"), scene(3)]
    done = await take(street, records, job="j")
    assert (done.created, done.invalid) == (2, 2)
    found = await verify(street.sandbox, "j", tmp_path / "v.jsonl")
    assert (found.findings, found.without, found.fixes) == ({"invalid": 2}, {"invalid": 2}, {})
    assert "has no blueprint 'drove'; did you mean 'drive'" in (tmp_path / "v.jsonl").read_text()
    (tmp_path / "ledger.db").unlink()
    options = ImportOptions(sources=(str(tmp_path / "scenes.jsonl"),), type="multistage", project="street", job="j")
    rebuilt = await run_rebuild(options, settings_for(street.sandbox), notebook, limits=FAST)
    assert (rebuilt.created + rebuilt.adopted, rebuilt.invalid, rebuilt.pending) == (2, 2, 0)
    again = await take(street, records, job="j")
    assert (again.pending, again.invalid, creates(street.sandbox)) == (0, 2, 2)


async def test_options_that_make_no_sense(street, take, bring, write_records):
    with pytest.raises(ConfigError, match="--blueprint is for tasks of type multistage, not categorization"):
        await take(street, [scene(0)], type="categorization", blueprint="drive")
    with pytest.raises(ConfigError, match="--blueprint is empty"):
        await take(street, [scene(0)], blueprint="")


async def test_a_service_that_lists_no_blueprints_checks_them_itself(street, take, notebook, monkeypatch):
    monkeypatch.setattr("scalesync.platforms.scale.multistage.wire.LIST_PATH", "/elsewhere/{project_name}")
    summary = await take(
        street, [scene(0, blueprint="drive"), scene(1, blueprint="drove"), scene(2, scene_format=None)]
    )
    assert (summary.created, summary.failed, summary.invalid) == (1, 1, 1)
    told = [text for text in notebook.notes if "does not list the blueprints of project 'street'" in text]
    assert len(told) >= 1


BARE = {"name": "drive"}
ACTIVE = {"name": "drive", "active": True}


@pytest.mark.parametrize(
    "answer",
    [
        [ACTIVE],
        {"blueprints": [ACTIVE]},
        {"docs": None},
        {"docs": {"drive": ACTIVE}},
        {"docs": [BARE]},
        {"docs": ["drive"]},
        {"docs": [ACTIVE, None]},
        {"docs": [ACTIVE], "has_more": True, "next_token": "x"},
        None,
    ],
)
async def test_a_list_of_another_form_refuses_nothing(street, take, notebook, monkeypatch, answer):
    monkeypatch.setattr("scalesync.sandbox.scale.multistage.wire.blueprint_list", lambda _: json.dumps(answer).encode())
    records = [scene(0, blueprint="drive"), scene(1, blueprint="drove"), scene(2)]
    summary = await take(street, records, blueprint="whole")
    assert (summary.created, summary.failed, summary.invalid) == (2, 1, 0)
    assert any("does not list the blueprints of project 'street' in a known form" in text for text in notebook.notes)


async def test_of_many_blueprints_a_sentence_names_some(street, take):
    for number in range(20):
        street.world.add_blueprint("street", {**WHOLE, "name": f"old\n{number} "})
    names = r"it has drive, whole, 'old\\n0 ', .*'old\\n7 ' and 12 more"
    with pytest.raises(ConfigError, match=f"has no blueprint 'zebra'; {names}$"):
        await take(street, [scene(0)], blueprint="zebra")


def test_the_blueprints_of_this_module_are_good():
    assert [findings(blueprint) for blueprint in (DRIVE, WHOLE, OTHER)] == [[], [], []]
