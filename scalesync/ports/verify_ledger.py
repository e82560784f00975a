"""The ledger for a check of a job against its platform: rows in order, tasks that died, rows taken up again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from typing import Protocol

from scalesync.model.records import Outgoing
from scalesync.model.row_views import Held, Turn
from scalesync.model.rows import OtherRecord, RowOutcome


class VerifyLedger(Protocol):
    """One job's rows for a check. Every change names the row as the check saw it; a row that changed since is left as
    it is.
    """

    @property
    def writable(self) -> bool:
        """Whether this run holds the job. Otherwise do not call anything that changes a row."""

    async def held(self, keys: Sequence[str]) -> Mapping[str, Held]:
        """The target's rows for these keys, from any job."""

    def pages(self, size: int) -> AsyncIterator[Sequence[Held]]:
        """Every row of the job, its own by key, then shared ones by place, `size` at a time."""

    async def failed(self, wanted: Callable[[str, int | None, str], bool]) -> int:
        """How many failed rows of the job `reopen` would make pending."""

    async def waiting(self, dead: Collection[str]) -> int:
        """How many records of the job wait for a send or a look-up; with conflicts over tasks that are `dead`.

        Without those that are gone.
        """

    async def gone_in_doubt(self) -> int:
        """How many records that are gone may have been sent, and need a look-up."""

    async def rebuilding(self) -> bool:
        """Whether a rebuild of this job began and did not end, or nothing was done for it yet."""

    # --- changes -------------------------------------------------------------------------------

    async def turn(self, turns: Sequence[Turn]) -> int:
        """Make rows with a dead task conflicts, and restore those with a task that lives again; returns how many."""

    async def agree(self, seen: Sequence[tuple[str, str | None, Mapping[str, str]]]) -> None:
        """Remember in what accepted tasks differ that nobody had looked at: (key, task_id, terms)."""

    async def correct(self, pairs: Sequence[tuple[str, str | None, str]]) -> int:
        """Give created and adopted rows the task_id that the server reports: (key, old, new)."""

    async def doubt(self, seen: Sequence[tuple[str, str, str | None]]) -> int:
        """Put rows back to `sending`: (key, state, task_id) as seen. The next import looks them up, then sends."""

    async def record(self, found: Sequence[tuple[Outgoing, RowOutcome]], other_records: Sequence[OtherRecord]) -> None:
        """Add records with lost rows, each in the state that a look-up gave it."""

    async def begin_rebuild(self) -> None:
        """From here on `rebuilding` holds."""

    async def end_rebuild(self) -> None:
        """The rows of all records are there."""
