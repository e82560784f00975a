"""Collects what is to be changed into the ledger: arguments checked, keys looked up, repeats and odd rows counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from scalesync.errors import BudgetUsed
from scalesync.flows.changes.arguments import of_row
from scalesync.flows.changes.targets.target import Named, Row, Rows, Unusable
from scalesync.flows.runtime.bulk_lookup import BulkLookup
from scalesync.flows.runtime.wiring import Connection
from scalesync.model.changes import Change
from scalesync.model.outcomes import Presence
from scalesync.model.records import JsonObject
from scalesync.model.rows import OtherRecord, RecordState
from scalesync.ports.change_ledger import ChangeLedger
from scalesync.ports.changes import ChangeSpec
from scalesync.text import be, count

SHOWN = 3  # rows that cannot be used


class Targets(Protocol):
    """Where the rows come from."""

    def sources(self) -> Sequence[tuple[str, JsonObject]]:
        """Name and facts of the files that hold the rows, by their numbers from 1 on; empty if none does."""

    def rows(self) -> Rows:
        """Every row, some at a time."""


@dataclass(slots=True)
class Collected:
    """How many rows were read, named a task that an earlier row named, or cannot be used."""

    read: int = 0
    duplicates: int = 0
    invalid: int = 0

    def figures(self) -> dict[str, int]:
        """As the ledger keeps them."""
        return {"read": self.read, "duplicates": self.duplicates, "invalid": self.invalid}


@dataclass(slots=True)
class Sorter:
    """Makes changes of rows. common: the arguments that were typed."""

    spec: ChangeSpec
    common: Mapping[str, Any]
    connection: Connection
    finder: BulkLookup = field(init=False)

    def __post_init__(self) -> None:
        self.finder = BulkLookup(self.connection)

    async def sort(self, rows: Sequence[Row], job: ChangeLedger) -> tuple[list[Change], list[Unusable]]:
        """The changes of a page of rows, and its rows that cannot be used. Raises RemoteError for a look-up."""
        odd: list[Unusable] = [row for row in rows if isinstance(row, Unusable)]
        named = [row for row in rows if isinstance(row, Named)]
        keys = list(dict.fromkeys(row.key for row in named if row.ref is None and row.key is not None))
        refs = dict(await job.refs(keys))
        refs |= await self._refs([key for key in keys if key not in refs])
        changes: list[Change] = []
        for row in named:
            ref = row.ref or refs.get(row.key or "")
            if ref is None:
                words = self.connection.words
                reason = f"no task has the {words.key} {row.key}"
                odd.append(Unusable(row.source, row.line, reason, key=row.key))
                continue
            try:
                arguments = self._arguments(row)
            except ValueError as error:
                odd.append(Unusable(row.source, row.line, str(error), key=row.key or ref))
                continue
            changes.append(Change(ref, row.key, arguments, row.source, row.line, row.expected))
        return changes, odd

    def _arguments(self, row: Named) -> JsonObject:
        if row.expected is not None:
            return of_row(self.spec, row.row["arguments"], {})
        return of_row(self.spec, self.common, row.row)

    async def _refs(self, keys: Sequence[str]) -> dict[str, str]:
        """The tasks of the keys; a key without one is not in the answer. Raises BudgetUsed if that is not clear."""
        if not keys:
            return {}
        found = await self.finder.find(keys)
        unknown = next((key for key, one in found.items() if one.presence is Presence.UNKNOWN), None)
        if unknown is not None:
            raise BudgetUsed(f"the platform does not say which task has {unknown}; run the same command again")
        return {key: one.view.ref for key, one in found.items() if one.view is not None}


async def collect(targets: Targets, sorter: Sorter, job: ChangeLedger, mark: int) -> Collected:
    """Read all rows into the ledger. What an earlier run had sent stays as it is.

    mark: of the sources.
    """
    await job.clear()
    numbers = dict(enumerate(await job.register_sources(targets.sources()), start=1))
    done, shown = Collected(), 0
    async for rows in targets.rows():
        changes, odd = await sorter.sort(rows, job)
        done.read += len(rows)
        done.invalid += len(odd)
        done.duplicates += await job.collect([_placed(change, numbers) for change in changes])
        await job.set_aside([_other(row, numbers) for row in odd])
        for row in odd[: max(0, SHOWN - shown)]:
            sorter.connection.note(f"row {row.line}{f' ({row.key})' if row.key else ''} cannot be used: {row.reason}")
        shown += len(odd)
    if stays := await job.collected(done.figures() | {"mark": mark}):
        sorter.connection.note(
            f"{count(stays, sorter.spec.subject)} may have been changed already, and {be(stays)} not changed in another"
            " way before that is clear"
        )
    return done


def _placed(change: Change, numbers: Mapping[int, int]) -> Change:
    return replace(change, source=numbers.get(change.source, 0))


def _other(row: Unusable, numbers: Mapping[int, int]) -> OtherRecord:
    source = numbers.get(row.source, 0)
    return OtherRecord(source, row.line, RecordState.INVALID, row.key, row.reason, row.raw or None)
