"""A run that waits says for what, since when and until when; once when it begins, and once when it is over."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from dataclasses import replace

import anyio
import pytest

from scalesync.engine import calls, patience, waits
from scalesync.engine.backoff import RetryPolicy
from scalesync.errors import BudgetUsed
from scalesync.events import Waiting
from scalesync.flows.jobs.refresh import refreshed_status
from scalesync.flows.runtime import watch
from scalesync.flows.runtime.setup.services import resolve_settings
from scalesync.flows.verify.run import run_verify
from scalesync.http.exchange import Deadlines
from tests.network.conftest import KEY, QUICK
from tests.network.raw import Asked, RawApi, answer, one_task, raw_api
from tests.network.relay import listening
from tests.network.test_never_hangs import bounded

PATIENT = replace(QUICK, retry=RetryPolicy(max_attempts=1000, base_s=0.01, cap_s=0.1), stall_s=30.0, patience_s=30.0)
AGAIN = re.compile(r"requests get through again, after \d+ s")
QUOTA = {"error": "Daily task quota exceeded. Your administrator can raise it."}


@pytest.fixture(autouse=True)
def _seconds_are_hundredths(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is told after seconds is told after hundredths of them."""
    for module, name, seconds in (
        (patience, "LATE_S", 0.1),
        (patience, "THROTTLED_S", 0.2),
        (patience, "SURE_S", 0.1),
        (calls, "LATE_S", 0.1),
        (calls, "SOON_S", 0.1),
        (calls, "THROTTLED_S", 0.2),
        (waits, "SOON_S", 0.05),
        (waits, "LONG_S", 0.2),
        (watch, "TICK_S", 0.02),
        (watch, "UNANSWERED_S", 20.0),  # this machine may be slow
    ):
        monkeypatch.setattr(module, name, seconds)


def outage(status: int, seconds: float, first: int, which: str, headers: dict[str, str] | None = None):
    """A script: from the call number `first` of a kind on, and for so long, each call of it is refused."""
    began: list[float] = []

    def script(asked: Asked) -> bytes | None:
        if getattr(asked, which) and asked.number >= first:
            began.append(asked.at)
        if began and asked.at - began[0] < seconds and getattr(asked, which):
            return answer(status, {"error": "out for lunch"}, headers)
        return None

    return script


def waits_told(notebook) -> list[str]:
    return [note for note in notebook.notes if "nothing has got through" in note or "the server asked for" in note]


@pytest.mark.parametrize("which", ["is_create", "is_list"])
async def test_an_outage_in_the_middle_is_reported_when_it_begins_and_when_it_is_over(
    which, load, notebook, write_records
):
    """Of creates; and of look-ups, which a lost reply has to wait for."""

    def script(asked: Asked) -> bytes | None:
        lost = which == "is_list" and asked.is_create and asked.number == 20
        return answer(500, {"error": "lost"}) if lost else away(asked)

    away = outage(503, 0.7, 12 if which == "is_create" else 1, which)
    async with raw_api(script) as api:
        summary = await load(api.base_url, write_records(20), limits=PATIENT, concurrency=2)
    assert (summary.exit_code, summary.created) == (0, 20)
    (begun,) = waits_told(notebook)
    assert re.search(
        # The lost reply is the last word as long as its look-up has not been answered.
        r"nothing has got through since \d\d:\d\d:\d\d \((.*: )?(out for lunch|lost)\);"
        r" trying again until \d\d:\d\d:\d\d",
        begun,
    )
    assert len([note for note in notebook.notes if AGAIN.fullmatch(note)]) == 1
    assert summary.server_errors >= 3
    assert summary.waited_seconds >= 0.4
    seen = [snapshot.waiting for snapshot in notebook.snapshots if snapshot.waiting is not None]
    assert seen
    assert all(isinstance(one, Waiting) and one.since <= time.time() for one in seen)
    assert all(snapshot.limit is None for snapshot in notebook.snapshots if snapshot.waiting is not None)
    assert notebook.snapshots[-1].waiting is None


