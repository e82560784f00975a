import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalesync.sandbox.core.lists import index
from scalesync.sandbox.core.lists.index import Index, TouchLog, View
from scalesync.sandbox.scale.tasks.lifecycle import annotate
from tests.draws import draws

from .support import Api


def many(api: Api, number: int, **fields: Any) -> list[str]:
    return [api.create(unique_id=f"u{n}", **fields)["task_id"] for n in range(number)]


def ids(docs: list[Any]) -> list[str]:
    return [doc["task_id"] for doc in docs]


def test_the_envelope_and_the_token_are_those_of_the_sdk() -> None:
    api = Api()
    made = many(api, 3)
    page = api.get("/tasks?limit=2")
    assert ids(page["docs"]) == [made[2], made[1]]
    assert {k: page[k] for k in ("total", "limit", "offset", "has_more")} == {
        "total": 3,
        "limit": 2,
        "offset": 0,
        "has_more": True,
    }
    cursor = json.loads(base64.b64decode(page["next_token"]))
    assert cursor == {"id": made[1], "created_at": page["docs"][1]["created_at"]}
    last = api.get(f"/tasks?limit=2&next_token={page['next_token'].replace('=', '%3D')}")
    assert ids(last["docs"]) == [made[0]]
    assert not last["has_more"]
    assert "next_token" not in last


def test_ties_in_created_at_page_without_gap_or_repeat() -> None:
    api = Api()
    made = many(api, 50)
    assert ids(api.walk(limit=7)) == made[::-1]


def test_tasks_made_while_paging_are_not_seen_and_shift_nothing() -> None:
    api = Api()
    made = many(api, 10)
    page = api.get("/tasks?limit=4")
    api.create()
    rest = api.get(f"/tasks?limit=100&next_token={page['next_token']}")
    assert ids(page["docs"] + rest["docs"]) == made[::-1]
    assert rest["total"] == 11


def test_a_token_whose_task_left_the_list_still_marks_the_place() -> None:
    api = Api()
    made = many(api, 6)
    page = api.get("/tasks?limit=3&status=pending")
    api.post(f"/task/{made[3]}/cancel")
    rest = api.get(f"/tasks?status=pending&next_token={page['next_token']}")
    assert ids(rest["docs"]) == made[2::-1]


@pytest.mark.parametrize("token", ["nonsense", "e30=", base64.b64encode(b'{"id":1,"created_at":"x"}').decode()])
def test_a_broken_token_is_refused(token: str) -> None:
    assert Api().refused("GET", f"/tasks?next_token={token}") == (400, "Invalid next_token")
    assert Api(invalid_cursor="ignore").get(f"/tasks?next_token={token}")["docs"] == []


def test_tokens_and_last_pages_are_switches() -> None:
    api = Api(cursor_form="opaque", last_cursor="null")
    made = many(api, 3)
    page = api.get("/tasks?limit=2")
    assert b"created_at" not in base64.b64decode(page["next_token"])
    last = api.get(f"/tasks?limit=2&next_token={page['next_token']}")
    assert ids(last["docs"]) == made[:1]
    assert last["next_token"] is None
    assert Api(last_cursor="empty").get("/tasks")["next_token"] == ""


def test_an_empty_token_is_the_first_page() -> None:
    api = Api()
    many(api, 2)
    assert len(api.get("/tasks?next_token=&status=&type")["docs"]) == 2


@pytest.mark.parametrize("limit", ["0", "101", "-1", "x"])
def test_a_limit_out_of_range_is_refused(limit: str) -> None:
    assert Api().refused("GET", f"/tasks?limit={limit}")[0] == 400


def test_a_limit_out_of_range_can_be_clamped() -> None:
    api = Api(limit_out_of_range="clamp")
    many(api, 3)
    assert len(api.get("/tasks?limit=0")["docs"]) == 1
    assert api.get("/tasks?limit=1000")["limit"] == 100


