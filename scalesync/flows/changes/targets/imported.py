"""Tasks that an import made or took over, as the ledger knows them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from scalesync.flows.changes.targets.target import PAGE, Named, Rows
from scalesync.model.records import JsonObject
from scalesync.model.rows import FINAL
from scalesync.ports.verify_ledger import VerifyLedger
from scalesync.text import be, count


class Imported:
    """The tasks of an import's records; records without a task are left out, and a note says how many."""

    def __init__(self, rows: VerifyLedger, note: Callable[[str], None]) -> None:
        self._rows = rows
        self._note = note
        self.without = 0

    def sources(self) -> Sequence[tuple[str, JsonObject]]:
        """None: no file names them."""
        return ()

    async def rows(self) -> Rows:
        """Every task, by the keys of the records."""
        number = 0
        async for page in self._rows.pages(PAGE):
            found = []
            for row in page:
                if row.ref is None or row.state not in FINAL:
                    self.without += 1
                    continue
                number += 1
                found.append(Named(row.ref, None, {}, 0, number))
            if found:
                yield found
        if self.without:
            self._note(f"{count(self.without, 'record')} of the job without a task {be(self.without)} left out")
