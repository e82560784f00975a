"""The records of a run that sends only some: `retry` and `verify --fix`.

They are in the ledger, with rows that wait to be sent. A record that the ledger does not know belongs to the import;
one that failed for another reason, or has a task, stays as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from scalesync.flows.imports.plan import ImportPlan
from scalesync.flows.imports.reading.source_changes import same_sources
from scalesync.flows.runtime.identity import sources_of
from scalesync.model.contents import open_batch
from scalesync.model.jobs import StoredJob
from scalesync.model.records import Outgoing
from scalesync.model.row_views import Held
from scalesync.model.rows import FINAL, RowState
from scalesync.model.summaries import IMPORT_AGAIN
from scalesync.ports.ledger import Ledger
from scalesync.ports.verify_ledger import VerifyLedger

REST = f"the rest of the input is still to come: {IMPORT_AGAIN} to send it"
_WAITING = frozenset({RowState.PENDING, RowState.SENDING})


@dataclass(slots=True)
class Named:
    """The records that a run sends.

    store: the job's rows.
    wanted: how many rows wait to be sent.
    dead: rows in conflict over a task with one of these statuses also wait.
    read: an earlier run read the sources as they are now and left nothing to do, so they hold nothing new.
    through: read the sources to their end in any case.
    taken: records so far that are sent.
    unknown: records of the input that the ledger does not know.
    back: keys of taken records that were gone before.
    """

    store: VerifyLedger
    wanted: int
    read: bool
    dead: frozenset[str] = frozenset()
    through: bool = False
    taken: int = 0
    unknown: int = 0
    back: set[str] = field(default_factory=set)

    @classmethod
    async def of(cls, ledger: Ledger, job: StoredJob, plan: ImportPlan) -> Named:
        """The waiting records of a stored job, and those that --reclaim names."""
        dead = plan.options.reclaim
        store = ledger.checks(job)
        # Only after a complete import: a stopped one may have begun to read the sources with other options.
        bound = sources_of(job, plan.home)
        read = job.complete and same_sources(await ledger.source_splits(job), plan, bound)
        return cls(store, await store.waiting(dead), read, dead, through=plan.options.finalize)

    async def pick(self, records: Sequence[Outgoing]) -> list[Outgoing]:
        """The records to send, or to look up, now."""
        rows = await self.store.held([record.key for record in records])
        picked = [
            record for record in records if (row := rows.get(record.key)) is not None and self._takes(row, record)
        ]
        back = [record.key for record in picked if rows[record.key].gone]  # the reading found it again
        self.back.update(back)
        self.taken += len(picked) - len(back)
        self.unknown += len(records) - len(rows)
        return picked

    def _takes(self, row: Held, record: Outgoing) -> bool:
        if row.state is RowState.CONFLICT:
            return row.dead in self.dead
        if row.state in FINAL:
            return not row.home and open_batch(row.content, record.content)
        return row.state in _WAITING

    @property
    def done(self) -> bool:
        """Whether the rest of the sources does not matter to this run."""
        return not self.missing and (self.read or self.unknown > 0) and not self.through

    @property
    def missing(self) -> bool:
        """Whether some of the rows that wait were not met so far."""
        return self.taken < self.wanted

    def rest(self, *, whole: bool) -> bool:
        """Whether the import has records to send that the ledger does not know.

        whole: every source was read.
        """
        return not self.read and (self.unknown > 0 or not whole)
