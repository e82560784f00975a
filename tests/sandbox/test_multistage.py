"""Blueprints, and tasks that go through their stages: what the calls answer, step by step."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scalesync.sandbox.core import control as plane
from scalesync.sandbox.core.wire.messages import Call
from scalesync.sandbox.scale import store
from scalesync.sandbox.scale.multistage.calls import told
from scalesync.sandbox.scale.tasks.lifecycle import annotate, recall

from .support import Api

WEATHER = {"labels": ["car", {"choice": "van"}], "attributes": {"weather": {"choices": ["rain", "sun"]}}}
DRIVE: dict[str, Any] = {
    "name": "drive",
    "delivery": "stage",
    "stages": [
        {"name": "boxes", "after": [], "taxonomy": WEATHER, "parameters": {"minimum": 10.0}},
        {"name": "lanes", "taxonomy": {"labels": ["lane"]}},
        {
            "name": "wipers",
            "after": ["boxes"],
            "taxonomy": {"labels": ["wiper"]},
            "when": [{"stage": "boxes", "attribute": "weather", "has": "rain"}],
        },
        {"name": "check", "after": ["wipers", "lanes"], "taxonomy": {"labels": ["ok", "bad"]}},
    ],
}
SCENE = {"project": "p", "attachments": ["http://x/1.sfs"], "scene_format": "sfs"}
BLUEPRINTS = "/projects/p/blueprints"


def sandbox(key: str = "live_key", *blueprints: dict[str, Any], **settings: Any) -> Api:
    api = Api(key, **settings)
    api.world.add_project("p", "multistage")
    for blueprint in blueprints or (DRIVE,):
        api.post(BLUEPRINTS, blueprint)
    return api


def whole(blueprint: dict[str, Any] = DRIVE) -> dict[str, Any]:
    return {**blueprint, "delivery": "task"}


def control(api: Api, path: str, **body: Any) -> tuple[int, Any]:
    call = Call(
        "POST" if body else "GET", f"/_sandbox/{path}", json.dumps(body).encode() if body else b"", outside=True
    )
    reply = plane.answer(api.engine, call)
    return reply.status, json.loads(reply.body)


def states(task: dict[str, Any]) -> dict[str, str]:
    return {stage["name"]: stage["status"] for stage in task["stages"]}


def rain(*values: str) -> dict[str, Any]:
    return {"annotations": [{"label": "car", "attributes": {"weather": value}} for value in values]}


def test_a_blueprint_comes_back_as_it_was_sent() -> None:
    api = sandbox()
    first = api.get(f"{BLUEPRINTS}/drive")
    assert first == {**DRIVE, "active": True, "created_at": "2023-11-14T22:13:20.000Z", "version": 1}
    assert b'"minimum": 10.0' in api.reply("GET", f"{BLUEPRINTS}/drive").body
    assert api.post(BLUEPRINTS, first) == first  # what a GET gave can be sent again
    other = api.post(BLUEPRINTS, {"stages": DRIVE["stages"], "name": "a b/c"})
    assert (other["active"], other["delivery"], other["version"]) == (False, "task", 2)
    assert api.get(BLUEPRINTS) == {"docs": [first, other]}
    assert api.get(f"{BLUEPRINTS}/a%20b%2Fc") == other


def test_exactly_one_blueprint_of_a_project_is_active() -> None:
    api = sandbox("live_key", DRIVE, {**DRIVE, "name": "second"}, {**DRIVE, "name": "third"})
    api.world.add_project("q", "multistage")
    api.post("/projects/q/blueprints", DRIVE)

    def active(project: str = "p") -> list[str]:
        return [doc["name"] for doc in api.get(f"/projects/{project}/blueprints")["docs"] if doc["active"]]

    assert active() == ["drive"]
    assert api.post(f"{BLUEPRINTS}/third/activate")["active"] is True
    assert api.create("multistage", **SCENE)["blueprint"] == "third"
    assert api.create("multistage", **SCENE, blueprint="second")["blueprint"] == "second"
    api.post(f"{BLUEPRINTS}/second/activate")
    assert (active(), active("q")) == (["second"], ["drive"])


def test_what_is_refused() -> None:
    api = sandbox()
    api.world.add_project("c", "categorization")
    api.world.add_project("bare", "multistage")
    refused = [
        ("GET", "/projects/none/blueprints", None, 404),
        ("POST", "/projects/none/blueprints", DRIVE, 404),
        ("GET", f"{BLUEPRINTS}/none", None, 404),
        ("POST", f"{BLUEPRINTS}/none/activate", None, 404),
        ("POST", "/projects/c/blueprints", DRIVE, 400),
        ("POST", BLUEPRINTS, {**DRIVE, "delivery": "task"}, 409),
        ("POST", BLUEPRINTS, [DRIVE], 400),
        ("POST", "/task/multistage", {**SCENE, "blueprint": "drove"}, 400),
        ("POST", "/task/multistage", {**SCENE, "blueprint": 1}, 400),
        ("POST", "/task/multistage", {**SCENE, "project": "bare", "blueprint": "drive"}, 400),
        ("POST", "/task/multistage", {**SCENE, "attachments": []}, 400),
        ("POST", "/task/multistage", {"attachments": ["a"], "scene_format": "sfs"}, 400),
    ]
    for method, path, body, status in refused:
        assert api.refused(method, path, body)[0] == status, (method, path, body)
    assert 'did you mean "drive"?' in api.refused("POST", "/task/multistage", {**SCENE, "blueprint": "drove"})[1]
    assert api.get("/tasks")["total"] == 0


def test_a_task_goes_through_its_stages() -> None:
    api = sandbox(annotate_after_s=10)
    task = api.create("multistage", **SCENE, note=1)
    path = f"/task/{task['task_id']}"
    assert (task["blueprint"], task["delivery"], task["params"]["note"]) == ("drive", "stage", 1)
    assert "blueprint" not in task["params"]
    begun = {"status": "pending", "started_at": task["created_at"]}
    assert task["stages"] == [
        {"name": "boxes", **begun},
        {"name": "lanes", **begun},
        {"name": "wipers", "status": "waiting"},
        {"name": "check", "status": "waiting"},
    ]
    assert api.get(path) == task
    assert control(api, f"tasks/{task['task_id']}", action="complete", stage="boxes", response=rain("sun", "rain"))[0]
    api.clock.forward(5)
    assert states(api.get(path)) == {"boxes": "completed", "lanes": "pending", "wipers": "pending", "check": "waiting"}
    api.clock.forward(10)
    assert states(api.get(path)) == {
        "boxes": "completed",
        "lanes": "completed",
        "wipers": "completed",
        "check": "pending",
    }
    assert api.get(path)["work_started"] is True
    assert api.get(path)["updated_at"] == "2023-11-14T22:13:30.000Z"
    assert "response" not in api.get(path)
    api.clock.forward(10)
    done = api.get(path)
    assert set(states(done).values()) == {"completed"}
    assert (done["status"], done["completed_at"], "response" in done) == (
        "completed",
        "2023-11-14T22:13:40.000Z",
        False,
    )
    assert done["completed_at"] == done["updated_at"] == done["stages"][3]["delivered_at"]
    assert done["stages"][0]["response"] == rain("sun", "rain")
    assert {annotation["label"] for annotation in done["stages"][3]["response"]["annotations"]} <= {"ok", "bad"}


def test_a_stage_that_a_condition_leaves_out_is_skipped_and_the_next_one_runs() -> None:
    api = sandbox(annotate_after_s=10)
    task_id = api.create("multistage", **SCENE)["task_id"]
    control(api, f"tasks/{task_id}", action="complete", stage="boxes", response=rain("sun"))
    task = api.get(f"/task/{task_id}")
    reason = '"weather" of stage "boxes" has not the value "rain"'
    assert task["stages"][2] == {"name": "wipers", "status": "skipped", "skipped_because": reason}
    api.clock.forward(10)
    assert states(api.get(f"/task/{task_id}"))["check"] == "pending"
    api.clock.forward(10)
    assert api.get(f"/task/{task_id}")["status"] == "completed"


@pytest.mark.parametrize("key", ["live_key", "test_key"])
def test_task_level_delivery_has_one_response_at_the_end(key: str) -> None:
    api = sandbox(key, whole())
    task = api.create("multistage", **SCENE)
    path = f"/task/{task['task_id']}"
    assert states(task) == {"boxes": "pending", "lanes": "pending", "wipers": "waiting", "check": "waiting"}
    assert "response" not in task
    if key == "live_key":
        annotate(api.world)
    done = api.get(path)
    assert done["status"] == "completed"
    ran = [name for name, status in states(done).items() if status == "completed"]
    assert list(done["response"]["stages"]) == ran
    assert all(not {"response", "delivered_at"} & set(stage) for stage in done["stages"])
    assert api.get(path) == done


def test_audits_follow_the_delivery() -> None:
    for blueprint, status in ((DRIVE, 200), (whole(), 400)):
        api = sandbox("test_key", blueprint)
        task_id = api.create("multistage", **SCENE)["task_id"]
        found, reply = api.call("POST", f"/task/{task_id}/audit", {"accepted": True})
        assert found == status
        if status == 400:
            assert "stage-level" in reply["error"]
            assert "PUT /audits" in reply["error"]
        assert api.call("PUT", "/audits", {"task_id": task_id, "result": "accepted"})[0] == 201
    api.world.add_project("bare", "multistage")
    bare = api.create("multistage", **{**SCENE, "project": "bare"})
    assert api.call("POST", f"/task/{bare['task_id']}/audit", {"accepted": True})[0] == 200


def test_a_correction_is_a_new_delivery_of_its_stage_alone() -> None:
    api = sandbox(annotate_after_s=10)
    task_id = api.create("multistage", **SCENE)["task_id"]
    assert control(api, f"tasks/{task_id}", action="correct", stage="boxes")[0] == 400
    api.clock.forward(30)
    done = api.get(f"/task/{task_id}")
    api.clock.forward(5)
    first = control(api, f"tasks/{task_id}", action="correct", stage="boxes")[1]
    second = control(api, f"tasks/{task_id}", action="correct", stage="boxes", response=rain("hail"))[1]
    for before, after in ((done, first), (first, second)):
        assert after["stages"][1:] == before["stages"][1:]
        assert after["stages"][0]["delivered_at"] > before["stages"][0]["delivered_at"]
        assert after["stages"][0]["response"] != before["stages"][0]["response"]
        assert after["updated_at"] == after["stages"][0]["delivered_at"]
        assert after["completed_at"] == before["completed_at"]
    assert second["stages"][0]["response"] == rain("hail")
    assert (done["customer_review_status"], second["customer_review_status"]) == ("pending", "fixed")


def test_a_recalled_task_begins_again_with_other_answers() -> None:
    api = sandbox()
    task_id = api.create("multistage", **SCENE)["task_id"]
    annotate(api.world)
    before = api.get(f"/task/{task_id}")
    recall(api.world, api.world.find(task_id))
    assert states(api.get(f"/task/{task_id}"))["boxes"] == "pending"
    annotate(api.world)
    after = api.get(f"/task/{task_id}")
    assert after["stages"][0]["response"] != before["stages"][0]["response"]
    assert after["stages"][0]["delivered_at"] > before["stages"][0]["delivered_at"]


def test_what_the_control_plane_refuses() -> None:
    api = sandbox()
    task_id = api.create("multistage", **SCENE)["task_id"]
    api.world.add_project("bare", "multistage")
    bare = api.create("multistage", **{**SCENE, "project": "bare"})["task_id"]
    for body in (
        {"action": "complete", "stage": "check"},
        {"action": "complete", "stage": "none"},
        {"action": "complete", "stage": ["boxes"]},
        {"action": "complete", "response": {}},
        {"action": "recall", "stage": "boxes"},
    ):
        assert control(api, f"tasks/{task_id}", **body)[0] == 400, body
    assert control(api, f"tasks/{bare}", action="complete", stage="boxes")[0] == 400
    assert control(api, f"tasks/{task_id}/work") == (200, [])
    control(api, f"tasks/{task_id}", action="complete", stage="lanes", response={"annotations": []})
    assert control(api, f"tasks/{task_id}/work")[1] == [
        {"layer": "stage", "name": "lanes", "response": {"annotations": []}}
    ]
    assert api.refused("POST", f"/task/{task_id}/cancel")[0] == 400  # work has begun


def test_a_held_batch_begins_with_no_stage() -> None:
    api = Api(annotate_after_s=10)
    api.world.add_project("p", "multistage", rapid=True)
    api.post(BLUEPRINTS, DRIVE)
    api.world.add_batch("p", "b")
    task_id = api.create("multistage", **SCENE, batch="b")["task_id"]
    api.clock.forward(60)
    assert set(states(api.get(f"/task/{task_id}")).values()) == {"waiting"}
    api.post("/batches/b/finalize")
    assert states(api.get(f"/task/{task_id}"))["boxes"] == "pending"
    api.clock.forward(30)
    assert api.get("/batches/b/status")["completed"] == 1


def test_a_paused_batch_holds_the_stages_of_tasks_that_nobody_began() -> None:
    api = sandbox(annotate_after_s=10)
    api.world.add_batch("p", "b")
    begun, waits = (api.create("multistage", **SCENE, batch="b")["task_id"] for _ in range(2))
    control(api, f"tasks/{begun}", action="complete", stage="lanes")
    api.post("/v2/batch/pause", {"batch_name": "b"})
    api.clock.forward(30)
    assert api.get(f"/task/{begun}")["status"] == "completed"
    assert set(states(api.get(f"/task/{waits}")).values()) == {"pending", "waiting"}
    task = control(api, f"tasks/{waits}", action="complete", stage="lanes")[1]
    assert task["stages"][1]["completed_at"] == task["updated_at"] == "2023-11-14T22:13:50.000Z"
    assert states(api.get(f"/task/{waits}"))["boxes"] == "pending"
    api.clock.forward(10)
    boxes = api.get(f"/task/{waits}")["stages"][0]
    assert boxes["completed_at"] == "2023-11-14T22:14:00.000Z"
    third = api.create("multistage", **SCENE, batch="b")["task_id"]
    api.clock.forward(15)
    assert states(api.get(f"/task/{third}"))["boxes"] == "waiting"
    api.post("/v2/batch/resume", {"batch_name": "b"})
    api.clock.forward(5)
    assert states(api.get(f"/task/{third}"))["boxes"] == "pending"
    api.clock.forward(30)
    assert api.get(f"/task/{third}")["status"] == "completed"


def test_lists_find_a_task_by_what_its_stages_changed() -> None:
    api = sandbox(annotate_after_s=10)
    first = api.create("multistage", **SCENE)["task_id"]
    api.clock.forward(6)
    second = api.create("multistage", **SCENE)["task_id"]
    api.clock.forward(5)

    def listed(query: str) -> list[str]:
        return [doc["task_id"] for doc in api.get(f"/tasks?{query}")["docs"]]

    assert listed("updated_after=2023-11-14T22:13:30Z") == [first]
    assert listed("status=pending&type=multistage&project=p") == [second, first]
    api.clock.forward(30)
    assert listed("status=completed&completed_after=2023-11-14T22:13:20Z") == [second, first]


def test_a_scene_that_cannot_be_fetched_ends_in_error_before_any_stage_is_completed() -> None:
    api = sandbox(annotate_after_s=10, bad_attachments=r"\.sfs$")
    task_id = api.create("multistage", **SCENE)["task_id"]
    api.clock.forward(60)
    task = api.get(f"/task/{task_id}")
    assert (task["status"], task["work_started"]) == ("error", False)
    assert set(states(task).values()) == {"waiting"}
    assert "attachments" in task["response"]


def test_a_project_without_blueprints_behaves_as_before() -> None:
    api = Api("test_key")
    api.world.add_project("p", "multistage")
    task = api.create("multistage", **SCENE)
    assert not {"stages", "blueprint", "delivery"} & set(task)
    assert set(api.get(f"/task/{task['task_id']}")["response"]) == {"annotations", "stages"}


def wrong() -> Iterator[tuple[str, dict[str, Any], list[str]]]:
    """Of DRIVE with one change: what the message must say."""

    def stage(place: int, **members: Any) -> dict[str, Any]:
        changed = json.loads(json.dumps(DRIVE))
        changed["stages"][place].update(members)
        return changed

    looks = {"stage": "boxes", "attribute": "weather", "has": "rain"}
    yield "a name twice", stage(1, name="boxes"), ['"boxes" is given to 2 stages']
    yield "no name", stage(1, name=" "), ['stage 2 has no "name"']
    yield "a ghost", stage(3, after=["wiper"]), ['"wiper", which is not a stage; did you mean "wipers"?']
    yield "a circle", stage(0, after=["check"]), ["boxes -> check -> wipers -> boxes"]
    yield "itself", stage(1, after=["lanes"]), ["lanes -> lanes"]
    yield "looks aside", stage(1, when=[looks]), ['it looks at "boxes", but does not run after it']
    yield "looks at a ghost", stage(2, when=[{**looks, "stage": "boxed"}]), ['"boxed", which is not a stage']
    yield "no attribute", stage(2, when=[{**looks, "attribute": "wether"}]), ['did you mean "weather"?']
    yield "no choice", stage(2, when=[{**looks, "has": "raine"}]), ['"raine" is not a choice', 'did you mean "rain"?']
    yield "true is not 1", stage(2, when=[{**looks, "has": True}]), ['"True" is not a choice']
    yield "both", stage(2, when=[{**looks, "has_not": "sun"}]), ['either "has" or "has_not"']
    yield "never", stage(2, when=[looks, {"stage": "boxes", "attribute": "weather", "has_not": "rain"}]), ["never run"]
    yield "no taxonomy", stage(1, taxonomy=None), ['stage "lanes" has no "taxonomy"']
    yield "no labels", stage(1, taxonomy={"labels": []}), ['"labels" of the taxonomy']
    yield "no choices", stage(0, taxonomy={**WEATHER, "attributes": {"weather": {"choices": []}}}), ["not a choice"]
    yield "odd attributes", stage(1, taxonomy={"labels": ["a"], "attributes": ["b"]}), ['"attributes" of the taxonomy']
    yield "a member", stage(1, afters=[]), ['unknown member "afters"; did you mean "after"?']
    yield "odd after", stage(1, after="boxes"), ['"after" must be a list']
    yield "odd parameters", stage(1, parameters=1), ['"parameters" must be an object']
    yield "odd conditions", stage(1, when={}), ['"when" must be a list']
    yield "no stages", {**DRIVE, "stages": []}, ['"stages" must be a list']
    yield "a delivery", {**DRIVE, "delivery": "stages"}, ['"delivery" must be "task" or "stage"; did you mean "stage"?']
    yield "two at once", stage(1, name="boxes", taxonomy=1), ['"boxes" is given to 2', 'has no "taxonomy"']


@pytest.mark.parametrize(("blueprint", "said"), [pytest.param(*case[1:], id=case[0]) for case in wrong()])
def test_everything_wrong_with_a_blueprint_is_said_at_once(blueprint: dict[str, Any], said: list[str]) -> None:
    api = Api()
    api.world.add_project("p", "multistage")
    status, message = api.refused("POST", BLUEPRINTS, blueprint)
    assert status == 400
    for words in said:
        assert words in message
    assert api.get(BLUEPRINTS) == {"docs": []}


def test_conditions_that_exclude_each_other_over_several_stages() -> None:
    rainy = {"stage": "boxes", "attribute": "weather", "has": "rain"}
    dry = {"stage": "boxes", "attribute": "weather", "has_not": "rain"}
    colour = {"labels": ["a"], "attributes": {"colour": {"choices": ["red"]}}}
    stages = [
        {"name": "boxes", "taxonomy": WEATHER},
        {"name": "dry", "after": ["boxes"], "taxonomy": colour, "when": [dry]},
        {
            "name": "wet",
            "after": ["dry"],
            "taxonomy": colour,
            "when": [rainy, {"stage": "dry", "attribute": "colour", "has": "red"}],
        },
    ]
    api = Api()
    api.world.add_project("p", "multistage")
    assert 'stage "wet" can never run' in api.refused("POST", BLUEPRINTS, {"name": "b", "stages": stages})[1]
    stages[2]["when"] = [rainy, {"stage": "dry", "attribute": "colour", "has_not": "red"}]
    assert api.post(BLUEPRINTS, {"name": "b", "stages": stages})["active"]


def test_everything_is_there_after_a_restart(tmp_path: Path) -> None:
    api = sandbox("live_key", DRIVE, {**DRIVE, "name": "second"}, data=tmp_path / "state", annotate_after_s=10)
    api.post(f"{BLUEPRINTS}/second/activate")
    ids = [api.create("multistage", **SCENE, callback_url="http://127.0.0.1:9/x")["task_id"] for _ in range(3)]
    control(api, f"tasks/{ids[0]}", action="complete", stage="boxes", response=rain("sun"))
    api.clock.forward(10)
    paths = [BLUEPRINTS, *(f"/task/{task_id}" for task_id in ids)]
    before = [api.get(path) for path in paths]
    waiting = len(api.world.outbox.waiting)
    api.store.close()

    again = Api(data=tmp_path / "state", annotate_after_s=10, clock=api.clock)
    assert [again.get(path) for path in paths] == before
    assert len(again.world.outbox.waiting) == waiting == 6
    api.clock.forward(20)
    assert {doc["status"] for doc in again.get("/tasks")["docs"]} == {"completed"}
    assert again.post(BLUEPRINTS, {**DRIVE, "name": "third"})["version"] == 3
    again.store.close()


def test_a_rewritten_file_has_blueprints_and_stages_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "COMPACT_BYTES", 100)
    api = sandbox("live_key", DRIVE, {**DRIVE, "name": "second"}, data=tmp_path / "state", annotate_after_s=10)
    task_id = api.create("multistage", **SCENE)["task_id"]
    api.clock.forward(10)
    for _ in range(50):
        control(api, f"tasks/{task_id}", action="correct", stage="lanes")
    for name in ("second", "drive") * 10:
        api.post(f"{BLUEPRINTS}/{name}/activate")
    before = api.get(BLUEPRINTS), api.get(f"/task/{task_id}")
    api.store.close()
    size = (tmp_path / "state").stat().st_size
    for _ in range(2):
        again = Api(data=tmp_path / "state", annotate_after_s=10, clock=api.clock)
        assert (again.get(BLUEPRINTS), again.get(f"/task/{task_id}")) == before
        assert (tmp_path / "state").stat().st_size < size / 2
        again.store.close()
    again = Api(data=tmp_path / "state", annotate_after_s=10, clock=api.clock)
    api.clock.forward(20)
    assert again.get(f"/task/{task_id}")["status"] == "completed"
    again.store.close()


def test_a_whole_response_is_corrected_as_a_whole_or_by_one_stage() -> None:
    api = sandbox("live_key", whole())
    task_id = api.create("multistage", **SCENE)["task_id"]
    annotate(api.world)
    first = api.get(f"/task/{task_id}")
    api.clock.forward(1)
    second = control(api, f"tasks/{task_id}", action="correct")[1]
    assert second["stages"] == first["stages"]
    parts, others = first["response"]["stages"], second["response"]["stages"]
    assert all(parts[name] != others[name] for name in parts)
    third = control(api, f"tasks/{task_id}", action="correct", stage="lanes", response=rain())[1]
    assert third["response"]["stages"] == {**others, "lanes": rain()}
    assert third["updated_at"] >= second["updated_at"] > first["updated_at"]
    assert control(api, f"tasks/{task_id}", action="correct", response={"by": "me"})[1]["response"] == {"by": "me"}
    fourth = control(api, f"tasks/{task_id}", action="correct", stage="lanes", response={})[1]
    assert fourth["response"]["stages"] == {**others, "lanes": {}}


def test_the_page_lists_each_call_with_its_guess() -> None:
    page = (Path(__file__).parents[2] / "docs" / "sandbox.md").read_text(encoding="utf-8")
    mark = "scalesync.sandbox.scale.multistage.calls.told -->\n"
    assert page.partition(mark)[2].partition("\n\n")[0].splitlines()[2:] == told()
