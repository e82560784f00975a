import json
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scaleapi.tasks import TaskType

from scalesync.sandbox.core.wire.times import system_ms
from scalesync.sandbox.scale.tasks.lifecycle import annotate
from scalesync.sandbox.scale.tasks.tasktypes import ARRAYS, OBJECT_FIELDS, TYPES
from tests.draws import draws

from .support import CREATE, Api


def test_a_new_task_is_pending_and_echoes_its_inputs() -> None:
    api = Api()
    task = api.create(metadata={"a": 1}, callback_url="http://x/cb", tags=["t"], priority=20, unique_id="u")
    assert task["status"] == "pending"
    assert task["params"] == {**CREATE, "allow_multiple": False}
    assert task["created_at"] == task["updated_at"] == "2023-11-14T22:13:20.000Z"
    assert len(task["task_id"]) == 24
    assert (task["metadata"], task["tags"], task["priority"], task["unique_id"]) == ({"a": 1}, ["t"], 20, "u")
    assert task["is_test"] is False
    assert "response" not in task
    assert "completed_at" not in task


def test_what_was_not_set_is_absent_or_a_default() -> None:
    task = Api().create()
    assert task["metadata"] == {}
    assert task["priority"] == 0
    assert task["urgency"] == "standard"
    assert not {"unique_id", "tags", "project", "batch", "callback_url"} & set(task)


def test_numbers_key_order_and_escapes_come_back_as_sent() -> None:
    params = '"z": 10.0, "a": 123456789012345678901234567890, "m": {"y": 1e2,"x": "\\ud800 \\u00e9"}'
    start, end = '{"attachment": "t", "attachment_type": "text", "categories": ["a"], ', ', "metadata": {"k": 1.50}}'
    body = start + params + end
    api = Api()
    reply = api.reply("POST", "/task/categorization", body.encode()).body
    assert b'"z":10.0,"a":123456789012345678901234567890,"m":{"y": 1e2,"x": "\\ud800 \\u00e9"}' in reply
    assert b'"metadata":{"k": 1.50}' in reply
    task_id = json.loads(reply)["task_id"]
    assert api.reply("GET", f"/task/{task_id}").body == api.reply("GET", f"/task/{task_id}").body == reply


@pytest.mark.parametrize("unique_id", ["u1", "s3://b/f (602c399c6d092c00115aa3c9).png", "ключ", "a&b=c#%"])
def test_a_unique_id_in_use_is_answered_409_with_the_other_task(unique_id: str) -> None:
    api = Api()
    first = api.create(unique_id=unique_id)
    status, error = api.refused(
        "POST",
        "/task/comparison",
        {"attachments": ["a"], "attachment_type": "text", "choices": ["x"], "unique_id": unique_id},
    )
    assert status == 409
    assert error == f'The unique_id ("{unique_id}") is already used for a different task ({first["task_id"]}).'


def test_live_and_test_keys_are_two_worlds() -> None:
    api = Api()
    api.create(unique_id="same")
    assert api.post("/task/categorization", {**CREATE, "unique_id": "same"}, key="test_key")["is_test"] is True
    assert api.get("/tasks")["total"] == api.get("/tasks", key="x|y|test")["total"] == 1


def test_an_idempotency_key_used_before_creates_nothing() -> None:
    api = Api()
    api.post("/task/categorization", CREATE, idempotency_key="k")
    status, error = api.refused("POST", "/task/categorization", CREATE, idempotency_key="k")
    assert (status, api.world.count()) == (409, 1)
    assert "idempotency key" in error


