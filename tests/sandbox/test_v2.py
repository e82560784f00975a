"""Version 2: chats, batches that turn, deliveries, datasets; shared with version 1, under faults, in the data file."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest

from scalesync.sandbox import FaultRule
from scalesync.sandbox.core.wire.errors import ApiError
from scalesync.sandbox.scale.control import ACTIONS
from scalesync.sandbox.scale.tasks.lifecycle import annotate
from scalesync.sandbox.scale.v2.routes import told

from .conftest import Start
from .support import Api


class Chats(Api):
    """The engine with a project of chats."""

    def __init__(self, key: str = "live_key", types: tuple[str, ...] = ("SFT",), **settings: Any) -> None:
        super().__init__(key, **settings)
        self.genai = self.store.genai(self.world.name)
        if "chats" not in self.world.project_names:
            self.genai.add_project("chats", *types)

    def chat(self, **fields: Any) -> Any:
        return self.post("/v2/task/chat", {"project_name": "chats", **fields})

    def seen(self, task_id: str, query: str = "") -> Any:
        return self.get(f"/v2/task?task_id={task_id}{query}")

    def rows(self, path: str, name: str, query: str = "", limit: int = 2) -> Iterator[Any]:
        """Every row of a list, by its tokens."""
        token = ""
        for _ in range(100):
            page = self.get(f"{path}?limit={limit}{query}" + (f"&next_token={quote(token)}" if token else ""))
            yield from page[name]
            if "next_token" not in page:
                return
            token = page["next_token"]
        raise AssertionError("the list does not end")

    def annotate(self, count: int | None = None) -> int:
        return annotate(self.world, count)


def act(api: Chats, task_id: str, action: str, body: dict[str, Any] | None = None) -> None:
    """Change a task as the control plane does."""
    ACTIONS[action](api.world, api.world.find(task_id), body or {})


def test_a_chat_is_a_task_of_both_versions() -> None:
    api = Chats()
    batch = api.post("/v2/batch", {"name": "b 1", "project": "chats", "metadata": {"n": 1.0}})
    task = api.chat(batch_id=batch["id"], template_variables={"prompt": "why?"}, metadata={"big": 1})
    assert (task["status"], task["threads"], task["batch"]) == ("pending", [], batch["id"])
    old = api.get(f"/task/{task['task_id']}")
    assert (old["type"], old["project"], old["batch"]) == ("chat", "chats", "b 1")
    assert old["params"] == {"template_variables": {"prompt": "why?"}}
    other = api.create("chat", project="chats", template_variables={"prompt": "from version 1"})
    api.create()  # of no project, and no chat
    assert [row["task_id"] for row in api.rows("/v2/tasks", "tasks", "&project_name=chats")] == [
        other["task_id"],
        task["task_id"],
    ]
    assert api.get("/batches/b%201")["status"] == "in_progress"
    assert api.annotate() == 3
    done = api.seen(other["task_id"])
    assert done["threads"][0]["turns"][0]["messages"][0]["content"] == {"text": "from version 1"}
    assert api.seen(task["task_id"], "&expand=batch")["batch"]["status"] == "completed"
    assert set(done["threads"][0]["annotations"][0]) == {"id", "key", "type", "value"}
    assert "submissions" not in done["threads"][0]
    assert api.seen(task["task_id"]) == api.seen(task["task_id"])
    api.world.add_project("rubrics", "Rubrics")  # what `sandbox --project rubrics=Rubrics` does
    assert api.get("/v2/project?project_name=rubrics")["types"] == ["Rubrics"]
    assert api.get("/projects/rubrics")["type"] == "chat"
    plain = Chats(plain_annotations="docs", chat_attachments=True)
    asked = plain.chat()["task_id"]
    plain.annotate()
    thread = plain.seen(asked)["threads"][0]
    assert set(thread["annotations"][0]) == {"key", "value"}
    files = thread["turns"][0]["messages"][1]["content"]["attachments"]
    assert set(files[0]) == {"url"}
    assert plain.app.classify("GET", files[0]["url"].removeprefix("http://sandbox"))[0] == "result"


def test_a_create_is_checked() -> None:
    api = Chats()
    api.post("/projects", {"name": "plain", "type": "categorization"})
    api.genai.add_project("others", "Evals")
    other = api.post("/v2/batch", {"name": "o", "project_name": "others"})
    for body, status, words in (
        ({}, 400, '"project_id" or "project_name" is required'),
        ({"project_name": "none"}, 404, 'Project "none" not found.'),
        ({"project_id": "none"}, 404, 'Project "none" not found.'),
        ({"project_name": "plain"}, 400, "takes no chats"),
        ({"project_name": "chats", "batch_name": "none"}, 404, 'Batch "none" not found.'),
        ({"project_name": "chats", "batch_id": other["id"]}, 400, "belongs to project"),
        ({"project_name": "chats", "template_variables": []}, 400, "must be an object"),
        ({"project_name": "chats", "metadata": {"x": "y" * 11000}}, 400, "larger than"),
        ({"project_name": "chats", "callback_url": 1}, 400, "must be a string"),
    ):
        assert api.refused("POST", "/v2/task/chat", body)[0] == status, body
        assert words in api.refused("POST", "/v2/task/chat", body)[1]
    assert api.refused("POST", "/v2/batch", {"name": "o", "project_name": "chats"})[0] == 409
    assert api.refused("GET", "/v2/tasks")[0] == 400
    assert api.refused("GET", "/v2/tasks?project_name=chats&expand=delivery")[0] == 400
    assert api.refused("GET", "/v2/nothing") == (404, "Cannot GET /v2/nothing")
    assert api.refused("POST", "/v2/task/chat", b"[", key="live_key")[0] == 400
    assert api.chat(unique_id="u")["task_id"] != api.chat(unique_id="u")["task_id"]  # version 2 has none
    reply = api.reply("POST", "/v2/task/chat", b'{"project_name":"chats"}', idempotency_key="k")
    again = api.reply("POST", "/v2/task/chat", b'{"project_name":"chats"}', idempotency_key="k")
    assert (reply.status, again.status) == (200, 409)


def test_metadata_is_replaced_or_merged_deeply_and_keeps_its_numbers() -> None:
    api = Chats()
    task_id = api.chat(metadata={"a": {"x": 1, "y": [1]}, "b": 2})["task_id"]
    raw = b'{"task_id":"%s","metadata":{"a":{"y":10.0,"z":1180591620717411303424}},"merge":true}' % task_id.encode()
    body = api.reply("POST", "/v2/task/metadata", raw).body
    assert b'"metadata":{"a":{"x":1,"y":10.0,"z":1180591620717411303424},"b":2}' in body
    assert api.post("/v2/task/metadata", {"task_id": task_id, "metadata": {"c": 1}})["metadata"] == {"c": 1}
    assert api.get(f"/task/{task_id}")["metadata"] == {"c": 1}
    assert api.refused("POST", "/v2/task/metadata", {"task_id": "none", "metadata": {}})[0] == 404


def test_a_test_key_completes_at_once_in_a_world_of_its_own() -> None:
    api = Chats("test_key")
    made = api.chat()
    assert made["status"] == "pending"
    seen = api.seen(made["task_id"])
    assert (seen["status"], seen["threads"][0]["annotations"][0]["value"]) == ("completed", "test response")
    assert api.refused("GET", "/v2/project?project_name=chats", key="live_key")[0] == 404
    assert api.refused("GET", f"/v2/task?task_id={made['task_id']}", key="live_key")[0] == 404
    delayed = Chats(annotate_after_s=5)
    task_id = delayed.chat()["task_id"]
    delayed.clock.forward(4)
    assert delayed.seen(task_id)["status"] == "pending"
    delayed.clock.forward(2)
    assert delayed.seen(task_id)["completed_at"] == "2023-11-14T22:13:25.000Z"


def test_batches_turn_some_time_after_the_request() -> None:
    api = Chats(batch_change_s=2, annotate_after_s=10)
    empty = {"batch_name": "empty"}
    api.post("/v2/batch", {"name": "empty", "project_name": "chats"})
    api.post("/v2/batch", {"name": "b", "project_name": "chats"})
    named = {"batch_name": "b"}
    tasks = [api.chat(batch_name="b")["task_id"] for _ in range(3)]
    act(api, tasks[0], "start")

    def status(name: str = "b") -> str:
        return str(api.get(f"/v2/batch?batch_name={name}")["status"])

    assert api.post("/v2/batch/pause", named)["batch"]["status"] == "in_progress"
    api.post("/v2/batch/pause", empty)
    api.clock.forward(1)
    assert status() == "in_progress"
    api.clock.forward(1)
    assert (status(), status("empty")) == ("paused", "in_progress")
    api.clock.forward(20)  # only the task that somebody had begun is completed
    assert [api.seen(task)["status"] for task in tasks] == ["completed", "pending", "pending"]
    assert api.annotate() == 0
    assert api.refused("POST", "/v2/batch/pause", named)[0] == 400
    api.post("/v2/batch/resume", named)
    api.clock.forward(2)
    assert status() == "in_progress"
    assert api.annotate(1) == 1
    api.post("/v2/batch/cancel", named)
    assert "being cancelled" in api.refused("POST", "/v2/batch/pause", named)[1]
    api.clock.forward(30)  # it was cancelled before its last task was due
    assert [api.seen(task)["status"] for task in tasks] == ["completed", "completed", "canceled"]
    assert status() == "cancelled"
    assert "cannot be resumed" in api.refused("POST", "/v2/batch/resume", named)[1]
    assert api.refused("POST", "/v2/batch/cancel", named)[0] == 400
    assert api.refused("POST", "/v2/task/chat", {"project_name": "chats", **named})[0] == 400
    assert [b["name"] for b in api.get("/v2/batches?status=cancelled")["batches"]] == ["b"]


def test_a_staging_batch_waits_for_finalize() -> None:
    api = Chats()
    batch = api.post("/v2/batch", {"name": "s", "project_name": "chats", "staging_batch": True})
    task_id = api.chat(batch_id=batch["id"])["task_id"]
    assert (batch["status"], api.annotate()) == ("staging", 0)
    assert api.refused("POST", "/v2/batch/pause", {"batch_id": batch["id"]})[0] == 400
    assert api.post("/v2/batch/finalize", {"batch_id": batch["id"]})["status"] == "in_progress"
    assert api.annotate() == 1
    assert api.seen(task_id)["status"] == "completed"
    assert api.refused("POST", "/v2/batch/finalize", {"batch_id": batch["id"]})[0] == 400


def test_what_ended_otherwise_says_so() -> None:
    api = Chats()
    ids = [api.chat()["task_id"] for _ in range(4)]
    for task_id, action, body in (
        (ids[0], "error", {"response": {"errors": [{"type": "LANGUAGE_MISMATCH", "message": "no"}]}}),
        (ids[1], "delete", {}),
        (ids[2], "complete", {"response": {"sensitive_content_reports": [{"type": "x", "message": "y"}]}}),
        (ids[3], "complete", {"response": {"threads": [{"id": "t", "turns": [], "annotations": [{"key": "k"}]}]}}),
    ):
        act(api, task_id, action, body)
    failed, deleted, reported, given = (api.seen(task_id) for task_id in ids)
    assert failed["errors"] == [{"type": "LANGUAGE_MISMATCH", "message": "no"}]
    assert (deleted["status"], api.get(f"/task/{ids[1]}")["status"]) == ("deleted", "canceled")
    assert "threads" not in reported
    assert reported["sensitive_content_reports"][0]["message"] == "y"
    assert given["threads"][0]["annotations"][0]["id"] == f"{ids[3]}-0-0"
    assert [t["task_id"] for t in api.get("/v2/tasks?project_name=chats&status=deleted")["tasks"]] == [ids[1]]


def test_times_are_exclusive_and_lists_have_no_totals() -> None:
    api = Chats()
    api.chat()
    api.annotate()
    moment = quote("2023-11-14T22:13:20.000Z")
    listed = "/v2/tasks?project_name=chats"
    assert api.get(f"{listed}&completed_after={moment}") == {"tasks": []}
    assert api.get(f"{listed}&completed_before={moment}") == {"tasks": []}
    inside = api.get(f"{listed}&completed_after=2023-11-14&completed_before={quote('2023-11-14T22:13:20.000001Z')}")
    assert len(inside["tasks"]) == 1
    assert api.refused("GET", f"{listed}&completed_after=yesterday")[0] == 400
    assert api.refused("GET", f"{listed}&next_token=x")[0] == 400


def test_a_delivery_keeps_what_was_delivered() -> None:
    api = Chats()
    ids = [api.chat()["task_id"] for _ in range(5)]
    api.annotate(4)
    (delivery,) = api.genai.deliver("chats", name="first")
    assert api.genai.deliver() == []
    before = list(api.rows("/v2/delivery", "tasks", f"&delivery_id={delivery.id}"))
    assert [row["task_id"] for row in before] == ids[3::-1]
    act(api, ids[0], "recall")
    assert list(api.rows("/v2/delivery", "tasks", f"&delivery_id={delivery.id}")) == before
    api.clock.forward(1)
    api.annotate()
    (second,) = api.genai.deliver()
    assert [item.task for item in second.items] == [0, 4]
    docs = list(api.rows("/v2/delivery/tasks", "docs", "&project_name=chats"))
    assert [doc["delivery_id"] for doc in docs] == [second.id, *[delivery.id] * 3, second.id]
    assert docs[4]["response"]["threads"] != before[3]["threads"]
    assert docs[1]["response"]["threads"][0]["id"] == "thread_0"
    assert [d["name"] for d in api.get("/v2/deliveries?project_name=chats")["deliveries"]][1] == "first"
    with pytest.raises(ApiError, match="not found"):
        api.genai.deliver("none")


def test_a_correction_is_delivered_again_whoever_wrote_it() -> None:
    api = Chats()
    task_id = api.chat(template_variables={"prompt": "x"})["task_id"]
    api.annotate()
    assert [len(one.items) for one in api.genai.deliver("chats")] == [1]
    for body in ({"response": {"threads": [{"id": "mine", "turns": []}]}}, {}):
        act(api, task_id, "correct", body)
        assert [len(one.items) for one in api.genai.deliver("chats")] == [1], body
        assert api.genai.deliver("chats") == []


def test_pages_of_delivered_tasks_count_what_was_passed() -> None:
    api = Chats()
    for _ in range(3):
        api.chat()
    page = api.get("/v2/delivery/tasks?project_name=chats&limit=2")
    assert (page["total"], page["next_token"]) == (2, "eyJza2lwIjoyfQ==")
    assert page["docs"][0]["response"] is None
    newest = api.chat()["task_id"]
    shifted = api.get("/v2/delivery/tasks?project_name=chats&limit=2&next_token=eyJza2lwIjoyfQ==")
    assert shifted["docs"][0] == page["docs"][1]  # a row that arrived in between repeats one
    assert newest not in [doc["task_id"] for doc in shifted["docs"]]
    assert shifted["total"] == 2
    assert "next_token" not in shifted


def test_periods_deliver_what_they_completed() -> None:
    api = Chats(deliver_every_s=60, annotate_after_s=30)
    for _ in range(3):
        api.chat()
        api.clock.forward(25)
    api.clock.forward(180)
    deliveries = api.get("/v2/deliveries")["deliveries"]
    assert [(d["delivered_at"], d["task_count"]) for d in deliveries] == [
        ("2023-11-14T22:15:00.000Z", 2),
        ("2023-11-14T22:14:00.000Z", 1),
    ]
    assert api.get("/v2/deliveries?delivered_after=2023-11-14T22:14:00Z")["deliveries"] == deliveries[:1]


def test_lists_of_version_2_can_lie() -> None:
    api = Chats()
    ids = [api.chat()["task_id"] for _ in range(6)]
    for kind, shown in (("repeat", [ids[4], ids[3], ids[2]]), ("gap", [ids[3]]), ("empty", [])):
        token = api.get("/v2/tasks?project_name=chats&limit=2")["next_token"]
        lies = (FaultRule(kind=kind),)
        page = api.get(f"/v2/tasks?project_name=chats&limit=2&next_token={quote(token)}", lies=lies)
        assert [row["task_id"] for row in page["tasks"]] == shown, kind
        assert "next_token" in page
    wrong = api.get("/v2/delivery/tasks?project_name=chats&limit=2", lies=(FaultRule(kind="total", by=5),))
    assert wrong["total"] == 7
    lost = api.get("/v2/delivery/tasks?project_name=chats&limit=2", lies=(FaultRule(kind="circle", pages=(1,)),))
    assert api.get(f"/v2/delivery/tasks?project_name=chats&next_token={quote(lost['next_token'])}")["total"] == 4


def test_the_data_file_keeps_version_2(tmp_path: Path) -> None:
    data = tmp_path / "sandbox.db"
    first = Chats(types=("Evals",), data=data, batch_change_s=5)
    batch = first.post("/v2/batch", {"name": "b", "project_name": "chats"})
    ids = [first.chat(batch_name="b")["task_id"] for _ in range(3)]
    first.annotate(2)
    (delivery,) = first.genai.deliver()
    dataset = first.genai.add_dataset("set")
    first.genai.publish(dataset.id, tasks=ids[:1])
    first.post("/v2/batch/cancel", {"batch_name": "b"})
    paths = (
        f"/v2/delivery?delivery_id={delivery.id}&expand=delivery",
        "/v2/delivery/tasks?project_name=chats",
        "/v2/deliveries?expand=project",
        f"/v2/datasets/tasks?dataset_id={dataset.id}&expand=delivery",
        "/v2/projects",
        f"/v2/batch?batch_id={batch['id']}",
    )
    before = [first.get(path) for path in paths]
    first.app.close()
    again = Chats(data=data, batch_change_s=5)
    assert [again.get(path) for path in paths] == before
    assert again.genai.deliver() == []
    again.clock.forward(10)
    assert again.get("/v2/batch?batch_name=b")["status"] == "cancelled"
    assert again.seen(ids[2])["status"] == "canceled"
    again.app.close()


async def test_faults_strike_the_create_of_a_chat(start: Start) -> None:
    rules = [
        FaultRule(kind="error", on="create", at=(0,), after_write=True),
        FaultRule(kind="reset", on="create", at=(1,), after_write=True),
        FaultRule(kind="late", on="create", at=(2,), seconds=0.05),
        FaultRule(kind="error", on="create", at=(3,)),
        FaultRule(kind="lag", on="create", seconds=60),
    ]
    sandbox = await start(rules)
    genai = sandbox.store.genai("live")
    genai.add_project("chats", "SFT")
    headers = {"Authorization": "Bearer live_key"}
    statuses = []
    async with aiohttp.ClientSession(sandbox.origin, headers=headers) as session:
        for row in range(5):
            body = {"project_name": "chats", "metadata": {"row": row}}
            try:
                async with session.post("/v2/task/chat", json=body) as reply:
                    statuses.append(reply.status)
            except aiohttp.ClientError:
                statuses.append(0)
        while sandbox.journal.in_flight or len(list(genai.chats())) < 4:  # the late one lands by itself
            await asyncio.sleep(0.01)
        async with session.get("/v2/tasks", params={"project_name": "chats"}) as reply:
            assert json.loads(await reply.read()) == {"tasks": []}  # lists lag behind
    assert statuses == [500, 0, 504, 500, 200]
    assert sorted(chat["metadata"]["row"] for chat in genai.chats()) == [0, 1, 2, 4]
    assert [(seen.path, seen.kind) for seen in sandbox.journal][-1] == ("/v2/tasks", "list")
    assert sandbox.journal.faults["late"] == 1


def test_the_classes_of_version_2() -> None:
    api = Api()
    for method, path, kind in (
        ("POST", "/v2/task/chat", "create"),
        ("POST", "/v2/task/metadata", "mutate"),
        ("GET", "/v2/task", "get"),
        ("GET", "/v2/datasets/tasks", "list"),
        ("POST", "/v2/batch/pause", "batch"),
        ("GET", "/v2/datasets/task/a/response_url/b", "result"),
        ("GET", "/v1/v2/task", "other"),
    ):
        assert api.app.classify(method, f"{path}?x=1")[0] == kind, path
    assert api.refused("GET", "/v2/task?task_id=x", key="nobody")[0] == 401


def test_the_page_tells_every_call() -> None:
    page = (Path(__file__).parents[2] / "docs" / "sandbox.md").read_text(encoding="utf-8")
    rows = page.partition("scalesync.sandbox.scale.v2.routes.told -->\n")[2].partition("\n\n")[0].splitlines()[2:]
    assert rows == told()
