"""Files of answers over version 2: whole or not at all, by a key only where the API itself serves them."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from scalesync.errors import OutcomeUnknown
from scalesync.model.summaries import ExportSummary
from scalesync.platforms.scale.documents import read_document
from scalesync.platforms.scale.v2.documents import read_chat
from scalesync.platforms.scale.v2.files import files
from scalesync.sandbox import Sandbox
from scalesync.sandbox.core.faults import FaultRule
from scalesync.sandbox.core.wire.messages import Call, Reply
from scalesync.sandbox.core.wire.rawjson import dumps
from scalesync.sandbox.scale.tasks import lifecycle
from scalesync.sandbox.scale.v2 import routes
from scalesync.testing.trial import Trial, listed, trial_of, until_done
from tests.flows.test_results import serving
from tests.platforms.chat import ChatHarness
from tests.platforms.delivered import DatasetHarness, DeliveredHarness

CHATS = 12
LINK = re.compile(rb'"(?:url|response_url)":"(http[^"]+)"')


class Completed(ChatHarness):
    """Chats that are completed as soon as they are made."""

    def made(self, host: Sandbox) -> None:
        world = self._world(host)
        for task in list(world.tasks):
            lifecycle.complete(world, task, world.now())


HARNESSES = {"chats": Completed(), "deliveries": DeliveredHarness(), "dataset": DatasetHarness()}


@asynccontextmanager
async def attached(name: str, folder: Path, **switches: Any) -> AsyncIterator[Trial]:
    """Answers with files."""
    async with trial_of(HARNESSES[name], folder, chat_attachments=True, **switches) as trial:
        trial.fill(CHATS)
        yield trial


def index_of(trial: Trial, out: str = "out") -> list[dict[str, Any]]:
    manifest = json.loads((trial.folder / out / "manifest.json").read_bytes())
    entries = manifest["responses"]["files"]
    folder = trial.folder / out
    return [json.loads(line) for entry in entries for line in (folder / entry["path"]).read_bytes().splitlines()]


async def fetch(trial: Trial, **options: Any) -> ExportSummary:
    return await trial.export(download_responses=True, page_size=5, **options)


@pytest.mark.parametrize("name", HARNESSES)
async def test_each_file_that_an_answer_names_is_stored_by_its_content(tmp_path: Path, name: str) -> None:
    async with attached(name, tmp_path) as trial, aiohttp.ClientSession() as plain:
        summary = await fetch(trial)
        assert (summary.tasks, summary.responses_failed, summary.exit_code) == (CHATS, 0, 0), summary
        wanted = []
        for line in listed(tmp_path / "out"):
            for link in LINK.findall(line):
                key = aiohttp.encode_basic_auth(HARNESSES[name].key, "") if b"response_url" in link else ""
                async with plain.get(link.decode(), headers={"Authorization": key} if key else {}) as reply:
                    assert reply.status == 200
                    wanted.append((json.loads(line)["task_id"], hashlib.sha256(await reply.read()).hexdigest()))
        index = index_of(trial)
        assert len(wanted) >= CHATS
        assert sorted(set(wanted)) == sorted({(line["task_id"], line["sha256"]) for line in index})
        assert len(index) == len(wanted) == summary.responses_downloaded
        times = {json.loads(line)["task_id"]: read_chat(line).updated_at for line in listed(tmp_path / "out")}
        for line in index:
            path = tmp_path / "out" / line["path"]
            assert hashlib.sha256(path.read_bytes()).hexdigest() == line["sha256"] == path.stem
            assert line["updated_at"] == times[line["task_id"]]


@pytest.mark.parametrize("name", HARNESSES)
async def test_a_link_that_has_expired_is_fetched_by_a_fresh_one_of_the_same_version(tmp_path: Path, name: str) -> None:
    async with attached(name, tmp_path, result_ttl_s=600.0) as trial:
        before = trial.host.journal.count("get")
        trial.strike(FaultRule(kind="error", status=403, on="result", at=(0,)))
        summary = await fetch(trial)
        assert (summary.responses_failed, summary.exit_code) == (0, 0), summary
        assert trial.host.journal.count("get") > before, "the task was read again"
        assert all(line["path"] for line in index_of(trial))


@pytest.mark.parametrize("name", HARNESSES)
async def test_files_that_are_missing_are_fetched_by_the_next_run(tmp_path: Path, name: str) -> None:
    async with attached(name, tmp_path) as trial:
        trial.strike(FaultRule(kind="error", status=404, on="result"))
        first = await fetch(trial)
        assert (first.tasks, first.exit_code, first.responses_downloaded) == (CHATS, 1, 0), first
        assert first.responses_failed == len(index_of(trial))
        lines = listed(tmp_path / "out")
        versions = {(line["task_id"], line["updated_at"]) for line in index_of(trial)}
        trial.strike()
        second = await fetch(trial)
        assert (second.exit_code, second.responses_downloaded) == (0, first.responses_failed), second
        assert listed(tmp_path / "out") == lines
        assert {(line["task_id"], line["updated_at"]) for line in index_of(trial) if line["path"]} == versions


@pytest.mark.parametrize("name", HARNESSES)
async def test_a_file_that_breaks_off_is_stored_whole(tmp_path: Path, name: str) -> None:
    async with attached(name, tmp_path) as trial:
        trial.strike(FaultRule(kind="cut", on="result", at=(1, 4)))
        summary = await until_done(lambda: fetch(trial))
        assert (summary.responses_failed, summary.exit_code) == (0, 0), summary
        for line in index_of(trial):
            json.loads((tmp_path / "out" / line["path"]).read_bytes())


async def test_an_increment_reads_links_that_were_signed_again_as_no_change(tmp_path: Path) -> None:
    async with attached("chats", tmp_path, result_ttl_s=600.0) as trial:
        assert (await trial.export(incremental=True)).tasks == CHATS
        trial.clock.ahead_ms += 60_000
        assert (await trial.export(incremental=True)).tasks == 0
        ref = trial.held()[0].ref
        trial.harness.correct(trial.host, ref)
        assert (await trial.export(incremental=True)).tasks == 1


async def test_the_key_goes_to_the_api_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not to the host that the API redirects to, and not to a host whose address looks like that of the API."""
    seen: list[tuple[str, bool]] = []

    async def elsewhere(request: web.Request) -> web.Response:
        seen.append((request.path, "Authorization" in request.headers))
        return web.Response(body=b'{"kind": "letter"}')

    asked: list[str | None] = []

    def redirect(genai: Any, call: Call) -> Reply:
        asked.append(call.path[2])
        return Reply(302, headers={"Location": f"{origin}/file"})

    path = ("GET", "datasets/task/*/response_url/*")
    monkeypatch.setitem(routes.ROUTES, path, routes.ROUTES[path]._replace(answer=redirect))
    async with serving(web.get("/{path:.*}", elsewhere)) as origin, trial_of(HARNESSES["dataset"], tmp_path) as trial:
        assert isinstance(trial.host, Sandbox)
        harness = trial.harness
        ref = harness.make(trial.host, "key", harness.record(0))
        task = trial.host.store.world("live").find(ref)
        assert task is not None
        looks_like = f"{origin}/v2/datasets/task/{ref}/response_url/1"
        answer = {"threads": [{"turns": [], "annotations": [{"key": "file", "value": {"url": looks_like}}]}]}
        lifecycle.correct(trial.host.store.world("live"), task, dumps(answer))
        trial.host.store.genai("live").publish(trial.host.store.genai("live").datasets[0].id, tasks=[ref])
        summary = await fetch(trial)
    assert (summary.exit_code, summary.responses_failed) == (0, 0), summary
    assert asked, "the API was asked, with the key, for without one it answers 401"
    assert {path for path, _ in seen} == {"/file", f"/v2/datasets/task/{ref}/response_url/1"}
    assert not any(with_key for _, with_key in seen)