@pytest.mark.parametrize(
    ("kind", "body", "error"),
    [
        ("categorization", {}, "Please include an attachment or attachments parameter."),
        ("imageannotation", {}, 'Parameter is invalid, reason: "attachment" is required'),
        ("imageannotation", {"attachment": "u"}, 'Parameter is invalid, reason: "geometries" is required'),
        ("lidarannotation", {"labels": ["a"]}, 'Parameter is invalid, reason: "attachments" is required'),
        ("namedentityrecognition", {"text": "x"}, 'Parameter is invalid, reason: "labels" is required'),
        (
            "sensorfusion",
            {"attachments": ["x"], "scene_format": "s"},
            'Parameter is invalid, reason: "project" is required',
        ),
        (
            "datacollection",
            {"attachment": "x", "attachment_type": "pdf", "fields": {"a": "b"}},
            "Invalid attachment_type - please choose one of these: image text website",
        ),
        (
            "categorization",
            {**CREATE, "categories": "a"},
            'Parameter is invalid, reason: "categories" must be an array',
        ),
        ("categorization", {**CREATE, "attachment": 3}, 'Parameter is invalid, reason: "attachment" must be a string'),
        ("categorization", {**CREATE, "metadata": []}, 'Parameter is invalid, reason: "metadata" must be an object'),
        (
            "categorization",
            {**CREATE, "metadata": {"a": "x" * 10240}},
            'Parameter is invalid, reason: "metadata" must not be larger than 10 KB',
        ),
        (
            "categorization",
            {**CREATE, "tags": list("abcdef")},
            'Parameter is invalid, reason: "tags" must contain less than or equal to 5 items',
        ),
        ("categorization", {**CREATE, "tags": [1]}, 'Parameter is invalid, reason: "tags" must be an array of strings'),
        (
            "categorization",
            {**CREATE, "priority": 15},
            'Parameter is invalid, reason: "priority" must be one of [10, 20, 30]',
        ),
        (
            "categorization",
            {**CREATE, "unique_id": ""},
            'Parameter is invalid, reason: "unique_id" is not allowed to be empty',
        ),
        ("categorization", {**CREATE, "unique_id": 7}, 'Parameter is invalid, reason: "unique_id" must be a string'),
        ("nosuchtype", {}, 'Parameter is invalid, reason: task type "nosuchtype" is unknown'),
    ],
)
def test_what_is_wrong_is_reported_in_a_400(kind: str, body: dict, error: str) -> None:
    api = Api()
    assert api.refused("POST", f"/task/{kind}", body) == (400, error)
    assert api.world.count() == 0


@pytest.mark.parametrize("body", [b"[]", b"{", b'"x"', b'{"a": "\xff"}', b"a=b"])
def test_a_body_that_is_no_json_object_is_refused(body: bytes) -> None:
    assert Api().refused("POST", "/task/categorization", body)[0] == 400


def test_unknown_types_are_open_strings_when_switched_on() -> None:
    assert Api(open_types=True).create("brandnew", attachment="x")["type"] == "brandnew"


def test_the_old_path_of_categorization_still_works() -> None:
    assert Api().post("/task/categorize", CREATE)["type"] == "categorization"


def test_every_type_of_the_sdk_is_known() -> None:
    assert {kind.value for kind in TaskType} <= set(TYPES)


@pytest.mark.parametrize("status", [404, 400])
def test_an_unknown_project_or_batch_is_refused(status: int) -> None:
    api = Api(unknown_parent_status=status)
    assert api.refused("POST", "/task/categorization", {**CREATE, "project": "p"})[0] == status
    assert api.refused("POST", "/task/categorization", {**CREATE, "batch": "b"})[0] == status


def test_a_batch_brings_its_project() -> None:
    api = Api()
    api.world.add_project("p", "categorization")
    api.world.add_project("q", "categorization")
    api.world.add_batch("p", "b")
    task = api.create(batch="b")
    assert (task["project"], task["batch"]) == ("p", "b")
    assert len(task["projectId"]) == 24
    assert api.refused("POST", "/task/categorization", {**CREATE, "batch": "b", "project": "q"})[0] == 400
    lenient = Api(batch_project_conflict="batch")
    for name in "pq":
        lenient.world.add_project(name, "categorization")
    lenient.world.add_batch("p", "b")
    assert lenient.create(batch="b", project="q")["project"] == "p"


def test_the_type_must_be_the_projects() -> None:
    api = Api()
    api.world.add_project("p", "imageannotation")
    status, error = api.refused("POST", "/task/categorization", {**CREATE, "project": "p"})
    assert status == 400
    assert "does not match" in error


def test_project_params_are_inherited_and_its_instruction_is_appended() -> None:
    api = Api()
    api.world.add_project("p", "categorization", {"instruction": 'Be "exact"', "categories": ["x"], "extra": 1.0})
    body = {"attachment": "t", "attachment_type": "text", "project": "p"}
    task = api.post("/task/categorization", {**body, "instruction": "Look"})
    assert task["instruction"] == 'Look\n\nBe "exact"'
    assert task["params"]["categories"] == ["x"]
    assert task["params"]["extra"] == 1.0
    assert task["project_param_version"] == 0
    own = api.post("/task/categorization", {**body, "categories": ["y"]})
    assert (own["instruction"], own["params"]["categories"]) == ('Be "exact"', ["y"])


