"""Every public method of the official SDK's client and of the objects that it returns, against the sandbox.

The methods are found in the installed SDK: one that a newer SDK adds fails the test until the sandbox serves it.
"""

from __future__ import annotations

import asyncio
import inspect
import io
from collections.abc import Callable
from typing import Any

import pytest
import requests
from scaleapi import ScaleClient
from scaleapi.batches import Batch, BatchStatus
from scaleapi.exceptions import ScaleDuplicateResource, ScaleInvalidRequest
from scaleapi.files import File
from scaleapi.projects import Project, TaskTemplate
from scaleapi.quality_tasks import QualityTask
from scaleapi.studio import StudioBatch, StudioLabelerAssignment, StudioProjectGroup, StudioWorker
from scaleapi.tasks import Task, TaskReviewStatus, TaskStatus, TaskType
from scaleapi.teams import Teammate, TeammateRole

from scalesync.sandbox import Sandbox

from .conftest import Start
from .support import CREATE

CLASSES = (
    *(ScaleClient, Task, Batch, Project, TaskTemplate, File, QualityTask, Teammate),
    *(StudioLabelerAssignment, StudioProjectGroup, StudioWorker, StudioBatch),
)
ELSEWHERE = {("ScaleClient", "v2_get_tasks")}  # version 2 of the API

pytestmark = pytest.mark.usefixtures("closed_sessions")


def public() -> set[tuple[str, str]]:
    return {
        (owner.__name__, name)
        for owner in CLASSES
        for name, _ in inspect.getmembers(owner, inspect.isfunction)
        if not name.startswith("_")
    }


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> set[tuple[str, str]]:
    """Which of the public methods came back without an exception."""
    seen: set[tuple[str, str]] = set()

    def watch(owner: type, name: str) -> None:
        plain = getattr(owner, name)

        def wrapper(*args: Any, **kwargs: Any) -> Any:
            found = plain(*args, **kwargs)
            seen.add((owner.__name__, name))
            return found

        monkeypatch.setattr(owner, name, wrapper)

    for owner_name, name in public():
        watch(next(owner for owner in CLASSES if owner.__name__ == owner_name), name)
    return seen


def control(sandbox: Sandbox, path: str, **body: Any) -> None:
    requests.post(f"{sandbox.origin}/_sandbox/{path}", json=body, timeout=10).raise_for_status()


def tasks(client: ScaleClient, sandbox: Sandbox) -> None:
    client.create_project("plain", TaskType.Categorization, params={"instruction": "choose"})
    client.create_batch("plain", "b1", metadata={"k": 1})
    task = client.create_task(TaskType.Categorization, batch="b1", unique_id="u1", **CREATE)
    assert client.get_task(task.id).as_dict()["unique_id"] == "u1"
    task.update_unique_id("u2")
    assert [found.id for found in client.tasks(unique_id="u2")] == [task.id]
    task.clear_unique_id()
    task.set_metadata({"m": 1})
    task.set_tags(["a", "b"])
    task.add_tags(["c"])
    task.delete_tags(["a"])
    task.refresh()
    assert (task.metadata, task.tags, "unique_id" in task.as_dict()) == ({"m": 1}, ["b", "c"], False)
    assert [found.id for found in client.get_tasks(project_name="plain", tags=["c"])] == [task.id]
    control(sandbox, "annotate")
    task.audit(False, "look again")
    assert client.get_tasks_count(project_name="plain", status=TaskStatus.Completed) == 1
    assert client.get_task(task.id).customer_review_status == "rejected"
    other = client.create_task(TaskType.Categorization, project="plain", unique_id="u3", **CREATE)
    other.cancel(clear_unique_id=True)
    assert client.get_task(other.id).status == "canceled"


def batches(client: ScaleClient, _: Sandbox) -> None:
    client.create_project("rapid", TaskType.TextCollection, rapid=True, params={"template_variables": {"v": 1}})
    batch = client.create_batch("rapid", "r1", callback="https://example.com/done", self_label_batch=True)
    assert [found.name for found in client.get_batches(batch_status=BatchStatus.Staging)] == ["r1"]
    assert batch.finalize().status == "in_progress"
    assert batch.get_status() == {"status": "in_progress"}
    assert client.batches(project="plain").docs[0].as_dict()["metadata"] == {"k": 1}
    assert client.set_batch_metadata("r1", {"a": 2}).metadata == {"a": 2}
    assert client.get_batch("r1").as_dict()["callback"] == "https://example.com/done"


