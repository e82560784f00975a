"""Result files: whole or not at all, gone on with where they broke off, fetched only from where they may be."""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import json
import random
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from importlib import import_module
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
from aiohttp import web

from scalesync.engine.backoff import RetryPolicy
from scalesync.errors import DiskFull, OutcomeUnknown, Refused, RemoteError, Unavailable
from scalesync.flows.exports import result_files
from scalesync.flows.exports.backfill.plan import BackfillOptions
from scalesync.flows.exports.backfill.run import run_backfill
from scalesync.flows.exports.missing_files import GONE
from scalesync.flows.exports.result_files import ResponseStore
from scalesync.flows.exports.run import run_export
from scalesync.flows.runtime.options import ExportOptions
from scalesync.http.download import Downloader
from scalesync.http.exchange import Deadlines
from scalesync.http.partial_file import Partial
from scalesync.model.outcomes import LookupResult, Presence
from scalesync.model.summaries import ExportSummary
from scalesync.model.targets import RequestClass
from scalesync.outputs.manifest import Manifest, load
from scalesync.platforms.scale.documents import read_document, view_of
from scalesync.sandbox import FaultRule, Sandbox
from tests.flows.test_export import VIDEO, create
from tests.flows.test_increments import MINUTE, START_MS

# What lies in the client's buffer when a connection breaks is lost: parts must be a good deal larger than that.
BODY = random.Random(1).randbytes(3_000_000)
CUT = 1_200_000
LOST = 900_000
TAG = '"v1"'


class Gate:
    """A gate that lets everybody pass and keeps count."""

    counts_handovers = True

    def __init__(self, width: int = 8) -> None:
        self.admitted: list[RequestClass] = []
        self.handed: list[RequestClass] = []
        self.statuses: list[int] = []
        self.in_flight = self.peak = self.troubles = 0
        self._width = width

    def admit_now(self, cls: RequestClass) -> bool:
        return False

    async def acquire(self, cls: RequestClass) -> None:
        self.admitted.append(cls)
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)

    def release(self) -> None:
        self.in_flight -= 1

    async def handover(self, cls: RequestClass) -> None:
        self.handed.append(cls)

    def answered(self, cls: RequestClass, status: int, latency_s: float, retry_after_s: float | None) -> None:
        self.statuses.append(status)

    def unanswered(self, cls: RequestClass, latency_s: float) -> None:
        self.troubles += 1

    def width(self, request: RequestClass) -> int:
        return self._width


@dataclass
class Shelf:
    """A file server that breaks off. cuts: bytes to send of each answer in turn, then whole ones.

    ranges: whether it answers Range with 206, in the manner of RFC 9110. change: called before each answer.
    """

    body: bytes = BODY
    headers: dict[str, str] = field(default_factory=lambda: {"ETag": TAG})
    cuts: list[int] = field(default_factory=list)
    ranges: bool = True
    change: Callable[[Shelf, int], None] = lambda shelf, number: None
    seen: list[web.Request] = field(default_factory=list)
    sent: int = 0
    origin: str = ""

    async def serve(self, request: web.Request) -> web.StreamResponse:
        self.change(self, len(self.seen))
        self.seen.append(request)
        start = self._start(request)
        data = self.body[start:]
        response = web.StreamResponse(status=206 if start else 200, headers=self.headers)
        if start:
            response.headers["Content-Range"] = f"bytes {start}-{len(self.body) - 1}/{len(self.body)}"
        response.content_length = len(data)
        await response.prepare(request)
        cut = self.cuts.pop(0) if self.cuts else len(data)
        await response.write(data[:cut])
        self.sent += cut
        if cut < len(data) and request.transport is not None:
            request.transport.close()
        return response

    def _start(self, request: web.Request) -> int:
        wanted = request.headers.get("Range", "")
        validators = {self.headers.get("ETag"), self.headers.get("Last-Modified")} - {None}
        if not self.ranges or not wanted or request.headers.get("If-Range") not in validators:
            return 0
        return int(wanted.removeprefix("bytes=").removesuffix("-"))


