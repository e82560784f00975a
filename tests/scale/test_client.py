"""AsyncScaleClient against the sandbox: tasks, batches, projects, lists."""

from __future__ import annotations

import asyncio
import gc
import pickle
from copy import copy, deepcopy
from datetime import UTC, datetime

import pytest

from scalesync.errors import ConfigError
from scalesync.platforms.scale.api import objects
from scalesync.scale import AsyncScaleClient, Client, ScaleDuplicateResource, ScaleInvalidRequest, ScaleResourceNotFound
from tests.conftest import KIND, PROJECT
from tests.scale.conftest import KEY

LETTER = {"attachment": "Dear reader", "attachment_type": "text", "categories": ["kind", "angry"]}


async def test_a_task_from_its_creation_to_its_end(make_sandbox, client_of):
    sandbox = await make_sandbox()
    client = client_of(sandbox)
    task = await client.create_task(KIND, unique_id="a/1 ?", project=PROJECT, metadata={"n": 1, "new": 2**70}, **LETTER)
    assert (task.unique_id, task.status, task.params["categories"]) == ("a/1 ?", "pending", ["kind", "angry"])
    assert task.as_dict()["projectId"] == task.projectId, "a field that nobody declared is there"
    assert task.metadata["new"] == 2**70
    assert task.at("created_at").tzinfo is not None
    assert (task.completed_at, task.at("completed_at")) == (None, None)
    with pytest.raises(AttributeError, match="no field 'statuss'"):
        _ = task.statuss

    assert await client.get_task(task.task_id) == task
    assert (await client.set_task_metadata(task.task_id, {"b": 2})).metadata == {"b": 2}
    assert (await client.set_task_tags(task.task_id, ["x"])).tags == ["x"]
    assert (await client.add_task_tags(task.task_id, "y")).tags == ["x", "y"]
    assert (await client.delete_task_tags(task.task_id, ["x"])).tags == ["y"]
    assert (await client.update_task_unique_id(task.task_id, "b")).unique_id == "b"
    assert (await client.clear_task_unique_id(task.task_id)).unique_id is None
    await client.update_task_unique_id(task.task_id, "b")
    with pytest.raises(ScaleDuplicateResource) as taken:
        await client.create_task(KIND, unique_id="b", project=PROJECT, **LETTER)
    assert (taken.value.task_id, taken.value.status, taken.value.key) == (task.task_id, 409, "b")

    sandbox.annotate(1)
    assert await client.audit_task(task.task_id, False, comments="again") is None, "the answer is a plain OK"
    with pytest.raises(ScaleInvalidRequest, match="cancel task") as refused:
        await client.cancel_task(task.task_id)
    assert (refused.value.op, refused.value.code) == ("cancel task", 400)
    assert refused.value.message in str(refused.value)
    other = await client.create_task(KIND, unique_id="c", project=PROJECT, **LETTER)
    ended = await client.cancel_task(other.task_id, clear_unique_id=True)
    assert (ended.status, ended.unique_id) == ("canceled", None)
    with pytest.raises(ScaleResourceNotFound):
        await client.get_task("a/../b")


async def test_what_a_result_does_is_put_into_it(make_sandbox, client_of):
    sandbox = await make_sandbox()
    client = client_of(sandbox)
    task = await client.create_task(KIND, unique_id="a", project=PROJECT, **LETTER)
    other = copy(task)
    assert (other == task, other.as_dict() is task.as_dict()) == (True, False)
    assert deepcopy(task) == task
    assert deepcopy(task).params is not task.params
    sent = pickle.loads(pickle.dumps(task))
    assert (sent.as_dict(), type(sent), sent.tags) == (task.as_dict(), objects.Task, None)
    assert await task.set_metadata({"a": 1}) is task
    assert (task.metadata, other.metadata) == ({"a": 1}, {})
    assert await other.refresh() == task
    sandbox.annotate()
    assert await task.audit(True, "good") is None
    assert (await task.send_callback())["status"] == "completed"
    assert (await task.refresh()).customer_review_status == "accepted"
    assert (await client.tasks(limit=1))[0] == await anext(client.get_tasks()) == task
    (project,) = await client.projects()
    assert project == await client.get_project(PROJECT)
    assert "cancel" not in task.as_dict()


