"""Our client through the scenarios of the official SDK: the same calls on a second sandbox give the same, one by one.

The SDK's methods are found in the installed SDK, so one that a newer SDK adds fails here until ours has it.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
import requests
from scaleapi import ScaleClient

from scalesync.sandbox import Sandbox, SandboxConfig
from scalesync.scale import AsyncScaleClient
from tests.sandbox import test_sdk_surface as surface
from tests.sandbox import test_sdk_v2 as v2
from tests.sandbox.support import sessions_closed
from tests.scale.conftest import KEY
from tests.scale.recorder import Record, compared, operations, watch

BEGAN_MS = int(time.time() * 1000)
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
        watch(patch, record, clock.next)
        origin = controls(patch, record)
        await asyncio.to_thread(scenario, sandbox)
    return record, origin


@pytest.mark.parametrize("scenario", [version_1, version_2])
async def test_each_call_gives_what_the_sdk_gives(
    client_of: Callable[..., AsyncScaleClient], scenario: Callable[[Sandbox], None]
) -> None:
    clock, again = Steps(), Steps()
    async with sandbox_of(clock) as first, sandbox_of(again) as second:
        record, origin = await recorded(scenario, first, clock)
        origin.append(second.origin)
        client = client_of(second)

        def settle(value: Any) -> Any:
            return json.loads(json.dumps(value).replace(first.origin, second.origin))

        ends = []
        for step in record.steps:
            if callable(step):
                await asyncio.to_thread(step)
                continue
            again.next()
            ends.append((await compared(client, step, settle), step.name))
        states = [list(sandbox.store.world("live").documents()) for sandbox in (first, second)]
        assert settle(states[0]) == states[1], "the tasks are others at the end"
    missing = {name for name in operations() if name.startswith("v2") == (scenario is version_2)}
    assert missing - {name for _, name in ends} == set(), "a method of this SDK is not called"
    assert [name for end, name in ends if end == "earlier"] == EARLIER[scenario.__name__]
