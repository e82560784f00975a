"""Replies that are no replies: the decoder refuses them in words, and no record is lost or failed by them."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import resource
import subprocess
import sys
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalesync.errors import OutcomeUnknown, Refused, RemoteError
from scalesync.flows.imports.run import run_import
from scalesync.flows.runtime.options import ImportOptions
from scalesync.flows.runtime.setup.services import resolve_settings
from scalesync.http.credentials import bearer
from scalesync.http.transport import Reply, Transport
from scalesync.model.outcomes import Match, OutcomeKind, Presence
from scalesync.model.records import Outgoing
from scalesync.model.targets import RequestClass
from scalesync.platforms.scale import jsonbytes, wire
from scalesync.platforms.scale.adapter import ScalePlatform
from scalesync.platforms.scale.documents import read_document
from scalesync.platforms.scale.task_errors import error_of
from tests.conftest import FAST, KIND, PROJECT, letter
from tests.draws import draws
from tests.network.relay import length_of, listening
from tests.network.test_never_hangs import OpenGate

TASK = {"task_id": "a" * 24, "unique_id": "k", "type": KIND, "status": "pending", "created_at": "2026-01-01T00:00:00Z"}
DEEP = b"[" * 100_000 + b"]" * 100_000
ODD_BODIES: dict[str, bytes] = {
    "empty": b"",
    "cut": json.dumps(TASK).encode()[:-10],
    "a list": b"[]",
    "null": b"null",
    "a text": b'"task"',
    "NUL bytes": b"\0" * 100,
    "no UTF-8": b'{"task_id": "\xff\xfe"}',
    "HTML": b"<html><body>It works!</body></html>",
    "deep": b'{"task_id": "a", "x": ' + DEEP + b"}",
    "deep all over": DEEP,
    "no task_id": b'{"unique_id": "k"}',
    "task_id is a list": b'{"task_id": ["a"]}',
    "task_id is a number": b'{"task_id": 7}',
    "task_id is empty": b'{"task_id": ""}',
    "task_id is half a surrogate pair": b'{"task_id": "\\ud800"}',
    "a number of 5,000 digits": b'{"task_id": ' + b"9" * 5000 + b"}",
    "an open text": b'{"task_id": "' + b"a" * 10_000,
}
ODD_LISTS: dict[str, bytes] = {
    **ODD_BODIES,
    "docs is an object": b'{"docs": {}}',
    "docs is a text": b'{"docs": "none"}',
    "docs is missing": b'{"total": 1}',
    "total is a text": b'{"docs": [], "total": "none"}',
    "total is a list": b'{"docs": [], "total": []}',
    "next_token is a number": b'{"docs": [], "next_token": 7}',
    "has_more is a text": b'{"docs": [], "has_more": "maybe"}',
    "odd and with half a pair": b'{"docs": {}, "x": "\\ud800"}',
}


def reply(body: bytes, status: int = 200) -> Reply:
    return Reply(status, {}, body)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ODD_BODIES)
def test_a_create_that_answers_nonsense_is_an_unknown_outcome(name):
    outcome = wire.created(reply(ODD_BODIES[name]), "k")
    assert outcome.kind is OutcomeKind.UNKNOWN


@pytest.mark.parametrize("name", ODD_LISTS)
def test_a_list_that_is_none_is_reported_as_that(name):
    with pytest.raises(OutcomeUnknown, match=r"is not a list of tasks|instead of the API"):
        wire.page(reply(ODD_LISTS[name]), "list tasks")


@pytest.mark.parametrize("status", [100, 204, 206, 301, 302, 304, 407, 408, 421, 425, 500, 502, 599, 999])
def test_a_status_that_judges_nothing_leaves_the_outcome_unknown(status):
    assert wire.created(reply(b"", status), "k").kind is OutcomeKind.UNKNOWN


@pytest.mark.parametrize("body", [*ODD_BODIES.values(), b"<" * 1_000_000, b'{"error": "' + b"a" * 5_000_000 + b'"}'])
def test_the_words_of_an_error_are_short_and_can_be_kept(body):
    words = wire.error_text(reply(body, 400))
    assert 0 < len(words) <= 500
    assert words.encode()


def test_half_a_surrogate_pair_inside_a_task_leaves_its_bytes_alone():
    body = b'{"m": {"docs": [1]}, "docs" : [ {"a":"\\ud800"} ,\n{"b": "x"}] , "total":2, "next_token": "t\\u0000"}'
    documents, total, has_more, token = wire.page(reply(body), "list tasks")
    assert list(documents) == [b'{"a":"\\ud800"}', b'{"b": "x"}']
    assert (total, has_more, token) == (2, None, "t\0")


def test_numbers_of_a_task_are_compared_to_the_last_digit():
    assert jsonbytes.loads(b'{"a": 18446744073709551617}') != jsonbytes.loads(b'{"a": 18446744073709551618}')


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
members = st.sampled_from(
    ["task_id", "unique_id", "status", "created_at", "updated_at", "params", "type", "tags", "response"]
)
near_tasks = st.dictionaries(members, json_values) | json_values
bodies = st.one_of(
    st.binary(max_size=200),
    near_tasks.map(lambda value: json.dumps(value).encode()),
    st.fixed_dictionaries(
        {"docs": st.lists(near_tasks) | json_values},
        optional={"total": json_values, "has_more": json_values, "next_token": json_values},
    ).map(lambda value: json.dumps(value).encode("utf-8", "surrogatepass")),
    st.tuples(near_tasks, st.integers(0, 60)).map(
        lambda pair: json.dumps({"docs": [pair[0]]}).encode()[: -pair[1] or None]
    ),
)


@settings(max_examples=draws(100), deadline=None)
@given(body=bodies, status=st.sampled_from([200, 200, 200, 400, 409, 500]))
def test_the_decoder_takes_anything_and_raises_nothing_but_its_own_errors(body, status):
    outcome = wire.created(reply(body, status), "k")
    assert outcome.message.encode() is not None
    assert outcome.ref is None or outcome.ref.encode()
    platform = ScalePlatform(None)  # type: ignore[arg-type]
    record = Outgoing("k", b"", json.dumps(letter(1)).encode(), 1, 1)
    for act in (
        lambda: wire.page(reply(body), "list"),
        lambda: wire.as_object(reply(body), "read"),
        lambda: [list(platform.spec.view(document).urls()) for document in wire.page(reply(body), "list")[0]],
    ):
        try:
            act()
        except RemoteError:
            continue
    found = wire.lookup_result(body, {"k"})
    if found is not None and found[1].presence is Presence.FOUND:
        verdict = platform.creator.compare(record, found[1].task or {})
        assert verdict.match in Match
        assert verdict.ref.encode()
        assert verdict.error is None or verdict.error.words.encode()


# --- through the real transport ----------------------------------------------------------------


def server_of(answer: Callable[[str, str], bytes]) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any]:
    """A server that sends raw bytes for each request, then closes."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(length_of(head))
        method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
        writer.write(answer(method, target))
        await writer.drain()
        writer.write_eof()
        await reader.read()

    return serve


