"""Completion, attachment failures, recalls, lag, synthetic answers and result files."""

import gzip
import json
import zlib
from typing import Any

import pytest

from scalesync.sandbox.core.wire.messages import Reply
from scalesync.sandbox.scale.answers.results import png
from scalesync.sandbox.scale.tasks import lifecycle
from scalesync.sandbox.scale.tasks.tasktypes import TYPES

from .support import Api

BODIES: dict[str, dict[str, Any]] = {
    "annotation": {"attachment": "u", "objects_to_annotate": ["car"]},
    "imageannotation": {
        "attachment": "u",
        "geometries": {k: {"objects_to_annotate": ["car"]} for k in ("box", "polygon", "line", "point", "cuboid")},
        "annotation_attributes": {"c": {"choices": ["red"]}, "t": {"type": "text"}},
    },
    "segmentannotation": {"attachment": "u", "labels": ["road", {"choice": "sky"}]},
    "comparison": {"attachments": ["a"], "attachment_type": "text", "choices": ["x"], "fields": {"f": "F"}},
    "transcription": {
        "attachment": "u",
        "attachment_type": "image",
        "fields": {"f": "F"},
        "repeatable_fields": {"r": "R"},
    },
    "datacollection": {"attachment": "u", "attachment_type": "website", "fields": {"f": "F"}},
    "audiotranscription": {"attachment": "u"},
    "phonecall": {"phone_number": "1", "entity_name": "n", "script": "s", "choices": ["x"]},
    "documenttranscription": {"attachment": "u", "features": [{"type": "block", "label": "barcode"}]},
    "namedentityrecognition": {"text": "some words here", "labels": [{"name": "L", "description": "d"}]},
    "textcollection": {
        "attachments": [{"type": "website", "content": "u"}],
        "fields": [{"type": "category", "field_id": "q", "choices": [{"label": "no", "value": "no"}]}],
    },
    "videoannotation": {"attachments": ["a", "b"], "geometries": {"box": {"objects_to_annotate": ["car"]}}},
    "videoplaybackannotation": {"attachment": "u", "geometries": {"box": {"objects_to_annotate": ["car"]}}},
    "lidarannotation": {"attachments": ["a", "b"], "labels": ["car"]},
    "lidarsegmentation": {"attachments": ["a", "b"]},
    **{
        kind: {"attachment": "u", "objects_to_annotate": ["car"]}
        for kind in TYPES
        if kind.endswith("annotation") and kind.startswith(("polygon", "line", "point", "cuboid"))
    },
    **{
        kind: {"project": kind, "attachments": ["a"], "attachment": "a", "scene_format": "sensor_fusion"}
        for kind in ("lidartopdown", "sensorfusion", "multistage")
    },
}


def made(api: Api, kind: str) -> dict[str, Any]:
    if kind in ("lidartopdown", "sensorfusion", "multistage"):
        api.world.add_project(kind, kind)
    task: dict[str, Any] = api.create(kind, **BODIES.get(kind, {}))
    lifecycle.annotate(api.world)
    task = api.get(f"/task/{task['task_id']}")
    assert task["status"] == "completed"
    return task