async def test_a_list_is_read_in_pages_and_continues_at_its_cursor(make_sandbox, client_of):
    sandbox = await make_sandbox()
    client = client_of(sandbox)
    made = [
        (await client.create_task(KIND, unique_id=f"u{n}", project=PROJECT, tags=["odd"] * (n % 2), **LETTER)).task_id
        for n in range(7)
    ][::-1]
    sandbox.journal.clear()
    listing = client.get_tasks(project_name=PROJECT, page_size=3)
    assert len(sandbox.journal) == 0, "nothing is asked for before it is needed"
    got = [(await anext(listing)).task_id for _ in range(4)]
    assert got == made[:4]
    assert not listing.finished
    rest = [task.task_id async for task in client.get_tasks(project_name=PROJECT, page_size=3, cursor=listing.cursor)]
    assert rest == made[3:], "the page that was not finished comes again"
    assert [task.task_id for task in await listing.next_page()] == made[4:6]
    assert [task.task_id async for task in listing] == made[6:]
    assert (listing.cursor, listing.finished, await listing.next_page()) == (None, True, [])

    few = client.get_tasks(project_name=PROJECT, limit=5, page_size=3)
    assert [task.task_id async for task in few] == made[:5]
    more = [task.task_id async for task in client.get_tasks(project_name=PROJECT, page_size=3, cursor=few.cursor)]
    assert more == made[3:], "a limit within a page loses nothing"
    sandbox.journal.clear()
    assert len([task async for task in client.get_tasks(limit=2)]) == 2
    assert [task async for task in client.get_tasks(limit=0)] == []
    assert len(sandbox.journal) == 1

    assert await client.get_tasks_count(tags="odd") == 3
    assert await client.get_tasks_count(unique_id=["u1", "u2", "nobody"]) == 2
    assert await client.get_tasks_count(created_after=datetime(2100, 1, 1, tzinfo=UTC)) == 0
    page = await client.tasks(project=PROJECT, limit=2)
    assert (page.total, page.has_more, len(page), page[0].task_id) == (7, True, 2, made[0])
    after = await client.tasks(project_name=PROJECT, limit=2, next_token=page.next_token)
    assert [task.task_id for task in after] == made[2:4]


async def test_batches_and_projects(make_sandbox, client_of):
    client = client_of(await make_sandbox())
    project = await client.create_project("rapid one", KIND, params={"instruction": "read"}, rapid=True)
    assert (project.name, project.type, project.params["instruction"]) == ("rapid one", KIND, "read")
    changed = await client.update_project("rapid one", patch=True, categories=["x"])
    assert (changed.params["instruction"], changed.params["categories"]) == ("read", ["x"])
    assert {found.name for found in await client.get_projects()} == {PROJECT, "rapid one"}
    assert await client.projects() == await client.get_projects()
    assert await client.get_project("rapid one") == changed

    batch = await client.create_batch("rapid one", "b/1", metadata={"a": 1})
    assert (batch.status, batch.metadata) == ("staging", {"a": 1})
    await client.create_task(KIND, batch="b/1", **LETTER)
    assert (await client.batch_status("b/1")).pending == 1
    assert (await client.finalize_batch("b/1")).status == "in_progress"
    with pytest.raises(ScaleInvalidRequest):
        await client.finalize_batch("b/1")
    assert (await client.set_batch_metadata("b/1", {"c": 3})).metadata == {"c": 3}
    await client.prioritize_batch("b/1", 30)
    for n in range(4):
        await client.create_batch(PROJECT, f"more {n}")
    assert [b.name async for b in client.get_batches(page_size=2)] == [*(f"more {n}" for n in (3, 2, 1, 0)), "b/1"]
    assert [b.name async for b in client.get_batches(page_size=2, cursor="3")] == ["more 0", "b/1"]
    page = await client.batches(limit=2, offset=1)
    assert ([b.name for b in page.docs], page.total, page.offset) == (["more 2", "more 1"], 5, 1)