@asynccontextmanager
async def serving(*routes: web.RouteDef) -> AsyncIterator[str]:
    app = web.Application()
    app.add_routes(routes)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    assert isinstance(site._server, asyncio.Server)
    try:
        yield f"http://127.0.0.1:{site._server.sockets[0].getsockname()[1]}"
    finally:
        await runner.cleanup()


@pytest.fixture
async def shelf() -> AsyncIterator[Shelf]:
    made = Shelf()
    async with serving(web.get("/file", made.serve)) as made.origin:
        yield made


class Reader:
    """A platform that reads tasks again: with a newly signed link each time."""

    def __init__(self, link: Callable[[int], str]) -> None:
        self.reads = 0
        self._link = link

    async def read(self, ref: str) -> LookupResult:
        self.reads += 1
        task = {"task_id": ref, "response": {"annotations": {"url": self._link(self.reads)}}}
        return LookupResult(Presence.FOUND, task, view=view_of(task))


@pytest.fixture
async def store(tmp_path, monkeypatch) -> Callable[..., Any]:
    """store(url, ...) fetches as an export does and returns the lines of its index."""
    monkeypatch.setattr(result_files, "RetryPolicy", lambda **more: RetryPolicy(base_s=0.001, cap_s=0.002, **more))
    gate = Gate()
    folder = tmp_path / "responses"
    folder.mkdir()

    async def fetch(*urls: str, link: Callable[[int], str] = lambda number: "", **more: Any) -> list[dict[str, Any]]:
        tasks = [
            read_document(orjson.dumps({"task_id": f"{number:024x}", "response": {"annotations": {"url": url}}}))
            for number, url in enumerate(urls)
        ]
        async with Downloader(folder, gate, **more) as downloader:
            kept = ResponseStore(downloader, Reader(link), gate)
            lines = [json.loads(line) for line in await kept.fetch(tasks)]
        assert (kept.stored, kept.failed) == (sum("sha256" in x for x in lines), sum("error" in x for x in lines))
        for line in lines:
            if "sha256" in line:
                data = (tmp_path / line["path"]).read_bytes()
                assert (hashlib.sha256(data).hexdigest(), len(data)) == (line["sha256"], line["bytes"])
        assert not list(folder.rglob(".part-*"))
        assert gate.in_flight == 0
        assert set(gate.admitted) == set(gate.handed) == {RequestClass.FILES}
        return lines

    fetch.gate = gate
    return fetch


def content(line: dict[str, Any], tmp_path: Path) -> bytes:
    return (tmp_path / line["path"]).read_bytes()


# --- gone on with ------------------------------------------------------------------------------


async def test_a_broken_transfer_continues_where_it_broke_off(shelf, store, tmp_path):
    shelf.body = BODY * 2
    shelf.cuts = [CUT, 1, CUT, 7, CUT, 2, CUT]  # more breaks than attempts without progress are allowed
    (line,) = await store(f"{shelf.origin}/file?s=1")
    assert content(line, tmp_path) == BODY * 2
    assert [request.headers.get("If-Range") for request in shelf.seen] == [None] + [TAG] * (len(shelf.seen) - 1)
    starts = [int(request.headers["Range"][6:-1]) for request in shelf.seen[1:]]
    assert starts == sorted(starts)
    assert starts[0] > CUT - LOST
    assert store.gate.troubles == len(shelf.seen) - 1 == 7


@pytest.mark.parametrize(
    ("headers", "asked"),
    [
        ({"ETag": 'W/"v1"'}, None),
        ({}, None),
        ({"ETag": TAG, "Accept-Ranges": "none"}, None),
        ({"Last-Modified": "now"}, None),
        ({"Last-Modified": "Wed, 01 Jan 2025 00:00:00 GMT"}, "Wed, 01 Jan 2025 00:00:00 GMT"),
        ({"ETag": TAG, "Last-Modified": "Wed, 01 Jan 2025 00:00:00 GMT"}, TAG),
    ],
    ids=["weak", "nothing", "no ranges", "just changed", "changed long ago", "tag first"],
)
async def test_the_rest_is_asked_for_only_where_that_is_safe(headers, asked, shelf, store, tmp_path):
    now = formatdate(usegmt=True)
    shelf.headers = {name: now if text == "now" else text for name, text in headers.items()}
    shelf.cuts = [CUT]
    (line,) = await store(f"{shelf.origin}/file")
    assert content(line, tmp_path) == BODY
    assert shelf.seen[1].headers.get("If-Range") == asked
    assert ("Range" in shelf.seen[1].headers) == (asked is not None)


