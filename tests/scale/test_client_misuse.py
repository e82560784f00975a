"""What programs do to a client that nobody shows them: shared lists, forks, odd files, odd values."""

from __future__ import annotations

import asyncio
import io
import multiprocessing
import os
import threading
from pathlib import Path

import pytest

from scalesync.errors import ConfigError, OutcomeUnknown
from scalesync.scale import AsyncScaleClient, Client, ScaleTooManyRequests, ScaleUnauthorized
from scalesync.scale.methods.results import Task
from tests.conftest import KIND, PROJECT
from tests.scale.conftest import KEY, hasty

LETTER = {"attachment": "Dear reader", "attachment_type": "text", "categories": ["kind", "angry"]}
NOWHERE = "http://127.0.0.1:9/v1"


async def test_several_tasks_share_a_list(make_sandbox, client_of):
    client = client_of(await make_sandbox())
    made = {(await client.create_task(KIND, project=PROJECT, **LETTER)).task_id for _ in range(23)}

    for limit in (None, 11):
        listing, got = client.get_tasks(page_size=3, limit=limit), []

        async def take(listing=listing, got=got) -> None:
            async for task in listing:
                got.append(task.task_id)
                await asyncio.sleep(0)

        await asyncio.gather(*(take() for _ in range(5)))
        assert len(got) == len(set(got)) == (limit or len(made))
        assert listing.finished

    pages = client.get_tasks(page_size=3)
    first = await asyncio.gather(*(pages.next_page() for _ in range(9)))
    assert sorted(task.task_id for page in first for task in page) == sorted(made)


