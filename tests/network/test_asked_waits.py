"""Waits that a server asks for by Retry-After: kept whatever the status, and counted by the server's own clock."""

from __future__ import annotations

import time
from dataclasses import replace
from email.utils import formatdate

import pytest

from scalesync.errors import OutcomeUnknown, RemoteError, Throttled
from scalesync.flows.runtime.gate import RequestGate
from scalesync.http.credentials import bearer
from scalesync.http.download import Downloader
from scalesync.http.exchange import asked_wait_s
from scalesync.http.transport import Transport
from scalesync.model.outcomes import OutcomeKind
from scalesync.model.records import Outgoing
from scalesync.model.targets import RequestClass
from scalesync.pacing.handover import Handovers
from scalesync.pacing.pace import Pace
from scalesync.platforms.scale.adapter import ScalePlatform
from tests.conftest import KIND
from tests.network.conftest import QUICK
from tests.network.raw import Asked, answer, raw_api

WAIT_S = 0.6  # short for a test, long beside a round trip and beside the back-off of QUICK
PATIENT = replace(QUICK, stall_s=20.0)


def refusing(status: int, first: int, headers: dict[str, str], which: str = "is_create"):
    """A script: the first so many calls of a kind are answered with this status and these headers."""

    def script(asked: Asked) -> bytes | None:
        if getattr(asked, which) and asked.number <= first:
            return answer(status, {"error": "come back later"}, headers)
        return None

    return script


@pytest.mark.usefixtures("each_transport")
@pytest.mark.parametrize("status", [503, 413, 429, 500])
async def test_no_create_leaves_before_the_time_that_an_answer_asks_for(status, load, write_records):
    async with raw_api(refusing(status, 1, {"Retry-After": str(WAIT_S)})) as api:
        summary = await load(api.base_url, write_records(5), concurrency=1, limits=PATIENT)
        assert (summary.exit_code, summary.created) == (0, 5)
        first, second, *_ = api.creates()
        assert second.at - first.at >= WAIT_S
        assert len(api.creates()) == 6
        looked_up = len(api.lists())
    # What may have been done is looked up, and meanwhile: the wait is about the next attempt.
    assert looked_up == (0 if status in {413, 429} else 1)


async def test_several_creates_at_once_are_held_by_the_first_answer(load, write_records):
    """Six leave together; the next ones only after the wait, and none of the six uses an attempt up meanwhile."""
    async with raw_api(refusing(503, 6, {"Retry-After": str(WAIT_S)})) as api:
        summary = await load(api.base_url, write_records(40), concurrency=6, limits=PATIENT)
        assert (summary.exit_code, summary.created) == (0, 40)
        times = [asked.at for asked in api.creates()]
    early = [at for at in times if at - times[0] < WAIT_S]
    assert len(early) <= 6
    assert len(times) == 46


async def test_a_list_that_is_busy_is_asked_again_after_its_wait(save):
    async with raw_api(refusing(503, 1, {"Retry-After": str(WAIT_S)}, "is_list")) as api:
        summary = await save(api.base_url)
        assert summary.exit_code == 0
        first, second, *_ = api.lists()
    assert second.at - first.at >= WAIT_S


async def test_a_change_that_is_busy_is_made_after_its_wait():
    """Any class of calls: here the one that frees an id."""

    def script(asked: Asked) -> bytes | None:
        if asked.method != "DELETE":
            return None
        return answer(503, b"", {"Retry-After": str(WAIT_S)}) if asked.number == 1 else answer(200, {})

    gate = RequestGate(Pace({}), Handovers({}, None))
    async with raw_api(script) as api, Transport(api.base_url, bearer("x"), gate) as transport:
        creator = ScalePlatform(transport, KIND).creator
        assert (await creator.release("a" * 24)).kind is OutcomeKind.UNKNOWN
        assert (await creator.release("a" * 24)).kind is OutcomeKind.CREATED
        first, second = api.asked
    assert second.at - first.at >= WAIT_S