async def test_a_server_without_ranges_starts_over(shelf, store, tmp_path):
    shelf.ranges, shelf.cuts = False, [CUT, CUT]
    (line,) = await store(f"{shelf.origin}/file")
    assert content(line, tmp_path) == BODY
    assert "Range" in shelf.seen[1].headers


async def test_a_file_that_changed_meanwhile_is_never_mixed(shelf, store, tmp_path):
    def change(shelf: Shelf, number: int) -> None:
        if number == 1:
            shelf.body, shelf.headers = b"new" * 100_000, {"ETag": '"v2"'}

    shelf.change, shelf.cuts = change, [CUT]
    (line,) = await store(f"{shelf.origin}/file")
    assert content(line, tmp_path) == b"new" * 100_000


@pytest.mark.parametrize("said", ["bytes 7-9/10", "bytes 300000-1023999/999", "nonsense", ""])
async def test_another_part_than_was_asked_for_is_thrown_away(said, tmp_path):
    part = Partial(tmp_path)
    part.begin(200, {"ETag": TAG, "Content-Length": "1024000"}, "http://x/file")
    part.append(bytes(300_000))
    with pytest.raises(OutcomeUnknown, match="another part"):
        part.begin(206, {"Content-Range": said}, "http://x/file")
    assert part.size == 0
    assert "Range" not in part.wanted()
    part.drop()


async def test_a_rest_that_is_called_the_whole_goes_behind_what_is_there(tmp_path):
    part = Partial(tmp_path)
    part.begin(200, {"ETag": TAG, "Content-Length": "10"}, "http://x/file")
    part.append(b"01234")
    part.begin(200, {"ETag": TAG, "Content-Length": "5", "Content-Range": "bytes 5-9/10"}, "http://x/file")
    part.append(b"56789")
    stored = part.keep()
    assert (tmp_path.parent / stored.path).read_bytes() == b"0123456789"
    part.drop()


@pytest.mark.parametrize("said", ["bytes 4-9/10", "bytes 6-9/10", "bytes 5-9/11"])
async def test_another_rest_that_is_called_the_whole_is_thrown_away(said, tmp_path):
    part = Partial(tmp_path)
    part.begin(200, {"ETag": TAG, "Content-Length": "10"}, "http://x/file")
    part.append(b"01234")
    with pytest.raises(OutcomeUnknown, match="another part"):
        part.begin(200, {"ETag": TAG, "Content-Length": "5", "Content-Range": said}, "http://x/file")
    assert part.size == 0
    part.drop()


@pytest.mark.parametrize(
    ("body", "coding", "json"),
    [
        (b'{"annotations": []}', "", True),
        (b'\xef\xbb\xbf\r\n [\n  {"a": 1}]', "", True),
        (b"[null, 1]", "", True),
        (b"[-1.5]", "", True),
        (b"{" + b" " * 100 + b"}", "", True),
        (gzip.compress(b"{}", mtime=0), "gzip", True),
        (gzip.compress(b"{}", mtime=0), "", False),
        (b"\x89PNG\r\n\x1a\n{", "", False),
        (b"{\\rtf1\\ansi text}", "", False),
        (b"[Script Info]\nTitle: a", "", False),
        (b"label,text\n", "", False),
        (b"", "", False),
    ],
)
async def test_what_begins_as_json_has_its_extension(body, coding, json, tmp_path):
    for suffix in (True, False):
        part = Partial(tmp_path, suffix=suffix)
        part.begin(200, {"Content-Encoding": coding}, "http://x/file")
        part.append(body)
        stored = part.keep()
        assert Path(stored.path).name == stored.sha256 + (".json" if json and suffix else "")
        part.drop()


