"""Answers that no API gives: redirects, sign-in pages, nothing, headers that are too long. One sentence each."""

from __future__ import annotations

import pytest

from scalesync.errors import ConfigError, OutcomeUnknown
from scalesync.flows.runtime.gate import RequestGate
from scalesync.http.credentials import bearer
from scalesync.http.download import Downloader
from scalesync.http.strays import stray
from scalesync.http.transport import Reply, Transport
from scalesync.model.targets import RequestClass
from scalesync.pacing.handover import Handovers
from scalesync.pacing.pace import Pace
from scalesync.platforms.scale import wire
from tests.network.raw import Asked, answer, raw_api

HERE = "http://127.0.0.1:8990/v1"
SIGN_IN = b"<html><head><title>Sign in</title></head><body>Please sign in.</body></html>"
STRAYS = {
    "307 elsewhere": (
        307,
        b"",
        {"Location": "https://elsewhere.example/v1/x?token=secret"},
        "https://elsewhere.example;",
    ),
    "301 to https": (
        301,
        b"moved",
        {"Location": "https://127.0.0.1:8990/v1/tasks"},
        "points to https://127.0.0.1:8990;",
    ),
    "302 to a login here": (302, b"", {"Location": "/login?next=secret"}, "to another path of http://127.0.0.1:8990;"),
    "303 with a password": (303, b"", {"Location": "https://me:secret@gate.example/x"}, "to https://gate.example;"),
    "308 nowhere": (308, b"", {}, "answers 308 and points nowhere"),
    "300 to a mailbox": (300, b"", {"Location": "mailto:secret@x.example"}, "an address that cannot be read"),
    "a sign-in page": (200, SIGN_IN, {"Content-Type": "text/html; charset=utf-8"}, 'a web page ("Sign in") instead'),
    "a page without a title": (200, b"\xef\xbb\xbf \n<!doctype html><p>secretless", {}, "with a web page instead"),
    "a page by its type": (201, b"Hello", {"Content-Type": "text/html"}, "answers 201 with a web page instead"),
    "nothing": (200, b"", {}, "answers 200 with nothing instead"),
    "blanks": (200, b" \r\n", {"Content-Type": "application/json"}, "with nothing instead"),
    "a word": (
        200,
        b"OK secret",
        {"Content-Type": "text/plain; x=1"},
        "something other than JSON (text/plain) instead",
    ),
}


def reply(status: int, body: bytes, headers: dict[str, str]) -> Reply:
    return Reply(status, headers, body, where=HERE)


@pytest.mark.parametrize("name", STRAYS)
def test_a_stray_answer_is_one_sentence_with_address_status_and_origin_or_title(name):
    status, body, headers, words = STRAYS[name]
    told = stray(reply(status, body, headers))
    assert told is not None
    assert told.startswith(f"{HERE} answers {status} ")
    assert words in told
    assert "secret" not in told
    assert wire.created(reply(status, body, headers), "k").astray


@pytest.mark.parametrize("body", [b'{"a": 1', b"[1, 2", b"null", b'"ok"', b"7", b'\n {"docs": "none"}'])
def test_what_the_api_may_have_sent_is_none(body):
    assert stray(reply(200, body, {"Content-Type": "application/json"})) is None


def test_a_title_of_any_length_and_kind_stays_one_short_line():
    told = stray(reply(200, b"<title>Sign &amp; \n in \xff" + b"x" * 300 + b"</title>", {})) or ""
    assert '("Sign & in' in told
    assert len(told) < 300


@pytest.mark.part(2)
@pytest.mark.usefixtures("each_transport")
@pytest.mark.parametrize("name", STRAYS)
async def test_before_anything_got_through_a_stray_answer_ends_the_command_at_once(name, load, save, write_records):
    status, body, headers, words = STRAYS[name]
    async with raw_api(lambda asked: answer(status, body, headers)) as api:
        with pytest.raises(ConfigError) as told:
            await load(api.base_url, write_records(3))
        assert words.replace("http://127.0.0.1:8990", api.base_url.removesuffix("/v1")) in str(told.value)
        assert f"{api.base_url} answers {status} " in str(told.value)
        assert (told.value.exit_code, len(api.asked)) == (2, 2)  # a second look, and no third
        with pytest.raises(ConfigError, match="answers"):
            await save(api.base_url)
        assert len(api.asked) == 4


