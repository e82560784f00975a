"""Black holes, slow dribbles, half-closed sockets: every run ends, in bounded time, and loses nothing."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager

import aiohttp
import pytest

from scalesync.engine.limits import EngineLimits
from scalesync.errors import OutcomeUnknown, RemoteError, StopRun, Unavailable
from scalesync.http.credentials import bearer
from scalesync.http.download import Downloader
from scalesync.http.exchange import Deadlines
from scalesync.http.transport import Transport
from scalesync.model.summaries import ExportSummary
from scalesync.model.targets import RequestClass
from tests.conftest import PROJECT
from tests.network.conftest import QUICK, SHORT
from tests.network.relay import MANNERS, listening, relaying

RECORDS = 40
pytestmark = pytest.mark.usefixtures("each_transport")


@contextmanager
def bounded(seconds: float) -> Iterator[None]:
    """Fails when the block takes longer."""
    began = time.monotonic()
    yield
    assert time.monotonic() - began < seconds


def one_task_each(sandbox, records: int = RECORDS) -> None:
    keys = Counter(task["unique_id"] for task in sandbox.store.world("live").documents())
    assert len(keys) == records
    assert set(keys.values()) == {1}


async def ending_of(run: Awaitable[ExportSummary]) -> tuple[int, str]:
    """Exit code and words, whether the run raised them or put them into its summary."""
    try:
        summary = await run
    except StopRun as stop:
        return stop.exit_code, str(stop)
    return summary.exit_code, summary.message


class OpenGate:
    """A gate that stands open; `wait_s` is spent between connection and request."""

    def __init__(self, wait_s: float | None = None) -> None:
        self.wait_s = wait_s
        self.unheard = 0

    @property
    def counts_handovers(self) -> bool:
        return self.wait_s is not None

    def admit_now(self, cls: RequestClass) -> bool:
        return True

    async def acquire(self, cls: RequestClass) -> None:
        return

    def release(self) -> None:
        return

    async def handover(self, cls: RequestClass) -> None:
        await asyncio.sleep(self.wait_s or 0)

    def answered(self, cls: RequestClass, status: int, latency_s: float, retry_after_s: float | None) -> None:
        return

    def unanswered(self, cls: RequestClass, latency_s: float) -> None:
        self.unheard += 1


@pytest.mark.part(2)
@pytest.mark.parametrize("manner", MANNERS)
async def test_an_import_whose_first_replies_go_wrong_ends_with_one_task_each(
    manner, make_sandbox, hurried, load, write_records
):
    sandbox = await make_sandbox()
    hurried()
    wrong = iter([manner] * 6)

    def choose(connection: int, request: int, method: str, path: str) -> str:
        return next(wrong, "ok") if method == "POST" else "ok"

    async with relaying(sandbox.base_url, choose) as relay:
        with bounded(8):
            summary = await load(relay.base_url, write_records(RECORDS))
    assert (summary.exit_code, summary.created, summary.failed) == (0, RECORDS, 0)
    one_task_each(sandbox)


@pytest.mark.part(2)
@pytest.mark.parametrize("manner", ["mute", "lost", "slow body", "reset"])
async def test_an_import_that_gets_nothing_through_stops_and_the_next_one_continues(
    manner, make_sandbox, hurried, load, write_records
):
    sandbox = await make_sandbox()
    hurried()
    source = write_records(RECORDS)
    healthy = False

    def choose(connection: int, request: int, method: str, path: str) -> str:
        return "ok" if healthy or (method == "GET" and "/projects/" in path) else manner

    async with relaying(sandbox.base_url, choose) as relay:
        with bounded(8):
            summary = await load(relay.base_url, source)
        assert (summary.exit_code, summary.failed, summary.pending) == (3, 0, RECORDS)
        assert "nothing got through" in summary.message or "no clear answer" in summary.message
        healthy = True
        with bounded(8):
            summary = await load(relay.base_url, source)
    assert (summary.exit_code, summary.created, summary.failed) == (0, RECORDS, 0)
    one_task_each(sandbox)


@pytest.mark.parametrize("manner", ["mute", "slow head", "half closed"])
async def test_a_server_that_never_answers_ends_import_and_export_before_they_begin(
    manner, make_sandbox, hurried, load, save, write_records
):
    sandbox = await make_sandbox()
    hurried()
    async with relaying(sandbox.base_url, lambda *_: manner) as relay:
        with bounded(5), pytest.raises(StopRun, match="gave up after"):
            await load(relay.base_url, write_records(3))
        with bounded(5):
            code, words = await ending_of(save(relay.base_url))
    assert code == 3
    assert "gave up after" in words
    assert not list(sandbox.store.world("live").documents())


@pytest.mark.parametrize("manner", MANNERS)
async def test_an_export_reads_the_page_again_that_went_wrong(
    manner, make_sandbox, hurried, load, save, write_records, tmp_path
):
    sandbox = await make_sandbox()
    hurried()
    await load(sandbox.base_url, write_records(RECORDS))
    wrong = iter(["ok", manner, "ok", manner])
    async with relaying(sandbox.base_url, lambda *_: next(wrong, "ok")) as relay:
        with bounded(8):
            summary = await save(relay.base_url, page_size=10)
    assert (summary.exit_code, summary.tasks, summary.unsettled) == (0, RECORDS, 0)
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert sum(entry["rows"] for entry in manifest["files"]) == RECORDS


async def test_replies_that_stall_on_some_connections_only_do_not_hold_up_the_others(
    make_sandbox, hurried, load, write_records
):
    sandbox = await make_sandbox()
    hurried()

    def choose(connection: int, request: int, method: str, path: str) -> str:
        return "lost" if connection % 3 == 0 and method == "POST" else "ok"

    async with relaying(sandbox.base_url, choose) as relay:
        with bounded(15):
            summary = await load(relay.base_url, write_records(RECORDS), concurrency=8)
    assert (summary.exit_code, summary.created, summary.failed) == (0, RECORDS, 0)
    one_task_each(sandbox)


async def test_a_server_that_closes_each_connection_after_its_reply_costs_nothing(
    make_sandbox, hurried, load, save, write_records
):
    sandbox = await make_sandbox()
    hurried()
    async with relaying(sandbox.base_url, lambda *_: "closing") as relay:
        with bounded(10):
            summary = await load(relay.base_url, write_records(RECORDS))
            exported = await save(relay.base_url, page_size=10)
    assert (summary.exit_code, summary.created, summary.failed) == (0, RECORDS, 0)
    assert (exported.exit_code, exported.tasks) == (0, RECORDS)
    one_task_each(sandbox)


async def test_a_server_that_closes_idle_connections_soon_costs_nothing(make_sandbox, hurried, load, write_records):
    sandbox = await make_sandbox(keepalive_s=0.05)
    hurried()
    with bounded(10):
        summary = await load(sandbox.base_url, write_records(12), rate="8")
    assert (summary.exit_code, summary.created, summary.failed) == (0, 12, 0)
    one_task_each(sandbox, 12)


async def test_waiting_for_the_pace_is_no_part_of_an_attempt(make_sandbox, hurried, load, write_records):
    sandbox = await make_sandbox()
    hurried(Deadlines(connect=0.3, first_byte=0.3, attempt=0.3))
    summary = await load(sandbox.base_url, write_records(6), rate="4")
    assert (summary.exit_code, summary.created, summary.retries) == (0, 6, 0)
    assert summary.seconds > 0.9


async def test_waiting_for_the_moment_at_the_socket_is_no_part_of_an_attempt(make_sandbox):
    sandbox = await make_sandbox()
    gate = OpenGate(wait_s=0.5)
    short = Deadlines(connect=0.2, first_byte=0.2, attempt=0.2)
    async with Transport(sandbox.base_url, bearer("live_k"), gate, deadlines=short) as transport:
        for _ in range(2):
            reply = await transport.call(RequestClass.LIST, "GET", f"/projects/{PROJECT}")
            assert reply.status == 200
    assert gate.unheard == 0


@pytest.mark.parametrize("wait_s", [None, 0.0])
async def test_a_name_that_is_never_resolved_is_no_connection(wait_s, monkeypatch):
    async def resolve(*args: object, **kwargs: object) -> object:
        return await asyncio.get_running_loop().create_future()

    monkeypatch.setattr(aiohttp.ThreadedResolver, "resolve", resolve)
    async with Transport("http://api.test/v1", bearer("k"), OpenGate(wait_s), deadlines=SHORT) as transport:
        with bounded(2), pytest.raises(Unavailable, match=r"cannot reach api\.test: no answer in time"):
            await transport.call(RequestClass.CREATE, "POST", "/task/x", body=b"{}")


@pytest.mark.parametrize("wait_s", [None, 0.0])
async def test_a_result_on_a_host_that_is_never_resolved_is_no_connection(wait_s, monkeypatch, tmp_path):
    async def resolve(*args: object, **kwargs: object) -> object:
        return await asyncio.get_running_loop().create_future()

    monkeypatch.setattr(aiohttp.ThreadedResolver, "resolve", resolve)
    async with Downloader(tmp_path, OpenGate(wait_s), deadlines=SHORT) as downloader:
        with bounded(2), pytest.raises(RemoteError, match=r"files\.test"):
            await downloader.fetch("https://files.test/x?X-Amz-Signature=1")


@pytest.mark.parametrize("wait_s", [None, 0.0])
async def test_a_handshake_that_is_never_finished_is_no_connection(wait_s):
    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with (
        listening(mute) as port,
        Transport(f"https://127.0.0.1:{port}/v1", bearer("k"), OpenGate(wait_s), deadlines=SHORT) as transport,
    ):
        with bounded(2), pytest.raises(Unavailable, match="cannot reach"):
            await transport.call(RequestClass.CREATE, "POST", "/task/x", body=b"{}")


@pytest.mark.parametrize("wait_s", [None, 0.0])
async def test_bytes_that_keep_coming_for_ever_end_with_the_attempt(wait_s, make_sandbox):
    sandbox = await make_sandbox()
    async with (
        relaying(sandbox.base_url, lambda *_: "slow body") as relay,
        Transport(relay.base_url, bearer("live_k"), OpenGate(wait_s), deadlines=SHORT) as transport,
    ):
        with bounded(2), pytest.raises(OutcomeUnknown, match="did not answer in time"):
            await transport.call(RequestClass.LIST, "GET", f"/projects/{PROJECT}")


async def test_a_retry_after_of_years_ends_the_run_and_not_the_day(make_sandbox, hurried, load, write_records):
    sandbox = await make_sandbox(rate=1, retry_after=10_000_000.0)
    hurried()
    patience = EngineLimits(retry=QUICK.retry, stall_s=1.0, grace_s=0.5, patience_s=1.0)
    with bounded(10):
        summary = await load(sandbox.base_url, write_records(20), limits=patience)
    assert (summary.exit_code, summary.failed) == (3, 0)
    assert summary.created + summary.pending == 20