def test_the_files_of_an_answer_by_the_official_models() -> None:
    file = {"mime_type": "image/png", "scale_url": "https://s.example/a", "url": "https://u.example/a", "name": "a"}
    inline = {"content": "aGVsbG8=", "mime_type": "text/plain", "url": "https://u.example/inline"}
    audio = {"url": "https://u.example/sound", "duration": 3.5, "transcript_url": "https://u.example/words"}
    quoted = [{"content": "said", "category": "web", "url": "https://news.example/page?url=https://x.example"}]
    content = {"text": "see https://u.example/text", "attachments": [file, inline, audio], "reference_texts": quoted}
    chunk = {"type": "text", "text": "x", "annotations": [{"key": "proof", "type": "file", "value": file}]}
    code = {"scale_url": "https://s.example/main.py", "file_name": "main.py", "file_content": "print()"}
    kept = {"scale_url": "scaledata://not/an/address", "url": "https://u.example/kept"}
    rest = {"annotations": [{"key": "work", "value": {"files": [code, kept]}}, {"key": "link", "value": "https://a.b"}]}
    thread = {"turns": [{"messages": [{"content": {**content, "chunks": [chunk]}, **rest}]}], "model": {"url": 7}}
    found = dict(files([thread], "threads"))
    message = "threads.0.turns.0.messages.0"
    assert found == {
        f"{message}.content.attachments.0.scale_url": "https://s.example/a",
        f"{message}.content.attachments.2.url": "https://u.example/sound",
        f"{message}.content.attachments.2.transcript_url": "https://u.example/words",
        f"{message}.content.chunks.0.annotations.0.value.scale_url": "https://s.example/a",
        f"{message}.annotations.0.value.files.1.url": "https://u.example/kept",
    }


def test_a_chat_and_its_delivered_form_have_the_same_paths() -> None:
    threads = [{"turns": [{"messages": [{"content": {"attachments": [{"url": "https://u.example/a"}]}}]}]}]
    chat = read_chat(json.dumps({"task_id": "t", "threads": threads}).encode())
    delivered = read_chat(json.dumps({"task_id": "t", "response": {"threads": threads}}).encode())
    assert (
        list(chat.urls())
        == list(delivered.urls())
        == [("threads.0.turns.0.messages.0.content.attachments.0.url", "https://u.example/a")]
    )
    odd = json.dumps({"task_id": "t", "status": 7, "threads": threads}).encode()
    assert list(read_chat(odd).urls()) == list(chat.urls())


@pytest.mark.parametrize("read", [read_chat, read_document])
def test_an_answer_that_is_nested_too_deep_is_not_a_task(read: Callable[[bytes], object]) -> None:
    deep = b'{"task_id":"t","threads":' + b'[{"url":' * 5000 + b"1" + b"}]" * 5000 + b"}"
    with pytest.raises(OutcomeUnknown, match="not a task"):
        read(deep)