async def test_a_part_that_nobody_asked_for_is_no_file(tmp_path):
    part = Partial(tmp_path)
    with pytest.raises(OutcomeUnknown, match="not requested"):
        part.begin(200, {"ETag": TAG, "Content-Length": "5", "Content-Range": "bytes 5-9/10"}, "http://x/file")
    part.begin(200, {"ETag": TAG, "Content-Length": "5", "Content-Range": "bytes 0-4/10"}, "http://x/file")
    part.append(b"01234")
    with pytest.raises(OutcomeUnknown, match="broke off at 5 of 10 bytes"):
        part.keep()
    part.drop()


async def test_what_is_there_of_one_host_is_not_gone_on_with_by_another(tmp_path):
    part = Partial(tmp_path)
    part.begin(200, {"ETag": TAG, "Content-Length": "10"}, "http://x/file")
    part.append(b"12345")
    with pytest.raises(OutcomeUnknown):
        part.begin(206, {"Content-Range": "bytes 5-9/10"}, "http://y/file")
    part.drop()
    assert not list(tmp_path.iterdir())


async def test_a_link_that_expires_on_the_way_is_refreshed_and_gone_on_with(shelf, store, tmp_path):
    async def serve(request: web.Request) -> web.StreamResponse:
        if request.query["s"] == "old" and shelf.seen:
            return web.Response(status=403)
        return await shelf.serve(request)

    shelf.cuts = [CUT]
    async with serving(web.get("/file", serve)) as origin:
        (line,) = await store(f"{origin}/file?s=old", link=lambda number: f"{origin}/file?s=new")
    assert content(line, tmp_path) == BODY
    assert [request.headers.get("Range") is None for request in shelf.seen] == [True, False]
    assert shelf.sent < len(BODY) + LOST


# --- checked -----------------------------------------------------------------------------------


def b64(name: str, data: bytes = BODY) -> str:
    return base64.b64encode(hashlib.new(name, data).digest()).decode()


@pytest.mark.parametrize("right", [True, False])
@pytest.mark.parametrize(
    ("header", "text"),
    [
        ("Repr-Digest", "sha-256=:{sha256}:"),
        ("Digest", "crc32c=AAAAAA==, SHA-256={sha256}"),
        ("X-Goog-Hash", "crc32c=AAAAAA==,md5={md5}"),
        ("Content-MD5", "{md5}"),
    ],
)
async def test_what_the_server_says_of_its_bytes_is_checked(header, text, right, shelf, store, tmp_path):
    data = BODY if right else b"other"
    shelf.headers[header] = text.format(sha256=b64("sha256", data), md5=b64("md5", data))
    shelf.cuts = [CUT]
    (line,) = await store(f"{shelf.origin}/file")
    assert ("sha256" in line) == right
    assert right or "do not match" in line["error"]
    assert right or not list((tmp_path / "responses").rglob("*"))


async def test_a_digest_that_is_none_is_no_reason_to_fail(shelf, store):
    shelf.headers |= {"Content-MD5": "not base64", "Repr-Digest": "sha-256=:abc:", "X-Goog-Hash": "md5="}
    (line,) = await store(f"{shelf.origin}/file")
    assert line["bytes"] == len(BODY)