def test_a_chosen_version_of_the_params_counts() -> None:
    api = Api()
    api.world.add_project("p", "categorization", {"categories": ["old"]})
    api.post("/projects/p/setParams", {"categories": ["new"]})
    body = {"attachment": "t", "attachment_type": "text", "project": "p"}
    made = [api.post("/task/categorization", {**body, "project_version": v}) for v in (0, 1)]
    assert [task["params"]["categories"] for task in made] == [["old"], ["new"]]
    assert [task["project_param_version"] for task in made] == [0, 1]
    assert api.refused("POST", "/task/categorization", {**body, "project_version": -1})[1].endswith("is required")
    assert api.refused("POST", "/task/categorization", {**body, "project_version": 2})[0] == 400


def test_the_separator_of_instructions_is_a_switch() -> None:
    api = Api(instruction_separator=" | ")
    api.world.add_project("p", "categorization", {"instruction": "B"})
    assert api.create(project="p", instruction="A")["instruction"] == "A | B"


def test_ids_rise_and_creation_times_never_fall() -> None:
    api = Api()
    made = []
    for step in (0, 0, 5, -3, 0):
        api.clock.ms += step
        made.append(api.create())
    assert [t["task_id"] for t in made] == sorted({t["task_id"] for t in made})
    assert [t["created_at"] for t in made] == sorted(t["created_at"] for t in made)


def test_the_same_seed_gives_the_same_ids() -> None:
    assert Api(seed=5).create()["task_id"] == Api(seed=5).create()["task_id"] != Api(seed=6).create()["task_id"]


SCALAR = st.none() | st.booleans() | st.integers() | st.text(max_size=3)
ANY = st.recursive(SCALAR, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner))
NAMES = sorted(ARRAYS | OBJECT_FIELDS | {"fields", "repeatable_fields", "category_ids", "text", "attachment"})


@settings(max_examples=draws(150), deadline=None)
@given(st.sampled_from(sorted(TYPES)), st.dictionaries(st.sampled_from(NAMES), ANY), st.booleans())
def test_params_of_any_shape_are_refused_or_answered(kind: str, params: dict, shared: bool) -> None:
    """Whatever is accepted must be readable for ever after, also what comes from the project unchecked."""
    api = Api(bad_attachments=0.1)
    api.world.add_project("p", kind, {"attachment_type": "text", "scene_format": "s", **params} if shared else {})
    body = {"project": "p", "attachment_type": "image", "scene_format": "s", **params}
    status, task = api.call("POST", f"/task/{kind}", {"project": "p"} if shared else body)
    assert status in (200, 400)
    if status == 200:
        annotate(api.world)
        read = api.get(f"/task/{task['task_id']}")
        assert read["status"] in ("completed", "error")
        assert api.get("/tasks?include_attachment_url=True")["docs"][0]["task_id"] == read["task_id"]


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        ("categorization", {"attachment": "t", "attachment_type": "text", "categories": {"a": 1}}),
        (
            "imageannotation",
            {"attachment": "u", "geometries": {"box": {}}, "annotation_attributes": {"x": {"choices": 5}}},
        ),
        ("imageannotation", {"attachment": "u", "geometries": [1]}),
        ("textcollection", {"attachments": ["a"], "fields": [{"field_id": 1, "choices": 7}]}),
        ("documenttranscription", {"attachment": "u", "features": 4}),
        ("lidarannotation", {"attachments": ["a"], "labels": 3, "geometries": "x"}),
    ],
)
def test_odd_params_of_a_project_are_answered_all_the_same(kind: str, params: dict) -> None:
    api = Api()
    api.world.add_project("p", kind, params)
    task_id = api.post(f"/task/{kind}", {"project": "p"})["task_id"]
    annotate(api.world)
    assert "annotations" in api.get(f"/task/{task_id}")["response"]


def test_deep_nesting_is_refused_or_answered() -> None:
    api = Api()
    deep = b"[" * 50_000 + b"]" * 50_000
    body = b'{"attachment":"t","attachment_type":"text","categories":["a"],"deep":' + deep + b"}"
    assert api.reply("POST", "/task/categorization", body).status == 400


def test_a_task_costs_little_memory() -> None:
    """A million tasks of this size must stay far under 2 GB."""
    api = Api(clock=system_ms)
    number = 4000
    tracemalloc.start()
    try:
        for n in range(number):
            url = f"https://bucket.s3.amazonaws.com/{n:0100d}.png"
            api.create(unique_id=f"unique-{n}", attachment=url, metadata={"row": n, "file": "catalogue.jsonl"})
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert used / number < 1500
