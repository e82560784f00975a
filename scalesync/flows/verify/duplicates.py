"""Several tasks under one key: which one stays, and which ones --fix may remove."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from scalesync.flows.runtime.bulk_lookup import BulkLookup
from scalesync.flows.runtime.wiring import Connection
from scalesync.model.outcomes import LookupResult, Match
from scalesync.model.records import Outgoing
from scalesync.ports.spec import Vocabulary


class Twin(NamedTuple):
    """One of several tasks under a key.

    match: with the record; DEAD also where nobody works on it.
    """

    ref: str
    created_ms: int
    status: str
    match: Match


class Choice(NamedTuple):
    """What stays and what goes, or why that is not clear: then `keep` is None."""

    keep: str | None
    remove: tuple[str, ...] = ()
    why: str = ""


async def read_twins(
    records: Sequence[Outgoing], found: Mapping[str, LookupResult], finder: BulkLookup, connection: Connection
) -> Mapping[str, Sequence[Twin]]:
    """All tasks of each key that has several, by key; without the keys that have a task that could not be read.

    Only where the service removes tasks: elsewhere nothing depends on them.
    """
    if not connection.platform.spec.key.removes:
        return {}
    several = [record for record in records if found[record.key].others]
    read = await finder.read([ref for record in several for ref in found[record.key].others])
    twins: dict[str, Sequence[Twin]] = {}
    for record in several:
        result = found[record.key]
        results = [result, *(read[ref] for ref in result.others)]
        if all(one.view is not None and one.view.key == record.key for one in results):
            twins[record.key] = [_twin(record, one, connection) for one in results]
    return twins


def _twin(record: Outgoing, result: LookupResult, connection: Connection) -> Twin:
    assert result.task is not None
    assert result.view is not None
    comparison = connection.platform.creator.compare(record, result.task)
    dead = result.view.status in connection.words.dead
    return Twin(
        result.view.ref, comparison.created_ms, result.view.status or "", Match.DEAD if dead else comparison.match
    )


def choose(twins: Sequence[Twin], known: str | None, words: Vocabulary) -> Choice:
    """Keep the task that somebody worked on, else the one that the ledger names, else the first that was made.

    The others go if each of them equals the record and nobody has worked on it. Pure.

    known: the task that the ledger names.
    """
    if not twins or words.new is None:
        return Choice(None)
    if any(twin.match is Match.DEAD for twin in twins):
        return Choice(None, why="one of them is dead")
    worked = [twin for twin in twins if twin.status != words.new]
    if len(worked) > 1:
        return Choice(None, why=f"{len(worked)} of them have been worked on")
    if any(twin.match is not Match.EQUAL for twin in twins):
        return Choice(None, why="not all of them equal the record")
    named = [twin for twin in twins if twin.ref == known]
    keep = (worked or named or [min(twins, key=lambda twin: twin.created_ms)])[0].ref
    return Choice(keep, tuple(twin.ref for twin in twins if twin.ref != keep))