async def test_a_body_without_length_that_is_cut_is_not_stored(store, tmp_path):
    async def serve(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.enable_chunked_encoding()
        await response.prepare(request)
        await response.write(b"half of it")
        assert request.transport is not None
        request.transport.close()
        return response

    async with serving(web.get("/file", serve)) as origin:
        (line,) = await store(f"{origin}/file")
    assert "broke the connection" in line["error"]
    assert not list((tmp_path / "responses").iterdir())


@pytest.mark.parametrize("status", [204, 404, 410, 500])
async def test_other_answers_are_no_files(status, store, tmp_path):
    async def serve(request: web.Request) -> web.Response:
        return web.Response(status=status)

    async with serving(web.get("/file", serve)) as origin:
        (line,) = await store(f"{origin}/file?Signature=secret")
    assert f"answered {status}" in line["error"]
    assert "secret" not in json.dumps(line)


# --- decoded -----------------------------------------------------------------------------------


def packed(name: str) -> bytes:
    if name == "gzip":
        return gzip.compress(BODY[:400_000], mtime=0) + gzip.compress(BODY[400_000:], mtime=0)
    kind = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"
    data: bytes = import_module(kind).compress(BODY)
    return data


@pytest.mark.parametrize("name", ["gzip", "zstd"])
async def test_what_is_stored_is_the_decoded_content_also_behind_a_break(name, shelf, store, tmp_path):
    shelf.body = packed(name)
    shelf.headers |= {"Content-Encoding": name, "Repr-Digest": f"sha-256=:{b64('sha256', shelf.body)}:"}
    shelf.cuts = [CUT]
    (line,) = await store(f"{shelf.origin}/file")
    assert content(line, tmp_path) == BODY
    assert shelf.sent < len(shelf.body) + LOST


@pytest.mark.parametrize(
    ("encoding", "body", "why"),
    [
        ("gzip", packed("gzip")[:-50], "not gzip"),
        ("gzip", BODY, "not gzip"),
        ("zstd", BODY, "not zstd"),
        ("br", BODY, "cannot be decoded"),
        ("gzip, gzip", BODY, "cannot be decoded"),
    ],
)
async def test_what_cannot_be_decoded_is_not_stored(encoding, body, why, shelf, store, tmp_path):
    shelf.body = body
    shelf.headers["Content-Encoding"] = encoding
    (line,) = await store(f"{shelf.origin}/file")
    assert why in line["error"]
    assert not list((tmp_path / "responses").iterdir())


async def test_one_copy_per_content(shelf, store, tmp_path):
    lines = await store(*(f"{shelf.origin}/file?number={number}" for number in range(12)))
    assert len({line["path"] for line in lines}) == 1
    assert len([path for path in (tmp_path / "responses").rglob("*") if path.is_file()]) == 1


# --- redirected --------------------------------------------------------------------------------


def redirecting(shelf: Shelf, targets: dict[str, str]) -> list[web.RouteDef]:
    """/NAME redirects to targets[NAME]."""

    async def serve(request: web.Request) -> web.Response:
        shelf.seen.append(request)
        return web.Response(status=302, headers={"Location": targets[request.match_info["name"]]})

    return [web.get("/file", shelf.serve), web.get("/to/{name}", serve)]


async def test_redirects_are_followed_without_credentials_and_not_without_end(store, tmp_path):
    shelf = Shelf()
    chain = {f"{number}": f"/to/{number + 1}" for number in range(5)} | {"4": "/file", "5": "../file"}
    async with serving(*redirecting(shelf, chain | {"endless": "endless"})) as origin:
        (line,) = await store(f"{origin}/to/0")
        assert content(line, tmp_path) == BODY
        assert len(shelf.seen) == 6
        (line,) = await store(f"{origin}/to/endless")
        assert "more than 5 times" in line["error"]
    for request in shelf.seen:
        assert not {"Authorization", "Cookie", "Proxy-Authorization"} & set(request.headers)


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("file:///etc/passwd", "nowhere"),
        ("ftp://127.0.0.1/x", "not https"),
        ("http://192.0.2.1/x?Signature=secret", "--allow-http follows it"),
        ("http://192.0.2.1:80/x", "not https"),
        ("https://user:word@127.0.0.1/x", "user name"),
        ("http://[bad", "nowhere"),
        ("", "nowhere"),
        ("data:text/plain,hello", "nowhere"),
    ],
)
async def test_redirects_to_elsewhere_are_refused(target, why, store, tmp_path):
    async with serving(*redirecting(Shelf(), {"there": target})) as origin:
        (line,) = await store(f"{origin}/to/there?Signature=secret")
    assert why in line["error"]
    assert "secret" not in line["error"]
    assert not list((tmp_path / "responses").iterdir())


async def test_plain_http_elsewhere_is_followed_where_the_user_allows_it(tmp_path):
    async with serving(*redirecting(Shelf(), {"there": "http://192.0.2.1/x"})) as origin:
        short = Deadlines(connect=0.1, first_byte=0.1)
        async with Downloader(tmp_path, Gate(), allow_http=True, deadlines=short) as downloader:
            with pytest.raises(Unavailable, match=r"cannot reach 192\.0\.2\.1"):
                await downloader.fetch(f"{origin}/to/there")