def projects(client: ScaleClient, _: Sandbox) -> None:
    assert {project.name for project in client.get_projects()} == {"plain", "rapid"}
    assert len(client.projects()) == 2
    project = client.update_project("plain", patch=True, more=1)
    assert (project.version, project.instruction, project.as_dict()["type"]) == (1, "choose", "categorization")
    template = client.get_project("rapid").get_template()
    assert template.as_dict()["template_variables"] == template.get_template_variables() == {"v": 1}
    assert (template.is_auto_onboardable(), template.get_response_schema()) == (False, None)


def files(client: ScaleClient, sandbox: Sandbox) -> None:
    sent = bytes(range(256)) * 5000
    image = io.BytesIO(sent)
    image.name = "cat.png"
    file = client.upload_file(image, project_name="plain", reference_id="cat", metadata='{"a": 1}')
    document = file.as_dict()
    assert (document["mime_type"], document["size"], document["metadata"]) == ("image/png", len(sent), {"a": 1})
    with pytest.raises(ScaleDuplicateResource, match=file.id):
        client.upload_file(io.BytesIO(b"x"), reference_id="cat")
    task = client.create_task(
        TaskType.ImageAnnotation, attachment=file.attachment_url, geometries={"box": {"objects_to_annotate": ["cat"]}}
    )
    (found,) = client.tasks(include_attachment_url=True, type="imageannotation")
    assert (found.id, found.params["attachment"]) == (task.id, file.attachment_url)
    assert requests.get(found.attachment_url, timeout=10).content == sent
    imported = client.import_file("https://example.com/dog.jpg", project_name="plain")
    assert imported.as_dict()["mime_type"] == "image/jpeg"
    link = requests.get(f"{sandbox.origin}/files/{imported.id}", timeout=10, allow_redirects=False)
    assert (link.status_code, link.headers["Location"]) == (302, "https://example.com/dog.jpg")


def quality(client: ScaleClient, _: Sandbox) -> None:
    expected = {"annotations": {"ok": {"type": "category", "field_id": "ok", "response": [["no"]]}}}
    body = {
        "project": "rapid",
        "attachments": [{"type": "text", "content": "hello"}],
        "fields": [{"type": "category", "field_id": "ok", "choices": [{"label": "no", "value": "no"}]}],
    }
    made = client.create_evaluation_task(
        TaskType.TextCollection, **body, expected_response=expected, initial_response=expected
    )
    assert made.as_dict()["initial_response"] == made.expected_response == expected
    assert client.create_training_task(TaskType.TextCollection, **body, expected_response=expected).id != made.id
    with pytest.raises(ScaleInvalidRequest, match="expected_response"):
        client.create_training_task(TaskType.TextCollection, **body)


def team(client: ScaleClient, _: Sandbox) -> None:
    (owner,) = client.list_teammates()
    assert owner.as_dict()["role"] == "admin"
    people = client.invite_teammates(["ann@x.com", "ben@x.com"], TeammateRole.Labeler)
    assert [person.email for person in people[1:]] == ["ann@x.com", "ben@x.com"]
    assert people[2].update_teammate_role(TeammateRole.Manager)[2].role == "manager"
    with pytest.raises(ScaleInvalidRequest, match="team_role"):
        client.update_teammates_role(["ann@x.com"], TeammateRole.Admin)


