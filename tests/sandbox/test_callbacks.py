"""Callbacks as they arrive at a receiver, and uploads as they arrive at the server."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from scalesync.sandbox import FaultRule, Sandbox, SandboxConfig
from scalesync.sandbox.scale.state.outbox import wait_ms
from scalesync.sandbox.scale.tasks import lifecycle

from .conftest import Start
from .support import CREATE


class Receiver:
    """Answers callbacks with `statuses`, then with 200, and keeps what came."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.got: asyncio.Queue[tuple[Any, str | None]] = asyncio.Queue()
        self.url = ""

    async def answer(self, request: web.Request) -> web.Response:
        self.got.put_nowait((await request.json(), request.headers.get("scale-callback-auth")))
        status = self.statuses.pop(0) if self.statuses else 200
        return web.Response(status=status, headers={"Location": self.url} if status == 302 else {})

    async def bodies(self, count: int) -> list[Any]:
        async with asyncio.timeout(20):
            return [(await self.got.get())[0] for _ in range(count)]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    found = Receiver()
    app = web.Application()
    app.router.add_post("/cb", found.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    found.url = f"http://127.0.0.1:{runner.addresses[0][1]}/cb"
    yield found
    await runner.cleanup()


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0.005)


async def post(client: aiohttp.ClientSession, sandbox: Sandbox, path: str, body: Any = None) -> Any:
    async with client.post(sandbox.base_url + path, json=body) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.json(content_type=None) if "json" in answer.content_type else await answer.text()


async def act(client: aiohttp.ClientSession, sandbox: Sandbox, task_id: str, **body: Any) -> None:
    async with client.post(f"{sandbox.origin}/_sandbox/tasks/{task_id}", json=body) as answer:
        assert answer.status == 200, await answer.text()


async def test_each_event_of_a_task_calls_back(start: Start, client: aiohttp.ClientSession, receiver: Receiver) -> None:
    sandbox = await start(callback_auth="the secret")
    world = sandbox.store.world("live")
    task_id = (await post(client, sandbox, "/task/categorization", {**CREATE, "callback_url": receiver.url}))["task_id"]
    sandbox.annotate()
    body, auth = await asyncio.wait_for(receiver.got.get(), 20)
    await until(lambda: "callback_succeeded" in world.get(task_id))
    task = world.get(task_id)
    assert task.pop("callback_succeeded") is True
    assert auth == "the secret"
    assert body == {"task_id": task_id, "status": "completed", "response": task["response"], "task": task}
    await post(client, sandbox, f"/task/{task_id}/audit", {"accepted": True})
    await act(client, sandbox, task_id, action="correct")
    (audited,) = await receiver.bodies(1)
    assert audited["task"]["audits"][0]["status"] == "accepted"
    (corrected,) = await receiver.bodies(1)
    assert corrected["task"]["customer_review_status"] == "fixed"
    await act(client, sandbox, task_id, action="recall")
    (recalled,) = await receiver.bodies(1)
    assert (recalled["status"], "response" in recalled) == ("pending", False)
    await act(client, sandbox, task_id, action="error", response={"error": "blurred"})
    await post(client, sandbox, f"/task/{task_id}/send-callback")
    assert [body["response"] for body in await receiver.bodies(2)] == [{"error": "blurred"}] * 2


async def test_a_callback_is_tried_again_and_in_the_end_given_up(
    start: Start, client: aiohttp.ClientSession, receiver: Receiver
) -> None:
    sandbox = await start(callback_tries=3, callback_scale=0.0)
    world = sandbox.store.world("live")
    receiver.statuses = [500, 302, 201, 500, 500, 500]
    for name in ("first", "second"):
        await post(client, sandbox, "/task/categorization", {**CREATE, "callback_url": receiver.url, "unique_id": name})
        sandbox.annotate()
        assert len(await receiver.bodies(3)) == 3
        await until(lambda name=name: "callback_succeeded" in world.by_unique_id(name))
    assert [world.by_unique_id(name)["callback_succeeded"] for name in ("first", "second")] == [True, False]
    async with client.get(f"{sandbox.origin}/_sandbox/callbacks") as answer:
        assert [entry["status"] for entry in await answer.json()] == [500, 302, 201, 500, 500, 500]
    assert dict(world.outbox.counts) == {"retried": 4, "delivered": 1, "failed": 1}


