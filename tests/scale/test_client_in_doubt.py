"""Answers that are missing or say no: what is repeated, what is read back, what is raised."""

from __future__ import annotations

import pytest

from scalesync.errors import ConfigError, NotAllowed, NotTheApi, OutcomeUnknown, Refused, Throttled, Unavailable
from scalesync.platforms.scale.api.errors import BY_STATUS, ScaleInternalError
from scalesync.sandbox import FaultRule
from scalesync.scale import AsyncScaleClient, ScaleDuplicateResource
from tests.conftest import KIND, PROJECT
from tests.scale.conftest import KEY

LETTER = {"attachment": "Dear reader", "attachment_type": "text", "categories": ["kind", "angry"]}
LOST = (
    FaultRule(kind="error", on="create", status=500, after_write=True, times=1),
    FaultRule(kind="reset", on="create", after_write=True, times=1),
)
TASK = "6b0dfd285e93185400000000"


def tasks_of(sandbox) -> int:
    return len(sandbox.store.world("live").by_seq)


@pytest.mark.parametrize("fault", LOST, ids=["500", "reset"])
async def test_a_create_with_a_unique_id_is_settled(make_sandbox, client_of, fault):
    sandbox = await make_sandbox([fault])
    client = client_of(sandbox)
    task = await client.create_task(KIND, unique_id="a (b)", project=PROJECT, **LETTER)
    assert (task.unique_id, task.status, tasks_of(sandbox)) == ("a (b)", "pending", 1)
    assert sandbox.journal.count("create") == 2


async def test_a_create_whose_unique_id_somebody_else_has_is_refused(make_sandbox, client_of):
    sandbox = await make_sandbox()
    client = client_of(sandbox)
    theirs = await client.create_task(KIND, unique_id="a", project=PROJECT, **{**LETTER, "attachment": "other"})
    sandbox.faults.replace([FaultRule(kind="error", on="create", status=503, times=1)])
    with pytest.raises(ScaleDuplicateResource, match="may have been carried out") as taken:
        await client.create_task(KIND, unique_id="a", project=PROJECT, **LETTER)
    assert (taken.value.task_id, taken.value.key) == (theirs.task_id, "a")
    with pytest.raises(ScaleDuplicateResource) as plain:
        await client.create_task(KIND, unique_id="a", project=PROJECT, **LETTER)
    assert "may have been" not in str(plain.value)


@pytest.mark.parametrize("fault", LOST, ids=["500", "reset"])
async def test_a_create_without_a_unique_id_is_sent_once(make_sandbox, client_of, fault):
    sandbox = await make_sandbox([fault])
    with pytest.raises(OutcomeUnknown, match=r"may have been carried out: look before you make it again") as unclear:
        await client_of(sandbox).create_task(KIND, project=PROJECT, **LETTER)
    assert unclear.value.op == "create task"
    assert (sandbox.journal.count("create"), tasks_of(sandbox)) == (1, 1)


async def test_a_batch_and_a_project_are_read_back_by_name(make_sandbox, client_of):
    sandbox = await make_sandbox()
    client = client_of(sandbox)
    for made in (
        lambda: client.create_project("p", KIND, params={"instruction": "read"}, rapid=True),
        lambda: client.create_batch("p", "b", metadata={"a": 1}),
        lambda: client.finalize_batch("b"),
    ):
        sandbox.faults.replace([FaultRule(kind="error", on="project|batch", status=500, after_write=True, times=1)])
        assert (await made()).name in {"p", "b"}
    sandbox.faults.replace([FaultRule(kind="error", on="batch", status=500, times=1)])
    with pytest.raises(ScaleDuplicateResource):
        await client.create_batch(PROJECT, "b")
    sandbox.faults.replace([FaultRule(kind="error", on="project", status=500, times=1)])
    with pytest.raises(ScaleDuplicateResource):
        await client.create_project("p", "transcription")


async def test_a_group_a_unique_id_and_a_batch_of_version_2_are_read_back(scripted, client_of):
    client = client_of(scripted)
    group = {"id": "1", "name": "g", "workers": [{"email": "a@b.c"}]}
    scripted((500, b"?"), (409, {"error": "taken"}), (200, [{"name": "h"}, group]))
    assert (await client.create_project_group("p/q", ["a@b.c"], "g")).as_dict() == group
    assert scripted.heard[-1].target == "/v1/studio/projects/p%2Fq/groups"
    scripted((500, b"?"), (409, {"error": "taken"}), (200, {"task_id": TASK, "unique_id": "u"}))
    assert (await client.update_task_unique_id(TASK, "u")).unique_id == "u"
    scripted((500, b"?"), (409, {"error": "taken"}), (200, {"task_id": TASK, "unique_id": "old"}))
    with pytest.raises(ScaleDuplicateResource):
        await client.update_task_unique_id(TASK, "u")
    batch = {"id": "b1", "name": "b", "project": {"id": "p1", "name": "p"}, "metadata": {}, "status": "staging"}
    scripted((500, b"?"), (409, {"error": "taken"}), (200, batch))
    assert (await client.v2_create_batch("b", project_name="p")).project == "p1"
    scripted((500, b"?"), (400, {"error": "paused"}), (200, {**batch, "status": "paused"}))
    assert (await client.v2_pause_batch(batch_id="b1")).batch["status"] == "paused"