def studio(client: ScaleClient, _: Sandbox) -> None:
    client.create_project("studio/1", TaskType.Categorization, studio=True)
    for name in ("s1", "s2", "s3"):
        client.create_batch("studio/1", name, calibration_batch=name == "s3")
    everyone = ["ann@x.com", "ben@x.com"]
    assert client.list_studio_assignments()["ann@x.com"].as_dict() == []
    assert client.add_studio_assignments(everyone, ["studio/1"])["ben@x.com"].assigned_projects == ["studio/1"]
    assert "ben@x.com" not in client.remove_studio_assignments(["ben@x.com"], ["studio/1"])
    group = client.create_project_group("studio/1", everyone, "the two")
    assert [worker.as_dict()["email"] for worker in group.workers[0]] == everyone
    assert client.update_project_group("studio/1", "the two", [], ["ben@x.com"]).numWorkers == 1
    assert [found.as_dict()["isSingleton"] for found in client.list_project_groups("studio/1")] == [False, True]
    assert client.assign_studio_batches("s2", ["the two", "ann@x.com"]).groups == ["the two", "ann@x.com"]
    assert [batch.name for batch in client.list_studio_batches()] == ["s1", "s2", "s3"]
    with pytest.raises(ScaleInvalidRequest, match='not "s1"'):
        client.set_studio_batches_priorities(["s3", "s2"])
    ordered = client.set_studio_batches_priorities(["s3", "s1", "s2"])
    assert [(b.name, b.studio_priority) for b in ordered] == [("s3", 1), ("s1", 2), ("s2", 3)]
    assert ordered[0].as_dict()["batchType"] == "Calibration"
    assert [batch.name for batch in client.reset_studio_batches_priorities()] == ["s1", "s2", "s3"]


PAST, FUTURE = "2020-01-01T00:00:00", "2100-01-01"


def filters(client: ScaleClient, _: Sandbox) -> None:
    """Every filter, each with a value that nothing fits and one that something does."""
    for side, nothing, all_of_it in (("after", FUTURE, PAST), ("before", PAST, FUTURE)):
        for time in ("created", "updated"):
            assert list(client.get_tasks(project_name="plain", **{f"{time}_{side}": nothing})) == []
            assert len(list(client.get_tasks(project_name="plain", **{f"{time}_{side}": all_of_it}))) == 2
            assert client.get_tasks_count(project_name="plain", **{f"{time}_{side}": nothing}) == 0
        assert list(client.get_tasks(project_name="plain", **{f"completed_{side}": nothing})) == []
        assert client.get_tasks_count(project_name="plain", **{f"completed_{side}": all_of_it}) == 1
        assert list(client.get_batches(**{f"created_{side}": nothing})) == []
        assert len(list(client.get_batches("plain", BatchStatus.Completed, **{f"created_{side}": all_of_it}))) == 1
    (done,) = client.get_tasks(
        batch_name="b1",
        task_type=TaskType.Categorization,
        review_status=[TaskReviewStatus.Rejected, TaskReviewStatus.Fixed],
        include_attachment_url=False,
        limited_response=True,
        limit=1,
    )
    assert (done.status, hasattr(done, "params")) == ("completed", False)
    other = {"task_type": TaskType.Transcription, "review_status": TaskReviewStatus.Accepted, "unique_id": ["u9"]}
    for name, value in other.items():
        assert client.get_tasks_count(batch_name="b1", include_attachment_url=False, **{name: value}) == 0
    assert client.get_tasks_count(batch_name="b1", tags="b") == 1
    assert list(client.get_tasks(batch_name="b1", status=TaskStatus.Pending, unique_id="u9")) == []
    assert [each.name for each in client.get_batches(exclude_archived=True)] == ["r1", "b1"]
    client.create_project("linked", TaskType.ImageAnnotation, dataset_id="ds_1")


STEPS: tuple[Callable[[ScaleClient, Sandbox], None], ...] = (
    *(tasks, batches, projects, filters, files, quality, team, studio),
)


async def test_every_public_method_of_the_sdk_is_served(start: Start, called: set[tuple[str, str]]) -> None:
    sandbox = await start()
    client = ScaleClient("live_key", api_instance_url=sandbox.base_url)
    for step in STEPS:
        await asyncio.to_thread(step, client, sandbox)
    assert public() - called - ELSEWHERE == set()
    kinds = {"create", "get", "list", "mutate", "batch", "project", "file", "quality", "team", "studio", "result"}
    assert kinds <= {kind for kind, _ in sandbox.journal.counts}