async def test_several_threads_share_a_list(make_sandbox):
    sandbox = await make_sandbox()

    def work() -> None:
        with Client(KEY, base_url=sandbox.base_url) as client:
            made = {client.create_task(KIND, project=PROJECT, **LETTER).task_id for _ in range(23)}
            listing, got = client.get_tasks(page_size=3), []
            threads = [threading.Thread(target=lambda: got.extend(task.task_id for task in listing)) for _ in range(5)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            assert sorted(got) == sorted(made)

    await asyncio.to_thread(work)


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_is_told_to_make_a_client_of_its_own():
    client = Client(KEY, base_url=NOWHERE)
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe()

    def child() -> None:
        try:
            client.get_projects()
        except ConfigError as error:
            there.send(str(error))
        client.close()
        there.send("closed")

    process = context.Process(target=child, daemon=True)
    process.start()
    try:
        assert here.poll(60), "the child waits for a thread that it does not have"
        assert here.recv() == "the client was made in the parent of this process; make one in each process"
        assert here.poll(60)
        assert here.recv() == "closed"
        process.join(60)
    finally:
        process.kill()
        client.close()


def test_a_time_is_asked_for_by_a_name_that_is_known():
    task = Task({"task_id": "t", "status": "pending", "seen_at": "2026-01-02T03:04:05Z"}, None)
    assert task.at("completed_at") is None
    assert task.at("seen_at").year == 2026
    with pytest.raises(AttributeError, match="Task has no field 'creatd_at'"):
        task.at("creatd_at")
    with pytest.raises(ValueError, match="Task: status is not a time: 'pending'"):
        task.at("status")


async def test_files_that_cannot_be_sent(make_sandbox, client_of, tmp_path: Path):
    sandbox = await make_sandbox()
    client = client_of(sandbox)
    file = tmp_path / "a.txt"
    file.write_bytes(b"abc")
    closed = file.open("rb")
    closed.close()
    odd = [(tmp_path, "is not a file"), (closed, "a.txt: the file is closed; open it again")]
    odd += [(5, "not int"), (b"a.txt", "not bytes"), ("a\0b", "embedded null byte"), (tmp_path / "no", "No such file")]
    odd += [(io.StringIO("abc"), "open it with mode 'rb'")]
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        odd.append((tmp_path / "pipe", "pipe: is not a file"))
    sandbox.journal.clear()
    for given, words in odd:
        with pytest.raises(ConfigError, match=words):
            await client.upload_file(given)
    assert len(sandbox.journal) == 0


class Shrinking(io.BytesIO):
    """A file that somebody cuts off after its first piece."""

    def read(self, size: int | None = -1, /) -> bytes:
        piece = super().read(size)
        self.truncate(self.tell())
        return piece


async def test_a_file_that_becomes_shorter_was_not_uploaded(make_sandbox, client_of):
    sandbox = await make_sandbox()
    client = client_of(sandbox)
    words = "upload file: file: became shorter while it was sent; nothing was uploaded"
    with pytest.raises(ConfigError, match=words):
        await client.upload_file(Shrinking(bytes(2**20)))
    assert (await client.upload_file(io.BytesIO(b"abc"))).size == 3


async def test_values_that_json_and_addresses_cannot_hold_are_named(make_sandbox, client_of):
    sandbox = await make_sandbox()
    client = client_of(sandbox)
    task = await client.create_task(KIND, project=PROJECT, **LETTER)
    sandbox.journal.clear()
    for odd in ({"a": float("nan")}, {"a": [None, {"b": (float("inf"),)}]}):
        with pytest.raises(ConfigError, match="NaN or an infinity"):
            await task.set_metadata(odd)
    for name in ("\ud800", "a\udfff"):
        with pytest.raises(ConfigError, match="get task: task_id holds half of a surrogate pair"):
            await client.get_task(name)
        with pytest.raises(ConfigError, match="tags holds half of a surrogate pair"):
            await task.set_tags(["fine", name])
    with pytest.raises(ConfigError, match="limit must be a whole number, 0 or more, not -1"):
        client.get_tasks(limit=-1)
    assert len(sandbox.journal) == 0
    fine = {"a": None, "b": 1.5, "c": "null 😀"}
    assert (await task.set_metadata(fine)).metadata == fine


async def test_items_that_are_no_objects_end_a_list(scripted, client_of):
    client = client_of(scripted)
    scripted((200, {"docs": [1], "total": 1, "has_more": False}))
    with pytest.raises(OutcomeUnknown, match="list tasks: an item of the list is not an object"):
        await client.get_tasks().next_page()
    scripted((200, ["x"]))
    with pytest.raises(OutcomeUnknown, match="an item of the list is not an object"):
        await client.list_teammates()


async def test_what_an_answer_holds_is_not_in_the_frames_of_its_exception(scripted, client_of):
    client = client_of(scripted)
    scripted(*[(401, {"error": f"Invalid API key {KEY}"})] * 2)
    with pytest.raises(ScaleUnauthorized) as caught:
        await client.get_task("t")
    frame, shown = caught.value.__traceback__, ""
    while frame is not None:
        shown += "" if frame.tb_frame.f_code.co_filename == __file__ else repr(frame.tb_frame.f_locals)
        frame = frame.tb_next
    assert "Reply(401, " in shown
    assert KEY not in shown


async def test_a_pause_that_is_longer_than_the_patience_ends_every_call_at_once(scripted, client_of):
    client = client_of(scripted, patience_s=1.0)
    scripted((429, {"message": "Too Many Requests"}, {"Retry-After": "7200"}))
    with pytest.raises(ScaleTooManyRequests) as first:
        await client.get_task("t")
    assert str(first.value) == "get task: Too Many Requests; the server asks you to wait for 2:00 h"
    async with asyncio.timeout(20):
        with pytest.raises(ScaleTooManyRequests) as again:
            await client.get_task("t")
    assert "get task: the server asked for a pause; send nothing for another " in str(again.value)
    assert again.value.status is None, "nothing was sent"
    assert 7000 < again.value.retry_after_s <= 7200
    assert len(scripted.heard) == 1


@pytest.mark.parametrize("rates", [{"rate": "1/h"}, {"rate": "1/h", "rate_all": "5/s"}])
async def test_a_long_pause_ends_the_calls_that_wait_for_their_turn_as_well(scripted, rates):
    scripted((429, {"message": "Too Many Requests"}, {"Retry-After": "7200"}))
    async with hasty(AsyncScaleClient(KEY, base_url=scripted.url, **rates), 1.0) as client, asyncio.timeout(20):
        one, *rest = await asyncio.gather(
            *(client.create_task(KIND, project=PROJECT, **LETTER) for _ in range(5)), return_exceptions=True
        )
        assert "the server asks you to wait for 2:00 h" in str(one)
        for error in rest:
            assert isinstance(error, ScaleTooManyRequests)
            assert "create task: the server asked for a pause; send nothing for another " in str(error)
            assert 7000 < error.retry_after_s <= 7200
    assert len(scripted.heard) == 1


@pytest.mark.parametrize(
    "wrong", [{"patience_s": -1}, {"patience_s": float("nan")}, {"patience_s": "5"}, {"base_url": 5}]
)
def test_settings_of_a_wrong_kind_are_refused_when_the_client_is_made(wrong):
    for kind in (AsyncScaleClient, Client):
        with pytest.raises(ConfigError, match=f"{next(iter(wrong))} must be "):
            kind(KEY, **{"base_url": NOWHERE, **wrong})
