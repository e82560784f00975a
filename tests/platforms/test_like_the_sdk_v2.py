"""A full export holds what the official SDK's client of version 2 lists, document by document."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from scaleapi import ScaleClient

from scalesync.sandbox import Sandbox
from scalesync.testing.trial import Trial, listed, on_trial
from tests.platforms.chat import ChatHarness
from tests.platforms.delivered import DatasetHarness, DeliveredHarness

CHATS = 230  # three pages
Document = dict[str, Any]


def _pages(call: Callable[..., Any], member: str, **asked: Any) -> list[Document]:
    """Every document of a list as JSON. The SDK's models would read a document as they know it."""
    found, token = [], None
    while True:
        page = json.loads(call(**asked, **({"next_token": token} if token else {})).data)
        found += page[member]
        token = page.get("next_token")
        if not token:
            return found


def _newest(versions: list[tuple[str, Document]]) -> list[Document]:
    """The last version of each task. versions: with the time of their delivery."""
    return list({task["task_id"]: task for _, task in sorted(versions, key=lambda version: version[0])}.values())


def chats(v2: Any) -> list[Document]:
    call = v2.get_tasks_without_preload_content
    return _pages(call, "tasks", project_name="suite", expand=["project", "batch"], limit=100)


def deliveries(v2: Any) -> list[Document]:
    versions = []
    for delivery in v2.get_deliveries(project_name="suite").deliveries:
        call = v2.get_delivery_tasks_without_preload_content
        tasks = _pages(call, "docs", delivery_id=delivery.id, project_name="suite", limit=100)
        assert len(tasks) == delivery.task_count
        versions += [(task["delivered_at"], task) for task in tasks]
    return _newest(versions)


def dataset(v2: Any) -> list[Document]:
    (one,) = v2.get_datasets().datasets
    call = v2.get_dataset_tasks_without_preload_content
    tasks = _pages(call, "tasks", dataset_id=one.id, expand=["delivery"], limit=100)
    return _newest([(task["delivery"]["delivered_at"], task) for task in tasks])


@pytest.mark.parametrize(
    ("harness", "listed_by_sdk"),
    [(ChatHarness(), chats), (DeliveredHarness(), deliveries), (DatasetHarness(), dataset)],
    ids=["chats", "deliveries", "dataset"],
)
def test_an_export_holds_what_the_sdk_lists(
    tmp_path: Path, harness: ChatHarness, listed_by_sdk: Callable[[Any], list[Document]]
) -> None:
    async def play(trial: Trial) -> None:
        trial.fill(CHATS)
        if listed_by_sdk is chats:
            harness.finish(trial.host, 100)
        assert isinstance(trial.host, Sandbox)
        client = ScaleClient(harness.key, api_instance_url=trial.host.base_url)
        client.v2.api_client.configuration.host = trial.host.origin
        theirs = await anyio.to_thread.run_sync(listed_by_sdk, client.v2)
        client.v2.api_client.rest_client.pool_manager.clear()
        summary = await trial.export()
        assert (summary.tasks, summary.exit_code) == (CHATS, 0), summary
        ours = [json.loads(line) for line in listed(tmp_path / "out")]
        assert sorted(ours, key=lambda task: task["task_id"]) == sorted(theirs, key=lambda task: task["task_id"])

    on_trial(harness, tmp_path, play)
