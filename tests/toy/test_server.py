"""Toy's own wire: chunks, labels, tokens, pages, commands, exports."""

from __future__ import annotations

import asyncio
import hashlib
import json
from typing import Any

import pytest

from scalesync.sandbox.core.faults import FaultRule


async def ended(client: Any, command: str) -> dict[str, Any]:
    """A command when it is over."""
    async with asyncio.timeout(10):
        while True:
            status, told = await client.ask("GET", f"/commands/{command}")
            assert status == 200, told
            if told["state"] != "working":
                return dict(told)
            await asyncio.sleep(told["again_s"])


async def test_a_token_is_needed_and_lives_for_a_while(make_toy, client_of):
    now = [100.0]
    toy = await make_toy(token_s=5, monotonic=lambda: now[0])
    client = await client_of(toy)
    assert (await client.send("a"))[0] == 200
    now[0] += 4.9
    assert (await client.send("b"))[0] == 200
    now[0] += 0.2
    assert await client.send("c") == (401, {"problem": "The token is unknown or expired."})
    await client.enter()
    assert (await client.send("c"))[0] == 200
    assert (await client.ask("POST", "/token", {"key": "live_k"}))[0] == 401
    toy.revoke("toy_k")
    assert (await client.send("d"))[0] == 401
    assert (await client.ask("POST", "/token", {"key": "toy_k"}))[0] == 401
    assert toy.journal.count("create", 401) == 2


async def test_a_chunk_is_answered_in_order_and_its_labels_may_repeat(make_toy, client_of):
    toy = await make_toy()
    client = await client_of(toy)
    status, told = await client.send("a", "b", "a", None)
    assert (status, [item["id"] for item in told["items"]]) == (200, [1, 2, 3, 4])
    status, told = await client.ask("GET", "/projects/letters/items?label=a&label=zzz")
    assert (status, [(item["id"], item["label"]) for item in told["items"]]) == (200, [(1, "a"), (3, "a")])
    assert (await client.ask("GET", "/items/4"))[1]["label"] is None
    assert (await client.send(*["x"] * 26))[0] == 400
    assert (await client.ask("GET", "/projects/letters/items?" + "&".join(["label=x"] * 51)))[0] == 400
    assert (await client.ask("GET", "/projects/other/items"))[0] == 404
    assert toy.store.labels() == {"a": 2, "b": 1, None: 1}


@pytest.mark.parametrize("one_fate", [True, False])
async def test_a_bad_item_refuses_its_chunk_or_itself(make_toy, client_of, one_fate):
    toy = await make_toy(one_fate=one_fate)
    client = await client_of(toy)
    items = [{"data": {"bad": number == 1}, "label": str(number)} for number in range(3)]
    status, told = await client.ask("POST", "/projects/letters/items:import", {"items": items})
    if one_fate:
        assert (status, told["items"], toy.store.items) == (400, [{"place": 1, "problem": "data is bad"}], {})
    else:
        assert (status, told["items"]) == (200, [{"id": 1}, {"problem": "data is bad"}, {"id": 2}])


async def test_lists_ascend_in_pages_that_tell_no_total(make_toy, client_of):
    toy = await make_toy()
    client = await client_of(toy)
    for start in range(0, 120, 20):
        await client.send(*[str(number) for number in range(start, start + 20)])
    found, after, pages = [], 0, 0
    while after is not None:
        _, page = await client.ask("GET", f"/projects/letters/items?after={after}")
        assert page.keys() == {"items", "after"}
        found += [item["id"] for item in page["items"]]
        after, pages = page["after"], pages + 1
    assert (found, pages) == (list(range(1, 121)), 3)
    _, page = await client.ask("GET", "/projects/letters/items?after=110&limit=10")
    assert ([item["id"] for item in page["items"]], page["after"]) == (list(range(111, 121)), None)


async def test_items_change_and_are_found_by_state_and_time(make_toy, client_of):
    now = [1_000_000]
    toy = await make_toy(clock=lambda: now[0])
    client = await client_of(toy)
    await client.send("a", "b", "c")
    now[0] += 10
    assert await client.ask("POST", "/_sandbox/finish", {"count": 1}) == (200, {"finished": 1})
    await client.ask("POST", "/_sandbox/items/2", {"state": "dropped"})
    of = "/projects/letters/items?"
    found = {
        query: [item["id"] for item in (await client.ask("GET", of + query))[1]["items"]]
        for query in (
            "state=done",
            "state=dropped",
            "touched_from=1000001",
            "touched_until=1000001",
            "made_from=1000001",
        )
    }
    assert list(found.values()) == [[1], [2], [1, 2], [3], []]
    assert (await client.ask("GET", "/items/1"))[1]["answer"] == {"kind": "letter", "of": 1}
    assert (await client.ask("DELETE", "/items/1/label"))[1]["label"] is None
    assert (await client.ask("DELETE", "/items/1"))[0] == 204
    assert (await client.ask("GET", "/items/1"))[0] == 404
    assert (await client.send("d"))[1] == {"items": [{"id": 4}]}


