"""Our client through the scenarios of the official SDK: the same calls on a second sandbox give the same, one by one.

The SDK's methods are found in the installed SDK, so one that a newer SDK adds fails here until ours has it.
"""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import pytest
import requests
from scaleapi import ScaleClient

from scalesync.platforms.scale.api.endpoint import Endpoint
from scalesync.platforms.scale.api.table import ROWS
from scalesync.sandbox import Sandbox, SandboxConfig
from scalesync.scale import AsyncScaleClient, Client
from scalesync.scale.calls import Calls
from tests.sandbox import test_sdk_surface as surface
from tests.sandbox import test_sdk_v2 as v2
from tests.sandbox.support import CREATE, sessions_closed
from tests.scale import coverage
from tests.scale.conftest import KEY
from tests.scale.coverage import Ran
from tests.scale.recorder import Ours, Record, compared, methods_of_results, operations, watch

ClientOf = Callable[..., AsyncScaleClient]
BEGAN_MS = int(time.time() * 1000)
BLUEPRINT = {"delivery": "task", "stages": [{"name": "boxes", "taxonomy": {"labels": ["car"]}}]}
# what the server refused the SDK, and ours refuses before it sends it
EARLIER = {
    "version_1": ["create_training_task", "update_teammates_role", "set_studio_batches_priorities"],
    "version_2": [],
}


class Steps:
    """A clock that goes one second on before each call and stands still in it: both clients see the same times."""

    def __init__(self) -> None:
        self.ms = BEGAN_MS

    def __call__(self) -> int:
        return self.ms

    def next(self) -> None:
        self.ms += 1000


def version_1(sandbox: Sandbox) -> None:
    client = ScaleClient(KEY, api_instance_url=sandbox.base_url)
    for step in surface.STEPS:
        step(client, sandbox)


def version_2(sandbox: Sandbox) -> None:
    v2.everything(v2.Calls(sandbox, KEY))


def controls(patch: pytest.MonkeyPatch, record: Record) -> list[str]:
    """Note what a scenario does to the control plane, so that it is done to the second sandbox as well."""
    origin: list[str] = []
    plain = requests.post

    def post(url: str, **more: Any) -> Any:
        path = url.partition("/_sandbox/")[2]
        record.steps.append(lambda: plain(f"{origin[0]}/_sandbox/{path}", **more).raise_for_status())
        return plain(url, **more)

    patch.setattr(requests, "post", post)
    return origin


def sandbox_of(clock: Steps) -> Sandbox:
    return Sandbox(SandboxConfig(clock=clock, batch_change_s=0.0, seed=3))


async def recorded(scenario: Callable[[Sandbox], None], sandbox: Sandbox, clock: Steps) -> tuple[Record, list[str]]:
    """The calls of a scenario of the SDK, and where to put the address that the control plane of the replay has."""
    record = Record()
    with pytest.MonkeyPatch.context() as patch, sessions_closed(patch):
        watch(patch, record, sandbox, clock.next)
        origin = controls(patch, record)
        await asyncio.to_thread(scenario, sandbox)
    return record, origin


@contextmanager
def rows_into(ran: Ran) -> Iterator[None]:
    """Note the rows that our client calls without an exception."""
    plain = Calls.make

    async def make(self: Calls, endpoint: Endpoint, *args: Any, **more: Any) -> Any:
        came = await plain(self, endpoint, *args, **more)
        ran.rows.add(endpoint.name)
        return came

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Calls, "make", make)
        yield


async def side_by_side(
    scenario: Callable[[Sandbox], None], client_of: Callable[[Sandbox], AsyncScaleClient | Client]
) -> Ran:
    """Run a scenario of the SDK, then its calls with our client on a second sandbox, and compare."""
    clock, again, ran = Steps(), Steps(), Ran()
    async with sandbox_of(clock) as first, sandbox_of(again) as second:
        record, origin = await recorded(scenario, first, clock)
        origin.append(second.origin)
        ours = Ours(client_of(second))

        def settle(value: Any) -> Any:
            return json.loads(json.dumps(value).replace(first.origin, second.origin))

        ran.results = dict.fromkeys(record.results, "")
        with rows_into(ran):
            for step in record.steps:
                if callable(step):
                    await asyncio.to_thread(step)
                    continue
                again.next()
                if await compared(ours, step, second, settle) == "earlier":
                    ran.earlier.append(step.name)
                ran.methods.add(step.name)
                ran.arguments |= {(step.name, name) for name in step.typed}
                ran.results |= {step.via: step.name} if step.via else {}
        states = [list(sandbox.store.world("live").documents()) for sandbox in (first, second)]
        assert settle(states[0]) == states[1], "the tasks are others at the end"
    return ran


