"""The changer of Scale on the wire: requests, answers of every kind, and what nobody can see."""

from __future__ import annotations

from typing import Any

import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from scalesync.errors import OutcomeUnknown, Refused, Unavailable
from scalesync.http.transport import Reply
from scalesync.model.outcomes import OutcomeKind, Presence
from scalesync.model.targets import RequestClass
from scalesync.platforms.scale.changes.calls import WAYS
from scalesync.platforms.scale.changes.table import CHANGES
from scalesync.ports.operation import Repeat
from tests.scale.changing import Changing, at_once, changer_of

REF, OTHER = "a" * 24, "b" * 24
ARGUMENTS: dict[str, dict[str, Any]] = {
    "cancel": {"clear_unique_id": True},
    "tags set": {"tags": ["a"]},
    "tags add": {"tags": ["a"]},
    "tags remove": {"tags": ["a"]},
    "metadata set": {"metadata": {"a": 1}},
    "metadata merge": {"metadata": {"a": 1}},
    "audit": {"accepted": True},
    "audit accept": {},
    "audit reject": {"comments": "no"},
    "unique-id set": {"new_unique_id": "new"},
    "unique-id clear": {},
    "priority": {"priority": 30},
    "send-callback": {},
}
LINES = {
    "cancel": "POST /task/T/cancel?clear_unique_id=true",
    "tags set": "POST /task/T/tags",
    "tags add": "PUT /task/T/tags",
    "tags remove": "DELETE /task/T/tags",
    "metadata set": "POST /task/T/setMetadata",
    "metadata merge": "POST /task/T/setMetadata",
    "audit": "POST /task/T/audit",
    "audit accept": "POST /task/T/audit",
    "audit reject": "POST /task/T/audit",
    "unique-id set": "POST /task/T/unique_id",
    "unique-id clear": "DELETE /task/T/unique_id",
    "priority": "POST /batches/T/prioritize",
    "send-callback": "POST /task/T/send-callback",
}


class Answers:
    """Gives its answers one by one: (status, body, type), or an error that is raised."""

    def __init__(self, *answers: Any) -> None:
        self.left = list(answers)
        self.heard: list[str] = []

    async def call(self, cls: RequestClass, method: str, path: str, **rest: Any) -> Reply:
        self.heard.append(f"{method} {path}")
        answer = self.left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        status, body, *kind = answer
        headers = CIMultiDictProxy(CIMultiDict({"Content-Type": kind[0] if kind else "application/json"}))
        return Reply(status, headers, body)


def outcome(name: str, *answers: Any, **arguments: Any) -> tuple[OutcomeKind, str | None, list[str]]:
    """What comes of a change of REF when the server answers so: kind, ref, and the requests."""
    server = Answers(*answers)
    document = {"task_id": REF} if CHANGES[name].reads else None
    found = at_once(changer_of(server).change(CHANGES[name], REF, arguments or ARGUMENTS[name], document))
    return found.kind, found.ref, server.heard


def of(ref: str) -> bytes:
    return b'{"task_id":"%s"}' % ref.encode()


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_goes_out_as_one_request_that_counts_as_a_change(name: str) -> None:
    changing = Changing()
    changing.api.post("/projects", {"name": "p", "type": "categorization", "params": {}})
    changing.api.post("/batches", {"name": "a/b", "project": "p"})
    ref = changing.api.create()["task_id"] if CHANGES[name].subject == "task" else "a/b"
    changing.change(name, ref, **ARGUMENTS[name])
    sent = [line for cls, line in changing.way.heard if cls is RequestClass.MUTATE]
    assert sent == [LINES[name].replace("/T/", f"/{ref.replace('/', '%2F')}/")]
    assert all(cls in {RequestClass.MUTATE, RequestClass.LIST} for cls, _ in changing.way.heard)


def test_every_declared_change_has_a_request() -> None:
    assert WAYS.keys() == CHANGES.keys()
    assert all(spec.name == name for name, spec in CHANGES.items())
    repeats = {name for name, spec in CHANGES.items() if spec.repeat is not Repeat.IDEMPOTENT}
    assert repeats == {"audit", "audit accept", "audit reject"}
    asked = {name for name, spec in CHANGES.items() if not spec.undone_by}
    assert asked == {"cancel", "audit", "audit accept", "audit reject", "unique-id clear", "send-callback"}


