"""Exports through a file that the platform makes: one command, one file, each document once, whatever breaks off."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from scalesync.errors import ConfigError
from scalesync.flows.exports.run import run_export
from scalesync.flows.runtime.options import ExportOptions
from scalesync.http.partial_file import Partial
from scalesync.model.records import JsonObject
from scalesync.model.selection import Selection
from scalesync.ports.platform import Changes, CommandState, CommandStatus, ExportFile
from tests.conftest import Notebook
from tests.flows.fates import Fate
from tests.flows.other_service import Export, Lists, Service, exported, exporting, ids_of, newest

TOKEN = "Bearer t0ken"


class Jobs:
    """Export jobs of a service, and the server of their files.

    received: how much of a file the client has, as it says.
    fails: how many of the next jobs fail. cuts: after how many bytes each of the next answers breaks off.
    step: called right before and right after a job is made.
    """

    def __init__(self, service: Service, *, array: bool = False) -> None:
        self.service = service
        self.changes = service.changes
        self.filters = service.filters
        self.version_of = Lists(service).version_of
        self.cursor = Lists(service).cursor
        self.array = array
        self.made: dict[str, bytes] = {}
        self.asked: list[Selection] = []
        self.polls = 0
        self.fails = 0
        self.spoil = b""
        self.cuts: list[int] = []
        self.ranges: list[str | None] = []
        self.received = 0
        self.step: Callable[[], None] = lambda: None
        self.origin = ""

    async def submit(self, selection: Selection) -> str:
        """Make the file at once; it takes two polls to say so."""
        self.step()
        name = f"job-{len(self.asked)}"
        self.asked.append(selection)
        documents = [self.service.store[one] for one in self.service.matching(selection)]
        documents.sort(reverse=len(self.asked) % 2 == 0)  # no file is in the order of the one before
        lines = b"\n\n".join([*documents, b""]) + self.spoil
        self.made[name] = b"[" + b" ,\n ".join(documents) + b"\n]\n" if self.array else lines
        self.step()
        return name

    async def status(self, command: str) -> CommandStatus | None:
        """Waiting, at every other poll."""
        self.polls += 1
        if command not in self.made:
            return None
        if self.fails:
            self.fails -= 1
            return CommandStatus(CommandState.FAILED, message="out of workers")
        return CommandStatus(CommandState.DONE if self.polls % 2 == 0 else CommandState.WAITING, after_s=0.0)

    async def file(self, command: str) -> ExportFile:
        """Where it is, for those who have the token."""
        return ExportFile(f"{self.origin}/files/{command}", {"Authorization": TOKEN}, array=self.array)

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """A file, or the rest of it."""
        data = self.made.get(request.match_info["name"])
        if data is None or request.headers.get("Authorization") != TOKEN:
            return web.Response(status=403)
        asked = request.headers.get("Range")
        self.ranges.append(asked)
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        head = {"ETag": '"one"', "Content-Length": str(len(data) - start)}
        if asked:
            head["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        answer = web.StreamResponse(status=206 if asked else 200, headers=head)
        await answer.prepare(request)
        if self.cuts:
            end = start + self.cuts.pop(0)
            await answer.write(data[start:end])
            while self.received < end:  # aiohttp's client throws away what it has not given out when a line breaks
                await asyncio.sleep(0.005)
            assert request.transport is not None
            request.transport.close()
            return answer
        await answer.write(data[start:])
        return answer


@pytest.fixture
async def jobs_of() -> AsyncIterator[Callable[..., Any]]:
    """jobs_of(service, array=False): its export jobs, with a server of their files."""
    servers: list[TestServer] = []

    async def make(service: Service, **switches: Any) -> Jobs:
        jobs = Jobs(service, **switches)
        app = web.Application()
        app.router.add_get("/files/{name}", jobs.serve)
        server = TestServer(app)
        servers.append(server)
        await server.start_server()
        jobs.origin = str(server.make_url("/")).rstrip("/")
        return jobs

    yield make
    for server in servers:
        await server.close()


@pytest.fixture
def export(tmp_path: Path, notebook: Notebook, monkeypatch: pytest.MonkeyPatch) -> Export:
    """export(jobs, fate=None, out="out", **options): one run."""
    run = exporting(tmp_path, notebook, monkeypatch)

    async def through(jobs: Jobs, fate: Fate | None = None, out: str = "out", **options: Any) -> Any:
        jobs.step = fate.step if fate is not None else lambda: None
        return await run(jobs.service, fate, out, roles={"export_jobs": jobs}, **options)

    return through


def assert_each_once(folder: Path, service: Service) -> None:
    lines = exported(folder)
    assert sorted(ids_of(lines)) == sorted(service.store)
    assert set(lines) == set(service.store.values())
    assert not (folder / ".export").exists()


@pytest.mark.parametrize("array", [False, True])
@pytest.mark.parametrize("count", [0, 1, 10, 57])
async def test_the_documents_of_the_file_are_the_lines_byte_for_byte(array, count, jobs_of, export, tmp_path):
    service = Service().fill(count)
    jobs = await jobs_of(service, array=array)
    summary = await export(jobs)
    assert (summary.exit_code, summary.tasks, summary.unsettled) == (0, count, 0)
    assert_each_once(tmp_path / "out", service)
    assert (len(jobs.asked), service.pages) == (1, 1)  # the first look asks the list


async def test_pages_are_read_where_they_are_asked_for(jobs_of, export, tmp_path):
    service = Service().fill(25)
    jobs = await jobs_of(service)
    assert (await export(jobs, via="pages")).tasks == 25
    assert_each_once(tmp_path / "out", service)
    assert jobs.asked == []


@pytest.mark.parametrize("array", [False, True])
async def test_a_download_that_breaks_off_continues_where_it_was(array, jobs_of, export, tmp_path, monkeypatch):
    service = Service().fill(57)
    jobs = await jobs_of(service, array=array)
    plain = Partial.append

    def append(part: Partial, chunk: bytes) -> None:
        plain(part, chunk)
        jobs.received = part.size

    monkeypatch.setattr(Partial, "append", append)
    jobs.cuts = [100, 1, 700, 900, 300, 300]
    summary = await export(jobs)
    assert (summary.exit_code, len(jobs.asked)) == (0, 1)
    assert_each_once(tmp_path / "out", service)
    assert [asked is None for asked in jobs.ranges] == [True] + [False] * 6


@pytest.mark.timeout(240)
@pytest.mark.parametrize("array", [False, True])
async def test_a_run_that_is_killed_at_any_step_continues_with_the_same_command(array, jobs_of, export, tmp_path):
    whole = Fate()
    await export(await jobs_of(Service().fill(25), array=array), whole, "steps")
    assert whole.steps > 15
    twice = 0
    for strike in range(1, whole.steps + 1):
        service = Service().fill(25)
        jobs, out = await jobs_of(service, array=array), f"out{strike}"
        fate = Fate(strike)
        assert (await export(jobs, fate, out) is None) or fate.nearly(whole)
        summary = await export(jobs, None, out)
        assert (summary.exit_code, summary.unsettled) == (0, 0), strike
        assert_each_once(tmp_path / out, service)
        assert len(jobs.asked) <= 2
        twice += len(jobs.asked) == 2
    assert twice == 2  # right behind its making, and right before its id was durable


@pytest.mark.timeout(240)
async def test_a_job_that_the_service_no_longer_has_is_made_again_without_a_line_lost_or_doubled(
    jobs_of, export, notebook, tmp_path
):
    whole = Fate()
    await export(await jobs_of(Service().fill(25)), whole, "steps")
    again = 0
    for strike in range(1, whole.steps + 1):
        service = Service().fill(25)
        jobs, out = await jobs_of(service), f"out{strike}"
        fate = Fate(strike)
        assert (await export(jobs, fate, out) is None) or fate.nearly(whole)
        jobs.made.clear()
        shutil.rmtree(tmp_path / out / ".export", ignore_errors=True)
        for number in range(26, 30):
            service.put(number)
        notebook.notes.clear()
        assert (await export(jobs, None, out)).exit_code == 0
        lines = ids_of(exported(tmp_path / out))
        assert len(lines) == len(set(lines))
        assert set(range(1, 26)) <= set(lines) <= set(service.store)
        again += any("no longer has it; asking for another one" in note for note in notebook.notes)
    assert again > 5


async def test_a_job_that_fails_is_made_again_and_three_stop_the_run(jobs_of, export, notebook, tmp_path):
    service = Service().fill(25)
    jobs = await jobs_of(service)
    jobs.fails = 3
    stopped = await export(jobs)
    assert (stopped.exit_code, "no export in 3 attempts" in stopped.message) == (3, True)
    assert sum("'out of workers'" in note for note in notebook.notes) == 3
    jobs.fails = 1
    assert (await export(jobs)).exit_code == 0
    assert_each_once(tmp_path / "out", service)
    assert len(jobs.asked) == 5


@pytest.mark.parametrize("spoil", [b'{"id": 1, "st', b"<html>"])
async def test_a_file_that_holds_something_else_stops_the_run_and_the_next_one_has_another_made(
    spoil, jobs_of, export, tmp_path
):
    service = Service().fill(25)
    jobs = await jobs_of(service)
    jobs.spoil = spoil
    stopped = await export(jobs)
    assert (stopped.exit_code, "not a task" in stopped.message) == (3, True)
    jobs.spoil = b""
    assert (await export(jobs)).exit_code == 0
    assert_each_once(tmp_path / "out", service)
    assert len(jobs.asked) == 2


@pytest.mark.parametrize("changes", Changes)
async def test_increments_through_jobs_add_up(changes, jobs_of, export, tmp_path):
    service = Service(changes=changes).fill(30)
    jobs = await jobs_of(service)
    switches: JsonObject = {"incremental": True, "overlap": "2s"}
    assert (await export(jobs, **switches)).tasks == 30
    for number in (3, 31):
        service.put(number, text="other")
    assert (await export(jobs, **switches)).tasks == 2
    assert newest(tmp_path / "out") == service.store
    assert [jobs.asked[1].since] == [{"version": 30} if changes is Changes.VERSION else None]
    checked = await export(jobs, full_every="1s", **switches)
    assert (checked.exit_code, checked.tasks) == (0, 0)
    assert jobs.asked[2].since is None
    assert "updated_after" not in jobs.asked[2].bounds


async def test_a_platform_without_export_files_says_so_before_anything_is_sent(
    make_sandbox, settings_for, notebook, tmp_path
):
    sandbox = await make_sandbox()
    options = ExportOptions(out=tmp_path / "out", via="job")
    with pytest.raises(ConfigError, match="--via job` does not work with Scale AI: it makes no export files"):
        await run_export(options, settings_for(sandbox), notebook, signals=False)
    assert (sandbox.journal.count(), (tmp_path / "out").exists()) == (0, False)