async def test_what_was_sent_comes_back_as_it_was(make_toy, client_of):
    toy = await make_toy()
    client = await client_of(toy)
    data = r'{"weight": 10.0, "n": 1180591620717411303424, "t": "\u00e9"}'
    sent = '{"items": [{"data": ' + data + r', "label": "\ud83d\ude00"}]}'
    url = f"{toy.base_url}/projects/letters/items:import"
    async with client._session.post(url, data=sent, headers={"Authorization": f"Bearer {client.token}"}) as reply:
        assert reply.status == 200, await reply.read()
    document = toy.store.find("1").document()
    assert data.encode() in document
    assert toy.store.find("1").label == "\N{GRINNING FACE}"


async def test_an_import_may_be_a_command_to_poll(make_toy, client_of):
    toy = await make_toy(commands=True)
    client = await client_of(toy)
    toy.app.fates(["", "failed", "halfway", "slow"])
    names = [(await client.send(f"{place}-a", f"{place}-b"))[1]["command"] for place in range(4)]
    assert [(await client.ask("GET", f"/commands/{name}"))[1]["state"] for name in names[3:]] == ["working"]
    told = [await ended(client, name) for name in names]
    assert [one["state"] for one in told] == ["done", "failed", "failed", "done"]
    assert (told[0]["ids"], told[1]["made"], told[2]["made"], told[3]["ids"]) == ([1, 2], 0, 1, [4, 5])
    assert set(toy.store.labels()) == {"0-a", "0-b", "2-a", "3-a", "3-b"}


async def test_a_command_takes_effect_when_it_is_due_and_not_when_somebody_asks(make_toy, client_of):
    now_s = [1000.0]
    toy = await make_toy(
        [FaultRule(kind="lag", on="create", seconds=2)],
        **{"commands": True, "command_s": 1.0, "clock": lambda: int(now_s[0] * 1000), "monotonic": lambda: now_s[0]},
    )
    client = await client_of(toy)
    await client.send("a")
    now_s[0] += 3.5
    _, page = await client.ask("GET", "/projects/letters/items")
    assert [(item["label"], item["made"]) for item in page["items"]] == [("a", 1_001_000)]


async def test_commands_are_forgotten_or_lost(make_toy, client_of):
    toy = await make_toy(commands=True, command_s=0.0)
    client = await client_of(toy)
    await client.ask("POST", "/_sandbox/commands", {"fates": ["forgotten", "lost"]})
    for label in "ab":
        status, told = await client.send(label)
        assert (status, (await client.ask("GET", f"/commands/{told['command']}"))[0]) == (202, 404)
    assert set(toy.store.labels()) == {"a"}


async def test_an_export_is_a_file_that_a_command_makes(make_toy, client_of):
    toy = await make_toy()
    client = await client_of(toy)
    await client.send(*"abcdefghijklmnopqrstuvwxy")
    toy.app.finish(20)
    toy.app.fates(["slow"])
    status, told = await client.ask("POST", "/exports", {"project": "letters", "state": "done"})
    name = told["command"]
    assert (status, (await client.ask("GET", f"/exports/{name}/file"))[0]) == (202, 409)
    told = await ended(client, name)
    status, data = await client.ask("GET", f"/exports/{name}/file")
    assert (status, [json.loads(line)["id"] for line in data.splitlines()]) == (200, list(range(1, 21)))
    assert (told["bytes"], told["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
    assert await client.ask("GET", f"/exports/{name}/file", Range="bytes=100-") == (206, data[100:])
    assert (await client.ask("GET", f"/exports/{name}/file", Range=f"bytes={len(data) + 1}-"))[0] == 416


async def test_faults_strike_its_own_classes_and_parts_of_chunks(make_toy, client_of):
    toy = await make_toy()
    client = await client_of(toy)
    toy.faults.replace(
        [
            FaultRule(kind="error", on="token", status=503),
            FaultRule(kind="partial", on="create", count=2, times=1),
            FaultRule(kind="gap", on="list"),
            FaultRule(kind="repeat", on="list"),
        ]
    )
    assert (await client.ask("POST", "/token", {"key": "toy_k"}))[0] == 503
    assert (await client.send("a", "b", "c"))[0] == 500
    assert set(toy.store.labels()) == {"a", "b"}
    await client.send(*"cdefg")
    pages = [
        [item["id"] for item in (await client.ask("GET", f"/projects/letters/items?limit=2&after={after}"))[1]["items"]]
        for after in (0, 2)
    ]
    assert pages == [[1, 2], [2, 3]]