async def test_a_server_that_goes_away_and_comes_back_is_reported_both_times(load, notebook, write_records):
    """Nobody listens for a while: no connection, no answer."""
    api = RawApi()
    server = await asyncio.start_server(_closing(api.serve), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    api.base_url = f"http://127.0.0.1:{port}/v1"

    def cut(asked: Asked) -> bytes | None:
        raise ConnectionResetError

    async def go_away() -> None:
        while len(api.creates()) < 30:
            await asyncio.sleep(0.005)
        server.close()
        api.script = cut
        await asyncio.sleep(0.6)
        api.script = lambda asked: None
        again.append(await asyncio.start_server(_closing(api.serve), "127.0.0.1", port))

    again: list[asyncio.Server] = []
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(go_away)
            summary = await load(api.base_url, write_records(80), limits=PATIENT, concurrency=4)
    finally:
        for one in (server, *again):
            one.close()
    assert (summary.exit_code, summary.created, len(api.made)) == (0, 80, 80)
    assert len(waits_told(notebook)) == 1
    assert len([note for note in notebook.notes if AGAIN.fullmatch(note)]) == 1


def _closing(serve: Callable[..., object]) -> Callable[..., object]:
    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)  # type: ignore[misc]
        except (OSError, asyncio.IncompleteReadError):
            return
        finally:
            writer.transport.abort()

    return one


async def test_a_server_that_takes_requests_and_answers_none_is_reported(
    hurried, load, notebook, write_records, monkeypatch
):
    monkeypatch.setattr(watch, "UNANSWERED_S", 0.15)
    hurried(Deadlines(connect=2, first_byte=0.6, attempt=2))
    gone: list[float] = []

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await api.serve(reader, writer)

    api = RawApi(lambda asked: b"" if asked.is_create and asked.number == 5 and not gone.append(asked.at) else None)

    async with listening(silent) as port:
        api.base_url = f"http://127.0.0.1:{port}/v1"
        summary = await load(api.base_url, write_records(8), limits=PATIENT, concurrency=1)
    assert (summary.exit_code, summary.created) == (0, 8)
    assert any(re.search(r"has not answered, 1 request under way\)$", note) for note in waits_told(notebook))


@pytest.mark.parametrize("status", [429, 503, 413])
async def test_a_wait_that_the_server_asked_for_is_reported_with_its_end(status, load, notebook, write_records):
    async with raw_api(outage(status, 0.1, 8, "is_create", {"Retry-After": "0.6"})) as api:
        summary = await load(api.base_url, write_records(12), limits=PATIENT, concurrency=1)
    assert (summary.exit_code, summary.created) == (0, 12)
    told = [note for note in notebook.notes if "the server asked for" in note]
    assert len(told) == 1
    assert re.fullmatch(r"the server asked for 1 s \(out for lunch\): next attempt at \d\d:\d\d:\d\d", told[0])
    assert summary.retry_after_seconds == pytest.approx(0.6, abs=0.1)
    assert (summary.throttled > 0, summary.server_errors > 0) == (status == 429, status == 503)


async def test_a_quota_that_is_gone_is_reported_in_the_servers_words_without_a_limit(load, notebook, write_records):
    """429 for ever and no header: the run says the words at once, and ends with them when its patience is over."""
    quota = outage(429, 1e9, 15, "is_create")

    def script(asked: Asked) -> bytes | None:
        return answer(429, QUOTA) if quota(asked) else None

    limits = replace(PATIENT, stall_s=1.2)
    async with raw_api(script) as api:
        with bounded(6):
            summary = await load(api.base_url, write_records(30), limits=limits)
    assert (summary.exit_code, summary.pending) == (3, 30 - summary.created)
    assert QUOTA["error"] in summary.message
    assert QUOTA["error"] in waits_told(notebook)[0]
    assert not any(AGAIN.fullmatch(note) for note in notebook.notes)


@pytest.mark.parametrize("status", [429, 503])
async def test_a_quota_that_says_in_words_when_it_resets_ends_the_run_early(status, load, write_records):
    quota = outage(status, 1e9, 10, "is_create")
    words = "Quota exceeded, resets in 3 hours"

    def script(asked: Asked) -> bytes | None:
        return answer(status, {"error": words}) if quota(asked) else None

    async with raw_api(script) as api:
        with bounded(5):
            summary = await load(api.base_url, write_records(30), limits=PATIENT, concurrency=4)
    assert summary.exit_code == 3
    assert re.search(
        rf"the server asked for (3:00|2:59) h \({words}\), longer than the 30 s that a run waits; run the same command",
        summary.message,
    )
    assert summary.created + summary.pending == 30