def test_twenty_tries_take_a_day_and_the_waits_grow() -> None:
    waits = [wait_ms(SandboxConfig(), tries) for tries in range(1, 20)]
    assert sum(waits) == pytest.approx(86_400_000, abs=100)
    assert all(later == pytest.approx(1.5 * sooner, rel=0.01) for sooner, later in itertools.pairwise(waits))
    assert wait_ms(SandboxConfig(callback_scale=0.5), 3) == pytest.approx(waits[2] / 2, abs=1)
    assert wait_ms(SandboxConfig(callback_tries=2), 1) == 86_400_000


async def test_a_timer_brings_callbacks_of_task_and_batch_without_a_request(
    start: Start, client: aiohttp.ClientSession, receiver: Receiver
) -> None:
    sandbox = await start(annotate_after_s=0.05)
    sandbox.store.world("live").add_project("p", "categorization")
    await post(client, sandbox, "/batches", {"project": "p", "name": "b", "callback": receiver.url})
    await post(client, sandbox, "/task/categorization", {**CREATE, "batch": "b", "callback_url": receiver.url})
    bodies = await receiver.bodies(2)
    (batch,) = [body["batch"] for body in bodies if "batch" in body]
    assert (batch["name"], batch["status"], batch["tasks"]["completed"]) == ("b", "completed", 1)
    await post(client, sandbox, "/task/categorization", {**CREATE, "batch": "b", "callback_url": receiver.url})
    (again,) = await receiver.bodies(1)
    assert "task" in again, "a batch is reported once"
    assert receiver.got.empty()


async def test_nothing_leaves_this_machine_unless_one_says_so(start: Start, client: aiohttp.ClientSession) -> None:
    sandbox = await start()
    for url in ("http://example.com/cb", "ann@example.com", "http://[", "ftp://127.0.0.1/x"):
        await post(client, sandbox, "/task/categorization", {**CREATE, "callback_url": url})
    sandbox.annotate()
    outbox = sandbox.store.world("live").outbox
    assert (dict(outbox.counts), outbox.waiting) == ({"held": 4}, {})
    wide = await start(callbacks="any")
    assert wide.store.world("live").outbox.reaches("https://example.com/cb")
    assert not (await start(callbacks="off")).store.world("live").outbox.reaches("http://127.0.0.1/cb")


async def test_a_removed_task_is_not_reported(start: Start, receiver: Receiver) -> None:
    sandbox = await start()
    world = sandbox.store.world("live")
    async with aiohttp.ClientSession(headers={"Authorization": "Bearer live_k"}) as client:
        await post(client, sandbox, "/task/categorization", {**CREATE, "callback_url": receiver.url})
    lifecycle.annotate(world)
    for task in list(world.tasks):
        world.remove(task)
    await until(lambda: not world.outbox.waiting)
    assert receiver.got.empty()


# -- uploads ------------------------------------------------------------------------------------


def form_of(data: bytes, **fields: str) -> aiohttp.FormData:
    form = aiohttp.FormData()
    form.add_field("file", data, filename="a.png")
    for name, value in fields.items():
        form.add_field(name, value)
    return form


async def send(client: aiohttp.ClientSession, sandbox: Sandbox, form: aiohttp.FormData) -> tuple[int, Any]:
    async with client.post(f"{sandbox.base_url}/files/upload", data=form) as answer:
        return answer.status, await answer.json()


async def bytes_at(client: aiohttp.ClientSession, sandbox: Sandbox, file: Any) -> bytes:
    async with client.get(f"{sandbox.origin}/files/{file['id']}") as answer:
        assert answer.headers["Content-Length"] == str(file["size"])
        return await answer.read()


