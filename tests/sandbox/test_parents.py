"""Batches and projects."""

from typing import Any

import pytest

from scalesync.sandbox.scale.tasks.lifecycle import annotate

from .support import CREATE, Api

SDK_BATCH = {"calibration_batch": False, "self_label_batch": False, "callback": "", "metadata": {}}


def with_project(**settings: Any) -> Api:
    api = Api(settings.pop("key", "live_key"), **settings)
    api.world.add_project("p", "categorization")
    api.world.add_project("rapid", "categorization", rapid=True)
    return api


def test_a_batch_as_the_sdk_makes_it() -> None:
    api = with_project()
    batch = api.post("/batches", {"project": "p", "name": "b/1 ü", **SDK_BATCH, "metadata": {"k": 1.0}})
    assert {"project", "name", "status", "created_at", "metadata", "id", "callback"} == set(batch)
    assert (batch["status"], batch["metadata"]) == ("in_progress", {"k": 1.0})
    assert api.get("/batches/b%2F1%20%C3%BC") == batch
    assert api.refused("GET", "/batches/none")[0] == 404
    assert set(with_project(batch_extra=False).post("/batches", {"project": "p", "name": "b"})) == {
        "project",
        "name",
        "status",
        "created_at",
        "metadata",
    }


def test_batch_names_are_unique_and_projects_must_exist() -> None:
    api = with_project()
    api.post("/batches", {"project": "p", "name": "b"})
    assert api.refused("POST", "/batches", {"project": "rapid", "name": "b"})[0] == 409
    assert api.refused("POST", "/batches", {"project": "none", "name": "c"})[0] == 404
    assert api.refused("POST", "/batches", {"project": "p"})[0] == 400
    assert api.refused("POST", "/batches", {"project": "p", "name": "d", "callback": 3})[0] == 400


def test_counters_leave_zero_out_and_the_batch_completes_with_its_last_task() -> None:
    api = with_project()
    api.world.add_batch("p", "b")
    assert api.get("/batches/b/status") == {"status": "in_progress"}
    made = [api.create(batch="b")["task_id"] for _ in range(3)]
    api.post(f"/task/{made[0]}/cancel")
    assert api.get("/batches/b/status") == {"status": "in_progress", "pending": 2, "canceled": 1}
    annotate(api.world)
    assert api.get("/batches/b/status") == {"status": "completed", "completed": 2, "canceled": 1}
    assert "completed_at" in api.get("/batches/b")
    api.create(batch="b")
    assert api.get("/batches/b")["status"] == "in_progress"


@pytest.mark.parametrize("key", ["live_key", "test_key"])
def test_a_rapid_batch_waits_in_staging(key: str) -> None:
    api = with_project(key=key, annotate_after_s=10)
    batch = api.post("/batches", {"project": "rapid", "name": "b"})
    assert batch["status"] == "staging"
    task_id = api.create(batch="b")["task_id"]
    api.clock.forward(60)
    assert annotate(api.world) == 0
    assert api.get(f"/task/{task_id}")["status"] == "pending"
    final = api.post("/batches/b/finalize")
    assert final["status"] == ("completed" if key == "test_key" else "in_progress")
    api.clock.forward(10)
    assert api.get(f"/task/{task_id}")["status"] == "completed"
    assert api.refused("POST", "/batches/b/finalize")[0] == 400
    assert api.refused("POST", "/task/categorization", {**CREATE, "batch": "b"})[0] == 400


def test_late_tasks_are_a_switch() -> None:
    api = with_project(late_tasks="accept")
    api.world.add_batch("rapid", "b")
    api.post("/batches/b/finalize")
    assert api.create(batch="b")["batch"] == "b"


def test_finalizing_an_ordinary_batch_does_nothing() -> None:
    api = with_project()
    api.world.add_batch("p", "b")
    for _ in range(2):
        assert api.post("/batches/b/finalize")["status"] == "in_progress"


