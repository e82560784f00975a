"""The official SDK's client of version 2, unchanged, through every operation and argument that it has."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from pydantic import BaseModel
from scaleapi import ScaleClient
from scaleapi.api_client import v2 as sdk
from scaleapi.api_client.v2.exceptions import ApiException, BadRequestException, NotFoundException
from scaleapi.api_client.v2.models.annotation_type import AnnotationType
from scaleapi.api_client.v2.models.gen_ai_project_type import GenAIProjectType
from scaleapi.tasks import TaskType

from scalesync.sandbox import Sandbox

from .conftest import Start
from .support import CREATE

TWINS = ("_with_http_info", "_without_preload_content")
PAST, FUTURE = datetime.now(UTC) - timedelta(days=1), datetime.now(UTC) + timedelta(days=1)
OPTS = list(sdk.Option)

pytestmark = pytest.mark.usefixtures("closed_sessions")


def operations() -> dict[str, set[str]]:
    """The arguments of each operation that this SDK has; of a request object, its members."""
    found = {}
    for name, method in inspect.getmembers(sdk.V2Api, inspect.isfunction):
        if name.startswith("_") or name.endswith(TWINS):
            continue
        arguments = set()
        for parameter in inspect.signature(method).parameters.values():
            if parameter.name == "self" or parameter.name.startswith("_"):
                continue
            model = getattr(sdk, str(parameter.annotation).rpartition(".")[2].strip("'>"), None)
            is_model = inspect.isclass(model) and issubclass(model, BaseModel)
            arguments |= set(model.model_fields) if is_model else {parameter.name}
        found[name] = arguments
    return found


class Calls:
    """Calls the SDK, and notes what was called with which arguments."""

    def __init__(self, sandbox: Sandbox, key: str) -> None:
        self.client = ScaleClient(key, api_instance_url=sandbox.base_url)
        self.client.v2.api_client.configuration.host = sandbox.origin
        self.origin = sandbox.origin
        self.used: dict[str, set[str]] = {}

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.client.v2, name)

        def call(request: BaseModel | None = None, **arguments: Any) -> Any:
            members = set(arguments) if request is None else request.model_fields_set
            self.used.setdefault(name, set()).update(members)
            return method(request) if request is not None else method(**arguments)

        return call

    def control(self, path: str, **body: Any) -> Any:
        with requests.post(f"{self.origin}/_sandbox/{path}", json=body, timeout=10) as reply:
            assert reply.status_code == 200, reply.text
            return reply.json()

    def close(self) -> None:
        self.client.v2.api_client.rest_client.pool_manager.clear()


def pages(list_page: Any, name: str, **arguments: Any) -> list[Any]:
    """Every row of a list, by its tokens."""
    rows, token = [], None
    while True:
        page = list_page(**arguments, next_token=token)
        rows += getattr(page, name)
        token = page.next_token
        if token is None:
            return rows


def batches_of(calls: Calls, project: Any) -> None:
    create = sdk.CreateBatchRequest
    made = calls.create_batch(create(name="by id", project_id=project.id, callback="http://127.0.0.1:9/done"))
    staged = calls.create_batch(
        create(name="staged", project_name="chats", staging_batch=True, metadata={"keep": {"a": 1}, "n": 1})
    )
    assert (made.status, staged.status) == ("in_progress", "staging")
    calls.create_batch(create(name="open", project_name="chats"))
    both = {"batch_id": staged.id, "batch_name": "staged"}
    changed = calls.set_batch_metadata(
        sdk.SetBatchMetadataRequest(**both, metadata={"keep": {"b": 2}, "n": None}, merge=True)
    )
    assert changed.metadata == {"keep": {"a": 1, "b": 2}, "n": None}
    assert calls.finalize_batch(sdk.BatchOperationRequest(**both)).status == "in_progress"
    with pytest.raises(BadRequestException):
        calls.finalize_batch(sdk.BatchOperationRequest(**both))
    calls.create_chat_task(sdk.CreateChatTaskRequest(project_name="chats", batch_id=made.id, batch_name="by id"))
    operation = sdk.BatchOperationRequest(batch_id=made.id, batch_name="by id")
    assert calls.pause_batch(operation).message.startswith("Batch pause initiated.")
    paused = calls.get_batch(batch_id=made.id, batch_name="by id", expand=["project"])
    assert (paused.status, paused.project.actual_instance.types) == ("paused", ["RLHF: Pref Ranking"])
    calls.resume_batch(operation)
    assert calls.get_batch(batch_id=made.id).status == "in_progress"
    assert calls.cancel_batch(operation).message.startswith("Batch cancellation initiated.")
    assert calls.get_batch(batch_name="by id").status == "cancelled"
    with pytest.raises(ApiException):
        calls.resume_batch(operation)
    assert [one.status for one in calls.get_tasks(batch_name="by id").tasks] == ["canceled"]
    times = {"created_after": PAST, "created_before": FUTURE}
    named = {"project_id": project.id, "project_name": "chats"}
    listed = pages(calls.get_batches, "batches", **named, **times, limit=1, expand=["project"])
    assert [batch.name for batch in listed] == ["open", "staged", "by id"]
    assert calls.get_batches(status="completed", completed_after=PAST, completed_before=FUTURE).batches == []


def chats_of(calls: Calls, project: Any) -> list[Any]:
    """Three completed chats of a project, and a pending one."""
    named = {"project_id": project.id, "project_name": "chats"}
    create = sdk.CreateChatTaskRequest
    made = [
        calls.create_chat_task(
            create(
                **named,
                batch_name="open",
                template_variables={"prompt": f"question {n}"},
                metadata={"row": n},
                callback_url="mailto:none@example.com",
            )
            if n == 0
            else create(project_name="chats", template_variables={"prompt": f"question {n}"})
        )
        for n in range(4)
    ]
    assert {(task.status, len(task.threads)) for task in made} == {("pending", 0)}
    calls.control("annotate", count=4)  # the first of them is the task of version 1
    request = sdk.SetTaskMetadataRequest(task_id=made[0].task_id, metadata={"more": {"x": 1.5}}, merge=True)
    assert calls.set_task_metadata(request).metadata == {"row": 0, "more": {"x": 1.5}}
    whole = calls.get_task(task_id=made[0].task_id, expand=["project", "batch"], opts=OPTS)
    assert whole.batch.actual_instance.name == "open"
    thread = whole.threads[0]
    assert thread.submissions[0].contributor_id
    assert thread.turns[0].messages[0].content.text == "question 0"
    assert [message.role for message in thread.turns[0].messages] == ["user", "assistant", "assistant"]
    assert thread.turns[0].messages[1].model_parameters.model == "ours"
    annotation = thread.turns[0].messages[1].annotations[0].actual_instance
    assert annotation.possible_values == [1, 2, 3, 4, 5]
    assert calls.get_annotation(annotation_id=annotation.id).actual_instance == annotation
    rows = pages(
        calls.get_tasks,
        "tasks",
        **named,
        batch_id=calls.get_batch(batch_name="open").id,
        batch_name="open",
        status="completed",
        completed_after=PAST,
        completed_before=FUTURE,
        limit=1,
        expand=["project", "batch"],
        opts=OPTS,
    )
    assert [task.task_id for task in rows] == [made[0].task_id]
    ours = [task.task_id for task in calls.client.v2_get_tasks(project_name="chats", status="pending", limit=2)]
    assert ours == [made[3].task_id]
    return made


def deliveries_of(calls: Calls, project: Any, made: list[Any]) -> None:
    named = {"project_id": project.id, "project_name": "chats"}
    times = {"delivered_after": PAST, "delivered_before": FUTURE}
    told = calls.control("deliver", project="chats", name="first")["deliveries"][0]
    delivery = calls.get_deliveries(**named, **times, expand=["project"]).deliveries[0]
    assert (delivery.id, delivery.task_count) == (told["id"], 3)
    expand = ["project", "batch", "delivery"]
    rows = pages(calls.get_delivery, "tasks", delivery_name="first", **named, limit=2, expand=expand, opts=OPTS)
    assert [task.task_id for task in rows] == [task.task_id for task in made[2::-1]]
    assert calls.get_delivery(delivery_id=delivery.id).delivery.actual_instance == delivery.id
    with pytest.raises(NotFoundException):
        calls.get_delivery(delivery_name="first", project_name="plain")
    done = {"status": "completed", "completed_after": PAST, "completed_before": FUTURE}
    answers = pages(calls.get_delivery_tasks, "docs", delivery_id=delivery.id, **named, **done, limit=2)
    assert [doc.delivery_id for doc in answers] == [delivery.id] * 3
    first = calls.get_delivery_tasks(project_name="chats", limit=1)
    assert (first.total, first.docs[0].task_id, first.docs[0].response) == (1, made[3].task_id, None)
    schema = calls.get_schema(schema_id=answers[0].response_schema_id).var_schema
    needed = json.loads(schema.var_json)["required"]
    assert all(name in doc.response for doc in answers for name in needed)


def datasets_of(calls: Calls, made: list[Any]) -> None:
    dataset = calls.control("datasets", name="for sale")
    assert calls.get_datasets().datasets == [sdk.Dataset(**dataset)]
    calls.control(f"datasets/{dataset['id']}/deliver", tasks=[made[0].task_id, made[1].task_id])
    times = {"delivered_after": PAST, "delivered_before": FUTURE}
    delivery = calls.get_dataset_deliveries(dataset_id=dataset["id"], **times, expand=["dataset"]).deliveries[0]
    assert delivery.metadata.task_count == 2
    expand = ["dataset", "delivery"]
    rows = pages(calls.get_dataset_delivery, "tasks", delivery_id=delivery.id, limit=1, expand=expand)
    either = {"dataset_id": dataset["id"], "delivery_id": delivery.id}
    again = pages(calls.get_dataset_tasks, "tasks", **either, **times, limit=1, expand=expand)
    assert [task.task_id for task in again] == [task.task_id for task in rows]
    task = calls.get_dataset_task(task_id=made[0].task_id, expand=expand)
    assert task.response["threads"][0]["turns"][0]["messages"][0]["content"]["text"] == "question 0"
    attachment = task.response["attachments"][0]["id"]
    calls.get_dataset_task_response_url(task_id=task.task_id, attachment_id=attachment)
    raw = calls.client.v2.get_dataset_task_response_url_without_preload_content(task.task_id, attachment)
    assert raw.status == 200  # urllib3 followed the redirect
    assert json.loads(raw.data)
    with pytest.raises(NotFoundException):
        calls.get_dataset_task_response_url(task_id=task.task_id, attachment_id="none")


def everything(calls: Calls) -> None:
    calls.client.create_project("plain", TaskType.Categorization)
    calls.client.create_task(TaskType.Categorization, project="plain", **CREATE)
    chats = calls.control("projects", name="chats", types=["RLHF: Pref Ranking"], models=["ours", "theirs"])
    project = calls.get_project(project_id=chats["id"], project_name="chats")
    assert [one.name for one in calls.get_projects(created_after=PAST, created_before=FUTURE).projects] == [
        "plain",
        "chats",
    ]
    assert calls.get_tasks(project_name="plain").tasks == []  # tasks of other types are not of version 2
    batches_of(calls, project)
    made = chats_of(calls, project)
    deliveries_of(calls, project, made)
    datasets_of(calls, made)
    calls.close()


async def test_every_operation_and_argument_of_the_sdk_is_served(start: Start) -> None:
    sandbox = await start(batch_change_s=0.0)
    calls = Calls(sandbox, "live_key")
    await asyncio.to_thread(everything, calls)
    assert calls.used == operations()
    assert len(calls.used) >= 25


async def test_a_chat_of_every_project_type_is_read_by_the_sdk(start: Start) -> None:
    sandbox = await start(data=None)
    genai = sandbox.store.genai("test")
    types = [one.value for one in GenAIProjectType]
    for name in types:
        genai.add_project(name, name)

    def steps(calls: Calls) -> set[str]:
        for name in types:
            calls.create_chat_task(sdk.CreateChatTaskRequest(project_name=name))
        found = [task for name in types for task in calls.client.v2_get_tasks(project_name=name, opts=OPTS)]
        assert len(found) == len(types)
        assert {task.status for task in found} == {"completed"}
        calls.close()
        return {a["type"] for task in genai.chats() for a in _annotations(task)}

    asked = await asyncio.to_thread(steps, Calls(sandbox, "test_key"))
    assert asked == {kind.value for kind in AnnotationType}


def _annotations(part: Any) -> Iterator[dict[str, Any]]:
    if isinstance(part, dict):
        yield from part.get("annotations", ())
    for value in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        yield from _annotations(value)
