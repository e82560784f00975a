"""The control plane over HTTP."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

from scalesync.sandbox import FaultRule, Sandbox

from .conftest import Start
from .support import CREATE


async def control(client: aiohttp.ClientSession, sandbox: Sandbox, path: str, body: Any = None) -> tuple[int, Any]:
    method = "GET" if body is None else "POST"
    async with client.request(method, f"{sandbox.origin}/_sandbox/{path}", json=body) as reply:
        return reply.status, await reply.json()


async def create(client: aiohttp.ClientSession, sandbox: Sandbox) -> str:
    async with client.post(f"{sandbox.base_url}/task/categorization", json=CREATE) as reply:
        return str((await reply.json())["task_id"])


async def test_stats_count_tasks_and_requests(start: Start, client: aiohttp.ClientSession) -> None:
    sandbox = await start()
    await create(client, sandbox)
    status, stats = await control(client, sandbox, "stats")
    assert status == 200
    assert stats["worlds"]["live"]["tasks"] == {"pending": 1, "completed": 0, "canceled": 0, "error": 0}
    assert stats["requests"] == [{"kind": "create", "status": 200, "count": 1}]


async def test_annotate_some_or_all(start: Start, client: aiohttp.ClientSession) -> None:
    sandbox = await start()
    for _ in range(3):
        await create(client, sandbox)
    assert await control(client, sandbox, "annotate", {"count": 2}) == (200, {"completed": 2})
    assert await control(client, sandbox, "annotate", {"count": "all"}) == (200, {"completed": 1})
    assert (await control(client, sandbox, "annotate", {"count": -1}))[0] == 400


async def test_faults_are_read_and_replaced_and_spare_the_control_plane(
    start: Start, client: aiohttp.ClientSession
) -> None:
    sandbox = await start([FaultRule(kind="html502")])
    assert (await control(client, sandbox, "faults"))[1]["rule"][0]["kind"] == "html502"
    status, reply = await control(client, sandbox, "faults", [{"kind": "error", "share": 2}])
    assert status == 400
    assert "share" in reply["error"]
    assert (await control(client, sandbox, "faults", {"rule": []})) == (200, {"rule": []})
    assert len(await create(client, sandbox)) == 24


async def test_keys(start: Start, client: aiohttp.ClientSession) -> None:
    sandbox = await start()
    await control(client, sandbox, "keys", {"refuse": {"live_key": 403}})
    async with client.get(f"{sandbox.base_url}/tasks") as reply:
        assert reply.status == 403
    assert (await control(client, sandbox, "keys", {"restore": ["live_key"]})) == (200, {"refused": 0})
    for wrong in ({"refuse": []}, {"restore": 1}):
        assert (await control(client, sandbox, "keys", wrong))[0] == 400


async def test_the_journal_is_read(start: Start, client: aiohttp.ClientSession) -> None:
    sandbox = await start()
    await create(client, sandbox)
    assert [entry["kind"] for entry in (await control(client, sandbox, "journal?kind=create"))[1]] == ["create"]
    assert len((await control(client, sandbox, "journal"))[1]) == 2


async def test_what_only_scale_can_do_to_a_task(start: Start, client: aiohttp.ClientSession) -> None:
    sandbox = await start()
    path = f"tasks/{await create(client, sandbox)}"

    async def act(action: str, **rest: Any) -> Any:
        status, reply = await control(client, sandbox, path, {"action": action, **rest})
        assert status == 200, reply
        return reply

    assert (await act("start"))["work_started"] is True
    assert (await act("complete", response={"category": "x"}))["response"] == {"category": "x"}
    assert (await act("review", review="commented"))["customer_review_status"] == "commented"
    assert (await act("correct", response={"category": "y"}))["response"] == {"category": "y"}
    assert (await act("recall"))["status"] == "pending"
    assert (await act("complete"))["response"]["category"] in CREATE["categories"]
    assert (await act("touch"))["status"] == "completed"
    assert (await act("error", response={"error": "why"}))["response"] == {"error": "why"}
    assert "removed" in await act("remove")
    assert (await control(client, sandbox, path, {"action": "touch"}))[0] == 404
    assert sandbox.store.world("live").count() == 0


@pytest.mark.parametrize("body", [{"action": "recall"}, {"action": "correct"}, {"action": "review", "review": "x"}, {}])
async def test_impossible_actions_are_refused(start: Start, client: aiohttp.ClientSession, body: Any) -> None:
    sandbox = await start()
    path = f"tasks/{await create(client, sandbox)}"
    assert (await control(client, sandbox, path, body))[0] == 400
