"""The official SDK, unchanged, against the sandbox."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from scaleapi import ScaleClient
from scaleapi.batches import BatchStatus
from scaleapi.exceptions import ScaleDuplicateResource, ScaleInvalidRequest, ScaleResourceNotFound, ScaleUnauthorized
from scaleapi.tasks import TaskReviewStatus, TaskStatus, TaskType

from scalesync.sandbox import Sandbox

from .conftest import Start
from .support import CREATE

pytestmark = pytest.mark.usefixtures("closed_sessions")


def tasks_of(client: ScaleClient) -> None:
    client.create_project("p/1 ü", TaskType.Categorization, params={"instruction": "shared"})
    client.create_batch("p/1 ü", "b 1", metadata={"k": "v"})
    made = [
        client.create_task(TaskType.Categorization, batch="b 1", unique_id=f"u{n}", tags=["x"], **CREATE)
        for n in range(7)
    ]
    assert made[0].instruction == "shared"
    page = client.tasks(project="p/1 ü", limit=3)
    assert [task.id for task in page.docs] == [task.id for task in made[:3:-1]]
    assert (page.total, page.has_more) == (7, True)
    following = client.tasks(project="p/1 ü", limit=3, next_token=page.next_token)
    assert [task.id for task in following] == [task.id for task in made[3:0:-1]]
    assert [task.id for task in client.get_tasks(project_name="p/1 ü", batch_name="b 1", limit=2)] == [
        task.id for task in made[::-1]
    ]
    assert client.get_tasks_count(project_name="p/1 ü", tags=["x", "y"], unique_id=["u1", "u2"]) == 2
    assert client.get_task(made[0].id).as_dict()["unique_id"] == "u0"


def changes_by(client: ScaleClient) -> None:
    task = client.create_task(TaskType.Categorization, unique_id="u", **CREATE)
    with pytest.raises(ScaleDuplicateResource, match=task.id):
        client.create_task(TaskType.Categorization, unique_id="u", **CREATE)
    assert client.set_task_tags(task.id, ["a", "b"]).tags == ["a", "b"]
    assert client.add_task_tags(task.id, ["c"]).tags == ["a", "b", "c"]
    assert client.delete_task_tags(task.id, ["a"]).tags == ["b", "c"]
    assert "tags" not in client.set_task_tags(task.id, []).as_dict()
    assert client.set_task_metadata(task.id, {"m": 1}).metadata == {"m": 1}
    assert client.set_task_metadata(task.id, {}).metadata == {}
    assert client.update_task_unique_id(task.id, "v").unique_id == "v"
    assert "unique_id" not in client.clear_task_unique_id(task.id).as_dict()
    other = client.create_task(TaskType.Categorization, unique_id="u", **CREATE)
    assert client.cancel_task(other.id, clear_unique_id=True).status == "canceled"
    assert client.cancel_task(other.id).status == "canceled"
    with pytest.raises(ScaleResourceNotFound):
        client.get_task("fake_id_qwertyuiop")
    with pytest.raises(ScaleInvalidRequest, match="categories"):
        client.create_task(TaskType.Categorization, attachment="x", attachment_type="text")


def parents_of(client: ScaleClient) -> None:
    project = client.create_project("rapid", TaskType.Categorization, rapid=True)
    assert project.params is None
    assert client.update_project("rapid", instruction="one", patch=False).version == 0
    assert client.update_project("rapid", extra=1, patch=True).instruction == "one"
    assert [p.name for p in client.projects()] == ["rapid"]
    for n in range(3):
        client.create_batch("rapid", f"b{n}")
    batch = client.get_batch("b0")
    assert batch.status == "staging"
    client.create_task(TaskType.Categorization, batch="b0", **CREATE)
    assert batch.finalize().status == "in_progress"
    with pytest.raises(ScaleInvalidRequest):
        client.finalize_batch("b0")
    batch.get_status()
    assert (batch.tasks_pending, batch.tasks_completed) == (1, 0)
    assert client.set_batch_metadata("b0", {"a": 1}).metadata == {"a": 1}
    assert [b.name for b in client.get_batches(batch_status=BatchStatus.Staging)] == ["b2", "b1"]
    page = client.batches(limit=2, offset=1, project="rapid")
    assert ([b.name for b in page], page.total, page.has_more) == (["b1", "b0"], 3, False)
    with pytest.raises(ScaleDuplicateResource):
        client.create_batch("rapid", "b0")
    with pytest.raises(ScaleResourceNotFound):
        client.get_project("none")


def audits_by(client: ScaleClient) -> None:
    task = client.create_task(TaskType.Categorization, **CREATE)
    with pytest.raises(ScaleInvalidRequest):
        client.cancel_task(task.id)
    client.audit_task(task.id, True, "fine")
    wanted = [TaskReviewStatus.Accepted, TaskReviewStatus.Fixed]
    client.create_project("p", TaskType.Categorization)
    assert client.tasks(status="completed", customer_review_status="accepted,fixed").total == 1
    assert list(client.get_tasks(project_name="p", review_status=wanted, status=TaskStatus.Completed)) == []


def client_of(sandbox: Sandbox, key: str) -> ScaleClient:
    return ScaleClient(key, api_instance_url=sandbox.base_url)


@pytest.mark.parametrize("steps", [tasks_of, changes_by, parents_of])
async def test_the_sdk_works_with_a_live_key(start: Start, steps: Callable[[ScaleClient], None]) -> None:
    sandbox = await start()
    await asyncio.to_thread(steps, client_of(sandbox, "live_key"))


async def test_the_sdk_works_with_a_test_key(start: Start) -> None:
    sandbox = await start()
    await asyncio.to_thread(audits_by, client_of(sandbox, "test_key"))


async def test_the_sdk_gets_the_error_of_a_wrong_key(start: Start) -> None:
    sandbox = await start()
    with pytest.raises(ScaleUnauthorized, match="registered user"):
        await asyncio.to_thread(client_of(sandbox, "wrong").tasks)
