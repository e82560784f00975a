import pytest

from scalesync.sandbox.scale.state.model import Extra
from scalesync.sandbox.scale.tasks.lifecycle import annotate

from .support import CREATE, Api


@pytest.mark.parametrize(
    "task_id", ["5c84d0fe958593004f13e5ba", "fake_id_qwertyuiop", "zz", "000000000000000000000000"]
)
def test_an_id_nobody_has_is_404(task_id: str) -> None:
    api = Api()
    api.create()
    for method, tail in (("GET", ""), ("POST", "/cancel"), ("POST", "/setMetadata"), ("DELETE", "/unique_id")):
        assert api.refused(method, f"/task/{task_id}{tail}") == (404, "Task with that ID not found.")


def test_a_stray_query_on_get_is_tolerated() -> None:
    api = Api()
    task = api.create()
    assert api.get(f"/task/{task['task_id']}?callback_url") == task


def test_cancel_is_idempotent_and_keeps_the_unique_id() -> None:
    api = Api()
    task_id = api.create(unique_id="u")["task_id"]
    api.clock.forward(1)
    first = api.post(f"/task/{task_id}/cancel", {"callback_url": None})
    assert (first["status"], first["unique_id"]) == ("canceled", "u")
    assert first["updated_at"] > first["created_at"]
    api.clock.forward(1)
    assert api.post(f"/task/{task_id}/cancel") == first
    assert api.refused("POST", "/task/categorization", {**CREATE, "unique_id": "u"})[0] == 409


def test_cancel_can_free_the_unique_id_even_afterwards() -> None:
    api = Api()
    for query in ("?clear_unique_id=true", "?clear_unique_id=false", ""):
        task_id = api.create(unique_id="u")["task_id"]
        api.post(f"/task/{task_id}/cancel{query}")
        assert "unique_id" not in api.post(f"/task/{task_id}/cancel?clear_unique_id=true")


@pytest.mark.parametrize("status", [400, 500])
def test_a_completed_task_cannot_be_canceled(status: int) -> None:
    api = Api(cancel_completed=status)
    task_id = api.create()["task_id"]
    annotate(api.world)
    error = "The task was already completed and cannot be canceled."
    assert api.refused("POST", f"/task/{task_id}/cancel") == (status, error)


def test_as_in_2019_a_completed_task_is_canceled_and_keeps_its_answer() -> None:
    api = Api("test_key", cancel_completed=200)
    task_id = api.create()["task_id"]
    canceled = api.post(f"/task/{task_id}/cancel")
    assert canceled["status"] == "canceled"
    assert {"response", "completed_at"} <= set(canceled)


def test_work_that_started_is_not_canceled_unless_switched() -> None:
    for switch, status in (("error", 400), ("cancel", 200)):
        api = Api(cancel_started=switch)
        task_id = api.create()["task_id"]
        api.world.find(task_id).extra = Extra(started=True)
        assert api.get(f"/task/{task_id}")["work_started"] is True
        assert api.call("POST", f"/task/{task_id}/cancel")[0] == status


def test_unique_ids_are_set_changed_and_cleared() -> None:
    api = Api()
    one, two = api.create(unique_id="a"), api.create()
    path = f"/task/{two['task_id']}/unique_id"
    assert api.refused("POST", path, {"unique_id": "a"})[0] == 409
    assert api.post(path, {"unique_id": "b"})["unique_id"] == "b"
    assert api.post(path, {"unique_id": "b"})["unique_id"] == "b"
    assert api.refused("POST", path, {"unique_id": ""})[0] == 400
    assert api.refused("POST", path, {})[0] == 400
    status, task = api.call("DELETE", path)
    assert (status, "unique_id" in task) == (200, False)
    assert api.call("DELETE", path)[0] == 200
    assert api.post(f"/task/{one['task_id']}/unique_id", {"unique_id": "b"})["unique_id"] == "b"
    assert api.create(unique_id="a")


def test_metadata_is_replaced() -> None:
    api = Api()
    path = f"/task/{api.create(metadata={'a': 1})['task_id']}/setMetadata"
    assert api.post(path, {"b": 2})["metadata"] == {"b": 2}
    assert api.post(path)["metadata"] == {}
    assert api.refused("POST", path, [1])[0] == 400
    assert api.refused("POST", path, {"a": "x" * 11_000})[0] == 400


def test_tags_are_set_added_and_removed() -> None:
    api = Api()
    path = f"/task/{api.create()['task_id']}/tags"
    assert api.post(path, ["b", "a", "b"])["tags"] == ["b", "a"]
    assert api.call("PUT", path, ["c", "a"])[1]["tags"] == ["b", "a", "c"]
    assert api.call("DELETE", path, ["b", "zz"])[1]["tags"] == ["a", "c"]
    assert api.call("DELETE", path, list("abcdefgh"))[1].get("tags") is None
    assert api.refused("PUT", path, list("abcdef"))[0] == 400
    assert api.refused("POST", path, {"tags": []})[0] == 400
    assert "tags" not in api.post(path)


def test_audit_of_a_completed_task() -> None:
    api = Api()
    task_id = api.create()["task_id"]
    assert api.refused("POST", f"/task/{task_id}/audit", {"accepted": True})[0] == 400
    annotate(api.world)
    before = api.get(f"/task/{task_id}")
    assert before["customer_review_status"] == "pending"
    api.clock.forward(1)
    assert api.call("POST", f"/task/{task_id}/audit", {"accepted": False, "comments": "bad"}) == (200, b"OK")
    after = api.get(f"/task/{task_id}")
    assert (after["status"], after["customer_review_status"]) == ("completed", "rejected")
    assert after["audits"][0]["comments"] == "bad"
    assert after["updated_at"] > before["updated_at"]
    assert after["completed_at"] == before["completed_at"]
    assert api.refused("POST", f"/task/{task_id}/audit", {})[0] == 400


def test_the_reply_of_an_audit_and_the_review_field_are_switches() -> None:
    api = Api("test_key", audit_reply="task", review_field=False)
    task_id = api.create()["task_id"]
    reply = api.post(f"/task/{task_id}/audit", {"accepted": True, "comments": None})
    assert reply["task_id"] == task_id
    assert "customer_review_status" not in reply


def test_send_callback_wants_an_ended_task() -> None:
    api = Api()
    task_id = api.create()["task_id"]
    assert api.refused("POST", f"/task/{task_id}/send-callback")[0] == 400
    annotate(api.world)
    assert api.post(f"/task/{task_id}/send-callback")["status"] == "completed"


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/assets"), ("POST", "/files/delete"), ("GET", "/studio"), ("PATCH", "/task/x"), ("GET", "/task")],
)
def test_what_is_not_imitated_is_404(method: str, path: str) -> None:
    assert Api().refused(method, path)[0] == 404