def test_the_deprecated_offset_still_works() -> None:
    api = Api()
    made = many(api, 5)
    page = api.get("/tasks?limit=2&offset=2")
    assert ids(page["docs"]) == [made[2], made[1]]
    assert page["offset"] == 2
    assert api.get("/tasks?offset=9")["docs"] == []


def make_spread(api: Api) -> list[str]:
    made = []
    for n in range(5):
        made.append(api.create(tags=["even"] if n % 2 == 0 else ["odd", "both"])["task_id"])
        api.clock.forward(1)
    return made


@pytest.mark.parametrize(("bounds", "inside"), [("inclusive", [1, 2, 3]), ("exclusive", [2]), ("half_open", [1, 2])])
def test_bounds_of_creation(bounds: str, inside: list[int]) -> None:
    api = Api(time_bounds=bounds)
    made = make_spread(api)
    page = api.get("/tasks?start_time=2023-11-14T22:13:21.000Z&end_time=2023-11-14T22:13:23.000Z")
    assert ids(page["docs"]) == [made[n] for n in reversed(inside)]
    assert page["total"] == len(inside)


@pytest.mark.parametrize(
    "moment",
    ["2023-11-14T22:13:23", "2023-11-14 22:13:23.000000", "2023-11-14T14:13:23-08:00", "2023-11-14T22:13:22.9995"],
)
def test_forms_of_times(moment: str) -> None:
    api = Api()
    make_spread(api)
    assert api.get(f"/tasks?start_time={moment}")["total"] == 2


def test_a_date_is_its_midnight_and_nonsense_is_refused() -> None:
    api = Api()
    make_spread(api)
    assert api.get("/tasks?start_time=2023-11-14&end_time=2023-11-15")["total"] == 5
    assert api.get("/tasks?end_time=2023-11-14")["total"] == 0
    assert api.refused("GET", "/tasks?start_time=yesterday")[0] == 400
    assert api.get("/tasks?start_time=2023-11-15&end_time=2023-11-13")["docs"] == []


def test_filters_on_what_changes() -> None:
    api = Api()
    made = make_spread(api)
    api.post(f"/task/{made[0]}/cancel")
    assert annotate(api.world, 2) == 2
    assert ids(api.get("/tasks?status=completed")["docs"]) == [made[2], made[1]]
    assert api.get("/tasks?status=pending&limit=1")["total"] == 2
    assert api.get("/tasks?status=canceled")["total"] == 1
    assert ids(api.get("/tasks?completed_after=2023-11-14T22:13:25Z")["docs"]) == [made[2], made[1]]
    assert api.get("/tasks?completed_before=2023-11-14T22:13:24Z")["total"] == 0
    assert api.get("/tasks?updated_after=2023-11-14T22:13:25Z")["total"] == 3
    assert api.get("/tasks?updated_before=2023-11-14T22:13:24Z")["total"] == 2
    assert api.get("/tasks?customer_review_status=pending,accepted")["total"] == 2
    assert api.get("/tasks?customer_review_status=rejected")["total"] == 0
    assert api.refused("GET", "/tasks?status=done")[0] == 400
    assert api.refused("GET", "/tasks?customer_review_status=nice")[0] == 400


def test_tags_match_any_or_all() -> None:
    api = Api()
    make_spread(api)
    assert api.get("/tasks?tags=even&tags=both")["total"] == 5
    every = Api(tags_match="all")
    make_spread(every)
    assert every.get("/tasks?tags=odd&tags=both")["total"] == 2


def test_unique_ids_are_looked_up_whatever_else_there_is() -> None:
    api = Api()
    many(api, 5)
    page = api.get("/tasks?unique_id=u1&unique_id=u3&unique_id=none")
    assert [doc["unique_id"] for doc in page["docs"]] == ["u3", "u1"]
    assert page["total"] == 2
    assert api.get("/tasks?unique_id=u1&status=completed")["total"] == 0