def test_batches_page_by_offset_newest_first() -> None:
    api = with_project()
    for n in range(7):
        api.world.add_batch("rapid" if n == 3 else "p", f"b{n}")
        api.clock.forward(1)
    page = api.get("/batches?limit=3&offset=3")
    assert [b["name"] for b in page["docs"]] == ["b3", "b2", "b1"]
    del page["docs"]
    assert page == {
        "total": 7,
        "totalDocs": 7,
        "limit": 3,
        "offset": 3,
        "has_more": True,
        "totalPages": 3,
        "hasNextPage": True,
        "nextPage": 3,
    }
    last = api.get("/batches?limit=3&offset=6")
    assert (last["has_more"], last["nextPage"]) == (False, None)
    assert api.get("/batches?status=staging")["totalDocs"] == 1
    assert api.get("/batches?project=p&exclude_archived=False")["totalDocs"] == 6
    assert api.get("/batches?start_time=2023-11-14T22:13:22&end_time=2023-11-14T22:13:23")["totalDocs"] == 2
    assert api.get("/batches?completed_after=2020-01-01")["totalDocs"] == 0
    assert api.get("/batches?project=none")["docs"] == []
    assert "tasks" in api.get("/batches?detailed=true")["docs"][0]
    for wrong in ("limit=0", "offset=-1", "status=done", "start_time=x"):
        assert api.refused("GET", f"/batches?{wrong}")[0] == 400


def test_archived_batches_can_be_left_out() -> None:
    api = with_project()
    api.world.add_batch("p", "b").archived = True
    assert api.get("/batches?exclude_archived=True")["docs"] == []
    assert len(api.get("/batches?exclude_archived=False")["docs"]) == 1


@pytest.mark.parametrize("form", ["sdk", "sail", "node"])
def test_the_envelope_of_batches_is_a_switch(form: str) -> None:
    keys = set(with_project(batch_list=form).get("/batches"))
    assert ("totalDocs" in keys, "totalPages" in keys, "total" in keys) == (
        form == "sdk",
        form == "sail",
        form == "node",
    )


def test_batch_metadata_and_priority() -> None:
    api = with_project()
    api.world.add_batch("p", "b")
    one, two = api.create(batch="b")["task_id"], api.create(batch="b")["task_id"]
    api.post(f"/task/{one}/cancel")
    assert api.post("/batches/b/setMetadata", {"x": 1})["metadata"] == {"x": 1}
    api.post("/batches/b/prioritize", {"priority": 30})
    assert [api.get(f"/task/{t}")["priority"] for t in (one, two)] == [0, 30]
    assert api.refused("POST", "/batches/b/prioritize", {"priority": 7})[0] == 400


def test_a_project_as_the_sdk_makes_it() -> None:
    api = Api()
    body = {
        "type": "imageannotation",
        "name": "p",
        "params": {"instruction": "x", "n": 1},
        "rapid": False,
        "studio": False,
        "datasetId": None,
    }
    project = api.post("/projects", body)
    assert set(project) == {"type", "name", "param_history", "created_at"}
    assert project["param_history"] == [{"instruction": "x", "n": 1, "version": 0, "created_at": project["created_at"]}]
    assert api.refused("POST", "/projects", body)[0] == 409
    assert api.refused("GET", "/projects/none")[0] == 404
    assert api.get("/projects") == [project] == api.get("/projects?archived=false")
    assert api.get("/projects?archived=true") == []
    assert api.get("/projects", key="test_key") == []


@pytest.mark.parametrize(
    "body",
    [
        {"name": "p"},
        {"type": "x", "name": "p"},
        {"type": "annotation"},
        {"type": "annotation", "name": "p", "params": 3},
        {"type": "annotation", "name": "p", "pipeline": "x"},
    ],
)
def test_a_wrong_project_is_refused(body: dict[str, Any]) -> None:
    assert Api().refused("POST", "/projects", body)[0] == 400


def test_set_params_appends_a_version_and_patch_merges() -> None:
    api = Api()
    assert api.post("/projects", {"type": "annotation", "name": "p"})["param_history"] == []
    api.post("/projects/p/setParams", {"a": 1, "b": 1})
    api.post("/projects/p/setParams", {"b": 2, "patch": True})
    history = api.post("/projects/p/setParams", {"c": 3})["param_history"]
    plain = [{k: v for k, v in entry.items() if k != "created_at"} for entry in history]
    assert plain == [{"a": 1, "b": 1, "version": 0}, {"a": 1, "b": 2, "version": 1}, {"c": 3, "version": 2}]


def test_ontologies_are_unique_and_templates_are_missing() -> None:
    api = with_project()
    nested = [{"choice": "a", "subchoices": ["b"]}, "c"]
    assert api.post("/projects/p/setOntology", {"ontology": nested})["name"] == "p"
    assert api.refused("POST", "/projects/p/setOntology", {"ontology": [*nested, "b"]})[0] == 400
    assert api.refused("POST", "/projects/p/setOntology", {})[0] == 400
    assert api.refused("GET", "/projects/p/taskTemplates")[0] == 404
