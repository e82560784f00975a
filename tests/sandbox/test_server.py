"""What happens on the wire: faults, headers, the journal, the control plane."""

from __future__ import annotations

import asyncio
import json
import ssl
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

import aiohttp
import pytest
from yarl import URL

from scalesync.sandbox import FaultRule, Sandbox, SandboxConfig, load_faults
from scalesync.sandbox.core.faults import FaultPlan
from scalesync.sandbox.core.server import is_loopback

from .conftest import Start
from .support import CREATE, START_MS, Clock, basic

BROKEN = (aiohttp.ClientError, ConnectionError)


async def create(client: aiohttp.ClientSession, sandbox: Sandbox, **fields: object) -> int:
    async with client.post(f"{sandbox.base_url}/task/categorization", json={**CREATE, **fields}) as reply:
        await reply.read()
        return reply.status


async def test_a_round_over_the_wire(start: Start, client: aiohttp.ClientSession) -> None:
    sandbox = await start()
    assert await create(client, sandbox, unique_id="u") == 200
    assert sandbox.annotate() == 1
    async with client.get(f"{sandbox.base_url}/tasks", params={"status": "completed"}) as reply:
        page = await reply.json()
    assert page["docs"] == [sandbox.store.world("live").by_unique_id("u")]
    seen = sandbox.journal[-1]
    assert (seen.method, seen.path, seen.query, seen.status) == ("GET", "/v1/tasks", "status=completed", 200)
    assert sandbox.journal.count("create", 200) == 1
    assert len(sandbox.journal) == 2


@pytest.mark.parametrize("after", [False, True])
async def test_an_error_before_or_after_the_write(start: Start, client: aiohttp.ClientSession, after: bool) -> None:
    rule = FaultRule(kind="error", on="create", status=504, at=(1,), after_write=after, retry_after=2)
    sandbox = await start([rule])
    assert [await create(client, sandbox, unique_id=str(n)) for n in range(3)] == [200, 504, 200]
    assert sandbox.store.world("live").count() == (3 if after else 2)
    assert (sandbox.store.world("live").by_unique_id("1") is not None) is after


@pytest.mark.parametrize("after", [False, True])
async def test_a_reset_before_or_after_the_write(start: Start, client: aiohttp.ClientSession, after: bool) -> None:
    sandbox = await start([FaultRule(kind="reset", on="create", times=1, after_write=after)])
    with pytest.raises(BROKEN):
        await create(client, sandbox)
    assert await create(client, sandbox) == 200
    assert sandbox.store.world("live").count() == (2 if after else 1)
    assert sandbox.journal.count("create", 0) == 1
    assert sandbox.journal.faults == {"reset_after_write" if after else "reset": 1}


async def test_a_cut_body_promises_more_than_it_sends(start: Start, client: aiohttp.ClientSession) -> None:
    sandbox = await start([FaultRule(kind="cut", on="list")])
    await create(client, sandbox)
    reply = await client.get(f"{sandbox.base_url}/tasks")
    assert (reply.status, int(reply.headers["Content-Length"]) > 100) == (200, True)
    with pytest.raises(BROKEN):
        await reply.read()
    assert sandbox.journal.count("list", 0) == 1


async def test_a_result_is_cut_in_the_middle(start: Start, client: aiohttp.ClientSession) -> None:
    sandbox = await start([FaultRule(kind="cut", on="result", times=1)], result_bytes=2_000_000)
    async with client.post(
        f"{sandbox.base_url}/task/lidarannotation", json={"attachments": ["a"], "labels": ["b"], "unique_id": "u"}
    ) as reply:
        assert reply.status == 200
    sandbox.annotate()
    task = sandbox.store.world("live").by_unique_id("u")
    assert task is not None
    url = task["response"]["annotations"]["url"]
    with pytest.raises(BROKEN):
        async with client.get(url) as reply:
            await reply.read()
    async with aiohttp.ClientSession() as anyone, anyone.get(url) as reply:
        assert len(json.loads(await reply.read())) > 10


async def test_a_page_of_a_proxy(start: Start, client: aiohttp.ClientSession) -> None:
    sandbox = await start([FaultRule(kind="html502")])
    async with client.get(f"{sandbox.base_url}/tasks") as reply:
        assert (reply.status, reply.content_type) == (502, "text/html")
        assert "Bad Gateway" in await reply.text()