def links(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [url for item in value.values() for url in links(item)]
    if isinstance(value, list):
        return [url for item in value for url in links(item)]
    return [value] if isinstance(value, str) and value.startswith("http://sandbox/results/") else []


def fetch(api: Api, url: str) -> Reply:
    kind, call = api.app.classify("GET", url.removeprefix("http://sandbox"))
    assert kind == "result"
    return api.engine.api(call, kind, None)


@pytest.mark.parametrize("kind", sorted(TYPES))
@pytest.mark.parametrize("key", ["live_key", "test_key"])
def test_each_type_is_answered_the_same_at_every_reading(kind: str, key: str) -> None:
    api = Api(key)
    task = made(api, kind)
    again = Api(key)
    assert made(again, kind) == task == api.get(f"/task/{task['task_id']}")
    assert ("response" in task) != (kind == "pointannotation" and key == "test_key")  # as recorded in 2019
    for url in links(task.get("response")):
        reply = fetch(api, url)
        assert reply.status == 200
        assert reply.body == fetch(again, url).body
        if reply.kind == "application/json":
            json.loads(reply.body)


@pytest.mark.parametrize("kind", ["videoannotation", "lidarannotation", "multistage"])
def test_big_types_point_at_files(kind: str) -> None:
    api = Api()
    response = made(api, kind)["response"]
    frames = json.loads(fetch(api, response["annotations"]["url"]).body)
    assert isinstance(frames, list)
    assert len(frames) == len(BODIES[kind]["attachments"])
    assert ("stages" in response) == (kind == "multistage")


def test_segments_are_images() -> None:
    api = Api()
    response = made(api, "segmentannotation")["response"]
    assert set(response) == {"annotations", "labelMapping", "instances"}
    reply = fetch(api, response["annotations"]["combined"]["image"])
    assert (reply.kind, reply.body[:4]) == ("image/png", b"\x89PNG")
    assert zlib.crc32(png(1, 2)) == zlib.crc32(png(1, 2))


def test_canned_answers_for_test_keys() -> None:
    api = Api("test_key")
    box = made(api, "annotation")["response"]["annotations"]
    assert box == [{"left": 0, "top": 0, "width": 100, "height": 100, "label": "car"}]
    assert made(api, "datacollection")["response"]["fields"] == {"f": "test response"}


def test_other_seeds_answer_otherwise() -> None:
    one, two = (made(Api(seed=seed), "imageannotation")["response"] for seed in (1, 2))
    assert one != two


def test_made_up_links_are_not_found() -> None:
    api = Api()
    for uuid in ("x", "00000000-0000-0000-0000-000000000000", "../tasks"):
        assert fetch(api, f"http://sandbox/results/{uuid}").status == 404


def test_links_can_end() -> None:
    api = Api(result_ttl_s=60)
    task = made(api, "lidarannotation")
    url = task["response"]["annotations"]["url"]
    assert fetch(api, url).status == 200
    assert fetch(api, url.replace("Signature=", "Signature=0")).status == 403
    assert fetch(api, url.partition("?")[0]).status == 403
    api.clock.forward(61)
    assert fetch(api, url).status == 403
    fresh = api.get(f"/task/{task['task_id']}")["response"]["annotations"]["url"]
    assert fetch(api, fresh).status == 200


def test_results_can_be_big_and_packed() -> None:
    plain, packed = Api(result_bytes=3_000_000), Api(result_bytes=3_000_000, result_gzip=True)
    bodies = []
    for api in (plain, packed):
        reply = fetch(api, made(api, "lidarannotation")["response"]["annotations"]["url"])
        assert reply.stream is not None
        body = b"".join(reply.stream)
        bodies.append(gzip.decompress(body) if reply.headers.get("Content-Encoding") == "gzip" else body)
    assert bodies[0] == bodies[1]
    assert len(bodies[0]) >= 3_000_000
    assert len(json.loads(bodies[0])) > 2


@pytest.mark.parametrize(
    ("switch", "reply", "later"),
    [("after", "pending", "completed"), ("reply", "completed", "completed"), ("never", "pending", "pending")],
)
def test_how_test_tasks_complete(switch: str, reply: str, later: str) -> None:
    api = Api("test_key", test_completion=switch)
    task = api.create()
    assert task["status"] == reply
    assert ("response" in task) == (reply == "completed")
    assert api.get(f"/task/{task['task_id']}")["status"] == later


def test_live_tasks_complete_when_due_with_that_time() -> None:
    api = Api(annotate_after_s=10)
    first = api.create()["task_id"]
    api.clock.forward(5)
    api.create()
    api.clock.forward(4.999)
    assert api.get("/tasks?status=completed")["total"] == 0
    api.clock.forward(3)
    done = api.get(f"/task/{first}")
    assert done["completed_at"] == done["updated_at"] == "2023-11-14T22:13:30.000Z"
    assert api.get("/tasks?updated_after=2023-11-14T22:13:30Z")["total"] == 1
    api.clock.forward(100)
    assert api.get("/tasks?status=completed")["total"] == 2


def test_spread_is_seeded() -> None:
    def ends(seed: int) -> list[str]:
        api = Api(annotate_after_s=10, annotate_spread_s=10, seed=seed)
        for _ in range(5):
            api.create()
        api.clock.forward(20)
        return [doc["completed_at"] for doc in api.get("/tasks")["docs"]]

    assert ends(1) == ends(1) != ends(2)
    assert len(set(ends(1))) > 1


def test_a_canceled_task_is_not_completed_by_its_timer() -> None:
    api = Api(annotate_after_s=10)
    task_id = api.create()["task_id"]
    api.post(f"/task/{task_id}/cancel")
    api.clock.forward(60)
    assert api.get(f"/task/{task_id}")["status"] == "canceled"


def test_attachments_that_cannot_be_fetched_end_in_error_after_the_200() -> None:
    api = Api(bad_attachments=r"/bad", attachment_check_s=2, attachment_status=404)
    image = {"attachment": "http://x/bad.png", "attachment_type": "image"}
    kept = api.create(**image, unique_id="kept")
    freed = api.create(**image, unique_id="freed", clear_unique_id_on_error=True)
    fine = api.create(attachment="http://x/good.png", attachment_type="image")
    text = api.create(attachment="/bad text")
    assert {t["status"] for t in (kept, freed, fine, text)} == {"pending"}
    api.clock.forward(3)
    after = api.get(f"/task/{kept['task_id']}")
    assert after["status"] == "error"
    assert after["response"] == {
        "error": "One or more attachments could not be downloaded.",
        "attachments": [{"statusCode": 404, "url": "http://x/bad.png"}],
    }
    assert after["unique_id"] == "kept"
    assert "unique_id" not in api.get(f"/task/{freed['task_id']}")
    assert api.get("/tasks?status=error")["total"] == 2
    assert api.create(unique_id="freed")
    assert api.get(f"/task/{text['task_id']}")["status"] == "pending"


def test_a_share_of_bad_attachments_is_drawn_by_url() -> None:
    def failed(seed: int) -> int:
        api = Api(bad_attachments=0.3, seed=seed)
        for n in range(100):
            api.create("lidarannotation", attachments=[f"http://x/{n}.json"], labels=["a"])
        lifecycle.annotate(api.world)
        return int(api.get("/tasks?status=error&limit=1")["total"])

    assert failed(1) == failed(1)
    assert 10 < failed(1) < 50


def test_test_keys_do_not_fetch_attachments() -> None:
    api = Api("test_key", bad_attachments=1.0)
    task_id = api.create(attachment="http://x/bad", attachment_type="image")["task_id"]
    assert api.get(f"/task/{task_id}")["status"] == "completed"


def test_recall_and_correction() -> None:
    api = Api()
    task = made(api, "imageannotation")
    stored = api.world.find(task["task_id"])
    api.clock.forward(1)
    lifecycle.recall(api.world, stored)
    pending = api.get(f"/task/{task['task_id']}")
    assert pending["status"] == "pending"
    assert not {"response", "completed_at"} & set(pending)
    api.clock.forward(1)
    lifecycle.annotate(api.world)
    again = api.get(f"/task/{task['task_id']}")
    assert again["response"] != task["response"]
    api.clock.forward(1)
    lifecycle.correct(api.world, stored)
    fixed = api.get(f"/task/{task['task_id']}")
    assert fixed["response"]["is_customer_fix"] is True
    assert fixed["customer_review_status"] == "fixed"
    assert fixed["completed_at"] == again["completed_at"]
    assert fixed["updated_at"] > again["updated_at"]


def test_a_recalled_task_gets_a_new_timer() -> None:
    api = Api(annotate_after_s=10)
    task_id = api.create()["task_id"]
    api.clock.forward(12)
    assert api.get(f"/task/{task_id}")["status"] == "completed"
    lifecycle.recall(api.world, api.world.find(task_id))
    assert api.get(f"/task/{task_id}")["status"] == "pending"
    api.clock.forward(10)
    assert api.get(f"/task/{task_id}")["status"] == "completed"


def test_the_timer_from_before_a_recall_is_void() -> None:
    api = Api(annotate_after_s=10)
    task_id = api.create()["task_id"]
    api.clock.forward(5)
    lifecycle.annotate(api.world)
    lifecycle.recall(api.world, api.world.find(task_id))
    api.clock.forward(6)
    assert api.get(f"/task/{task_id}")["status"] == "pending"
    api.clock.forward(4)
    assert api.get(f"/task/{task_id}")["status"] == "completed"


def test_lists_lag_behind_writes() -> None:
    api = Api()
    api.create(unique_id="old")
    late = api.post(
        "/task/comparison",
        {"attachments": ["a"], "attachment_type": "text", "choices": ["x"], "unique_id": "late"},
        visible_after_s=5,
    )
    api.create(unique_id="new")
    assert [d["unique_id"] for d in api.get("/tasks")["docs"]] == ["new", "old"]
    assert api.get("/tasks?unique_id=late")["total"] == api.get("/tasks?type=comparison")["total"] == 0
    assert api.get(f"/task/{late['task_id']}")["unique_id"] == "late"
    api.clock.forward(5)
    assert [d["unique_id"] for d in api.get("/tasks")["docs"]] == ["new", "late", "old"]
    assert api.get("/tasks?type=comparison")["total"] == 1
