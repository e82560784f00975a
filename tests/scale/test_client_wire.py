"""What leaves for calls that the sandbox serves later: version 2, files, people, the Studio."""

from __future__ import annotations

import io
import json
import os
import tracemalloc
from email import message_from_bytes
from email.message import Message

import pytest

from scalesync.errors import ConfigError, OutcomeUnknown
from tests.scale.conftest import Heard

FILE = {"id": "f", "attachment_url": "scaledata://a/b", "size": 3}


def form(heard: Heard) -> dict[str, Message]:
    """The parts of a multipart body by name."""
    whole = message_from_bytes(b"Content-Type: " + heard.headers["content-type"].encode() + b"\r\n\r\n" + heard.body)
    parts = whole.get_payload()
    assert isinstance(parts, list)
    return {str(part.get_param("name", header="content-disposition")): part for part in parts}


async def test_version_2_is_beside_version_1(scripted, client_of):
    client = client_of(scripted)
    scripted(
        (200, {"tasks": [{"task_id": "t1"}], "next_token": "a+b="}),
        (200, {"tasks": [{"task_id": "t2"}]}),
        (200, {"task_id": "t3", "status": "pending"}),
        (302, b"", {"Location": "/files/x?sig=1"}),
        (200, {"projects": [{"id": "p"}]}),
    )
    listed = [task.task_id async for task in client.v2_get_tasks(project_name="p", expand="batch", opts=["a", "b"])]
    assert listed == ["t1", "t2"]
    assert (await client.v2_create_chat_task(project_id="p", metadata={"a": 1})).status == "pending"
    where = await client.v2_get_dataset_task_response_url("t/1", "x")
    assert where == scripted.url.removesuffix("/v1") + "/files/x?sig=1"
    assert [project.id for project in await client.v2_get_projects()] == ["p"]
    assert [heard.line for heard in scripted.heard] == [
        "GET /v2/tasks?project_name=p&expand=batch&opts=a&opts=b",
        "GET /v2/tasks?project_name=p&expand=batch&opts=a&opts=b&next_token=a%2Bb%3D",
        "POST /v2/task/chat",
        "GET /v2/datasets/task/t%2F1/response_url/x",
        "GET /v2/projects",
    ]
    assert scripted.heard[2].json == {"project_id": "p", "metadata": {"a": 1}}
    scripted((500, b"?"))
    with pytest.raises(OutcomeUnknown, match="may have been carried out"):
        await client.v2_create_chat_task(project_id="p")
    assert len(scripted.heard) == 6, "a chat has no name, so it is never sent a second time"


async def test_a_file_is_streamed_from_disk(scripted, client_of, tmp_path):
    client = client_of(scripted)
    path = tmp_path / 'a "b".png'
    content = os.urandom(1000) + b"\r\n--x\r\n" + bytes(300_000)
    path.write_bytes(content)
    scripted((429, {"error": "slowly"}), (200, FILE))
    made = await client.upload_file(path, display_name="ä", metadata={"a": [1]}, reference_id="r")
    assert made.attachment_url == "scaledata://a/b"
    first, second = (form(heard) for heard in scripted.heard)
    assert first["file"].get_payload(decode=True) == second["file"].get_payload(decode=True) == content
    assert second["file"].get_content_type() == "image/png"
    assert second["file"].get_filename() == "a %22b%22.png"
    assert json.loads(second["metadata"].get_payload()) == {"a": [1]}
    assert second["display_name"].get_payload(decode=True).decode() == "ä"
    scripted((200, FILE), (500, b"?"))
    with path.open("rb") as file:
        file.seek(900)
        await client.upload_file(file)
        assert not file.closed
    assert form(scripted.heard[-1])["file"].get_payload(decode=True) == content[900:]
    with pytest.raises(OutcomeUnknown, match="may have been carried out"):
        await client.upload_file(io.BytesIO(b"abc"))
    assert len(scripted.heard) == 4
    for wrong in (io.StringIO("a"), os.fdopen(os.pipe()[0], "rb")):
        with wrong, pytest.raises(ConfigError):
            await client.upload_file(wrong)


async def test_an_upload_takes_little_memory(scripted, client_of, tmp_path):
    client = client_of(scripted)
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.truncate(16 * 1024**2)
    scripted((200, FILE), (200, FILE))
    await client.upload_file(io.BytesIO(b"opens the connection"))
    tracemalloc.start()
    await client.upload_file(path)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert scripted.heard[-1].size > 16 * 1024**2
    assert most < 4 * 1024**2


async def test_people_and_the_studio(scripted, client_of):
    client = client_of(scripted)
    person = {"email": "a@b.c", "role": "labeler"}
    pending = [{"name": "b1"}, {"name": "b2"}]
    scripted((200, [person]), (200, {"a@b.c": ["p"]}), (200, pending), (200, pending), (200, pending))
    assert [each.role for each in await client.invite_teammates("a@b.c", "labeler")] == ["labeler"]
    assert scripted.heard[0].json == {"emails": ["a@b.c"], "team_role": "labeler"}
    assert (await client.list_studio_assignments())["a@b.c"] == ["p"]
    with pytest.raises(ConfigError, match="missing: b2"):
        await client.set_studio_batches_priorities(["b1"])
    assert scripted.heard[-1].line == "GET /v1/studio/batches"
    assert len(await client.set_studio_batches_priorities(["b2", "b1"])) == 2
    assert scripted.heard[-1].json == {"batches": [{"name": "b2"}, {"name": "b1"}]}
    scripted((500, b"?"))
    with pytest.raises(OutcomeUnknown, match="look before"):
        await client.invite_teammates("a@b.c", "labeler")
    scripted((201, {"id": "1", "task_id": "t"}), (200, {"id": "q"}), (200, {"id": "f"}))
    assert (await client.create_fixless_audit({"task_id": "t", "result": "accepted"})).id == "1"
    assert scripted.heard[-1].line == "PUT /v1/audits"
    await client.create_evaluation_task("imageannotation", {"annotations": []}, attachment="x")
    assert scripted.heard[-1].json == {"attachment": "x", "expected_response": {"annotations": []}}
    assert (await client.import_file("https://example.org/a.png")).id == "f"
