"""Toy's changer: what was planned is what it does, also when nobody waits for the answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from scalesync.errors import PackageFailed
from scalesync.fences import Fence
from scalesync.http.credentials import bearer
from scalesync.http.transport import Transport
from scalesync.model.outcomes import OutcomeKind
from scalesync.platforms import registry
from scalesync.ports.changes import Changer
from scalesync.sandbox.core.faults import FaultRule
from tests.network.test_never_hangs import OpenGate
from tests.toy.platform.adapter import ToyPlatform
from tests.toy.platform.changes import CHANGES, DROPPED
from tests.toy.platform.spec import SPEC
from tests.toy.plugin import installed

NOTE, REMIND = CHANGES["note add"], CHANGES["remind"]
WORDS = {"note": "look again"}


@pytest.fixture
async def changing(make_toy: Any, client_of: Any) -> AsyncIterator[Callable[..., Any]]:
    """changing(*faults): Toy with one item, and a changer of it."""
    async with AsyncExitStack() as stack:

        async def make(*faults: FaultRule) -> tuple[Any, Changer, str]:
            toy = await make_toy(faults)
            client = await client_of(toy)
            _, told = await client.send("one")
            transport = await stack.enter_async_context(Transport(toy.base_url, bearer(client.token), OpenGate()))
            changer = ToyPlatform(transport).changer
            assert changer is not None
            return toy, changer, str(told["items"][0]["id"])

        yield make


async def document(changer: Changer, ref: str) -> dict[str, Any]:
    task = (await changer.read(NOTE, ref)).task
    assert task is not None
    return task


async def test_a_note_is_added_as_planned_and_once_is_enough(changing: Callable[..., Any]) -> None:
    _, changer, ref = await changing()
    planned = NOTE.plan(await document(changer, ref), WORDS)
    outcome = await changer.change(NOTE, ref, WORDS, None)
    assert (outcome.kind, outcome.ref) == (OutcomeKind.CREATED, ref)
    then = NOTE.plan(await document(changer, ref), WORDS)
    assert (planned.before, planned.after) == ({"notes": []}, {"notes": ["look again"]})
    assert (planned.is_done, then.before, then.is_done) == (False, planned.after, True)


async def test_a_dropped_item_is_refused_as_planned(changing: Callable[..., Any]) -> None:
    toy, changer, ref = await changing()
    toy.store.items[int(ref)].state = "dropped"
    for spec, arguments in ((NOTE, WORDS), (REMIND, {})):
        assert spec.plan(await document(changer, ref), arguments).refused == DROPPED
        assert (await changer.change(spec, ref, arguments, None)).kind is OutcomeKind.REFUSED


async def test_a_change_takes_effect_when_its_client_has_left(changing: Callable[..., Any]) -> None:
    late = FaultRule(kind="late", on="mutate", status=0, seconds=0.5, times=1)
    toy, changer, ref = await changing(late)
    assert (await changer.change(NOTE, ref, WORDS, None)).kind is OutcomeKind.UNKNOWN
    assert late.seconds is not None
    assert late.seconds < changer.landing_s
    assert not NOTE.plan(await document(changer, ref), WORDS).is_done  # who repeats it now makes a second note
    async with asyncio.timeout(changer.landing_s):
        while not NOTE.plan(await document(changer, ref), WORDS).is_done:
            pass
    await changer.change(NOTE, ref, WORDS, None)
    assert toy.store.items[int(ref)].notes == ("look again", "look again")


async def test_nobody_can_see_whether_a_reminder_that_got_no_answer_was_sent(changing: Callable[..., Any]) -> None:
    lost = FaultRule(kind="reset", on="mutate", after_write=True, times=1)
    toy, changer, ref = await changing(lost)
    before = await document(changer, ref)
    assert (await changer.change(REMIND, ref, {}, None)).kind is OutcomeKind.UNKNOWN
    assert toy.store.items[int(ref)].reminders == 1
    then = REMIND.plan(await document(changer, ref), {})
    assert (await document(changer, ref), then.is_done, then.refused) == (before, False, "")


def fails(*_: Any) -> Any:
    raise KeyError("lost")


def refuses(_: Any) -> None:
    raise ValueError("a note must be short")


async def test_the_changes_of_a_package_are_inside_of_its_fence(tmp_path: Path, changing: Callable[..., Any]) -> None:
    _, changer, ref = await changing()
    with installed(tmp_path):
        spec = registry.spec_of("toy")
        opened = registry.adapter_of(spec)(changer._transport).changer  # type: ignore[attr-defined]
        assert opened is not None
        assert opened.landing_s == changer.landing_s
        assert (await opened.change(spec.changes["note add"], ref, WORDS, None)).kind is OutcomeKind.CREATED
        with pytest.raises(PackageFailed, match="scalesync-toy"):
            await opened.change(NOTE, ref, {"note": fails}, None)  # which is not JSON
    broken = replace(SPEC, changes={"note add": replace(NOTE, plan=fails, check=refuses)})
    change = registry._fenced(broken, Fence("the platform")).changes["note add"]
    with pytest.raises(PackageFailed, match="KeyError: 'lost'"):
        change.plan({}, WORDS)
    with pytest.raises(ValueError, match="a note must be short"):
        change.check(WORDS)