async def what_the_sdk_cannot(client_of: ClientOf) -> Ran:
    """Calls of ours that the SDK has no method for, by what they change."""
    ran = Ran()
    async with Sandbox(SandboxConfig(annotate_after_s=3600)) as sandbox:
        client = client_of(sandbox)
        with rows_into(ran):
            await client.create_project("p", "categorization")
            await client.create_batch("p", "b")
            task = await client.create_task("categorization", batch="b", callback_url="mailto:a@example.com", **CREATE)
            await client.prioritize_batch("b", 30)
            assert (await client.get_task(task.task_id)).priority == 30
            await client.set_project_ontology("p", {"ontology": ["a", "b"]})
            sandbox.annotate()
            await client.send_callback(task.task_id)
            key = AsyncScaleClient("test_key", base_url=sandbox.base_url)
            async with key:
                tested = await key.create_task("categorization", **CREATE)
                audit = await key.create_fixless_audit({"task_id": tested.task_id, "result": "accepted"})
            assert audit.task_id == tested.task_id
            await client.create_project("drive", "multistage")
            made = [await client.create_blueprint("drive", {**BLUEPRINT, "name": name}) for name in ("one", "two")]
            assert [each.name for each in await client.get_blueprints("drive")] == ["one", "two"]
            await client.activate_blueprint("drive", "two")
            assert (await client.get_blueprint("drive", "two")).active
            assert (made[0].active, (await client.get_blueprint("drive", "one")).active) == (True, False)
    return ran


RAN: dict[str, Ran] = {}  # what ran in this process, by what it is called in the page


@pytest.mark.parametrize("scenario", [version_1, version_2])
async def test_each_call_gives_what_the_sdk_gives(client_of: ClientOf, scenario: Callable[[Sandbox], None]) -> None:
    ran = RAN[f"SDK {scenario.__name__[-1]}"] = await side_by_side(scenario, client_of)
    check(ran, scenario)


@pytest.mark.parametrize("scenario", [version_1, version_2])
async def test_each_call_without_async_does_too(scenario: Callable[[Sandbox], None]) -> None:
    with ExitStack() as stack:
        check(
            await side_by_side(scenario, lambda sandbox: stack.enter_context(Client(KEY, base_url=sandbox.base_url))),
            scenario,
        )


def check(ran: Ran, scenario: Callable[[Sandbox], None]) -> None:
    """Every method of the SDK was called, and ours refused earlier only what is known."""
    wanted = {name for name in operations() if name.startswith("v2") == (scenario is version_2)}
    assert wanted - ran.methods == set(), "a method of this SDK is not called"
    assert ran.earlier == EARLIER[scenario.__name__]
    unused = {
        (name, argument.name)
        for name in wanted
        for argument in list(inspect.signature(operations()[name]).parameters.values())[1:]
        if argument.kind is argument.POSITIONAL_OR_KEYWORD and not argument.name.startswith("_")
    } - ran.arguments
    assert unused - {("v2_get_tasks", name) for _, name in unused} == set(), "an argument of the SDK is never given"
    if scenario is version_1:
        assert set(methods_of_results()) - set(ran.results) == set(), "a method of this SDK's results is not called"


async def test_calls_that_the_sdk_does_not_have(client_of: ClientOf) -> None:
    ran = RAN["beyond"] = await what_the_sdk_cannot(client_of)
    assert {row.name for row in ROWS if not row.sdk} <= ran.rows
    assert {row.sdk for row in ROWS if row.sdk} - set(operations()) == set(), "the SDK does not have this"


async def test_the_page_of_coverage_is_what_the_code_says(client_of: ClientOf) -> None:
    for label, run in (
        ("SDK 1", partial(side_by_side, version_1)),
        ("SDK 2", partial(side_by_side, version_2)),
        ("beyond", what_the_sdk_cannot),
    ):
        if label not in RAN:  # this test runs alone
            RAN[label] = await run(client_of)
    made = coverage.page(RAN)
    cells = [cell.strip() for line in made.splitlines() if line.startswith("|") for cell in line.split("|")[1:-1]]
    assert len(cells) > 1000
    assert all(cells), "a cell is empty"
    if os.environ.get("SCALESYNC_REWRITE_DOCS"):
        coverage.PAGE.write_text(made, "utf-8")
    assert coverage.PAGE.read_text("utf-8") == made, "SCALESYNC_REWRITE_DOCS=1 writes it"