async def test_a_remote_server_cannot_send_us_to_this_machine(tmp_path):
    downloader = Downloader(tmp_path, Gate())
    assert downloader._onward("https://results.test/a?s=1", "/b") == "https://results.test/b"
    with pytest.raises(Refused, match="not https"):
        downloader._onward("https://results.test/a", "http://127.0.0.1:1/b")


async def test_a_signature_goes_out_letter_by_letter(store):
    seen: list[str] = []

    async def serve(request: web.Request) -> web.Response:
        seen.append(request.raw_path)
        return web.Response(body=b"x")

    async with serving(web.get("/{name:.*}", serve)) as origin:
        path = "/a%7Eb%2Fc?Sig=a%2Bb+c%20d~%7E&X-Amz=%e4"
        await store(origin + path)
    assert seen == [path]


# --- beside the pages --------------------------------------------------------------------------


async def test_as_many_at_once_as_the_pace_of_files_allows(store):
    async def serve(request: web.Request) -> web.Response:
        await asyncio.wait_for(together.wait(), 10)
        return web.Response(body=request.query["n"].encode())

    together = asyncio.Event()

    async def open_when_full() -> None:
        while store.gate.in_flight < 8:
            await asyncio.sleep(0)
        together.set()

    async with serving(web.get("/file", serve)) as origin:
        watcher = asyncio.create_task(open_when_full())
        lines = await store(*(f"{origin}/file?n={number}" for number in range(30)))
        await watcher
    assert len({line["sha256"] for line in lines}) == 30
    assert store.gate.peak == 8


async def test_an_export_counts_files_as_a_class_of_their_own(tmp_path, notebook, make_sandbox, settings_for):
    now = [1_750_000_000_000]
    sandbox: Sandbox = await make_sandbox(result_bytes=1_000, result_gzip=True, clock=lambda: now[0])
    sandbox.store.world("test").add_project("v", "videoannotation")
    async with aiohttp.ClientSession(headers={"Authorization": "Bearer test_k"}) as session:
        for number in range(6):
            body = json.dumps(VIDEO | {"unique_id": f"v{number}", "project": "v"})
            await create(session, sandbox, body, "videoannotation")
    now[0] += 3_600_000
    asked = ExportOptions(out=tmp_path / "out", download_responses=True)
    settings = settings_for(sandbox, key="test_k", concurrency=2, rate_all="1000")
    summary = await run_backfill(BackfillOptions(asked, first="1d"), settings, notebook, signals=False)
    assert (summary.exit_code, summary.responses_downloaded, summary.watermark) == (0, 6, None)
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_bytes())
    (index,) = manifest["responses"]["files"]
    assert index["route"] in {window["start"] for window in manifest["windows"]}
    for line in map(json.loads, (tmp_path / "out" / index["path"]).read_bytes().splitlines()):
        json.loads((tmp_path / "out" / line["path"]).read_bytes())  # decoded


# --- what an earlier run could not get ---------------------------------------------------------


@pytest.fixture
def export(settings_for, notebook, tmp_path):
    async def run(sandbox: Sandbox, **options: Any) -> ExportSummary:
        asked = ExportOptions(out=tmp_path / "out", download_responses=True, **options)
        return await run_export(asked, settings_for(sandbox, key="live_k"), notebook, signals=False)

    return run


async def make_videos(sandbox: Sandbox, *numbers: int) -> None:
    async with aiohttp.ClientSession(headers={"Authorization": "Bearer live_k"}) as session:
        for number in numbers:
            body = json.dumps(VIDEO | {"unique_id": f"v{number}", "project": "v"})
            await create(session, sandbox, body, "videoannotation")
            await act_on(sandbox, f"v{number}", "complete")


def index_of(out: Path) -> list[dict[str, Any]]:
    manifest = load(out)
    assert manifest is not None
    assert {str(path.relative_to(out)) for path in out.rglob("*-*.jsonl")} == manifest.paths()
    entries = manifest.responses["files"]
    for entry in entries:
        assert hashlib.sha256((out / entry["path"]).read_bytes()).hexdigest() == entry["sha256"]
    return [json.loads(line) for entry in entries for line in (out / entry["path"]).read_bytes().splitlines()]