def raw(body: bytes, status: int = 200, headers: bytes = b"") -> bytes:
    return b"HTTP/1.1 %d X\r\n%sContent-Length: %d\r\nConnection: close\r\n\r\n" % (status, headers, len(body)) + body


ODD_REPLIES: dict[str, bytes] = {
    "no HTTP": b"SSH-2.0-OpenSSH_9.6\r\n",
    "nothing": b"",
    "a flood of headers": b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(200_000)) + b"\r\n",
    "a header without end": b"HTTP/1.1 200 OK\r\nX: " + b"y" * 3_000_000,
    "a bad status line": b"HTTP/1.1 two hundred\r\n\r\n",
    "a length that is none": b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n{}",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 5\r\n\r\n{}",
    "a bad chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n",
    "a chunk cut off": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n{}",
    "gzip that is none": raw(b"not gzip", headers=b"Content-Encoding: gzip\r\n"),
    "gzip cut off": raw(gzip.compress(b'{"a": 1}' * 1000)[:-20], headers=b"Content-Encoding: gzip\r\n"),
    "NUL in a header": b"HTTP/1.1 200 OK\r\nX: \0\r\nContent-Length: 2\r\n\r\n{}",
    **{name: raw(body) for name, body in ODD_BODIES.items()},
}


@pytest.mark.usefixtures("each_transport")
@pytest.mark.parametrize("name", ODD_REPLIES)
async def test_an_odd_reply_ends_in_an_error_of_ours(name):
    async with (
        listening(server_of(lambda *_: ODD_REPLIES[name])) as port,
        Transport(f"http://127.0.0.1:{port}/v1", bearer("k"), OpenGate()) as transport,
    ):
        platform = ScalePlatform(transport, KIND)
        (outcome,) = await platform.creator.send([Outgoing("k", b"", b"{}", 1, 1)])
        assert outcome.kind is OutcomeKind.UNKNOWN
        with pytest.raises(RemoteError) as told:
            await platform.creator.look_up(["k"])
        assert len(str(told.value)) < 300


