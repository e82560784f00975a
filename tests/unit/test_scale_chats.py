"""Chats of version 2: bodies, comparisons, and look-ups by a list that all who ask share."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast
from urllib.parse import unquote

import anyio
import pytest
from anyio.lowlevel import checkpoint
from multidict import CIMultiDict, CIMultiDictProxy

from scalesync.errors import OutcomeUnknown, Refused, RemoteError, Throttled, Unavailable
from scalesync.http.transport import Reply, Transport
from scalesync.model.outcomes import Match, OutcomeKind, Presence
from scalesync.model.records import JsonObject, Outgoing
from scalesync.model.targets import RequestClass
from scalesync.platforms.scale.v2 import listing
from scalesync.platforms.scale.v2.adapter import ScaleChatPlatform
from scalesync.platforms.scale.v2.documents import read_chat
from scalesync.platforms.scale.v2.listing import MAX_IDLE_PAGES
from scalesync.platforms.scale.v2.shaper import ChatShaper

PROJECT = "letters"
ROOT = "https://api.example"
HEADERS = CIMultiDictProxy(CIMultiDict[str]())


def chat(number: int, key: str | None = None, **more: Any) -> JsonObject:
    """A task as a list with names shows it. number: its age, and part of its id."""
    metadata = {} if key is None else {"scalesync_id": key}
    batch = more.pop("batch", "pilot")
    return {
        "task_id": f"t{number}",
        "project": {"id": "p1", "name": PROJECT},
        **({} if batch is None else {"batch": {"id": "b1", "name": batch}}),
        "status": "pending",
        "created_at": f"2026-11-01T00:00:{number:02}.000Z",
        "metadata": metadata,
        "threads": [],
        **more,
    }


class Server:
    """Version 2 with these tasks, `size` on a page, newest first. asked: the queries; held: answers wait for it."""

    base_url = f"{ROOT}/v2"

    def __init__(self, tasks: Sequence[JsonObject] = (), size: int = 2) -> None:
        self.tasks = list(tasks)
        self.size = size
        self.asked: list[dict[str, str]] = []
        self.sent: list[tuple[str, Any]] = []
        self.held: anyio.Event | None = None
        self.refuse_cancel = False
        self.filters = True

    async def call(
        self,
        kind: RequestClass,
        method: str,
        path: str,
        *,
        query: Sequence[tuple[str, str]] = (),
        body: bytes | None = None,
        root: str | None = None,
    ) -> Reply:
        if method == "POST":
            return self._post(path, body, root)
        if path == "/task":
            return self._reply(next((one for one in self.tasks if one["task_id"] == dict(query)["task_id"]), None))
        assert (kind, path) == (RequestClass.LIST, "/tasks")
        assert [value for name, value in query if name == "expand"] == ["project", "batch"]
        asked = {name: value for name, value in query if name != "expand"}
        self.asked.append(asked)
        found = [one for one in self.tasks if self._fits(one, asked)]
        if self.held is not None:
            await self.held.wait()
        await checkpoint()
        start = int(asked.get("next_token", 0))
        page: JsonObject = {"tasks": found[::-1][start : start + self.size]}
        if start + self.size < len(found):
            page["next_token"] = str(start + self.size)
        return self._reply(page)

    def _fits(self, one: JsonObject, asked: Mapping[str, str]) -> bool:
        if not self.filters:
            return True
        return asked.get("batch_name") in {None, one.get("batch", {"name": None})["name"]}

    def _post(self, path: str, body: bytes | None, root: str | None) -> Reply:
        value = None if body is None else json.loads(body)
        self.sent.append((f"{root or self.base_url}{path}", value))
        if path == "/task/metadata":
            (one,) = [one for one in self.tasks if one["task_id"] == value["task_id"]]
            assert value["merge"] is False
            one["metadata"] = value["metadata"]
        if path.endswith("/cancel"):
            if self.refuse_cancel:
                return Reply(400, HEADERS, b'{"status_code":400,"error":"Work on the task has already started"}')
            (one,) = [one for one in self.tasks if one["task_id"] == unquote(path.split("/")[2])]
            one["status"] = "canceled"
        return self._reply({})

    @staticmethod
    def _reply(value: JsonObject | None) -> Reply:
        return Reply(404 if value is None else 200, HEADERS, json.dumps(value or {"error": "not found"}).encode())

    def hide(self, text: str) -> str:
        return text


def creator_of(server: Server, **extras: float) -> Any:
    return ScaleChatPlatform(cast(Transport, server), "chat", PROJECT, extras).creator


def record(key: str = "k", **fields: Any) -> Outgoing:
    body = ChatShaper().shape(dict(fields), key=key, project=PROJECT, batch="pilot")
    return Outgoing(key, b"", json.dumps(body).encode(), 1, 1, PROJECT, "pilot")


# --- bodies ----------------------------------------------------------------------------------------


def test_a_body_names_project_and_batch_and_ends_with_the_key():
    fields = {"project": "x", "batch": "y", "unique_id": "z", "metadata": {"a": 1}, "template_variables": {"b": "c"}}
    body = ChatShaper().shape(dict(fields), key="k", project=PROJECT, batch="pilot")
    assert body == {
        "template_variables": {"b": "c"},
        "project_name": PROJECT,
        "batch_name": "pilot",
        "metadata": {"a": 1, "scalesync_id": "k"},
    }
    again = ChatShaper().rekey(json.dumps(body, separators=(",", ":")).encode(), "k", 'new "one"')
    assert json.loads(again) == {**body, "metadata": {"a": 1, "scalesync_id": 'new "one"'}}
    assert "batch_name" not in ChatShaper().shape({}, key="k", project=PROJECT, batch=None)


@pytest.mark.parametrize(("metadata", "words"), [([], "not an object"), ({"scalesync_id": "other"}, "as unique_id")])
def test_metadata_without_room_for_the_key_are_refused(metadata: Any, words: str):
    with pytest.raises(ValueError, match=words):
        ChatShaper().shape({"metadata": metadata}, key="k", project=None, batch=None)
    assert ChatShaper().shape({"metadata": {"scalesync_id": "k"}}, key="k", project=None, batch=None)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"project_id": "p9"}, "names its project by the name, as project"),
        ({"batch_id": "b9"}, "names its batch by the name, as batch"),
        ({"project_name": "others"}, "its project is letters; a record names another one as project"),
        ({"batch_name": "later"}, "its batch is pilot; a record names another one as batch"),
    ],
)
def test_a_record_that_names_another_place_in_the_words_of_the_wire_is_refused(fields: JsonObject, words: str):
    """Look-ups list the place that the job knows, so a task elsewhere would never be found again."""
    with pytest.raises(ValueError, match=words):
        ChatShaper().shape(fields, key="k", project=PROJECT, batch="pilot")
    same = {"project_name": PROJECT, "batch_name": "pilot", "project_id": None, "batch_id": None}
    assert ChatShaper().shape(same, key="k", project=PROJECT, batch="pilot") == {
        "project_name": PROJECT,
        "batch_name": "pilot",
        "metadata": {"scalesync_id": "k"},
    }


# --- comparisons -----------------------------------------------------------------------------------


def test_metadata_project_and_batch_are_compared_and_what_a_task_does_not_show_is_not():
    compare = creator_of(Server()).compare
    ours = record(metadata={"a": 1.0}, template_variables={"b": "c"}, callback_url="https://c.example")
    same = compare(ours, chat(1, metadata={"more": 1, "a": 1, "scalesync_id": "k"}))
    assert (same.match, same.not_comparable) == (Match.EQUAL, {"template_variables", "callback_url"})
    theirs = {
        "metadata": {"a": 2, "scalesync_id": "k"},
        "project": {"id": "p2", "name": "others"},
        "template_variables": {"b": "d"},
    }
    other = compare(ours, chat(1, **theirs, batch="second"))
    assert other.match is Match.DIFFERENT
    assert set(other.differences) == {"metadata", "project", "batch", "template_variables"}
    ids = compare(ours, chat(1) | {"project": "p1", "batch": "b1", "metadata": {"a": 1, "scalesync_id": "k"}})
    assert (ids.match, ids.not_comparable) == (Match.EQUAL, {*same.not_comparable, "project", "batch"})


def test_a_task_that_nobody_works_on_is_dead_and_says_why():
    errors = [{"type": "LANGUAGE_MISMATCH", "message": "French"}, {"type": "INVALID_CATEGORY"}]
    compare = creator_of(Server()).compare
    failed = compare(record(), chat(1, "k", status="error", errors=errors))
    assert failed.match is Match.DEAD
    assert failed.error is not None
    assert failed.error.words == "LANGUAGE_MISMATCH: French; INVALID_CATEGORY"
    for status in ("canceled", "deleted"):
        assert compare(record(), chat(1, "k", status=status)).match is Match.DEAD


async def test_what_a_reply_shows_otherwise_than_it_was_sent_is_learned():
    class Rewriting(Server):
        def _post(self, path: str, body: bytes | None, root: str | None) -> Reply:
            assert body is not None
            return self._reply(chat(1, template_variables={"b": "C"}) | {"metadata": json.loads(body)["metadata"]})

    creator = creator_of(Rewriting())
    ours = record(template_variables={"b": "c"})
    (outcome,) = await creator.send([ours])
    assert (outcome.kind, outcome.ref, creator.learned) == (OutcomeKind.CREATED, "t1", {"template_variables"})
    assert creator.compare(ours, chat(1, "k", template_variables={"b": "C"})).match is Match.EQUAL


async def test_a_reply_with_another_key_or_without_a_task_says_nothing():
    class Odd(Server):
        answer: JsonObject | None = None

        def _post(self, path: str, body: bytes | None, root: str | None) -> Reply:
            return self._reply(self.answer)

    server = Odd()
    for answer in (chat(1, "another"), {"status": "pending"}, {"task_id": 7}):
        server.answer = answer
        (outcome,) = await creator_of(server).send([record()])
        assert outcome.kind is OutcomeKind.UNKNOWN, answer


# --- look-ups --------------------------------------------------------------------------------------


async def test_the_first_look_up_lists_the_project_and_later_ones_the_batch_to_its_end():
    server = Server([chat(n, f"k{n}") for n in range(5)] + [chat(9, "k9", batch="second")])
    creator = creator_of(server)
    found = await creator.look_up(["k0", "k4", "k9", "no"], {"pilot"})
    assert [found[key].presence for key in ("k0", "k4", "k9")] == [Presence.FOUND] * 3
    assert found["no"].presence is Presence.ABSENT
    query = {"project_name": PROJECT, "limit": "100"}
    assert server.asked == [query, {**query, "next_token": "2"}, {**query, "next_token": "4"}]
    server.asked.clear()
    server.tasks.append(chat(10, "no"))
    assert (await creator.look_up(["k0", "no"], {"pilot"}))["no"].presence is Presence.FOUND
    query |= {"batch_name": "pilot"}
    assert server.asked == [query, {**query, "next_token": "2"}, {**query, "next_token": "4"}]


@pytest.mark.parametrize("unsent", [False, True])
async def test_a_task_in_another_batch_is_found_again_in_that_batch_and_a_key_in_several_in_the_project(unsent: bool):
    server = Server([chat(1, "a"), chat(2, "b", batch="second"), chat(3, "c", batch=None)], size=100)
    creator = creator_of(server)
    await creator.look_up(["x"], {"pilot"}, unsent=unsent)
    server.asked.clear()
    found = await creator.look_up(["b", "x"], {"pilot"}, unsent=unsent)
    assert (found["b"].presence, found["x"].presence) == (Presence.FOUND, Presence.ABSENT)
    assert [asked["batch_name"] for asked in server.asked] == (["second"] if unsent else ["pilot", "second"])
    server.asked.clear()
    assert (await creator.look_up(["c"], {"pilot"}, unsent=unsent))["c"].presence is Presence.FOUND
    assert [asked.get("batch_name") for asked in server.asked] == [None]
    server.tasks.append(chat(4, "b", batch="pilot"))
    creator = creator_of(server)
    for _ in range(2):
        assert (await creator.look_up(["b"], {"pilot"}, unsent=unsent))["b"].others == ("t4",)


@pytest.mark.parametrize("shown", [None, "the id of a batch"])
async def test_a_list_that_shows_no_name_of_a_batch_is_believed(shown: str | None):
    server = Server([chat(1, "k") | {"batch": shown}])
    server.filters = False
    creator = creator_of(server)
    for _ in range(2):
        found = await creator.look_up(["k", "no"], {"pilot"})
        assert (found["k"].presence, found["no"].presence) == (Presence.FOUND, Presence.ABSENT)


async def test_without_batches_the_project_is_listed_and_with_several_each_of_them():
    server = Server([chat(1, "a"), chat(2, "b", batch="second"), chat(3, "c", batch=None)], size=100)
    creator = creator_of(server)
    everywhere = await creator.look_up(["a", "b", "c"])
    assert {one.presence for one in everywhere.values()} == {Presence.FOUND}
    assert [asked.get("batch_name") for asked in server.asked] == [None]
    both = await creator.look_up(["a", "b"], {"pilot", "second"})
    assert [both[key].presence for key in "ab"] == [Presence.FOUND, Presence.FOUND]
    assert sorted(asked["batch_name"] for asked in server.asked[1:]) == ["pilot", "second"]


async def test_the_first_of_several_tasks_is_shown_and_the_others_are_named():
    server = Server([chat(3, "k"), chat(1, "k"), chat(2, "k"), chat(4, "k", batch="second")])
    creator = creator_of(server)
    for batches in (["pilot"], ["pilot"], ["pilot", "second"], None):
        found = (await creator.look_up(["k"], batches))["k"]
        assert found.view is not None
        assert (found.view.ref, sorted(found.others)) == ("t1", ["t2", "t3", "t4"])


async def test_a_list_of_another_batch_or_without_an_end_proves_nothing():
    server = Server([chat(n, f"k{n}", batch="second") for n in range(3)])
    server.filters = False
    creator = creator_of(server)
    assert (await creator.look_up(["no"], {"pilot"}))["no"].presence is Presence.ABSENT, "all of the project"
    found = await creator.look_up(["other", "no"], {"pilot"})
    assert {one.presence for one in found.values()} == {Presence.UNKNOWN}

    class Circle(Server):
        async def call(self, *args: Any, **more: Any) -> Reply:
            self.asked.append({})
            return self._reply({"tasks": [chat(1, "k1")], "next_token": "again"})

    circle = Circle()
    found = await creator_of(circle).look_up(["k1", "no"], {"pilot"})
    assert [found[key].presence for key in ("k1", "no")] == [Presence.FOUND, Presence.UNKNOWN]
    assert len(circle.asked) == MAX_IDLE_PAGES + 1


async def test_who_asks_while_a_list_is_under_way_shares_the_next_one():
    """A list says nothing about what happened after it began, so nobody joins it."""
    server = Server([chat(1, "early")], size=100)
    server.held = anyio.Event()
    creator = creator_of(server)
    found: dict[str, Presence] = {}

    async def ask(key: str) -> None:
        found[key] = (await creator.look_up([key], {"pilot"}))[key].presence

    async with anyio.create_task_group() as group:
        group.start_soon(ask, "early")
        await anyio.wait_all_tasks_blocked()
        assert len(server.asked) == 1
        server.tasks.append(chat(2, "late"))
        for key in ("late", "no", "never"):
            group.start_soon(ask, key)
        await anyio.wait_all_tasks_blocked()
        server.held.set()
    assert len(server.asked) == 2, "one list for all three"
    assert found == {
        "early": Presence.FOUND,
        "late": Presence.FOUND,
        "no": Presence.ABSENT,
        "never": Presence.ABSENT,
    }


async def test_who_asks_at_the_same_moment_shares_one_list():
    server = Server([chat(n, f"k{n}") for n in range(5)], size=100)
    creator = creator_of(server)
    async with anyio.create_task_group() as group:
        for number in range(5):
            group.start_soon(lambda n: creator.look_up([f"k{n}"], {"pilot"}), number)
    assert [asked.get("batch_name") for asked in server.asked] == [None, "pilot"], "the first alone lists the project"


async def test_keys_that_were_never_sent_cost_one_list_in_all():
    server = Server([chat(1, "k1")], size=100)
    creator = creator_of(server)
    async with anyio.create_task_group() as group:
        for number in range(5):
            group.start_soon(lambda n: creator.look_up([f"n{n}"], {"pilot"}, unsent=True), number)
    assert len(server.asked) == 1
    server.tasks.append(chat(2, "n1"))
    absent = await creator.look_up(["n1"], {"pilot"}, unsent=True)
    assert (absent["n1"].presence, len(server.asked)) == (Presence.ABSENT, 1)
    assert (await creator.look_up(["n1"], {"pilot"}))["n1"].presence is Presence.FOUND, "one that was sent is listed"
    met = await creator.look_up(["k1", "n2"], {"pilot"}, unsent=True)
    assert (met["k1"].presence, met["n2"].presence, len(server.asked)) == (Presence.FOUND, Presence.ABSENT, 3)


async def test_a_list_that_fails_or_is_broken_off_fails_for_all_who_wait_and_for_no_one_later():
    class Failing(Server):
        fails = True

        async def call(self, *args: Any, **more: Any) -> Reply:
            if self.fails:
                await checkpoint()
                raise OutcomeUnknown("nothing came", op="list")
            return await super().call(*args, **more)

    server = Failing([chat(1, "k")])
    creator = creator_of(server)
    for unsent in (False, True):
        with pytest.raises(OutcomeUnknown):
            await creator.look_up(["k"], {"pilot"}, unsent=unsent)
    server.fails = False
    server.held = anyio.Event()
    with anyio.move_on_after(0.01):
        await creator.look_up(["k"], {"pilot"})
    server.held.set()
    assert (await creator.look_up(["k"], {"pilot"}))["k"].presence is Presence.FOUND


@pytest.mark.parametrize("error", [Throttled, Unavailable, OutcomeUnknown])
async def test_a_fault_in_the_middle_of_a_list_costs_one_page(
    error: type[RemoteError], monkeypatch: pytest.MonkeyPatch
):
    """Each page but the first fails three times; a list that began again each time would never end."""
    monkeypatch.setattr(listing, "PAGE_WAITS_S", (0.0,) * 3)

    class Failing(Server):
        fails = 3
        calls = 0

        async def call(self, *args: Any, query: Sequence[tuple[str, str]] = (), **more: Any) -> Reply:
            self.calls += 1
            if "next_token" in dict(query) and self.calls % (self.fails + 1) != 1:
                raise error("nothing came", op="list")
            return await super().call(*args, query=query, **more)

    server = Failing([chat(number, f"k{number}") for number in range(40)])
    found = await creator_of(server).look_up(["k0", "k39", "none"], {"pilot"})
    assert [found[key].presence for key in ("k0", "k39", "none")] == [Presence.FOUND, Presence.FOUND, Presence.ABSENT]
    assert (len(server.asked), server.calls) == (20, 1 + 19 * 4)
    server.fails = 4
    with pytest.raises(error):
        await creator_of(server).look_up(["k0"], {"pilot"})


async def test_a_server_that_asks_for_a_long_wait_in_the_middle_of_a_list_ends_it():
    class Busy(Server):
        async def call(self, *args: Any, query: Sequence[tuple[str, str]] = (), **more: Any) -> Reply:
            if "next_token" in dict(query):
                raise Throttled("slow down", op="list", status=429, retry_after_s=listing.LONGEST_WAIT_S + 1)
            return await super().call(*args, query=query, **more)

    with pytest.raises(Throttled):
        await creator_of(Busy([chat(number) for number in range(9)])).look_up(["k"], {"pilot"})


# --- second tasks ----------------------------------------------------------------------------------


async def test_a_second_task_is_marked_and_canceled_over_version_1_and_its_key_no_longer_counts():
    server = Server([chat(1, "k"), chat(2, "k")])
    creator = creator_of(server)
    await creator.remove("t2")
    assert [path for path, _ in server.sent] == [f"{ROOT}/v2/task/metadata", f"{ROOT}/v1/task/t2/cancel"]
    assert server.tasks[1]["metadata"] == {"scalesync_id": "k", "scalesync_removed": True}
    found = (await creator.look_up(["k"], {"pilot"}))["k"]
    assert (found.presence, found.others) == (Presence.FOUND, ())
    assert (await creator.read("t2")).presence is Presence.ABSENT
    await creator.remove("t2")


async def test_a_second_task_that_somebody_works_on_stays_as_it_was():
    server = Server([chat(1, "k"), chat(2, "k")])
    server.refuse_cancel = True
    creator = creator_of(server)
    with pytest.raises(Refused, match="already started"):
        await creator.remove("t2")
    assert server.tasks[1] == chat(2, "k")
    server.tasks[1]["metadata"]["scalesync_removed"] = True  # a run that was killed in between leaves it so
    assert (await creator.look_up(["k"], {"pilot"}))["k"].others == ("t2",)


async def test_the_key_of_a_dead_task_is_taken_out_of_its_metadata():
    server = Server([chat(1, "k", status="canceled", metadata={"a": 1, "scalesync_id": "k"})])
    creator = creator_of(server)
    assert (await creator.release("t1")).kind is OutcomeKind.CREATED
    assert server.tasks[0]["metadata"] == {"a": 1}
    assert (await creator.look_up(["k"], {"pilot"}))["k"].presence is Presence.ABSENT


def test_a_chat_with_odd_members_is_read_as_far_as_it_goes():
    odd = chat(1, "k") | {"batch": 7, "status": None, "metadata": {"scalesync_id": 7, "scalesync_removed": "yes"}}
    view = read_chat(json.dumps(odd).encode())
    assert (view.ref, view.key, view.removed, view.get("project"), view.get("batch")) == (
        "t1",
        None,
        False,
        PROJECT,
        None,
    )
    for nothing in (b"[]", b"{}", b'{"task_id": 7}', b"{", b'{"task_id": ""}'):
        with pytest.raises(OutcomeUnknown):
            read_chat(nothing)