@pytest.mark.parametrize(("status", "kind"), [*BY_STATUS.items(), (422, Refused), (520, OutcomeUnknown)])
async def test_each_status_has_its_exception_and_none_shows_the_key(scripted, client_of, status, kind):
    client = client_of(scripted, patience_s=0.0)
    for _ in range(4):
        scripted((status, {"status_code": status, "error": f"no, {KEY}, not so ({TASK})."}))
    with pytest.raises(kind) as raised:
        await client.get_task(TASK)
    error = raised.value
    assert (error.status, error.op, error.message) == (status, "get task", f"no, ***, not so ({TASK}).")
    assert len(scripted.heard) == (2 if isinstance(error, NotAllowed) else 1), "a key is refused twice, to be sure"
    assert isinstance(error, (Refused, NotAllowed, Throttled, OutcomeUnknown))
    assert not hides_nothing(error)
    assert KEY not in repr(client)


def hides_nothing(error: BaseException | None) -> list[str]:
    """What of an exception and those behind it shows the key, in any form."""
    shown = []
    for _ in range(20):
        if error is None:
            return shown
        shown += [text for text in (str(error), repr(error), repr(vars(error))) if KEY in text or "Basic" in text]
        error = error.__cause__ or error.__context__
    return [*shown, "it leads in a circle"]


async def test_broken_answers_show_no_key(scripted, client_of):
    client = client_of(scripted, patience_s=0.0)
    scripted(*[(200, b"{}", {"Content-Encoding": "gzip"})] * 4)
    with pytest.raises(OutcomeUnknown) as raised:
        await client.get_task(TASK)
    assert not hides_nothing(raised.value)
    for broken in ((200, b"<html>welcome</html>"), (302, b"", {"Location": "https://login.example/"})):
        other = client_of(scripted)
        scripted.answers[:] = [broken] * 4
        with pytest.raises(NotTheApi) as astray:
            await other.get_task(TASK)
        assert not hides_nothing(astray.value)
    nobody = client_of("http://127.0.0.1:9/v1", patience_s=0.0)
    with pytest.raises(Unavailable) as away:
        await nobody.get_task(TASK)
    assert not hides_nothing(away.value)


async def test_what_was_unclear_stays_unclear_when_the_service_goes_away(scripted, client_of):
    """The last attempt certainly did nothing; the one before it may have."""
    client = client_of(scripted, patience_s=0.05)
    scripted((500, b"?"), *[(429, {"error": "slowly"})] * 50)
    with pytest.raises(OutcomeUnknown, match="may have been carried out") as unclear:
        await client.cancel_task(TASK)
    assert unclear.value.status == 429
    with pytest.raises(Throttled):
        await client.cancel_task(TASK)


async def test_lists_that_lie_have_an_end(scripted, client_of):
    client = client_of(scripted)

    async def read() -> list[object]:
        return [task async for task in client.get_tasks()]

    page = {"docs": [{"task_id": TASK}], "has_more": True, "next_token": "t"}
    scripted((200, page), (200, page))
    with pytest.raises(OutcomeUnknown, match="came already"):
        await read()
    scripted((200, {"docs": [], "has_more": True}))
    with pytest.raises(OutcomeUnknown, match="without saying where"):
        await read()
    scripted((200, {"items": []}))
    with pytest.raises(OutcomeUnknown, match="not a list"):
        await read()
    scripted(*[(200, {"docs": [], "has_more": True, "next_token": str(n)}) for n in range(50)])
    with pytest.raises(OutcomeUnknown, match="50 empty pages"):
        await read()
    shifted = [{"name": "b2"}, {"name": "b1"}], [{"name": "b1"}, {"name": "b0"}]
    scripted((200, {"docs": shifted[0], "has_more": True}), (200, {"docs": shifted[1], "has_more": False}))
    assert [batch.name async for batch in client.get_batches()] == ["b2", "b1", "b0"]
    assert scripted.heard[-1].target == "/v1/batches?offset=2"


@pytest.mark.parametrize("key", ["", " live_a", "live_ä", 7])
def test_a_key_that_cannot_be_one_is_refused_unshown(key):
    with pytest.raises(ConfigError, match="api_key") as refused:
        AsyncScaleClient(key, base_url="http://127.0.0.1:9/v1")
    assert str(key) == "" or str(key).strip() not in str(refused.value)


def test_an_internal_error_is_an_unknown_outcome():
    assert issubclass(ScaleInternalError, OutcomeUnknown)
