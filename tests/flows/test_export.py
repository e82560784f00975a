"""Exports: complete, byte for byte, in files that exist whole or not at all."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import pytest
from aiohttp import web

from scalesync.errors import ConfigError, StopRun
from scalesync.flows.exports.backfill.plan import BackfillOptions
from scalesync.flows.exports.backfill.run import run_backfill
from scalesync.flows.exports.run import run_export
from scalesync.flows.runtime.options import ExportOptions
from scalesync.flows.runtime.setup.services import resolve_settings
from scalesync.model.summaries import ExportSummary
from scalesync.sandbox import FaultRule, Sandbox
from tests.conftest import KIND, PROJECT, letter

KEY = "live_k"


async def fill(sandbox: Sandbox, count: int, key: str = KEY, **more: Any) -> None:
    """Create tasks the plain way, one body each."""
    async with aiohttp.ClientSession(auth=None, headers={"Authorization": f"Bearer {key}"}) as session:
        for number in range(count):
            await create(session, sandbox, json.dumps(letter(number, project=PROJECT, **more)))


async def create(session: aiohttp.ClientSession, sandbox: Sandbox, body: str, kind: str = KIND) -> dict[str, Any]:
    async with session.post(f"{sandbox.base_url}/task/{kind}", data=body) as response:
        answer: dict[str, Any] = await response.json()
        assert response.status == 200, answer
        return answer


def lines_of(out: Path) -> list[bytes]:
    manifest = json.loads((out / "manifest.json").read_bytes())
    lines: list[bytes] = []
    for entry in manifest["files"]:
        data = (out / entry["path"]).read_bytes()
        assert hashlib.sha256(data).hexdigest() == entry["sha256"]
        assert len(data) == entry["bytes"]
        found = data.splitlines()
        assert len(found) == entry["rows"]
        lines += found
    return lines


@pytest.fixture
def export(settings_for, notebook, tmp_path):
    async def run(sandbox: Sandbox, name: str = "out", key: str = KEY, **options: Any):
        return await run_export(
            ExportOptions(out=tmp_path / name, **options), settings_for(sandbox, key=key), notebook, signals=False
        )

    return run


async def test_every_task_is_one_line_as_the_server_sent_it(make_sandbox, export, tmp_path):
    sandbox = await make_sandbox()
    odd = '{"unique_id":"odd","project":"letters","attachment_type":"text","attachment":"x","categories":["a"],'
    odd += (
        '"metadata":{"z":18446744073709551617,"one":1.0,"raw":"\u00fc\u2028","escaped":"\\u00fc\\ud83d\\ude00","a":1}}'
    )
    await fill(sandbox, 250)
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {KEY}"}) as session:
        await create(session, sandbox, odd)
        wanted = []
        for task in sandbox.store.world("live").documents():
            async with session.get(f"{sandbox.base_url}/task/{task['task_id']}") as response:
                wanted.append(await response.read())
    summary = await export(sandbox)
    assert (summary.exit_code, summary.tasks, summary.unsettled) == (0, 251, 0)
    assert sorted(lines_of(tmp_path / "out")) == sorted(line.strip() for line in wanted)
    assert any(b"18446744073709551617" in line and b'"one":1.0' in line for line in lines_of(tmp_path / "out"))


@pytest.mark.parametrize(
    "faults",
    [
        [FaultRule(kind="error", on="list", share=0.3, status=500)],
        [FaultRule(kind="reset", on="list", share=0.3)],
        [FaultRule(kind="cut", on="list", share=0.3)],
        [FaultRule(kind="html502", on="list", share=0.3)],
        [FaultRule(kind="error", on="list", at=(1, 2), status=429, retry_after=0)],
    ],
    ids=["500", "reset", "cut", "html", "429"],
)
async def test_nothing_is_missing_when_pages_fail(faults, make_sandbox, export, tmp_path):
    sandbox = await make_sandbox()
    await fill(sandbox, 60)
    sandbox.faults.replace(faults)
    summary = await export(sandbox, page_size=10)
    keys = [json.loads(line)["unique_id"] for line in lines_of(tmp_path / "out")]
    assert summary.exit_code == 0
    assert sorted(keys) == sorted(letter(number)["unique_id"] for number in range(60))


@pytest.mark.parametrize("time_bounds", ["inclusive", "exclusive", "half_open"])
async def test_after_is_inclusive_and_before_exclusive_however_the_server_reads_them(
    time_bounds, make_sandbox, export, tmp_path
):
    now = [1_750_000_000_000]
    sandbox = await make_sandbox(clock=lambda: now[0], time_bounds=time_bounds)
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {KEY}"}) as session:
        for number in range(10):
            await create(session, sandbox, json.dumps(letter(number)))
            now[0] += 1
    summary = await export(sandbox, created_after="2025-06-15T15:06:40.003Z", created_before="2025-06-15T15:06:40.007")
    numbers = sorted(json.loads(line)["metadata"]["number"] for line in lines_of(tmp_path / "out"))
    assert numbers == [3, 4, 5, 6]
    assert summary.exit_code == 0


async def test_several_statuses_and_tags_mean_any_of_them(make_sandbox, export, tmp_path):
    sandbox = await make_sandbox()
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {KEY}"}) as session:
        for number in range(6):
            task = await create(session, sandbox, json.dumps(letter(number, tags=["abc"[number % 3]])))
            if number == 5:
                await session.post(f"{sandbox.base_url}/task/{task['task_id']}/cancel")
    sandbox.annotate(2)
    both = await export(sandbox, "both", status=("completed", "canceled"))
    tagged = await export(sandbox, "tagged", tags=("a", "b"))
    assert (both.tasks, tagged.tasks) == (3, 4)
    assert {json.loads(line)["status"] for line in lines_of(tmp_path / "both")} == {"completed", "canceled"}


async def test_a_finished_export_says_how_old_it_is_and_sends_nothing(make_sandbox, export, tmp_path):
    sandbox = await make_sandbox()
    await fill(sandbox, 5)
    await export(sandbox)
    sandbox.journal.clear()
    again = await export(sandbox)
    assert (again.tasks, again.requests, sandbox.journal.count()) == (5, 0, 0)
    assert "finished at" in again.message
    await fill_more(sandbox, 5)
    second = await export(sandbox, again=True)
    assert second.tasks == 6
    assert len(lines_of(tmp_path / "out")) == 6
    assert len(list((tmp_path / "out").glob("tasks*"))) == 1


@pytest.mark.parametrize("incremental", [False, True])
async def test_a_listed_file_that_is_gone_or_cut_is_reported(incremental, make_sandbox, export, tmp_path):
    sandbox = await make_sandbox()
    await fill(sandbox, 3)
    await export(sandbox)
    path = tmp_path / "out" / "tasks" / "tasks-00001.jsonl"
    whole = path.read_bytes()
    sandbox.journal.clear()
    path.write_bytes(whole[:-1])
    cut = await export(sandbox, incremental=incremental)
    assert f"{path}: has {len(whole) - 1:,} bytes, not {len(whole):,}" in cut.message
    path.unlink()
    gone = await export(sandbox, incremental=incremental)
    assert f"{path}: is missing, and manifest.json lists it; restore it" in gone.message
    assert ("in place of --incremental" in gone.message) == incremental
    assert (cut.exit_code, gone.exit_code, sandbox.journal.count()) == (1, 1, 0)
    assert (await export(sandbox, again=True)).exit_code == 0
    assert len(lines_of(tmp_path / "out")) == 3


async def test_the_name_of_a_listed_file_is_never_used_again(make_sandbox, export, tmp_path):
    sandbox = await make_sandbox()
    await fill(sandbox, 1)
    names = []
    for loss in (None, None, None, "ledger.db", "out/manifest.json"):
        if loss is not None:
            (tmp_path / loss).unlink()
        await export(sandbox, again=True)
        names += [path.name for path in (tmp_path / "out" / "tasks").glob("tasks-*")]
        await fill_more(sandbox, len(names))
    assert names == [f"tasks-{number:05d}.jsonl" for number in range(1, 6)]


async def fill_more(sandbox: Sandbox, number: int) -> None:
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {KEY}"}) as session:
        await create(session, sandbox, json.dumps(letter(number, project=PROJECT)))


async def test_a_folder_with_foreign_files_or_other_filters_is_left_alone(make_sandbox, export, tmp_path):
    sandbox = await make_sandbox()
    await fill(sandbox, 3)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep me")
    with pytest.raises(ConfigError, match=r"notes\.txt"):
        await export(sandbox, "mine")
    await export(sandbox, "out")
    with pytest.raises(ConfigError, match="other filters"):
        await export(sandbox, "out", status=("completed",))
    with pytest.raises(ConfigError, match="choose another --out"):
        await export(sandbox, "out", key="test_k")


async def test_compressed_files_and_chosen_fields(make_sandbox, export, tmp_path):
    sandbox = await make_sandbox()
    await fill(sandbox, 4)
    await export(sandbox, "gz", format="jsonl.gz", fields=("task_id", "metadata.number"))
    (path,) = (tmp_path / "gz").rglob("*.gz")
    rows = [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]
    assert sorted(row["metadata"]["number"] for row in rows) == [0, 1, 2, 3]
    assert set(rows[0]) == {"task_id", "metadata"}


async def test_parquet_holds_the_document_beside_its_columns(make_sandbox, export, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    sandbox = await make_sandbox()
    await fill(sandbox, 4)
    await export(sandbox, "pq", format="parquet")
    (path,) = (tmp_path / "pq").rglob("*.parquet")
    rows = parquet.read_table(path).to_pylist()
    assert sorted(row["unique_id"] for row in rows) == [letter(number)["unique_id"] for number in range(4)]
    assert json.loads(rows[0]["task"])["task_id"] == rows[0]["task_id"]


VIDEO = {
    "attachment": "https://x.test/a.mp4",
    "attachment_type": "video",
    "geometries": {"box": {"objects_to_annotate": ["p"]}},
}


async def test_result_files_are_stored_whole_and_named_by_content(make_sandbox, export, tmp_path):
    sandbox = await make_sandbox([FaultRule(kind="cut", on="result", share=0.3)], result_bytes=700_000)
    sandbox.store.world("test").add_project("v", "videoannotation")
    async with aiohttp.ClientSession(headers={"Authorization": "Bearer test_k"}) as session:
        for number in range(6):
            body = json.dumps(VIDEO | {"unique_id": f"v{number}", "project": "v"})
            await create(session, sandbox, body, "videoannotation")
    summary = await export(sandbox, key="test_k", project="v", download_responses=True)
    assert (summary.exit_code, summary.responses_downloaded, summary.responses_failed) == (0, 6, 0)
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_bytes())
    (index,) = manifest["responses"]["files"]
    listed = [json.loads(line) for line in (tmp_path / "out" / index["path"]).read_bytes().splitlines()]
    assert len(listed) == 6
    for line in listed:
        data = (tmp_path / "out" / line["path"]).read_bytes()
        assert hashlib.sha256(data).hexdigest() == line["sha256"]
        assert Path(line["path"]).name == f"{line['sha256']}.json"
        assert len(data) == line["bytes"] > 600_000
        assert line["updated_at"]
    assert not list((tmp_path / "out").rglob(".part-*"))


async def test_filters_that_the_server_refuses_are_reported_before_anything_is_bound(
    make_sandbox, export, ask_ledger, tmp_path
):
    sandbox = await make_sandbox(unknown_parent_in_list="error")
    with pytest.raises(ConfigError, match=r"no project 'nowhere' in this account.*its projects are letters"):
        await export(sandbox, project="nowhere")
    sandbox.faults.replace([FaultRule(kind="error", on="list", status=400, times=1)])
    with pytest.raises(ConfigError, match=r"first page \(400\).*correct the filters"):
        await export(sandbox, project=PROJECT)
    assert not (tmp_path / "out").exists()
    assert ask_ledger("SELECT name FROM jobs") == []
    await fill(sandbox, 1)
    assert (await export(sandbox, project=PROJECT)).tasks == 1


async def test_a_page_that_is_refused_later_stops_the_run_with_the_next_step(make_sandbox, export, tmp_path):
    sandbox = await make_sandbox([FaultRule(kind="error", on="list", status=400, at=(1,))])
    await fill(sandbox, 1)
    stopped = await export(sandbox)
    assert stopped.exit_code == 3
    assert "run the same command again" in stopped.message
    assert (await export(sandbox)).exit_code == 0


async def test_what_a_folder_holds_is_said_as_options(make_sandbox, export):
    sandbox = await make_sandbox()
    await fill(sandbox, 1)
    await export(sandbox, project=PROJECT, status=("pending", "completed"), format="jsonl.gz")
    with pytest.raises(ConfigError) as other:
        await export(sandbox, tags=("a b",))
    assert "--project letters --status pending,completed, this command has --tag 'a b'; " in str(other.value)
    with pytest.raises(ConfigError) as form:
        await export(sandbox, project=PROJECT, status=("pending", "completed"), download_responses=True)
    assert "--format jsonl.gz, this command has --format jsonl --download-responses; " in str(form.value)
    assert not {"{", "[", "("} & set(str(form.value) + str(other.value))


@asynccontextmanager
async def lying_server(pages: list[dict[str, Any]], seen: list[web.Request]) -> AsyncIterator[str]:
    """A server that answers every list call but the first, which only asks for the time, with the next page."""
    rest = iter(pages)

    async def tasks(request: web.Request) -> web.Response:
        seen.append(request)
        if request.query.get("limit") == "1":
            return web.json_response({"docs": [], "total": 0, "limit": 1, "offset": 0, "has_more": False})
        return web.json_response(next(rest))

    async def result(request: web.Request) -> web.Response:
        seen.append(request)
        return web.Response(body=b"[]", status=200 if request.query.get("s") == "fresh" else 403)

    async def task(request: web.Request) -> web.Response:
        url = str(request.url.with_path("/result").with_query(s="fresh"))
        return web.json_response({"task_id": "a" * 24, "response": {"annotations": {"url": url}}})

    app = web.Application()
    app.add_routes([web.get("/v1/tasks", tasks), web.get("/v1/task/{id}", task), web.get("/result", result)])
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server = site._server
    assert isinstance(server, asyncio.Server)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        await runner.cleanup()


def page(count: int, total: int, token: str | None = None, start: int = 0) -> dict[str, Any]:
    docs = [{"task_id": f"{number:024x}", "status": "pending"} for number in range(start, start + count)]
    return {"docs": docs, "total": total, "limit": 100, "offset": 0, "has_more": token is not None, "next_token": token}


async def run_against(origin: str, tmp_path: Path, notebook, **options: Any):
    settings = resolve_settings(base_url=f"{origin}/v1", ledger=tmp_path / "l.db", environ={"SCALE_API_KEY": KEY})
    return await run_export(ExportOptions(out=tmp_path / "out", **options), settings, notebook, signals=False)


async def test_a_total_that_never_matches_is_reported_as_unsettled(tmp_path, notebook):
    seen: list[web.Request] = []
    async with lying_server([page(3, 5), page(3, 5), page(3, 5)], seen) as origin:
        summary = await run_against(origin, tmp_path, notebook)
    assert (summary.exit_code, summary.unsettled, summary.tasks) == (1, 1, 3)
    assert len(lines_of(tmp_path / "out")) == 3
    assert any("listed 3 different ones but counts 5" in note for note in notebook.notes)


async def test_a_total_that_matches_at_the_second_reading_is_fine(tmp_path, notebook):
    seen: list[web.Request] = []
    async with lying_server([page(3, 5), page(5, 5)], seen) as origin:
        summary = await run_against(origin, tmp_path, notebook)
    assert (summary.exit_code, summary.unsettled, summary.tasks) == (0, 0, 5)
    assert len(lines_of(tmp_path / "out")) == 5


async def test_a_repeated_token_is_reported_and_never_the_end(tmp_path, notebook):
    seen: list[web.Request] = []
    async with lying_server([page(3, 9, "t"), page(3, 9, "t", 3)], seen) as origin:
        summary = await run_against(origin, tmp_path, notebook)
    assert summary.exit_code == 3
    assert "cursor" in summary.message
    assert not (tmp_path / "out" / "manifest.json").exists()


async def test_an_expired_link_is_refreshed_and_the_key_stays_at_home(tmp_path, notebook):
    seen: list[web.Request] = []
    stale = page(1, 1)
    async with lying_server([stale], seen) as origin:
        stale["docs"][0] |= {"task_id": "a" * 24, "response": {"annotations": {"url": f"{origin}/result?s=stale"}}}
        summary = await run_against(origin, tmp_path, notebook, download_responses=True)
    assert (summary.exit_code, summary.responses_downloaded) == (0, 1)
    fetched = [request for request in seen if request.path == "/result"]
    assert len(fetched) == 2
    assert all("Authorization" not in request.headers for request in fetched)


@pytest.mark.parametrize("other", ["ledger", "job", "command"])
async def test_a_folder_takes_one_run_at_a_time_whatever_ledger_and_job(
    other, make_sandbox, settings_for, notebook, tmp_path
):
    sandbox = await make_sandbox()
    await fill(sandbox, 300)
    sandbox.faults.replace([FaultRule(kind="latency", on="list", seconds=0.05)])
    ends: list[ExportSummary | StopRun] = []

    async def run(number: int) -> None:
        job = f"j{number}" if other == "job" else None
        settings = settings_for(sandbox)
        if other == "ledger":
            settings = replace(settings, ledger=tmp_path / f"{number}.db")
        options = ExportOptions(out=tmp_path / "out", job=job, page_size=20)
        try:
            if other == "command" and number:
                period = BackfillOptions(options, first="2020-01-01", last="2020-02-01", window="7d")
                ends.append(await run_backfill(period, settings, notebook, signals=False))
            else:
                ends.append(await run_export(options, settings, notebook, signals=False))
        except StopRun as stop:
            ends.append(stop)

    async with anyio.create_task_group() as group:
        for number in range(2):
            group.start_soon(run, number)
    assert sorted(end.exit_code for end in ends) == [0, 3]
    (stopped,) = (end for end in ends if isinstance(end, StopRun))
    assert "another run is writing there" in str(stopped)
    assert len(lines_of(tmp_path / "out")) == 300