async def test_one_stray_answer_at_the_start_is_no_reason_to_stop(load, write_records):
    async with raw_api(lambda asked: answer(302) if asked.number == 1 and "projects" in asked.path else None) as api:
        assert (await load(api.base_url, write_records(3))).created == 3


@pytest.mark.parametrize("name", ["307 elsewhere", "a sign-in page", "nothing"])
async def test_where_only_creates_go_astray_the_run_stops_after_a_few(name, load, write_records):
    status, body, headers, words = STRAYS[name]
    lost = True

    def script(asked: Asked) -> bytes | None:
        return answer(status, body, headers) if lost and asked.is_create else None

    async with raw_api(script) as api:
        summary = await load(api.base_url, write_records(5))
        assert (summary.exit_code, summary.created, summary.pending) == (3, 0, 5)
        assert words.rstrip(";") in summary.message
        assert len(api.creates()) <= 5 + 3  # what was in flight together, and no ten attempts each
        lost = False
        assert (await load(api.base_url, write_records(5))).created == 5


async def test_a_login_that_runs_out_in_the_middle_loses_nothing(load, write_records):
    """All answers are a page for a while; what was sent meanwhile is looked up, and the run goes on by itself."""
    lost: set[int] = set(range(20, 26))
    seen = 0

    def script(asked: Asked) -> bytes | None:
        nonlocal seen
        seen += 1
        return answer(200, SIGN_IN, {"Content-Type": "text/html"}) if seen in lost else None

    async with raw_api(script) as api:
        summary = await load(api.base_url, write_records(60), concurrency=4)
        assert (summary.exit_code, summary.created, len(api.made)) == (0, 60, 60)


# --- headers that are too long -----------------------------------------------------------------------


@pytest.mark.usefixtures("each_transport")
@pytest.mark.parametrize(
    "header",
    [
        {"Set-Cookie": "route=" + "x" * 9_000},
        {"Content-Security-Policy": "y" * 65_000},
        {f"X-Trace-{number}": "z" * 4_000 for number in range(60)},
    ],
    ids=["cookie", "policy", "many"],
)
async def test_headers_of_up_to_64_kb_are_read(header, load, save, write_records):
    async with raw_api(always=header) as api:
        assert (await load(api.base_url, write_records(5))).created == 5
        assert (await save(api.base_url)).tasks == 5


async def test_so_are_those_of_a_result_file(tmp_path):
    async with (
        raw_api(lambda asked: answer(200, b"the file", {"Set-Cookie": "x" * 65_000})) as api,
        Downloader(tmp_path, RequestGate(Pace({}), Handovers({}, None)), allow_http=True) as downloader,
    ):
        stored = await downloader.fetch(f"{api.base_url}/file")
    assert (tmp_path.parent / stored.path).read_bytes() == b"the file"


@pytest.mark.usefixtures("each_transport")
async def test_a_longer_header_is_reported_as_that(load, write_records):
    async with raw_api(always={"Set-Cookie": "x" * 70_000}) as api:
        with pytest.raises(ConfigError, match="a header of more than 64 KB"):
            await load(api.base_url, write_records(3))


@pytest.mark.usefixtures("each_transport")
async def test_a_longer_header_in_the_middle_leaves_the_outcome_open():
    def script(asked: Asked) -> bytes | None:
        return answer(200, {}, {"X": "x" * 70_000}) if asked.is_create else None

    async with (
        raw_api(script) as api,
        Transport(api.base_url, bearer("x"), RequestGate(Pace({}), Handovers({}, None))) as transport,
    ):
        await transport.call(RequestClass.LIST, "GET", "/tasks")
        with pytest.raises(OutcomeUnknown, match="a header of more than 64 KB"):
            await transport.call(RequestClass.CREATE, "POST", "/task/x", body=b'{"unique_id":"k"}')