async def test_a_hang_ends_when_the_client_leaves(start: Start, client: aiohttp.ClientSession) -> None:
    sandbox = await start([FaultRule(kind="hang", on="create", after_write=True, times=1)])
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await create(client, sandbox)
    assert sandbox.store.world("live").count() == 1
    assert await create(client, sandbox) == 200


async def test_a_hang_can_end_with_a_dropped_connection(start: Start, client: aiohttp.ClientSession) -> None:
    sandbox = await start([FaultRule(kind="hang", seconds=0.05)])
    with pytest.raises(BROKEN):
        await create(client, sandbox)
    assert sandbox.store.world("live").count() == 0


async def test_leaving_does_not_wait_for_hanging_requests() -> None:
    async with aiohttp.ClientSession(headers={"Authorization": basic("live_key")}) as client:
        async with Sandbox(SandboxConfig(), [FaultRule(kind="hang"), FaultRule(kind="latency", seconds=60)]) as sandbox:
            hanging = asyncio.create_task(create(client, sandbox))
            while not sandbox.journal.in_flight:
                await asyncio.sleep(0)
        with pytest.raises(BROKEN):
            await hanging


async def test_an_outage_is_a_window(start: Start, client: aiohttp.ClientSession) -> None:
    clock = Clock()
    rules = [FaultRule(kind="outage", between=(10, 20)), FaultRule(kind="outage", status=0, between=(30, 40))]
    sandbox = await start(rules, clock=clock, monotonic=clock.seconds)
    found = []
    for _ in range(3):
        found.append(await create(client, sandbox))
        clock.forward(10)
    assert found == [200, 503, 200]
    with pytest.raises(BROKEN):
        await create(client, sandbox)
    assert sandbox.journal.count("create", 503) == 1


async def test_latency_and_lag_come_with_other_faults(start: Start, client: aiohttp.ClientSession) -> None:
    clock = Clock()
    rules = [FaultRule(kind="latency", seconds=0.01, jitter=0.01), FaultRule(kind="lag", on="create", seconds=5)]
    sandbox = await start(rules, clock=clock)
    await create(client, sandbox)
    totals = []
    for _ in range(2):
        async with client.get(f"{sandbox.base_url}/tasks") as reply:
            totals.append((await reply.json())["total"])
        clock.forward(5)
    assert totals == [0, 1]


async def test_the_schedule_changes_while_running(start: Start, client: aiohttp.ClientSession) -> None:
    sandbox = await start()
    assert await create(client, sandbox) == 200
    sandbox.faults.replace([FaultRule(kind="error", status=429, retry_after=0.5)])
    async with client.get(f"{sandbox.base_url}/tasks") as reply:
        assert (reply.status, reply.headers["Retry-After"]) == (429, "1")
    sandbox.faults.replace([])
    assert await create(client, sandbox) == 200


def test_the_same_seed_and_requests_give_the_same_faults() -> None:
    rules = [
        FaultRule(kind="error", share=0.3),
        FaultRule(kind="reset", on="create|list", share=0.3),
        FaultRule(kind="latency", seconds=1, jitter=1, share=0.5),
    ]

    def row(seed: int) -> list[object]:
        plan = FaultPlan(rules, seed, lambda: 0.0)
        return [(d.name, d.latency_s) for d in (plan.decide(k) for k in ["create", "get", "list"] * 30)]

    assert row(1) == row(1) != row(2)
    assert {name for name, _ in row(1)} == {None, "error", "reset", "latency"}


@pytest.mark.parametrize(
    ("name", "text", "error"),
    [
        ("f.toml", '[[rule]]\nkind = "error"\nshare = 2', "rule 0: share"),
        ("f.toml", '[[rule]]\nkind = "flood"', "rule 0: kind 'flood'"),
        ("f.toml", '[[rule]]\nkind = "error"\non = "all"', "rule 0: on 'all'"),
        ("f.toml", '[[rule]]\nkind = "error"\nrate = 2', "rule 0: unknown field 'rate'"),
        ("f.toml", "[[rule]]\nshare = 1", "rule 0: .*kind"),
        ("f.toml", '[[rules]]\nkind = "error"', "unknown table 'rules'"),
        ("f.toml", "[[rule", "f.toml"),
        ("f.json", "[3]", "Expected `object`"),
        ("f.json", '[{"kind": "latency"}]', "latency needs seconds"),
        ("f.json", '[{"kind": "lag", "on": "list", "seconds": 1}]', "creates only"),
        ("f.json", '[{"kind": "error", "status": 200}]', "status"),
        ("f.json", '[{"kind": "error", "between": [2, 1]}]', "between"),
        ("f.json", '[{"kind": "hang", "seconds": -1}]', "negative"),
        ("none.toml", None, "none.toml"),
    ],
)
def test_a_wrong_schedule_is_reported(tmp_path: Path, name: str, text: str | None, error: str) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=error):
        load_faults(tmp_path / name)