@pytest.mark.parametrize(
    ("name", "answer", "kind"),
    [
        ("cancel", (200, of(REF)), OutcomeKind.CREATED),
        ("cancel", (200, of(REF.upper())), OutcomeKind.CREATED),
        ("cancel", (200, b"OK", "text/plain"), OutcomeKind.CREATED),
        ("cancel", (200, of(OTHER)), OutcomeKind.UNKNOWN),
        ("cancel", (200, b'{"task_id":"aa'), OutcomeKind.UNKNOWN),
        ("cancel", (200, b""), OutcomeKind.UNKNOWN),
        ("cancel", (200, b"<html>log in", "text/html"), OutcomeKind.UNKNOWN),
        ("audit", (200, b"OK", "text/plain"), OutcomeKind.CREATED),
        ("audit", (200, b'{"anything":1}'), OutcomeKind.CREATED),
        ("audit", (204, b""), OutcomeKind.CREATED),
        ("audit", (200, b"<html>log in", "text/html"), OutcomeKind.UNKNOWN),
        ("audit", (302, b""), OutcomeKind.UNKNOWN),
        ("audit", (400, b'{"error":"no"}'), OutcomeKind.REFUSED),
        ("audit", (404, b'{"error":"no"}'), OutcomeKind.REFUSED),
        ("audit", (401, b'{"error":"no"}'), OutcomeKind.NOT_ALLOWED),
        ("audit", (429, b'{"error":"no"}'), OutcomeKind.THROTTLED),
        ("audit", (500, b'{"error":"no"}'), OutcomeKind.UNKNOWN),
        ("audit", (409, b'{"error":"no"}'), OutcomeKind.REFUSED),
        ("audit", Unavailable("no connection"), OutcomeKind.UNAVAILABLE),
        ("audit", OutcomeUnknown("no answer"), OutcomeKind.UNKNOWN),
    ],
)
def test_each_answer_has_its_outcome(name: str, answer: Any, kind: OutcomeKind) -> None:
    found, ref, _ = outcome(name, answer)
    assert found is kind
    assert ref == (REF if kind is OutcomeKind.CREATED else None)


def taken_by(ref: str) -> bytes:
    return (
        b'{"status_code":409,"error":"The unique_id (\\"new\\") is already used for a different task (%s)."}'
        % ref.encode()
    )


READ = f"GET /task/{REF}"
SET = f"POST /task/{REF}/unique_id"


def test_a_unique_id_that_the_task_itself_has_is_set() -> None:
    assert outcome("unique-id set", (409, taken_by(REF))) == (OutcomeKind.CREATED, REF, [SET])


def test_a_unique_id_of_another_task_is_refused_with_its_id() -> None:
    assert outcome("unique-id set", (409, taken_by(OTHER))) == (OutcomeKind.REFUSED, OTHER, [SET])


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ((200, b'{"task_id":"%s","unique_id":"new"}' % REF.encode()), OutcomeKind.CREATED),
        ((200, b'{"task_id":"%s","unique_id":"old"}' % REF.encode()), OutcomeKind.REFUSED),
        ((404, b"{}"), OutcomeKind.REFUSED),
        ((500, b"{}"), OutcomeKind.UNKNOWN),
        (OutcomeUnknown("no answer"), OutcomeKind.UNKNOWN),
    ],
)
def test_a_409_that_names_no_task_is_settled_by_reading_the_task(answer: Any, kind: OutcomeKind) -> None:
    found, _, heard = outcome("unique-id set", (409, b'{"error":"in use"}'), answer)
    assert (found, heard) == (kind, [SET, READ])


def test_a_ref_that_would_be_another_path_is_refused_without_a_request() -> None:
    server = Answers()
    found = at_once(changer_of(server).change(CHANGES["cancel"], "..", {}, None))
    assert (found.kind, server.heard) == (OutcomeKind.REFUSED, [])
    assert "must be a name" in found.message


def test_a_merge_sends_all_metadata_and_none_that_are_too_large() -> None:
    changing = Changing()
    ref = changing.api.create(metadata={"a": {"x": 1, "y": [1]}, "b": True})["task_id"]
    changing.applied("metadata merge", ref, metadata={"a": {"y": [2]}, "b": {"z": None}})
    assert changing.api.get(f"/task/{ref}")["metadata"] == {"a": {"x": 1, "y": [2]}, "b": {"z": None}}
    changing.applied("metadata set", ref, metadata={"a": "x" * 9_000})
    heard = len(changing.way.heard)
    planned, found, _ = changing.change("metadata merge", ref, metadata={"b": "x" * 2_000})
    assert "10 KB" in planned.refused
    assert (found.kind, found.message) == (OutcomeKind.REFUSED, planned.refused)
    assert {cls for cls, _ in changing.way.heard[heard:]} == {RequestClass.LIST}