@pytest.mark.usefixtures("each_transport")
async def test_answers_of_every_odd_kind_fail_no_record_of_an_import(make_sandbox, tmp_path, notebook, write_records):
    """Creates and look-ups answered by nonsense: the run gives up, and the records are pending."""
    turn = iter(range(1_000_000))
    odd = list(ODD_REPLIES.values())

    def answer(method: str, target: str) -> bytes:
        if "/projects/" in target:
            return raw(json.dumps({"name": PROJECT, "type": KIND}).encode())
        return odd[next(turn) % len(odd)]

    async with listening(server_of(answer)) as port:
        switches = resolve_settings(
            base_url=f"http://127.0.0.1:{port}/v1", ledger=tmp_path / "l.db", environ={"SCALE_API_KEY": "test_k"}
        )
        asked = ImportOptions(sources=(str(write_records(60)),), type=KIND, project=PROJECT)
        limits = type(FAST)(retry=FAST.retry, stall_s=1.5, grace_s=1.0)
        summary = await run_import(asked, switches, notebook, limits=limits, signals=False)
    assert (summary.exit_code, summary.failed, summary.created, summary.pending) == (3, 0, 0, 60)


@pytest.mark.parametrize("code", [10**30, -1, True, "403", None, [403], 403.5])
def test_an_odd_status_of_an_attachment_is_none_that_is_kept(code):
    response = {
        "error": "\ud800 http://u:p@x.test/a?sig=1",
        "attachments": [{"statusCode": code, "url": "http://[::1"}],
    }
    told = error_of(TASK | {"status": "error", "response": response})
    assert told.status is None
    assert told.words.encode()
    assert "sig" not in told.words


async def test_a_look_up_that_returns_odd_tasks_settles_nothing():
    odd = [
        {"unique_id": ["k"], "task_id": "a"},
        {"unique_id": "k", "task_id": ["a"]},
        {"unique_id": "k", "task_id": "\ud800"},
        {"unique_id": "k"},
        "k",
        None,
        7,
    ]
    for task in odd:
        found = wire.lookup_result(json.dumps(task).encode(), {"k"})
        assert found is None or found[1].presence is Presence.UNKNOWN


BOMB = """
import asyncio, sys
from tests.hostile.test_replies import bomb_against
print(asyncio.run(bomb_against(sys.argv[1])))
"""


def peak_mb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


async def bomb_against(kind: str) -> int:
    """A gzip bomb of 150 MB as the answer to a call; returns the MB that it cost."""
    engine = zlib.compressobj(6, zlib.DEFLATED, 31)
    packed = b"".join(engine.compress(bytes(2**20)) for _ in range(150)) + engine.flush()
    answer = raw(packed, headers=b"Content-Encoding: gzip\r\n")
    cls = RequestClass(kind)
    async with (
        listening(server_of(lambda *_: answer)) as port,
        Transport(f"http://127.0.0.1:{port}/v1", bearer("k"), OpenGate(), max_reply_bytes=2**24) as transport,
    ):
        before = peak_mb()
        small = {"method": "POST", "path": "/task/x", "body": b"{}"}
        asked = small if cls is RequestClass.CREATE else {"method": "GET", "path": "/tasks"}
        with pytest.raises(Refused if cls is RequestClass.LIST else OutcomeUnknown, match="larger than 16 MB") as told:
            await transport.call(cls, **asked)
        assert told.value.status == (413 if cls is RequestClass.LIST else 200)
    return peak_mb() - before


@pytest.mark.usefixtures("each_transport")
@pytest.mark.part(2)
@pytest.mark.parametrize("kind", ["list", "create"])
def test_a_bomb_as_a_reply_is_refused_in_words_and_little_memory(kind):
    command = [sys.executable, "-c", BOMB, kind]
    run = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) < 60


@pytest.mark.parametrize(
    "odd", [{"tags": [None, "a"]}, {"tags": "a"}, {"status": 7}, {"updated_at": ["x"]}, {"batch": {}}, {"x": "\ud800"}]
)
def test_a_task_with_an_odd_member_is_exported_all_the_same(odd):
    document = read_document(json.dumps(TASK | odd).encode())
    assert document.ref == TASK["task_id"]
    assert document.times()["created"] > 0


def test_a_reply_repeats_no_credentials_even_where_its_words_are_cut():
    words = "x" * 480 + " test_secret_key_of_somebody"
    told = wire.error_text(
        Reply(400, {}, json.dumps({"error": words}).encode(), lambda text: re.sub("test_.*", "***", text))
    )  # type: ignore[arg-type]
    assert "test_" not in told
