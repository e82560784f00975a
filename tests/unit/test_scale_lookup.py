"""Look-ups by unique_id over answers in pages: followed to their end, and believed only then."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, cast

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from scalesync.http.transport import Reply, Transport
from scalesync.model.outcomes import Presence
from scalesync.model.targets import RequestClass
from scalesync.platforms.scale.adapter import ScalePlatform
from scalesync.platforms.scale.lookup import MAX_IDLE_PAGES

Answer = Callable[[list[str], str | None], dict[str, Any]]


class Server:
    """Answers look-ups by a function of the keys and the token; counts its answers."""

    def __init__(self, answer: Answer) -> None:
        self.asked = 0
        self._answer = answer

    async def call(self, kind: RequestClass, method: str, path: str, *, query: Sequence[tuple[str, str]]) -> Reply:
        assert (kind, method, path) == (RequestClass.LIST, "GET", "/tasks")
        self.asked += 1
        keys = [value for name, value in query if name == "unique_id"]
        token = next((value for name, value in query if name == "next_token"), None)
        body = json.dumps(self._answer(keys, token)).encode()
        return Reply(200, CIMultiDictProxy(CIMultiDict[str]()), body)


def docs(keys: Sequence[str]) -> list[dict[str, str]]:
    return [{"task_id": f"t-{key}", "unique_id": key, "status": "pending"} for key in keys]


def paged(there: Sequence[str], size: int, **more: Any) -> Answer:
    """A server that holds these keys and gives `size` of them a page."""

    def answer(keys: list[str], token: str | None) -> dict[str, Any]:
        found = [key for key in keys if key in there]
        start = int(token or 0)
        on = start + size < len(found)
        page: dict[str, Any] = {"docs": docs(found[start : start + size]), "total": len(found), "has_more": on}
        return {**page, **({"next_token": str(start + size)} if on else {}), **more}

    return answer


async def presences(answer: Answer, keys: Sequence[str]) -> tuple[dict[str, Presence], int]:
    server = Server(answer)
    creator = ScalePlatform(cast(Transport, server), "categorization").creator
    found = await creator.look_up(keys)
    return {key: finding.presence for key, finding in found.items()}, server.asked


KEYS = [f"k{n}" for n in range(100)]


@pytest.mark.parametrize("size", [1, 7, 70, 99])
async def test_every_page_of_a_look_up_is_read_and_only_then_a_key_is_absent(size):
    there = KEYS[5:]
    found, asked = await presences(paged(there, size), KEYS)
    assert {key for key, presence in found.items() if presence is Presence.FOUND} == set(there)
    assert {key for key, presence in found.items() if presence is Presence.ABSENT} == set(KEYS[:5])
    assert asked == -(-len(there) // size)


async def test_a_look_up_that_is_answered_whole_reads_no_further_page():
    def answer(keys: list[str], token: str | None) -> dict[str, Any]:
        assert token is None
        return {"docs": docs(keys), "total": len(keys), "has_more": True, "next_token": "on"}

    found, asked = await presences(answer, KEYS)
    assert (set(found.values()), asked) == ({Presence.FOUND}, 1)


def circle(keys: list[str], token: str | None) -> dict[str, Any]:
    start = {None: 0, "a": 10, "b": 20}[token]
    following = {None: "a", "a": "b", "b": "a"}[token]
    return {"docs": docs(keys[start : start + 10]), "total": 100, "has_more": True, "next_token": following}


def empty_for_ever(keys: list[str], token: str | None) -> dict[str, Any]:
    return {"docs": docs(keys[:30]) if token is None else [], "has_more": True, "next_token": f"{token}x"}


def the_first_page_for_ever(keys: list[str], token: str | None) -> dict[str, Any]:
    return {"docs": docs(keys[:30]), "total": 100, "has_more": True, "next_token": "the same"}


@pytest.mark.parametrize("answer", [circle, empty_for_ever, the_first_page_for_ever])
async def test_a_list_without_an_end_is_left_and_what_it_did_not_show_is_unknown(answer):
    found, asked = await presences(answer, KEYS)
    assert list(found.values()) == [Presence.FOUND] * 30 + [Presence.UNKNOWN] * 70
    assert asked <= 3 + MAX_IDLE_PAGES


async def test_a_list_that_ends_short_of_its_total_is_asked_again_for_the_rest():
    def answer(keys: list[str], token: str | None) -> dict[str, Any]:
        return {"docs": docs(keys[:40]), "total": len(keys), "has_more": False}

    found, asked = await presences(answer, KEYS)
    assert (set(found.values()), asked) == ({Presence.FOUND}, 3)


async def test_a_total_that_is_always_too_high_keeps_no_look_up_going():
    found, asked = await presences(paged(KEYS[:60], 100, total=100), KEYS)
    assert list(found.values()) == [Presence.FOUND] * 60 + [Presence.ABSENT] * 40
    assert asked == 2


@pytest.mark.parametrize(("more", "short"), [(-1, False), (0, False), (1, True), (40, True), (41, False)])
async def test_what_a_list_counts_and_does_not_show_is_reported_where_the_count_can_be_of_the_keys(more, short):
    honest = paged(KEYS[:60], 100)

    def counts_more(keys: list[str], token: str | None) -> dict[str, Any]:
        page = honest(keys, token)
        return {**page, "total": page["total"] + more}

    server = Server(counts_more)
    found = await ScalePlatform(cast(Transport, server), "categorization").creator.look_up(KEYS)
    assert {finding.short for key, finding in found.items() if key in KEYS[60:]} == {short}
    assert not any(finding.short for key, finding in found.items() if key in KEYS[:60])


async def test_a_list_of_something_else_proves_nothing_and_is_not_read_on():
    def answer(keys: list[str], token: str | None) -> dict[str, Any]:
        return {"docs": docs([*keys[:3], "stranger"]), "total": 9000, "has_more": True, "next_token": "on"}

    found, asked = await presences(answer, KEYS)
    assert list(found.values()) == [Presence.FOUND] * 3 + [Presence.UNKNOWN] * 97
    assert asked == 1


async def test_a_task_that_is_shown_on_two_pages_is_one():
    def answer(keys: list[str], token: str | None) -> dict[str, Any]:
        if token is None:
            return {"docs": docs(keys[:50]), "total": 99, "has_more": True, "next_token": "on"}
        return {"docs": docs(keys[49:99]), "total": 99, "has_more": False}

    found, asked = await presences(answer, KEYS)
    assert (found["k99"], found["k98"], asked) == (Presence.ABSENT, Presence.FOUND, 2)


async def test_an_empty_token_is_the_end_of_a_list_that_does_not_say_whether_there_is_more() -> None:
    def answer(keys: list[str], token: str | None) -> dict[str, Any]:
        assert token != "", "the first page was asked for again"
        return {"docs": docs([key for key in keys if key == "k1"]), "next_token": ""}

    assert await presences(answer, ["k1", "k2"]) == ({"k1": Presence.FOUND, "k2": Presence.ABSENT}, 1)
    page = await ScalePlatform(cast(Transport, Server(answer)), "categorization").lister.page({"limit": 1}, None)
    assert page.cursor is None
