"""The findings of a verification: a record in the source, in the ledger and on the server, compared. Pure.

kind            what is wrong                                                      what --fix does
missing         the ledger has a task, the server has none under the unique_id     send
pending         the record was not sent yet, according to the ledger               send
failed          the server refused the record; retry sends it again                -
invalid, clash  the record cannot be used, or contradicts an earlier one           -
miscounted      a second count of a source gives another number of records         -
duplicate       several tasks have the unique_id; some servers accept it twice     remove, if one can stay
detached        the task exists, but its unique_id was removed                     -
unrecorded      the server has the task, but not the ledger                        record
not_in_ledger   the source has the record, but not the ledger                      record or create
task_id         the ledger names another task                                      task_id
canceled, error nobody works on the task                                           reclaim, if asked for
changed         the task differs from the record                                   -
moved           the task is in another project or batch                            -
gone            the ledger has the record and its task, but not the source         -
unexpected      a task of the project or batch belongs to no record                -, only with --unexpected
unclear         the server gave no trustworthy answer                              -
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from scalesync.flows.verify.duplicates import Twin, choose
from scalesync.model.contents import HASH_BYTES, covers, terms
from scalesync.model.outcomes import Comparison, LookupResult, Match, Presence
from scalesync.model.records import JsonObject, Outgoing
from scalesync.model.row_views import Held
from scalesync.model.rows import FINAL, RowState
from scalesync.ports.spec import Vocabulary

SEND, CREATE, RECORD, TASK_ID, RECLAIM = "send", "create", "record", "task_id", "reclaim"
REMOVE = "remove"
PLACES = frozenset({"project", "batch"})
ORDER = ("kind", "unique_id", "task_id", "file", "line", "detail")
ALWAYS = frozenset(ORDER)  # every finding has these


@dataclass(frozen=True, slots=True)
class Finding:
    """One finding.

    fix: the action of --fix; None if there is none.
    remove: ids of the tasks that it removes.
    state: of the row that verify saw; the repair checks it.
    was: the task of that row.
    """

    kind: str
    detail: str
    unique_id: str | None = None
    task_id: str | None = None
    file: str | None = None
    line: int | None = None
    fix: str | None = None
    remove: tuple[str, ...] = ()
    state: str | None = None
    was: str | None = None
    differences: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> JsonObject:
        """The finding as a line of the file, without empty members."""
        named = (*ORDER, "fix", "remove", "state", "was", "differences")
        return {name: value for name in named if (value := getattr(self, name)) or name in ALWAYS}


@dataclass(frozen=True, slots=True)
class Case:
    """One record in source, ledger and server.

    record: None if the source does not hold it, or was not read.
    comparison: of record and task.
    twins: all tasks of its key, if it has several and the service can remove one.
    """

    row: Held | None
    record: Outgoing | None
    result: LookupResult
    comparison: Comparison | None
    file: str | None
    line: int | None
    words: Vocabulary
    twins: Sequence[Twin] = ()

    def finding(self, kind: str, detail: str, fix: str | None = None, **more: Any) -> Finding:
        """A finding about this record."""
        key = self.record.key if self.record is not None else self.row.key if self.row is not None else None
        row = self.row
        ref = None if self.result.view is None else self.result.view.ref
        return Finding(
            kind=kind,
            detail=detail,
            unique_id=key,
            task_id=ref or (None if row is None else row.ref),
            file=self.file,
            line=self.line,
            fix=fix,
            state=None if row is None else row.state.value,
            was=None if row is None else row.ref,
            **more,
        )


def compare(case: Case) -> Iterator[Finding]:
    """The findings about one record; none if source, ledger and server agree."""
    row = case.row
    if case.result.others:
        yield from _several(case)
    elif case.result.presence is Presence.UNKNOWN:
        yield case.finding("unclear", "the server gave no trustworthy answer about this unique_id")
    elif row is None:
        yield from _unknown(case)
    elif case.result.task is None:
        if row.ours or row.state is RowState.CONFLICT:
            sent = SEND if case.record is not None else None
            yield case.finding("missing", f"the ledger says {row.state.value}, the server has no such task", sent)
        else:
            yield _not_sent(case, row)
    elif case.comparison is None:
        yield from _without_record(case, row)
    else:
        yield from _with_record(case, row, case.comparison)


def _several(case: Case) -> Iterator[Finding]:
    """Findings about a key with several tasks. The row is not compared before it is decided which task stays."""
    refs = [*([] if case.result.view is None else [case.result.view.ref]), *case.result.others]
    detail = f"{len(refs)} tasks have this unique_id: {', '.join(refs)}"
    choice = choose(case.twins, None if case.row is None else case.row.ref, case.words)
    if choice.keep is None:
        detail += f"; {choice.why}" if choice.why else ""
        yield case.finding("duplicate", f"{detail}; remove all but one in the service, then run verify --fix")
    else:
        detail += f"; nobody has worked on {', '.join(choice.remove)}"
        yield replace(case.finding("duplicate", detail, REMOVE, remove=choice.remove), task_id=choice.keep)
    if case.comparison is not None:
        yield from _differing(case, case.comparison)


def _not_sent(case: Case, row: Held) -> Finding:
    if row.state is RowState.FAILED:
        return case.finding("failed", row.reason or "the server refused the record")
    sent = SEND if case.record is not None else None
    return case.finding("pending", f"the ledger says {row.state.value}, and there is no task for it", sent)


def superseded(case: Case) -> bool:
    """Whether the row of a record that the source no longer holds never became a task, and never will.

    The task of a conflict may be somebody else's. Of several tasks, one may be the row's own.
    """
    row, presence = case.row, case.result.presence
    if row is None or case.result.others:
        return False
    return (presence is Presence.ABSENT and not row.ours) or (presence is Presence.FOUND and row.is_others)


def _unknown(case: Case) -> Iterator[Finding]:
    if case.result.task is None:
        yield case.finding("not_in_ledger", "the ledger does not know this record, and there is no task for it", CREATE)
        return
    yield case.finding("not_in_ledger", "the ledger does not know this record, and there is a task for it", RECORD)
    if case.comparison is not None:
        yield from _differing(case, case.comparison)


def _without_record(case: Case, row: Held) -> Iterator[Finding]:
    view = case.result.view
    if view is not None and view.status in case.words.dead:
        status = str(view.status)
        yield case.finding(status, f"the task is {case.words.shown(status)}")
    ref = None if view is None else view.ref
    if row.ours and row.ref != ref:
        yield case.finding("task_id", f"the ledger names task {row.ref}, the server {ref}")


def accepted_terms(case: Case) -> Mapping[str, str] | None:
    """In what the task differs that --on-conflict adopt accepted for this record; None if it did not."""
    row, record, comparison = case.row, case.record, case.comparison
    if row is None or record is None or comparison is None or case.result.others:
        return None
    if row.accepted is None or not covers(row.accepted, record.content) or row.ref != comparison.ref:
        return None
    stands = row.state in FINAL or (row.state is RowState.CONFLICT and not row.home)
    if not stands or comparison.match not in (Match.EQUAL, Match.DIFFERENT):
        return None
    return terms({name: theirs for name, (_, theirs) in comparison.differences.items()})


def _with_record(case: Case, row: Held, comparison: Comparison) -> Iterator[Finding]:
    accepted = accepted_terms(case)
    if accepted is not None:
        yield from _changed_since(case, row.terms, accepted)
        return
    yield from _differing(case, comparison)
    if comparison.match is Match.EQUAL and (row.state not in FINAL):
        if row.is_changed and _is_another(row, case.record):
            yield case.finding("changed", "the record changed after its task was created")
        elif row.home or not row.is_changed:
            yield case.finding("unrecorded", f"the ledger says {row.state.value}, the server has the task", RECORD)
        return
    if row.state not in FINAL:
        return
    if row.ref != comparison.ref:
        fix = TASK_ID if comparison.match is Match.EQUAL else None
        yield case.finding("task_id", f"the ledger names task {row.ref}, the server {comparison.ref}", fix)
    if comparison.match is Match.EQUAL and _is_another(row, case.record):
        yield case.finding("changed", "the record changed after its task was created")


def _changed_since(case: Case, then: Mapping[str, str] | None, now: Mapping[str, str]) -> Iterator[Finding]:
    news = [name for name, value in now.items() if then is not None and then.get(name) != value]
    if news:
        names = ", ".join(sorted(news))
        detail = f"the task changed in {names} since it was accepted; --on-conflict adopt --rescan accepts it again"
        yield case.finding("changed", detail, differences={name: _in_json(case)[name] for name in sorted(news)})


def _in_json(case: Case) -> dict[str, Any]:
    """The differences of a finding."""
    differences = {} if case.comparison is None else case.comparison.differences
    return {name: {"record": ours, "task": theirs} for name, (ours, theirs) in differences.items()}


def _is_another(row: Held, record: Outgoing | None) -> bool:
    """Whether the record has changed since. Its batch does not count: it is compared with the task's batch."""
    return record is not None and row.content[:HASH_BYTES] != record.content[:HASH_BYTES]


def _differing(case: Case, comparison: Comparison) -> Iterator[Finding]:
    differing = _in_json(case)
    if comparison.match is Match.DEAD:
        why = "" if comparison.error is None else f": {comparison.error.words}"
        detail = f"the task is {case.words.shown(comparison.status)}{why}"
        yield case.finding(comparison.status, detail, RECLAIM, differences=differing)
        return
    for kind, names in (("moved", differing.keys() & PLACES), ("changed", differing.keys() - PLACES)):
        if names:
            detail = f"the task differs from the record in {', '.join(sorted(names))}"
            yield case.finding(kind, detail, differences={name: differing[name] for name in sorted(names)})