async def test_wrong_arguments_raise_before_a_request_leaves(make_sandbox, client_of):
    sandbox = await make_sandbox()
    client = client_of(sandbox)
    with pytest.raises(TypeError, match="page_siz"):
        client.get_tasks(page_siz=3)
    with pytest.raises(TypeError, match="did you mean 'project_name'"):
        await client.tasks(project_nam="x")
    for wrong in (
        lambda: client.get_tasks(page_size="3"),
        lambda: client.get_tasks(limit=-1),
        lambda: client.get_batches(cursor="abc"),
        lambda: client.v2_get_tasks(status="pending"),
    ):
        with pytest.raises(ConfigError):
            wrong()
    for call in (
        client.get_task(".."),
        client.get_task(7),
        client.create_task(KIND, metadata={"a": object()}),
        client.set_task_tags("6b0dfd285e93185400000000", [1]),
        client.audit_task("6b0dfd285e93185400000000", "yes"),
        client.invite_teammates(["a@b.c"], "admin"),
        client.v2_create_chat_task(batch_id="b"),
        client.upload_file("/nowhere/at all"),
    ):
        with pytest.raises(ConfigError):
            await call
    assert len(sandbox.journal) == 0


async def test_one_client_takes_many_calls_at_once(make_sandbox, client_of):
    sandbox = await make_sandbox()
    client = client_of(sandbox)
    tasks = await asyncio.gather(*(client.create_task(KIND, project=PROJECT, **LETTER) for _ in range(40)))
    again = await asyncio.gather(*(client.get_task(task.task_id) for task in tasks))
    assert again == tasks
    assert len({task.task_id for task in tasks}) == 40
    await client.close()
    with pytest.raises(ConfigError, match="the client is closed"):
        await client.get_projects()


def test_a_client_belongs_to_one_loop():
    client = AsyncScaleClient(KEY, base_url="http://127.0.0.1:9/v1")

    async def use() -> None:
        async with client._door._opening or asyncio.Lock():
            await client._door.open()

    async def begin() -> None:
        await client._door.open()
        await client._door._stack.aclose()

    asyncio.run(begin())
    with pytest.raises(ConfigError, match="another event loop"):
        asyncio.run(use())


async def test_the_client_without_async(make_sandbox, monkeypatch):
    sandbox = await make_sandbox()
    monkeypatch.setenv("SCALE_API_KEY", KEY)
    monkeypatch.setenv("SCALE_API_URL", sandbox.base_url)

    def work() -> None:
        with Client() as client:
            made = [client.create_task(KIND, project=PROJECT, **LETTER).task_id for _ in range(5)]
            listing = client.get_tasks(page_size=2)
            assert next(listing).task_id == made[4]
            assert [task.task_id for task in listing] == made[3::-1]
            assert (listing.finished, listing.cursor, listing.next_page()) == (True, None, [])
            assert client.get_tasks_count() == 5
            task = client.create_task(KIND, unique_id="m", project=PROJECT, **LETTER)
            assert task.set_tags("a").add_tags(["b"]).tags == ["a", "b"]
            assert task.cancel(clear_unique_id=True) is task
            assert (task.status, task.unique_id) == ("canceled", None)
            assert client.tasks(limit=2)[0].refresh() == next(client.get_tasks()) == task
            assert client.get_batch(client.create_batch(PROJECT, "b").name).get_status().pending is None
            (person,) = client.list_teammates()
            assert client.invite_teammates("a@b.c", "labeler")[1].update_teammate_role("manager")[1].role == "manager"
            assert person.email != "a@b.c"
            with pytest.raises(ScaleResourceNotFound):
                client.get_projects()[0].get_template()
            with pytest.raises(ScaleResourceNotFound):
                client.get_project("nothing")
            with pytest.raises(ConfigError):
                client.get_task("")
            assert KEY not in repr(client)
        with pytest.raises(ConfigError, match="closed"):
            client.get_projects()
        client.close()

    await asyncio.to_thread(work)


async def test_a_client_that_was_forgotten_in_a_circle_is_closed_wherever_it_is_found():
    """The garbage collector may run in the client's own thread, which cannot wait for its own end."""
    client = Client(KEY, base_url="http://127.0.0.1:9/v1")
    thread, loop = client._thread, client._loop
    client.circle = client  # type: ignore[attr-defined]
    del client
    gc.disable()
    try:
        loop.call_soon_threadsafe(gc.collect)
        await asyncio.to_thread(thread.join, 20)
    finally:
        gc.enable()
    assert not thread.is_alive()
    assert loop.is_closed()
