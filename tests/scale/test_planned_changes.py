"""What a change plans is what the sandbox does: any document, any arguments, refused by both or by none."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalesync.model.outcomes import OutcomeKind
from scalesync.platforms.scale.changes.plans import TAGS_MOST
from scalesync.platforms.scale.changes.table import CHANGES
from scalesync.sandbox.core.wire.errors import ApiError
from scalesync.sandbox.scale.control import change_task
from tests.draws import draws
from tests.scale.changing import Changing

TAKEN = "taken"
TOUCHED = {"updated_at", "audits", "callback_succeeded"}
words = st.text("ab(", min_size=1, max_size=2)
tags = st.lists(st.sampled_from("abcdefg"), max_size=TAGS_MOST + 2)
few_tags = st.lists(st.sampled_from("abcdefg"), max_size=TAGS_MOST, unique=True)
leaves = st.one_of(st.none(), st.booleans(), st.integers(0, 1), st.sampled_from([0.0, 1.0, 2**70]), words)
values = st.recursive(
    leaves,
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(st.sampled_from("xyz"), inner)),
    max_leaves=6,
)
objects = st.dictionaries(st.sampled_from("xyz"), values, max_size=3)
large = st.sampled_from([9_000, 10_230]).map(lambda size: {"x": "y" * size})
metadata = st.one_of(objects, objects, objects, large)
STEPS = ("start", "complete", "error", "recall", "cancel", "accept", "correct")

created = st.fixed_dictionaries(
    {}, optional={"tags": few_tags, "metadata": objects, "unique_id": st.sampled_from(["one", "two"])}
)
ARGUMENTS: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "cancel": st.fixed_dictionaries({}, optional={"clear_unique_id": st.booleans()}),
    "tags set": st.fixed_dictionaries({"tags": few_tags}),
    "tags add": st.fixed_dictionaries({"tags": few_tags}),
    "tags remove": st.fixed_dictionaries({"tags": tags}),
    "metadata set": st.fixed_dictionaries({"metadata": objects}),
    "metadata merge": st.fixed_dictionaries({"metadata": metadata}),
    "audit": st.fixed_dictionaries({"accepted": st.booleans()}, optional={"comments": words}),
    "audit accept": st.fixed_dictionaries({}, optional={"comments": words}),
    "audit reject": st.fixed_dictionaries({}, optional={"comments": words}),
    "unique-id set": st.fixed_dictionaries({"new_unique_id": st.sampled_from(["one", "two", "three", TAKEN])}),
    "unique-id clear": st.just({}),
    "priority": st.fixed_dictionaries({"priority": st.sampled_from([10, 20, 30, 10.0])}),
    "send-callback": st.just({}),
}


def test_every_change_is_drawn() -> None:
    assert ARGUMENTS.keys() == CHANGES.keys()


@pytest.mark.parametrize("name", ARGUMENTS)
@settings(max_examples=draws(160), deadline=None)
@given(created, st.lists(st.sampled_from(STEPS), max_size=3), st.data())
def test_a_plan_is_what_the_server_does(
    name: str, fields: dict[str, Any], steps: list[str], data: st.DataObject
) -> None:
    changing = Changing()
    api = changing.api
    api.post("/projects", {"name": "p", "type": "categorization", "params": {}})
    api.post("/batches", {"name": "a/b", "project": "p"})
    api.create(unique_id=TAKEN)
    ref = api.create(**fields, project="p", batch="a/b")["task_id"]
    for step in steps:
        _step(changing, ref, step)
    for arguments in data.draw(st.lists(ARGUMENTS[name], min_size=1, max_size=2)):
        _compare(changing, ref if CHANGES[name].subject == "task" else "a/b", name, arguments)


def _step(changing: Changing, ref: str, step: str) -> None:
    """A step of the task's life, where its status allows it."""
    api = changing.api
    api.clock.forward(1)
    if step == "cancel":
        api.call("POST", f"/task/{ref}/cancel")
    elif step == "accept":
        api.call("POST", f"/task/{ref}/audit", {"accepted": True, "comments": "a"})
    else:
        with suppress(ApiError):
            change_task(api.store, ref, {"action": step})


def _compare(changing: Changing, ref: str, name: str, arguments: dict[str, Any]) -> None:
    spec = CHANGES[name]
    try:
        spec.check(arguments)
    except ValueError:
        return
    changing.api.clock.forward(1)
    before = changing.read(spec, ref)
    planned, outcome, then = changing.change(name, ref, **arguments)
    after = changing.read(spec, ref)
    if outcome.status == 409:
        assert arguments["new_unique_id"] == TAKEN
        assert (outcome.kind, outcome.ref in outcome.message) == (OutcomeKind.REFUSED, True)
        return
    refused = bool(planned.refused)
    assert outcome.kind is (OutcomeKind.REFUSED if refused else OutcomeKind.CREATED), (planned, outcome)
    if refused:
        assert after == before
        return
    assert then.before == planned.after or not planned.after
    if planned.after:
        assert then.is_done
    changed = {member for member in {*before, *after} if before.get(member) != after.get(member)} - TOUCHED
    assert changed <= planned.after.keys(), changed
    assert not (planned.is_done and changed)