@pytest.fixture
def spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """spool() names the temporary files of uploads that are there."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return lambda: sorted(path.name for path in tmp_path.glob("scalesync-upload-*"))


async def test_an_upload_is_kept_whole_or_not_at_all(
    start: Start, client: aiohttp.ClientSession, spool: Callable[[], list[str]]
) -> None:
    sandbox = await start(max_file_bytes=1_000_000)
    data = bytes(range(250)) * 4000
    status, file = await send(client, sandbox, form_of(data, display_name="my cat"))
    assert (status, file["size"], file["mime_type"], file["display_name"]) == (200, 10**6, "image/png", "my cat")
    assert await bytes_at(client, sandbox, file) == data
    assert (await send(client, sandbox, form_of(data + b"x")))[0] == 413
    assert (await send(client, sandbox, form_of(b"x", display_name="y" * 70_000)))[0] == 400
    form = form_of(b"x")
    form.add_field("file", b"y", filename="b.png")
    assert (await send(client, sandbox, form))[0] == 400
    head = {"Content-Type": "multipart/form-data"}
    async with client.post(f"{sandbox.base_url}/files/upload", data=b"no boundary", headers=head) as answer:
        assert answer.status == 400
    assert spool() == []
    assert sandbox.journal.count("file") == 5


async def test_an_upload_whose_reply_is_lost_or_late_lands_once(
    start: Start, client: aiohttp.ClientSession, spool: Callable[[], list[str]]
) -> None:
    faults = [
        FaultRule(kind="error", on="file", at=(0,), after_write=True),
        FaultRule(kind="late", on="file", at=(1,), seconds=0.02),
        FaultRule(kind="error", on="file", at=(2,)),
        FaultRule(kind="late", on="file", at=(3,), seconds=0.0),
    ]
    sandbox = await start(faults)
    files = sandbox.store.world("live").account.files
    sent = [await send(client, sandbox, form_of(name.encode(), reference_id=name)) for name in "abc"]
    assert [status for status, _ in sent] == [500, 504, 500]
    await until(lambda: len(files) == 2)
    assert [file.reference for file in files.values()] == ["a", "b"]
    async with aiohttp.ClientSession() as stranger:
        assert (await send(stranger, sandbox, form_of(b"d")))[0] == 401
    await until(lambda: spool() == [])
    assert (await send(client, sandbox, form_of(b"a", reference_id="a")))[0] == 409


BLUEPRINT = {
    "name": "b",
    "stages": [
        {"name": "first", "taxonomy": {"labels": ["car"]}},
        {"name": "second", "after": ["first"], "taxonomy": {"labels": ["van"]}},
    ],
}


@pytest.mark.parametrize("delivery", ["task", "stage"])
async def test_stages_call_back_one_by_one_only_where_they_are_delivered_so(
    start: Start, client: aiohttp.ClientSession, receiver: Receiver, delivery: str
) -> None:
    sandbox = await start(annotate_after_s=0.05)
    world = sandbox.store.world("live")
    world.add_project("p", "multistage")
    world.add_blueprint("p", {**BLUEPRINT, "delivery": delivery})
    body = {"project": "p", "attachments": ["a"], "scene_format": "sfs", "callback_url": receiver.url}
    task_id = (await post(client, sandbox, "/task/multistage", body))["task_id"]
    came = await receiver.bodies(3 if delivery == "stage" else 1)
    await until(lambda: "callback_succeeded" in world.get(task_id))
    task = world.get(task_id)
    assert task["status"] == "completed"
    whole = came.pop(next(n for n, body in enumerate(came) if "stage" not in body))
    assert (whole["status"], whole.get("response")) == ("completed", task.get("response"))
    stages = {stage["name"]: stage for stage in task["stages"]}
    assert {body["stage"]: body["response"] for body in came} == (
        {name: stage["response"] for name, stage in stages.items()} if delivery == "stage" else {}
    )
    assert all(body["task_id"] == body["task"]["task_id"] == task_id for body in came)
    await act(client, sandbox, task_id, action="correct", stage="first")
    (corrected,) = await receiver.bodies(1)
    after = world.get(task_id)
    if delivery == "stage":
        assert corrected["stage"] == "first"
        assert corrected["response"] == after["stages"][0]["response"] != stages["first"]["response"]
    else:
        assert corrected["response"] == after["response"] != task["response"]
    assert receiver.got.empty()
