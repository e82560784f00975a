"""What is typed into an export is compared with what the account has, before anything is written."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from scalesync.errors import ConfigError, NoSuchProject
from scalesync.flows.exports.backfill.plan import BackfillOptions
from scalesync.flows.exports.backfill.run import run_backfill
from scalesync.flows.exports.run import run_export
from scalesync.flows.runtime.options import ExportOptions
from scalesync.sandbox import Sandbox
from scalesync.sandbox.scale.tasks.create import make_task
from tests.conftest import KIND, PROJECT, letter


@pytest.fixture
def export(settings_for, notebook, tmp_path):
    async def run(sandbox: Sandbox, **options: Any):
        typed = ExportOptions(**{"out": tmp_path / "out", **options})
        return await run_export(typed, settings_for(sandbox), notebook, signals=False)

    return run


@pytest.fixture
async def sandbox(make_sandbox) -> Sandbox:
    """Five letters, of which one is in the batch `first`; a project of another type stands empty."""
    now = [1_750_000_000_000]
    made: Sandbox = await make_sandbox(clock=lambda: now[0])
    world = made.store.world("live")
    world.add_project("videos", "videoannotation")
    world.add_batch(PROJECT, "first")
    world.add_batch("videos", "clips")
    for number in range(5):
        body = letter(number, project=PROJECT, **({"batch": "first"} if number == 0 else {}))
        world.insert(make_task(world, KIND, json.dumps(body).encode(), None))
    now[0] += 60_000
    return made


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ({"project": "lettres"}, "there is no project 'lettres' in this account; correct --project; did you mean 'let"),
        ({"project": "Letters"}, "did you mean 'letters'"),
        ({"project": "zzz"}, "its projects are letters, videos"),
        ({"batch": "frist"}, "there is no batch 'frist' in this account; correct --batch; did you mean 'first'"),
        ({"project": PROJECT, "batch": "clips"}, "batch 'clips' belongs to project 'videos', not to 'letters'"),
        ({"type": "categorisation"}, "is of type 'categorisation'; correct --type; did you mean 'categorization'"),
        ({"project": "videos", "type": KIND}, "project 'videos' takes tasks of type videoannotation, not categorizat"),
        ({"created_after": "2026-02-01", "created_before": "2026-01-01"}, "no task is between them"),
        ({"updated_after": "1d", "updated_before": "7d"}, "no task is between them"),
        ({"completed_after": "2026-01-01", "completed_before": "2026-01-01"}, "no task is between them"),
        ({"fields": ("task_id", "sttaus")}, "has the field 'sttaus'; correct it; did you mean 'status'"),
        (
            {"fields": ("nope",)},
            "none of the first 5 tasks has the field 'nope'; correct it; they have attach|they have",
        ),
        ({"fields": ("parms.attachment",)}, "did you mean 'params'"),
    ],
)
@pytest.mark.parametrize("way", ["plain", "incremental", "backfill"])
async def test_a_name_that_the_account_does_not_have_is_refused(
    way, typed, told, sandbox, settings_for, notebook, tmp_path
):
    if way == "incremental" and any(name.startswith("updated") for name in typed):
        pytest.skip("an increment takes no range of updates")
    if way == "incremental" and "fields" in typed:
        typed = {"fields": ("task_id", "updated_at", *typed["fields"])}
    if way == "backfill" and any(name.startswith("created") for name in typed):
        pytest.skip("a backfill by creation has its range from --from and --to")
    asked = ExportOptions(out=tmp_path / "out", incremental=way == "incremental", **typed)
    run: Callable[..., Any] = partial(run_export, asked)
    if way == "backfill":
        run = partial(run_backfill, BackfillOptions(asked, "2d", window="1d"))
    with pytest.raises(ConfigError) as caught:
        await run(settings_for(sandbox), notebook, signals=False)
    assert any(part in str(caught.value) for part in told.split("|"))
    assert not (tmp_path / "out").exists()


async def test_a_field_inside_another_that_no_task_has_is_reported(sandbox, export, notebook):
    summary = await export(sandbox, fields=("task_id", "params.attachement", "metadata.number"))
    assert (summary.exit_code, summary.tasks) == (0, 5)
    (told,) = [note for note in notebook.notes if "--fields" in note]
    assert told.endswith("has params.attachement, which --fields names; did you mean params.attachment?")


async def test_an_increment_whose_project_has_gone_ends_with_2_and_keeps_its_watermark(sandbox, export, tmp_path):
    first = await export(sandbox, project=PROJECT, incremental=True)
    manifest = (tmp_path / "out" / "manifest.json").read_bytes()
    world = sandbox.store.world("live")
    for task in [world.find(document["task_id"]) for document in world.documents()]:
        world.remove(task)
    del world.project_names[PROJECT]
    with pytest.raises(NoSuchProject, match="there is no project 'letters' in this account"):
        await export(sandbox, project=PROJECT, incremental=True)
    assert (tmp_path / "out" / "manifest.json").read_bytes() == manifest
    assert json.loads(manifest)["watermark"] == first.watermark


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ({"project": "videos"}, "0 tasks match --project videos"),
        ({"status": ("completed",), "type": KIND}, "0 tasks match --type categorization --status completed"),
        ({"type": "imageannotation"}, "0 tasks match --type imageannotation"),
    ],
)
async def test_filters_that_match_nothing_are_reported(typed, told, sandbox, export):
    summary = await export(sandbox, **typed)
    assert (summary.exit_code, summary.tasks, summary.message) == (0, 0, f"{told}, up to {summary.watermark}")


async def test_an_increment_with_nothing_new_says_so(sandbox, export):
    first = await export(sandbox, incremental=True)
    again = await export(sandbox, incremental=True)
    assert (first.message, again.tasks) == ("", 0)
    assert again.message == f"nothing that matches is new or changed from {first.watermark} to {again.watermark}"


async def test_an_unknown_type_of_which_there_are_tasks_is_exported(make_sandbox, export):
    sandbox = await make_sandbox(open_types=True)
    world = sandbox.store.world("live")
    body = json.dumps({"unique_id": "a", "attachment": "x", "attachment_type": "text"}).encode()
    world.insert(make_task(world, "somethingnew", body, None))
    assert (await export(sandbox, type="somethingnew")).tasks == 1