async def test_a_quota_that_resets_soon_by_its_words_is_waited_for(load, write_records):
    def script(asked: Asked) -> bytes | None:
        return (
            answer(429, {"error": "Limit reached, try again in 1s"}) if asked.is_create and asked.number == 1 else None
        )

    async with raw_api(script) as api:
        summary = await load(api.base_url, write_records(5), concurrency=1, limits=PATIENT)
        assert (summary.exit_code, summary.created) == (0, 5)
        first, second, *_ = api.creates()
    assert second.at - first.at >= 1


@pytest.mark.parametrize("status", [429, 503])
async def test_a_wait_beyond_the_runs_patience_ends_it_early(status, load, notebook, write_records):
    """Also where answers were under way when it was asked for: they do not clear it."""
    quota = outage(status, 1e9, 10, "is_create", {"Retry-After": "600"})
    async with raw_api(quota) as api:
        with bounded(5):
            summary = await load(api.base_url, write_records(30), limits=PATIENT, concurrency=4)
    assert summary.exit_code == 3
    assert re.search(
        r"the server asked for (10:00|9:59) min \(out for lunch\), longer than the 30 s that a run waits;"
        r" run the same command after ",
        summary.message,
    )
    assert summary.created + summary.pending == 30


async def test_a_single_call_does_not_sit_out_a_wait_beyond_its_patience(load, write_records):
    def script(asked: Asked) -> bytes | None:
        return answer(503, b"", {"Retry-After": "3600"})

    async with raw_api(script) as api:
        with bounded(5), pytest.raises(BudgetUsed, match="asked for 1:00 h"):
            await load(api.base_url, write_records(3), limits=PATIENT)


async def test_an_address_that_answers_503_from_the_start_is_reported_before_it_is_given_up(
    load, notebook, write_records
):
    async with raw_api(lambda asked: answer(503, b"")) as api:
        with pytest.raises(BudgetUsed):
            await load(api.base_url, write_records(3), limits=replace(QUICK, patience_s=0.5))
    assert "status 503 without a message" in waits_told(notebook)[0]


# --- every flow that asks the server -----------------------------------------------------------------


async def test_exports_wait_aloud_too(save, notebook):
    async with raw_api(outage(503, 0.5, 2, "is_list")) as api:
        summary = await save(api.base_url)
    assert summary.exit_code == 0
    assert "list tasks: out for lunch" in waits_told(notebook)[0]
    assert any(AGAIN.fullmatch(note) for note in notebook.notes)
    assert summary.server_errors >= 1


@pytest.mark.parametrize("flow", ["verify", "refresh"])
async def test_so_do_verify_and_refresh(flow, load, notebook, write_records, tmp_path):
    calm = True
    away = outage(503, 0.5, 1, "is_list")

    def script(asked: Asked) -> bytes | None:
        return None if calm else away(asked)

    async with raw_api(script) as api:
        await load(api.base_url, write_records(5))
        calm = False
        settings = resolve_settings(
            base_url=api.base_url, ledger=tmp_path / "ledger.db", environ={"SCALE_API_KEY": KEY}
        )
        if flow == "verify":
            summary = await run_verify(settings, "letters", tmp_path / "verify-letters.jsonl", notebook, limits=PATIENT)
            assert summary.server_errors >= 3
            assert summary.waited_seconds > 0.1
        else:
            await refreshed_status(settings, "letters", notebook, limits=PATIENT)
    assert "out for lunch" in waits_told(notebook)[0]
    assert any(AGAIN.fullmatch(note) for note in notebook.notes)


@pytest.mark.parametrize(("asked", "code"), [("0.6", 0), ("3600", 3)])
async def test_the_host_of_a_result_file_may_ask_for_a_wait_as_well(asked, code, save, notebook):
    """A short one is told and kept; one beyond any patience ends the run instead of the file."""

    def script(one: Asked) -> bytes | None:
        if one.path != "/v1/file":
            return None
        return answer(503, b"", {"Retry-After": asked}) if one.number == 1 else answer(200, b"the file")

    async with raw_api(script) as api:
        task = one_task(1, {"unique_id": "a"})
        api.made["a"] = task | {"response": {"annotations": {"url": f"{api.base_url}/file"}}}
        with bounded(10):
            summary = await save(api.base_url, download_responses=True)
    assert (summary.exit_code, summary.responses_downloaded) == (code, 1 if code == 0 else 0)
    if code == 0:
        assert "/v1/file answered 503): next attempt at" in waits_told(notebook)[0]
    else:
        assert "asked for 1:00 h" in summary.message
