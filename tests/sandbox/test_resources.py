"""Files, quality tasks, people, Studio, fixless audits, templates and pipelines, without a socket."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from scalesync.sandbox.core import control as plane
from scalesync.sandbox.core.wire.messages import Call, Form, Upload
from scalesync.sandbox.scale.multistage.calls import ROUTES as BLUEPRINTS
from scalesync.sandbox.scale.resources.table import PATHS
from scalesync.sandbox.scale.routes import ROUTES, kind_of
from scalesync.sandbox.scale.tasks.lifecycle import annotate, recall

from .support import CREATE, Api

IMAGE = {"geometries": {"box": {"objects_to_annotate": ["cat"]}}}
ANSWER = {"annotations": []}


@pytest.fixture
def upload(tmp_path: Path) -> Any:
    """upload(api, data, **fields) -> (status, body); `is_large` as the server sets it."""

    def send(api: Api, data: bytes, *, is_large: bool = False, **fields: str) -> tuple[int, Any]:
        path = tmp_path / "part"
        path.write_bytes(data)
        form = Form(fields, {"file": Upload("cat.png", "image/png", path, len(data))}, is_large)
        return api.call("POST", "/files/upload", form=form)

    return send


def bytes_of(api: Api, target: str) -> tuple[int, bytes]:
    _, call = api.app.classify("GET", target)
    reply = api.app.answer(None, call)
    return reply.status, b"".join(reply.stream) if reply.stream is not None else reply.body


def test_a_file_is_an_attachment_and_its_link_gives_the_bytes(upload: Any) -> None:
    api = Api(result_ttl_s=60)
    _, file = upload(api, b"cat")
    api.create("imageannotation", attachment=file["attachment_url"], **IMAGE)
    (task,) = api.get("/tasks?include_attachment_url=true")["docs"]
    target = task["attachment_url"].removeprefix("http://sandbox")
    assert bytes_of(api, target) == (200, b"cat")
    assert bytes_of(api, f"/files/{file['id']}")[0] == 403  # not signed
    api.clock.forward(61)
    assert bytes_of(api, target)[0] == 403
    assert bytes_of(api, "/files/none")[0] == 404
    annotate(api.world)
    assert api.get(f"/task/{task['task_id']}")["status"] == "completed"


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"project_name": "none"}, 404),
        ({"reference_id": ""}, 400),
        ({"metadata": "[1]"}, 400),
        ({"metadata": "{"}, 400),
        ({"metadata": '{"a":"' + "x" * 9000 + '"}'}, 400),
        ({"is_large": True}, 413),
    ],
)
def test_an_upload_is_refused(upload: Any, fields: dict[str, Any], status: int) -> None:
    api = Api()
    assert upload(api, b"x", **fields)[0] == status
    assert api.world.account.files == {}


def test_a_reference_id_is_used_once_and_the_limit_may_answer_400(upload: Any) -> None:
    api = Api(file_too_large=400)
    first = upload(api, b"x", reference_id="r")[1]
    status, again = upload(api, b"x", reference_id="r")
    assert (status, first["id"] in again["error"]) == (409, True)
    assert api.call("POST", "/files/import", {"file_url": "https://x/y.png", "reference_id": "r"})[0] == 409
    assert upload(api, b"x", is_large=True)[0] == 400
    assert api.refused("POST", "/files/upload", b"")[0] == 400


def test_files_that_no_task_names_make_room(upload: Any) -> None:
    api = Api(file_total_bytes=10)
    used, idle = (upload(api, b"12345", reference_id=name)[1] for name in "ab")
    api.create("imageannotation", attachment=used["attachment_url"], **IMAGE)
    new = upload(api, b"123")[1]
    assert [bytes_of(api, f"/files/{file['id']}")[0] for file in (used, idle, new)] == [200, 404, 200]
    assert upload(api, b"1234567")[0] == 413
    assert upload(api, b"1", reference_id="b")[0] == 200, "the name of a file that is gone is free again"


@pytest.mark.parametrize("where", ["other/", ""])
def test_an_address_without_a_file_puts_the_task_in_error(upload: Any, where: str) -> None:
    api = Api()
    file = upload(api, b"x")[1]
    address = f"scaledata://{where}{file['id']}" if where else file["attachment_url"] + "0"
    task = api.create("imageannotation", attachment=address, **IMAGE)
    api.clock.forward(2)
    found = api.get(f"/task/{task['task_id']}")
    assert found["response"]["attachments"] == [{"statusCode": 404, "url": address}]


def test_an_import_may_fail() -> None:
    api = Api(bad_attachments="broken")
    assert api.refused("POST", "/files/import", {"file_url": "https://x/broken.png"})[0] == 400
    assert api.refused("POST", "/files/import", {"file_url": "cat.png"})[0] == 400
    assert api.post("/files/import", {"file_url": "https://x/a.bin?b"})["mime_type"] == "application/octet-stream"


@pytest.mark.parametrize("noun", ["evaluation_tasks", "training_tasks"])
def test_quality_tasks_are_for_rapid_projects(noun: str) -> None:
    api = Api()
    api.world.add_project("p", "imageannotation")
    api.world.add_project("r", "imageannotation", rapid=True)
    body = {"attachment": "https://x/a.png", "expected_response": ANSWER, **IMAGE}
    made = api.post(f"/{noun}/imageannotation", {**body, "project": "r", "metadata": {"m": 1}})
    assert (made["expected_response"], made["project"], made["metadata"]) == (ANSWER, "r", {"m": 1})
    assert "initial_response" not in made
    assert api.get("/tasks")["total"] == 0
    for wrong in ({"project": "p"}, {}, {"project": "r", "expected_response": None}, {"project": "r", "geometries": 1}):
        assert api.refused("POST", f"/{noun}/imageannotation", {**body, **wrong})[0] == 400
    assert api.refused("POST", f"/{noun}/imageannotation", {**body, "project": "r", "initial_response": 1})[0] == 400
    assert api.refused("POST", f"/{noun}/categorization", {**body, "project": "r"})[0] == 400


def test_roles_are_changed_for_all_or_for_nobody() -> None:
    api = Api()
    api.post("/teams/invite", {"emails": ["a@x.io", "a@x.io"], "team_role": "labeler"})
    api.post("/teams/invite", {"emails": ["A@x.io"], "team_role": "manager"})
    people = api.get("/teams")
    assert [(person["email"], person["role"]) for person in people] == [
        ("owner@example.com", "admin"),
        ("a@x.io", "labeler"),
    ]
    for emails in (["a@x.io", "b@x.io"], ["a@x.io", "owner@example.com"], [], "a@x.io"):
        assert api.refused("POST", "/teams/set_role", {"emails": emails, "team_role": "member"})[0] == 400
    assert api.refused("POST", "/teams/invite", {"emails": ["nobody"], "team_role": "member"})[0] == 400
    assert api.refused("POST", "/teams/invite", {"emails": ["c@x.io"], "team_role": "admin"})[0] == 400
    assert api.get("/teams") == people
    assert api.post("/teams/set_role", {"emails": ["A@X.io"], "team_role": "member"})[1]["role"] == "member"


def test_what_studio_refuses() -> None:
    api = Api()
    api.world.add_project("s", "categorization", studio=True)
    api.world.add_project("p", "categorization")
    api.world.add_batch("s", "b")
    api.world.add_batch("p", "other")
    api.post("/teams/invite", {"emails": ["a@x.io"], "team_role": "labeler"})
    groups = "/studio/projects/s/groups"
    assert api.post(groups, {"emails": ["a@x.io"], "name": "g"})["numWorkers"] == 1
    refused = [
        ("POST", "/studio/assignments/add", {"emails": ["z@x.io"], "projects": ["s"]}, 400),
        ("POST", "/studio/assignments/add", {"emails": ["a@x.io"], "projects": ["p"]}, 400),
        ("POST", "/studio/assignments/add", {"emails": ["a@x.io"], "projects": ["none"]}, 404),
        ("POST", "/studio/assignments/remove", {"emails": ["a@x.io"]}, 400),
        ("GET", "/studio/projects/p/groups", None, 400),
        ("POST", groups, {"emails": [], "name": "g"}, 409),
        ("POST", groups, {"emails": ["z@x.io"], "name": "h"}, 400),
        ("PUT", f"{groups}/none", {"add_emails": []}, 404),
        ("PUT", f"{groups}/g", {"add_emails": ["a@x.io"], "remove_emails": ["a@x.io"]}, 400),
        ("PUT", "/studio/batches/b", {"groups": ["g", "none"]}, 400),
        ("PUT", "/studio/batches/b", {"groups": ["a@x.io"]}, 400),  # not assigned to the project
        ("PUT", "/studio/batches/other", {"groups": []}, 404),
        ("POST", "/studio/batches/set_priorities", {"batches": []}, 400),
        ("POST", "/studio/batches/set_priorities", {"batches": ["b"]}, 400),
        ("POST", "/studio/batches/set_priorities", {"batches": [{"name": "b"}, {"name": "b"}]}, 400),
        ("POST", "/studio/batches/set_priorities", {"batches": [{"name": "b"}, {"name": "other"}]}, 400),
    ]
    for method, path, body, status in refused:
        assert api.refused(method, path, body)[0] == status, (method, path, body)
    assert [batch["groups"] for batch in api.get("/studio/batches")] == [[]]


def test_a_completed_batch_is_not_pending_and_a_new_one_comes_last() -> None:
    api = Api()
    api.world.add_project("s", "categorization", studio=True)
    for name in "abc":
        api.world.add_batch("s", name)
    api.create(batch="a")
    api.post("/studio/batches/set_priorities", {"batches": [{"name": name} for name in "cab"]})
    api.post("/batches/a/finalize")
    annotate(api.world)
    api.world.add_batch("s", "d")
    assert [batch["name"] for batch in api.get("/studio/batches")] == ["c", "b", "d"]


def test_fixless_audits_leave_the_task_alone() -> None:
    api = Api("test_key")
    task = api.create()
    before = api.get(f"/task/{task['task_id']}")
    audit = {"task_id": task["task_id"], "result": "rejected", "feedback": [{"type": "box", "state": "disputed"}]}
    status, first = api.call("PUT", "/audits", audit)
    assert (status, {**first, **audit}) == (201, first)
    second = api.call("PUT", "/audits", {"task_id": task["task_id"]})[1]
    assert api.get(f"/audits?task_id={task['task_id']}") == [second, first]
    assert api.get(f"/task/{task['task_id']}") == before
    assert api.refused("PUT", "/audits", {**audit, "feedback": [{"state": "odd"}]})[0] == 400
    assert api.refused("PUT", "/audits", {})[0] == 400
    assert api.refused("PUT", "/audits", {"task_id": "0" * 24})[0] == 404
    live = Api()
    assert live.refused("PUT", "/audits", {"task_id": live.create()["task_id"]})[0] == 400


def test_a_template_belongs_to_chat_and_text_projects() -> None:
    api = Api()
    api.world.add_project("c", "chat", {"template_variables": {"a": 1}, "response_schema": {"type": "object"}})
    api.world.add_project("bare", "chat")
    api.post("/projects/c/setParams", {"patch": True, "x": 1})
    template = api.get("/projects/c/taskTemplates")
    assert (template["version"], template["template_variables"]) == (2, {"a": 1})
    assert template["response_schema"] == {"type": "object"}
    assert api.refused("GET", "/projects/bare/taskTemplates")[0] == 404


def test_a_consensus_runs_its_attempts_and_reviews_before_it_completes() -> None:
    api = Api(annotate_after_s=10)
    project = {"name": "p", "type": "categorization", "pipeline": "consensus_task", "consensus_attempts": 3}
    api.post("/projects", project)
    task_id = api.create(project="p", categories=["a", "b"])["task_id"]
    seen = []
    for _ in range(5):
        seen.append((api.get(f"/task/{task_id}")["status"], work(api, task_id)))
        api.clock.forward(10)
    layers = [("attempt", 1), ("attempt", 2), ("attempt", 3), ("review", 1)]
    assert seen == [("pending", layers[:n]) for n in range(4)] + [("completed", layers)]
    given = [item["response"] for item in steps(api, task_id)]
    assert given[3] == max(given[:3], key=given[:3].count) == api.get(f"/task/{task_id}")["response"]
    assert api.refused("POST", f"/task/{api.create(project='p')['task_id']}x/cancel")[0] == 404
    recall(api.world, api.world.find(task_id))
    assert work(api, task_id) == []
    annotate(api.world)
    assert work(api, task_id) == layers


def test_the_answer_of_most_attempts_is_the_task_s() -> None:
    api = Api()
    api.post("/projects", {"name": "p", "type": "categorization", "pipeline": "consensus_task"})
    ids = [api.create(project="p", categories=["a", "b"])["task_id"] for _ in range(8)]
    annotate(api.world)
    for task_id in ids:
        given = [item["response"] for item in steps(api, task_id)]
        assert (len(given), given[3]) == (4, max(given[:3], key=given[:3].count))
        assert api.get(f"/task/{task_id}")["response"] == given[3]


def test_a_collection_keeps_the_answer_of_each_attempt_where_it_has_a_word() -> None:
    project = {"name": "p", "type": "categorization", "pipeline": "collection_task", "consensus_attempts": 4}
    assert Api().refused("POST", "/projects", project)[0] == 400
    api = Api(collection_word="collection_task")
    api.post("/projects", project)
    task_id = api.create(project="p", categories=["a", "b"])["task_id"]
    annotate(api.world)
    done = steps(api, task_id)
    assert [(item["layer"], item["number"]) for item in done] == [*(("attempt", n) for n in range(1, 5)), ("review", 1)]
    collected = {"responses": [item["response"] for item in done[:4]]}
    assert api.get(f"/task/{task_id}")["response"] == done[4]["response"] == collected
    assert len({str(item) for item in collected["responses"]}) > 1


def test_work_that_began_cannot_be_canceled() -> None:
    api = Api(annotate_after_s=10)
    api.post("/projects", {"name": "p", "type": "categorization", "pipeline": "standard_task"})
    task_id = api.create(project="p")["task_id"]
    api.clock.forward(10)
    assert api.get(f"/task/{task_id}")["work_started"] is True
    assert work(api, task_id) == [("attempt", 1)]
    assert api.refused("POST", f"/task/{task_id}/cancel")[0] == 400


@pytest.mark.parametrize(
    "wrong",
    [
        {"pipeline": "other"},
        {"consensus_attempts": 3},
        {"pipeline": "consensus_task", "consensus_attempts": 0},
        {"pipeline": "consensus_task", "consensus_attempts": "3"},
    ],
)
def test_a_pipeline_is_checked(wrong: dict[str, Any]) -> None:
    assert Api().refused("POST", "/projects", {"name": "p", "type": "categorization", **wrong})[0] == 400


def steps(api: Api, task_id: str) -> Any:
    return control(api, "GET", f"tasks/{task_id}/work")


def work(api: Api, task_id: str) -> list[tuple[str, int]]:
    return [(item["layer"], item["number"]) for item in steps(api, task_id)]


def control(api: Api, method: str, path: str, **body: Any) -> Any:
    call = Call(method, f"/_sandbox/{path}", json.dumps(body).encode() if body else b"", outside=True)
    reply = plane.answer(api.engine, call)
    assert reply.status == 200, reply.body
    return json.loads(reply.body)


def test_the_archived_are_left_out_of_lists() -> None:
    api = Api()
    for name in "pq":
        api.world.add_project(name, "categorization")
        api.world.add_batch(name, f"b{name}")
    control(api, "POST", "projects/p", archived=True)
    control(api, "POST", "batches/bp", archived=True)
    assert [project["name"] for project in api.get("/projects?archived=true")] == ["p"]
    assert [project["name"] for project in api.get("/projects?archived=False")] == ["q"]
    assert [batch["name"] for batch in api.get("/batches?exclude_archived=True")["docs"]] == ["bq"]


def test_everything_is_there_after_a_restart(tmp_path: Path, upload: Any) -> None:
    api = Api(data=tmp_path / "state")
    file = upload(api, b"cat", reference_id="r", metadata='{"a": 1}')[1]
    (tmp_path / "state.live-files" / "orphan").write_bytes(b"of a kill")
    api.world.add_project("s", "imageannotation", studio=True)
    api.world.add_project("r", "imageannotation", rapid=True)
    api.world.add_batch("s", "b")
    api.post("/teams/invite", {"emails": ["a@x.io"], "team_role": "labeler"})
    api.post("/studio/assignments/add", {"emails": ["a@x.io"], "projects": ["s"]})
    api.post("/studio/projects/s/groups", {"emails": ["a@x.io"], "name": "g"})
    api.call("PUT", "/studio/batches/b", {"groups": ["g"]})
    api.post("/studio/batches/set_priorities", {"batches": [{"name": "b"}]})
    body = {"project": "r", "attachment": file["attachment_url"], "expected_response": ANSWER, **IMAGE}
    made = api.post("/evaluation_tasks/imageannotation", body)
    done = api.create(attachment="x", callback_url="http://127.0.0.1:9/x")["task_id"]
    annotate(api.world)
    audit = api.call("PUT", "/audits", {"task_id": done})[1]
    paths = ("/teams", "/studio/assignments", "/studio/projects/s/groups", "/studio/batches", f"/audits?task_id={done}")
    before = [api.get(path) for path in paths]
    api.store.close()

    again = Api(data=tmp_path / "state")
    assert [again.get(path) for path in paths] == before
    assert again.get(f"/audits?task_id={done}") == [audit]
    assert bytes_of(again, f"/files/{file['id']}") == (200, b"cat")
    assert upload(again, b"x", reference_id="r")[0] == 409
    assert upload(again, b"x")[1]["id"] != file["id"]
    assert again.post("/evaluation_tasks/imageannotation", body)["id"] != made["id"]
    assert not (tmp_path / "state.live-files" / "orphan").exists()
    waiting = again.world.outbox.take(again.world.now())
    assert (waiting.kind, waiting.url) == ("task", "http://127.0.0.1:9/x")
    assert again.refused("POST", "/task/categorization", {**CREATE, "project": "s"})[0] == 400
    again.store.close()


def test_the_page_lists_each_call_with_its_class() -> None:
    page = (Path(__file__).parents[2] / "docs" / "sandbox.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| `([A-Z]+) /([^`]*)` \| `(\w+)` \|", page, re.MULTILINE))
    served = {*PATHS, *BLUEPRINTS}
    for method, first, length, last in ROUTES:
        served.add((method, "/".join((first, "*", last)[:length])))
    wanted = {(method, path, kind_of(method, tuple(path.split("/")))) for method, path in served}
    assert wanted <= listed
    assert {row for row in listed if not row[1].startswith("v2")} <= wanted
