"""A last look-up of records that were sent again: a request that took effect too late may have made a second task."""

from __future__ import annotations

from scalesync.events import Observer
from scalesync.flows.runtime.bulk_lookup import Batches, BulkLookup
from scalesync.flows.runtime.wiring import Connection
from scalesync.ports.job_ledger import JobLedger
from scalesync.text import count

SHOWN = 3


async def find_duplicates(keys: Batches, connection: Connection, job: JobLedger, observer: Observer) -> int:
    """Count the records that have several tasks, and write all tasks of each into the history.

    keys: of the records, with their batches.
    """
    finder = BulkLookup(connection)
    found: list[str] = []
    waiting = sorted(keys)
    while waiting:
        some, waiting = waiting[: finder.wave], waiting[finder.wave :]
        for key, result in (await finder.find(some, keys)).items():
            if result.others:
                first = [] if result.view is None else [result.view.ref]
                await job.event(key, "several tasks", {"tasks": [*first, *result.others]})
                found.append(key)
    if found:
        more = f" and {len(found) - SHOWN:,} more" if len(found) > SHOWN else ""
        have = "has" if len(found) == 1 else "have"
        observer.note(
            f"{count(len(found), 'record')} {have} several tasks, because a request took effect later than the platform"
            f" says it may: {', '.join(found[:SHOWN])}{more}; scalesync verify names all of them"
        )
    return len(found)