def test_the_most_metadata_that_are_sent_are_the_most_that_the_server_takes() -> None:
    changing = Changing()
    ref = changing.api.create()["task_id"]
    most = {"x": "y" * (10 * 1024 - len('{"x":""}'))}
    changing.applied("metadata set", ref, metadata=most)
    more = {"x": most["x"] + "y"}
    assert CHANGES["metadata set"].plan({}, {"metadata": more}).refused
    found = at_once(changing.changer.change(CHANGES["metadata set"], ref, {"metadata": more}, None))
    assert (found.kind, found.status) == (OutcomeKind.REFUSED, 400)


def completed(**settings: Any) -> tuple[Changing, str]:
    changing = Changing(key="test_key", **settings)
    return changing, changing.api.create()["task_id"]


def test_a_second_audit_is_done_when_result_and_comment_are_there() -> None:
    changing, ref = completed()
    first = changing.applied("audit accept", ref, comments="good")
    assert first.before == {"customer_review_status": "pending", "comments": None}
    assert first.after == {"customer_review_status": "accepted", "comments": "good"}
    spec = CHANGES["audit"]
    task = changing.read(spec, ref)
    assert spec.plan(task, {"accepted": True}).is_done
    assert spec.plan(task, {"accepted": True, "comments": "good"}).is_done
    assert not spec.plan(task, {"accepted": True, "comments": "very good"}).is_done
    assert not spec.plan(task, {"accepted": False, "comments": "good"}).is_done


def test_where_no_audits_are_shown_the_result_alone_counts() -> None:
    task = {"status": "completed", "customer_review_status": "accepted"}
    assert CHANGES["audit accept"].plan(task, {"comments": "good"}).is_done
    rejected = CHANGES["audit reject"].plan(task, {"comments": "bad"})
    assert (rejected.is_done, rejected.after["comments"]) == (False, "bad")


def test_an_audit_that_a_task_does_not_show_is_never_taken_as_done() -> None:
    changing, ref = completed(review_field=False)
    planned, found, then = changing.change("audit accept", ref)
    assert (found.kind, planned.after, then.after, then.is_done) == (OutcomeKind.CREATED, {}, {}, False)


def test_true_in_metadata_is_not_the_one_that_is_there() -> None:
    changing = Changing()
    ref = changing.api.create(metadata={"a": 1})["task_id"]
    assert not changing.applied("metadata set", ref, metadata={"a": True}).is_done
    assert changing.api.get(f"/task/{ref}")["metadata"]["a"] is True


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("tags set", {"tags": list("abcdef")}, "at most 5 tags"),
        ("tags add", {"tags": ["\ud800"]}, "half of a surrogate pair"),
        ("metadata set", {"metadata": {"a": float("nan")}}, "NaN"),
        ("metadata set", {"metadata": {"a": "x" * 10_240}}, "10 KB"),
        ("unique-id set", {"new_unique_id": ""}, "unique-id clear"),
        ("priority", {"priority": 15}, "10, 20 or 30"),
        ("priority", {"priority": True}, "10, 20 or 30"),
        ("audit", {"accepted": True, "comments": "\udc00"}, "half of a surrogate pair"),
    ],
)
def test_arguments_that_no_task_can_take_are_refused_beforehand(name: str, arguments: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        CHANGES[name].check(arguments)


def test_what_is_not_there_is_absent() -> None:
    changing = Changing()
    for name, ref in (("cancel", OTHER), ("priority", "a/b")):
        assert at_once(changing.changer.read(CHANGES[name], ref)).presence is Presence.ABSENT
        found = at_once(changing.changer.change(CHANGES[name], ref, ARGUMENTS[name], None))
        assert (found.kind, found.status) == (OutcomeKind.REFUSED, 404)


def test_a_read_that_is_refused_raises() -> None:
    with pytest.raises(Refused):
        at_once(changer_of(Answers((400, b"{}"))).read(CHANGES["cancel"], REF))


def test_the_landing_window_can_be_set() -> None:
    assert (changer_of(Answers()).landing_s, changer_of(Answers(), audit_landing_s=1.5).landing_s) == (60.0, 1.5)