async def test_a_result_file_of_a_busy_host_is_fetched_after_its_wait(tmp_path):
    def script(asked: Asked) -> bytes | None:
        return answer(503, b"", {"Retry-After": str(WAIT_S)}) if asked.number == 1 else answer(200, b"the file")

    gate = RequestGate(Pace({}), Handovers({}, None))
    async with raw_api(script) as api, Downloader(tmp_path, gate, allow_http=True) as downloader:
        with pytest.raises(OutcomeUnknown):
            await downloader.fetch(f"{api.base_url}/file")
        await downloader.fetch(f"{api.base_url}/file")
        first, second = api.asked
    assert second.at - first.at >= WAIT_S


@pytest.mark.parametrize("status", [503, 429])
@pytest.mark.parametrize("ahead_s", [0, 75, -3600])
async def test_a_date_is_counted_from_the_servers_own_date(status, ahead_s):
    """Two seconds by the server's clock are two seconds, whatever this machine's clock says."""
    now = time.time() + ahead_s
    headers = {"Date": formatdate(now, usegmt=True), "Retry-After": formatdate(now + 2, usegmt=True)}
    async with (
        raw_api(refusing(status, 9, headers)) as api,
        Transport(api.base_url, bearer("x"), RequestGate(Pace({}), Handovers({}, None))) as transport,
    ):
        reply = await transport.call(RequestClass.CREATE, "POST", "/task/x", body=b'{"unique_id":"k"}')
    assert reply.retry_after_s == 2.0


async def test_without_a_date_of_its_own_a_reply_is_read_by_the_servers_clock_as_it_was_reported_before():
    ahead = time.time() + 75

    def script(asked: Asked) -> bytes | None:
        if asked.is_create:
            return answer(503, b"", {"Retry-After": formatdate(ahead + 30, usegmt=True)})
        return answer(200, {"docs": []}, {"Date": formatdate(ahead, usegmt=True)})

    async with (
        raw_api(script) as api,
        Transport(api.base_url, bearer("x"), RequestGate(Pace({}), Handovers({}, None))) as transport,
    ):
        await transport.call(RequestClass.LIST, "GET", "/tasks")
        reply = await transport.call(RequestClass.CREATE, "POST", "/task/x", body=b'{"unique_id":"k"}')
    assert reply.retry_after_s == pytest.approx(30, abs=2)


@pytest.mark.parametrize("status", [200, 301, 400, 401, 404, 409, 422])
def test_what_is_settled_asks_for_no_wait(status):
    assert asked_wait_s(status, {"Retry-After": "60"}, 0.0) is None


@pytest.mark.parametrize("value", ["soon", "", "nan", "-"])
def test_a_wait_that_cannot_be_read_is_none(value):
    assert asked_wait_s(503, {"Retry-After": value}, 0.0) is None


async def test_the_wait_travels_with_the_outcome_and_with_the_error():
    script = refusing(503, 9, {"Retry-After": "7"})
    async with (
        raw_api(script) as api,
        Transport(api.base_url, bearer("x"), RequestGate(Pace({}), Handovers({}, None))) as transport,
    ):
        (outcome,) = await ScalePlatform(transport, KIND).creator.send([Outgoing("k", b"", b'{"unique_id":"k"}', 1, 1)])
    assert (outcome.kind, outcome.retry_after_s) == (OutcomeKind.UNKNOWN, 7.0)
    for status, kind in ((503, OutcomeUnknown), (413, Throttled), (429, Throttled)):
        async with (
            raw_api(refusing(status, 9, {"Retry-After": "7"}, "is_list")) as api,
            Transport(api.base_url, bearer("x"), RequestGate(Pace({}), Handovers({}, None))) as transport,
        ):
            with pytest.raises(kind) as told:
                await ScalePlatform(transport, KIND).lister.page({"limit": 1}, None)
            assert isinstance(told.value, RemoteError)
            assert told.value.retry_after_s == 7.0