def test_a_schedule_is_read_from_toml_and_json(tmp_path: Path) -> None:
    toml, plain = tmp_path / "f.toml", tmp_path / "f.json"
    toml.write_text('[[rule]]\nkind = "error"\nat = [1, 2]\nbetween = [0, 5]\n')
    plain.write_text('{"rule": [{"kind": "error", "at": [1, 2], "between": [0, 5]}]}')
    assert load_faults(toml) == load_faults(plain) == [FaultRule(kind="error", at=(1, 2), between=(0, 5))]


async def test_headers_and_compression(start: Start, client: aiohttp.ClientSession) -> None:
    sandbox = await start(page_gzip=True, clock=Clock())
    for _ in range(5):
        await create(client, sandbox)
    async with client.get(f"{sandbox.base_url}/tasks") as reply:
        assert reply.headers["Content-Encoding"] == "gzip"
        assert reply.headers["Content-Type"] == "application/json; charset=utf-8"
        assert parsedate_to_datetime(reply.headers["Date"]) == datetime.fromtimestamp(START_MS / 1000, UTC)
        assert (await reply.json())["total"] == 5
    async with client.get(f"{sandbox.base_url}/tasks", headers={"Accept-Encoding": "identity"}) as reply:
        assert "Content-Encoding" not in reply.headers


async def test_a_body_too_large_is_413(start: Start, client: aiohttp.ClientSession) -> None:
    sandbox = await start(max_body_bytes=1000)
    assert await create(client, sandbox, extra="x" * 2000) == 413


async def test_keys_are_revoked_at_run_time(start: Start, client: aiohttp.ClientSession) -> None:
    sandbox = await start()
    sandbox.revoke("live_key")
    assert await create(client, sandbox) == 401
    sandbox.restore("live_key")
    assert await create(client, sandbox) == 200


@pytest.mark.parametrize("path", ["/", "/v1", "/v1/", "/tasks", "/v2/none", "/results/", "/files/", "/_sandbox/none"])
async def test_paths_nobody_knows(start: Start, client: aiohttp.ClientSession, path: str) -> None:
    sandbox = await start()
    async with client.get(sandbox.origin + path) as reply:
        assert reply.status == 404


async def test_names_with_slashes_travel_percent_encoded(start: Start, client: aiohttp.ClientSession) -> None:
    sandbox = await start()
    sandbox.store.world("live").add_project("a bc/def", "categorization", params={"n": 1})
    async with client.get(URL(f"{sandbox.base_url}/projects/a%20bc%2Fdef", encoded=True)) as reply:
        assert (await reply.json())["name"] == "a bc/def"


async def test_the_journal_is_bounded_and_counts_on(start: Start, client: aiohttp.ClientSession) -> None:
    sandbox = await start(journal_size=2)
    for _ in range(4):
        await create(client, sandbox)
    assert len(sandbox.journal) == 2
    assert sandbox.journal.count("create") == 4
    assert sandbox.journal.peak_in_flight == 1
    sandbox.journal.clear()
    assert sandbox.journal.count() == len(list(sandbox.journal)) == 0


async def test_over_tls(client: aiohttp.ClientSession) -> None:
    trustme = pytest.importorskip("trustme")
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    async with Sandbox(SandboxConfig(), ssl_context=server) as sandbox:
        assert sandbox.base_url.startswith("https://")
        async with client.get(f"{sandbox.base_url}/tasks", ssl=context) as reply:
            assert reply.status == 200
        sandbox.faults.replace([FaultRule(kind="reset")])
        with pytest.raises(BROKEN):
            await client.get(f"{sandbox.base_url}/tasks", ssl=context)


async def test_an_address_in_use_is_an_oserror(start: Start) -> None:
    sandbox = await start()
    with pytest.raises(OSError, match="address"):
        async with Sandbox(port=sandbox.port):
            pass


def test_only_this_machine_controls() -> None:
    assert is_loopback("127.0.0.1")
    assert is_loopback("::1")
    assert not is_loopback("10.0.0.1")
    assert not is_loopback(None)