FORBIDDEN = FaultRule(kind="error", on="result", status=403)


async def test_the_same_command_fetches_what_was_missing_and_nothing_else(make_sandbox, export, tmp_path):
    sandbox = await make_sandbox([FORBIDDEN])
    sandbox.store.world("live").add_project("v", "videoannotation")
    await make_videos(sandbox, *range(6))
    first = await export(sandbox)
    assert (first.exit_code, first.responses_failed, first.tasks) == (1, 6, 6)
    tasks = (tmp_path / "out" / "tasks" / "tasks-00001.jsonl").read_bytes()
    again = await export(sandbox)
    assert (again.exit_code, again.responses_downloaded, again.responses_failed) == (1, 0, 6)
    sandbox.faults.replace([replace(FORBIDDEN, at=(0, 1))])
    some = await export(sandbox)
    assert (some.exit_code, some.responses_downloaded, some.responses_failed) == (1, 4, 2)
    sandbox.journal.clear()
    rest = await export(sandbox)
    assert (rest.exit_code, rest.responses_downloaded, rest.responses_failed, rest.tasks) == (0, 6, 0, 6)
    assert (sandbox.journal.count("list"), sandbox.journal.count("get"), rest.requests) == (1, 2, 3)
    assert (tmp_path / "out" / "tasks" / "tasks-00001.jsonl").read_bytes() == tasks
    for line in index_of(tmp_path / "out"):
        data = (tmp_path / "out" / line["path"]).read_bytes()
        assert (hashlib.sha256(data).hexdigest(), len(data)) == (line["sha256"], line["bytes"])
    sandbox.journal.clear()
    assert (await export(sandbox)).exit_code == 0
    assert sandbox.journal.count() == 0


async def test_a_task_that_lost_its_result_is_reported_in_the_index(make_sandbox, export, tmp_path):
    sandbox = await make_sandbox([FORBIDDEN])
    sandbox.store.world("live").add_project("v", "videoannotation")
    await make_videos(sandbox, 0, 1)
    await export(sandbox)
    await act_on(sandbox, "v1", "recall")
    sandbox.faults.replace([])
    summary = await export(sandbox)
    assert (summary.exit_code, summary.responses_downloaded, summary.responses_failed) == (1, 1, 1)
    assert [line["error"] for line in index_of(tmp_path / "out") if line["path"] is None] == [GONE]


async def act_on(sandbox: Sandbox, unique_id: str, action: str) -> None:
    task = sandbox.store.world("live").by_unique_id(unique_id)
    async with aiohttp.ClientSession() as session:
        url = f"{sandbox.origin}/_sandbox/tasks/{task['task_id']}"
        async with session.post(url, json={"action": action}) as response:
            assert response.status == 200, await response.text()


@pytest.mark.parametrize("incremental", [False, True])
@pytest.mark.parametrize("harm", ["removed", "cut short"])
async def test_a_result_file_that_was_taken_away_is_fetched_again(harm, incremental, make_sandbox, export, tmp_path):
    now = [START_MS]
    sandbox = await make_sandbox(clock=lambda: now[0])
    sandbox.store.world("live").add_project("v", "videoannotation")
    await make_videos(sandbox, *range(4))
    now[0] += MINUTE
    first = await export(sandbox, incremental=incremental)
    path, *_ = sorted(path for path in (tmp_path / "out" / "responses").rglob("*") if path.is_file())
    whole = path.read_bytes()
    path.unlink() if harm == "removed" else path.write_bytes(whole[:9])
    again = await export(sandbox, incremental=incremental)
    assert (again.exit_code, again.responses_failed) == (0, 0)
    assert path.read_bytes() == whole
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_bytes())
    assert manifest["responses_downloaded"] == (first.responses_downloaded if not incremental else 0)


