"""One record compared everywhere, where a server takes a key twice."""

from __future__ import annotations

import pytest

from scalesync.flows.verify.findings import Case, compare
from scalesync.model.outcomes import Comparison, LookupResult, Match, Presence
from scalesync.model.records import Outgoing
from scalesync.model.row_views import Held
from scalesync.model.rows import RowState
from scalesync.platforms.scale.documents import read_document
from scalesync.platforms.scale.spec import SPEC

CONTENT = b"0123456789abcdef"


def case(ref: str, *others: str, state: RowState = RowState.CREATED) -> Case:
    row = Held("k", state, ref, CONTENT, 1, None, None, None, home=True, source=1, line=1)
    task = b'{"task_id": "t1", "unique_id": "k", "status": "pending"}'
    result = LookupResult(Presence.FOUND, {"task_id": "t1"}, view=read_document(task), others=others)
    comparison = Comparison(Match.EQUAL, "t1", 1, "pending", others=others)
    return Case(row, Outgoing("k", CONTENT, b"{}", 1, 1), result, comparison, "a.jsonl", 1, SPEC.vocabulary)


@pytest.mark.parametrize("ref", ["t1", "t2"])
@pytest.mark.parametrize("state", [RowState.CREATED, RowState.CONFLICT, RowState.SENDING])
def test_several_tasks_under_one_key_are_a_finding_that_names_them(ref: str, state: RowState):
    (finding,) = compare(case(ref, "t2", "t3", state=state))
    assert (finding.kind, finding.fix) == ("duplicate", None)
    told = "3 tasks have this unique_id: t1, t2, t3; remove all but one in the service, then run verify --fix"
    assert finding.detail == told


def test_one_task_under_one_key_is_none():
    assert list(compare(case("t1"))) == []
    assert [finding.kind for finding in compare(case("t9"))] == ["task_id"]