def test_project_batch_and_type() -> None:
    api = Api()
    api.world.add_project("p q/r", "categorization")
    api.world.add_batch("p q/r", "b1")
    api.create(batch="b1")
    api.create(project="p q/r")
    api.create()
    assert api.get("/tasks?project=p%20q%2Fr")["total"] == 2
    assert api.get("/tasks?batch=b1&project=p+q/r")["total"] == 1
    assert api.get("/tasks?type=categorization")["total"] == 3
    assert api.get("/tasks?type=other")["total"] == 0
    assert api.get("/tasks?project=none")["docs"] == []
    assert Api(unknown_parent_in_list="error").refused("GET", "/tasks?project=none")[0] == 404


def test_unknown_query_names_are_ignored_unless_switched() -> None:
    assert Api().get("/tasks?project_name=x")["total"] == 0
    assert Api(unknown_query="error").refused("GET", "/tasks?project_name=x")[0] == 400


@pytest.mark.parametrize("true", ["True", "true"])
def test_limited_documents_and_attachment_urls(true: str) -> None:
    api = Api()
    api.create(attachment="http://a/b.png", attachment_type="image", metadata={"k": 1})
    doc = api.get(f"/tasks?limited_response={true}")["docs"][0]
    assert set(doc) == {"task_id", "status", "metadata"}
    assert api.get(f"/tasks?include_attachment_url={true}")["docs"][0]["attachment_url"].startswith("http://a/b.png?")
    for false in ("False", "false"):
        assert "attachment_url" not in api.get(f"/tasks?include_attachment_url={false}")["docs"][0]
    assert api.refused("GET", "/tasks?limited_response=yes")[0] == 400


def test_a_task_in_the_list_is_the_task_by_id() -> None:
    api = Api()
    task_id = many(api, 1)[0]
    page = api.reply("GET", "/tasks").body
    assert api.reply("GET", f"/task/{task_id}").body in page


OPERATION = st.tuples(st.sampled_from(["create", "cancel", "annotate", "tag", "remove", "wait"]), st.integers(0, 30))


@settings(max_examples=draws(40), deadline=None)
@given(st.lists(OPERATION, max_size=40), st.sampled_from([0, 256]))
def test_listings_agree_with_a_plain_scan(operations: list[tuple[str, int]], bulk: int) -> None:
    """Views follow the log; a scan of all documents says what they must hold."""
    many_before, index.MANY = index.MANY, bulk
    try:
        api = Api()
        for name, number in operations:
            tasks = list(api.world.tasks)
            task = tasks[number % len(tasks)] if tasks else None
            if name == "create":
                api.create(tags=["x"] if number % 2 else [])
            elif name == "annotate":
                annotate(api.world, number % 4)
            elif name == "wait":
                api.clock.ms += number
            elif task is not None and name == "remove":
                api.world.remove(task)
            elif task is not None and name == "cancel":
                api.call("POST", f"/task/{api.world.task_id(task)}/cancel")
            elif task is not None:
                api.call("PUT", f"/task/{api.world.task_id(task)}/tags", ["x"])
            docs = list(api.world.documents())[::-1]
            expected = {
                "&status=pending": [d for d in docs if d["status"] == "pending"],
                "&status=completed": [d for d in docs if d["status"] == "completed"],
                "&tags=x": [d for d in docs if "x" in d.get("tags", ())],
                "": docs,
            }
            for query, wanted in expected.items():
                assert api.walk(query, limit=3) == wanted
                assert api.get(f"/tasks?limit=1{query}")["total"] == len(wanted)
    finally:
        index.MANY = many_before


def test_a_view_older_than_the_log_is_rebuilt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "MAX_LOG", 8)
    base, log, view = Index(), TouchLog(), View(lambda seq: seq % 2 == 0)
    view.refresh(base, log)
    for seq in range(40):
        base.add(seq)
        log.add(seq)
    view.refresh(base, log)
    assert list(view.seqs) == list(range(0, 40, 2))
