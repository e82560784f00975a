"""Three failures of the official SDK: each shown with the SDK itself, next to scalesync under the same faults.

The SDK mounts its retries for https only, so its sandbox speaks TLS.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import scaleapi.api
import trustme
from scaleapi import ScaleClient
from scaleapi.exceptions import ScaleDuplicateResource
from scaleapi.tasks import TaskType
from urllib3.connection import HTTPSConnection

from scalesync.flows.imports.run import run_import
from scalesync.flows.runtime.options import ImportOptions
from scalesync.model.summaries import ImportSummary
from scalesync.sandbox import FaultRule, Sandbox, SandboxConfig
from tests.conftest import FAST, KIND

DROPPED = (FaultRule(kind="reset", on="create", at=(0,), after_write=True),)
THROTTLED_THEN_FALSE_500 = (
    FaultRule(kind="error", on="create", at=(0,), status=429),
    FaultRule(kind="error", on="create", at=(1,), status=500, after_write=True),
)
FALSE_500 = (FaultRule(kind="error", on="create", at=(0,), status=500, after_write=True),)
LETTER = {"attachment": "Dear reader", "attachment_type": "text", "categories": ["kind", "angry"]}

Start = Callable[[Sequence[FaultRule]], Any]


@pytest.fixture
async def tls_sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Start]:
    """tls_sandbox(faults): one that speaks TLS, with a certificate that `requests` is told to trust."""
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    monkeypatch.setattr(scaleapi.api, "HTTP_RETRY_BACKOFF_FACTOR", 0)
    async with AsyncExitStack() as stack:

        async def start(faults: Sequence[FaultRule]) -> Sandbox:
            return await stack.enter_async_context(Sandbox(SandboxConfig(seed=3), faults, ssl_context=context))

        yield start


async def sdk_create(sandbox: Sandbox, **more: Any) -> Any:
    """One create with the SDK, in a thread. It leaves its connections open; they are closed before the server ends."""
    opened: list[HTTPSConnection] = []
    plain = HTTPSConnection.__init__

    def remember(self: HTTPSConnection, *args: Any, **kwargs: Any) -> None:
        plain(self, *args, **kwargs)
        opened.append(self)

    def create() -> Any:
        client = ScaleClient("live_k", api_instance_url=sandbox.base_url)
        try:
            return client.create_task(TaskType.Categorization, **LETTER, **more)
        finally:
            for connection in opened:
                connection.close()

    with patch.object(HTTPSConnection, "__init__", remember):
        return await asyncio.to_thread(create)


@pytest.fixture
def bring(make_sandbox, settings_for, notebook, tmp_path):
    """bring(faults, record): import one record with scalesync; returns the summary and the sandbox."""

    async def go(faults: Sequence[FaultRule], record: dict[str, Any]) -> tuple[ImportSummary, Sandbox]:
        sandbox = await make_sandbox(faults)
        (tmp_path / "letter.jsonl").write_text(json.dumps(record) + "\n")
        options = ImportOptions(sources=(str(tmp_path / "letter.jsonl"),), type=KIND)
        summary = await run_import(options, settings_for(sandbox, rate="500"), notebook, limits=FAST, signals=False)
        return summary, sandbox

    return go


def one_task_created(summary: ImportSummary, sandbox: Sandbox) -> None:
    counts = (summary.read, summary.created, summary.adopted, summary.conflicts, summary.failed, summary.exit_code)
    assert counts == (1, 1, 0, 0, 0, 0)
    assert sandbox.store.world("live").count() == 1


async def test_the_sdk_raises_type_error_when_the_connection_drops_after_the_write(tls_sandbox):
    sandbox = await tls_sandbox(DROPPED)
    with pytest.raises(TypeError, match="'>=' not supported"):
        await sdk_create(sandbox, unique_id="letter-1")
    assert sandbox.store.world("live").count() == 1


async def test_scalesync_finds_the_task_when_the_connection_drops_after_the_write(bring):
    summary, sandbox = await bring(DROPPED, LETTER | {"unique_id": "letter-1"})
    one_task_created(summary, sandbox)
    assert sandbox.journal.count("create") == 1, "it was looked up, not sent again"


async def test_the_sdk_reports_its_own_task_as_a_duplicate_after_429_500_409(tls_sandbox):
    sandbox = await tls_sandbox(THROTTLED_THEN_FALSE_500)
    with pytest.raises(ScaleDuplicateResource, match="already used for a different task"):
        await sdk_create(sandbox, unique_id="letter-1")
    assert sandbox.store.world("live").count() == 1


async def test_scalesync_counts_its_own_task_as_created_after_429_and_a_false_500(bring):
    summary, sandbox = await bring(THROTTLED_THEN_FALSE_500, LETTER | {"unique_id": "letter-1"})
    one_task_created(summary, sandbox)


async def test_scalesync_counts_its_own_task_as_created_after_429_500_409(bring):
    lists_lag = FaultRule(kind="lag", on="create", seconds=0.3)
    summary, sandbox = await bring((*THROTTLED_THEN_FALSE_500, lists_lag), LETTER | {"unique_id": "letter-1"})
    one_task_created(summary, sandbox)
    assert [seen.status for seen in sandbox.journal.of("create")] == [429, 500, 409]


async def test_the_sdk_makes_two_tasks_of_one_create_without_unique_id(tls_sandbox):
    sandbox = await tls_sandbox(FALSE_500)
    await sdk_create(sandbox)
    assert sandbox.store.world("live").count() == 2


async def test_scalesync_makes_one_task_of_a_record_without_unique_id(bring):
    summary, sandbox = await bring(FALSE_500, LETTER)
    one_task_created(summary, sandbox)
    (task,) = sandbox.store.world("live").documents()
    assert task["unique_id"]
