"""The check of everything in an increment: compares the counts of server and ledger, and reads differences again."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import pairwise

from scalesync.events import Observer
from scalesync.flows.exports.chains.origin import Origin
from scalesync.flows.exports.chains.reader import PartitionReader
from scalesync.flows.exports.plan import ExportPlan, partitions_of
from scalesync.model.selection import Selection
from scalesync.ports.export_ledger import ExportLedger
from scalesync.ports.platform import Changes
from scalesync.times import iso

GROUP = 5_000  # tasks per window of the check of everything: one request each


async def check_everything(
    reader: PartitionReader, plan: ExportPlan, store: ExportLedger, origin: Origin, observer: Observer
) -> None:
    """Compare the count of each window of updates with the server's, one request each. Read differing windows again.

    This finds tasks for which the assumption of increments fails: a change did not raise `updated_at`, or appeared
    later than the overlap. If the platform does not count, everything is read again.
    """
    if origin.changes is Changes.NONE:
        return  # this increment has read everything
    if origin.changes is not Changes.TIME:
        await _read_everything(reader, plan, origin, observer)
        return
    marks = [0, *await store.updated_marks(GROUP), plan.started_ms]
    windows = [(lo, hi) for lo, hi in pairwise(sorted(set(marks))) if hi > lo]
    differing = 0
    lister = origin.lister
    for lo, hi in windows:
        bounds = {name: ms for name, ms in plan.asked.bounds.items() if name.startswith("created")}
        bounds |= {"updated_before": hi} | ({"updated_after": lo} if lo else {})
        asked = replace(plan.asked, bounds=bounds)
        page = await origin.call(partial(lister.page, lister.query(asked, 1), None))
        if page.total is None:
            await _read_everything(reader, plan, origin, observer)
            return
        # The request goes from lo - 1 to hi + 1, and either end may be inclusive or not.
        counts = {await store.count_updated(first, last) for first in (lo - 1, lo) for last in (hi + 1, hi + 2)}
        if page.total in counts:
            continue
        differing += 1
        span = await origin.span(asked, plan.started_ms)
        await reader.run_again(asked, partitions_of(span, reader.next_number))
    result = f"{differing} of {len(windows)} windows differed and were read again" if differing else "nothing differed"
    observer.note(f"checked everything up to {iso(plan.started_ms)}: {result}")


def everything(plan: ExportPlan) -> Selection:
    """The selection of an increment without its window."""
    bounds = {name: ms for name, ms in plan.asked.bounds.items() if name.startswith("created")}
    return replace(plan.asked, bounds=bounds, since=None)


async def _read_everything(reader: PartitionReader, plan: ExportPlan, origin: Origin, observer: Observer) -> None:
    asked = everything(plan)
    span = await origin.span(asked, plan.started_ms)
    await reader.run_again(asked, partitions_of(span, reader.next_number))
    observer.note(f"read everything up to {iso(plan.started_ms)} again: the server does not count what changed")