async def test_increments_fetch_what_earlier_ones_lack_but_not_for_older_versions(make_sandbox, export, tmp_path):
    now = [START_MS]
    sandbox = await make_sandbox([FORBIDDEN], clock=lambda: now[0])
    sandbox.store.world("live").add_project("v", "videoannotation")
    await make_videos(sandbox, 0, 1, 2)
    now[0] += MINUTE
    first = await export(sandbox, incremental=True, status=("completed",))
    assert (first.tasks, first.responses_failed) == (3, 3)
    await act_on(sandbox, "v1", "touch")
    await act_on(sandbox, "v2", "recall")
    now[0] += MINUTE
    second = await export(sandbox, incremental=True, status=("completed",))
    assert (second.tasks, second.exit_code, second.responses_failed) == (1, 1, 2)
    sandbox.faults.replace([])
    await make_videos(sandbox, 3)
    now[0] += MINUTE
    third = await export(sandbox, incremental=True, status=("completed",))
    assert (third.tasks, third.exit_code, third.responses_downloaded, third.responses_failed) == (1, 0, 3, 0)
    stored = [line["task_id"] for line in index_of(tmp_path / "out") if line["path"] is not None]
    assert len(set(stored)) == len(stored) == 3
    assert (await export(sandbox, incremental=True, status=("completed",))).exit_code == 0


async def test_stopped_before_the_commit_the_old_index_stands(make_sandbox, export, tmp_path, monkeypatch):
    sandbox = await make_sandbox([FORBIDDEN])
    sandbox.store.world("live").add_project("v", "videoannotation")
    await make_videos(sandbox, 0, 1)
    await export(sandbox)
    before = index_of(tmp_path / "out")
    sandbox.faults.replace([])
    with monkeypatch.context() as patched:
        patched.setattr(Manifest, "commit", full_disk)
        assert (await export(sandbox)).exit_code == 3
    (tmp_path / "out" / "responses-00002.jsonl").unlink()  # finished, and listed nowhere
    assert index_of(tmp_path / "out") == before
    assert (await export(sandbox)).exit_code == 0
    assert all(line["path"] for line in index_of(tmp_path / "out"))


def full_disk(manifest: Manifest, folder: Path) -> None:
    raise DiskFull(f"{folder}: no space left")


async def test_a_disk_without_room_stops_the_run(shelf, tmp_path, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    async with Downloader(tmp_path, Gate()) as downloader:
        with pytest.raises(DiskFull, match="no space left"):
            await downloader.fetch(f"{shelf.origin}/file")
    assert not list(tmp_path.rglob(".part-*"))


def test_every_error_of_a_file_is_one_of_that_file():
    assert issubclass(Refused, RemoteError)
    assert not issubclass(DiskFull, RemoteError)


PEAK = """
import asyncio, json, sys
from pathlib import Path
from scalesync.http.download import Downloader
from tests.flows.test_results import Gate

async def main():
    async with Downloader(Path(sys.argv[1]), Gate()) as downloader:
        stored = await downloader.fetch(sys.argv[2])
    (peak,) = [line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")]
    print(json.dumps([stored.bytes, int(peak) // 1024]))

asyncio.run(main())
"""


@pytest.mark.soak
@pytest.mark.timeout(300)
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak from /proc")
@pytest.mark.parametrize("encoding", [None, "gzip"])
async def test_a_large_file_needs_no_more_memory_than_a_small_one(encoding, tmp_path):
    async def serve(request: web.Request) -> web.StreamResponse:
        wanted = int(request.query["mb"]) << 20
        response = web.StreamResponse()
        if encoding:
            response.enable_compression(web.ContentCoding.gzip)
        else:
            response.content_length = wanted
        await response.prepare(request)
        for _ in range(wanted >> 18):
            await response.write(bytes(1 << 18))
        return response

    async def peak(origin: str, megabytes: int) -> int:
        command = [sys.executable, "-c", PEAK, str(tmp_path), f"{origin}/file?mb={megabytes}"]
        process = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
        out, _ = await process.communicate()
        stored, peak_mb = json.loads(out)
        assert stored == megabytes << 20
        return int(peak_mb)

    async with serving(web.get("/file", serve)) as origin:
        small, large = await peak(origin, 1), await peak(origin, 1024)
    assert large < small + 16, f"{small} MB for 1 MB, {large} MB for 1 GB"
