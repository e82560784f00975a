"""The second count of a source that was read: it proves that a reading missed records."""

from __future__ import annotations

import os
from dataclasses import dataclass

from scalesync.errors import SourceError
from scalesync.flows.runtime.threads import in_daemon
from scalesync.flows.verify.findings import Finding
from scalesync.sources.options import ReadOptions
from scalesync.sources.recount.files import Recount, recount_file, recount_folder
from scalesync.sources.source_file import SourceFile


@dataclass(frozen=True, slots=True)
class SecondCount:
    """What the count of a source gave; both members are empty if it agrees with the reading.

    left_out: a sentence, if nobody could count the source a second time.
    """

    finding: Finding | None = None
    left_out: str = ""


async def count_again(source: SourceFile, read: int, options: ReadOptions) -> SecondCount:
    """Count a source in a second way.

    read: places where the reading saw a record.
    """
    name, place, facts = source.name, source.place, source.fingerprint()
    if place is None or facts["size"] is None:
        return SecondCount(left_out=f"{name} was counted once: it can be read from beginning to end only")
    try:
        counted = await in_daemon(lambda: _count(source, place, options, folder="files" in facts))
    except (OSError, SourceError) as error:
        detail = f"the source could not be counted a second time: {error}"
        return SecondCount(Finding("unclear", detail, file=str(facts["path"])))
    if counted is None:
        return SecondCount(left_out=f"{name} changed while it was read, so it was not counted a second time")
    if not counted.how:
        return SecondCount(left_out=f"{name} was counted once: there is no second count for its format")
    if counted.contradicts(read):
        return SecondCount(Finding("miscounted", _miscounted(counted, read), file=name))
    return SecondCount()


def _count(source: SourceFile, place: str, options: ReadOptions, *, folder: bool) -> Recount | None:
    """The count of a file or folder; None if the file is another one than was read."""
    if folder:
        return recount_folder(place, options, source.left_out)
    counted = recount_file(place, options)
    info = os.stat(place)
    return counted if (info.st_size, info.st_mtime_ns) == (source.size, source.mtime_ns) else None


def _miscounted(counted: Recount, read: int) -> str:
    least = "" if counted.exact else "at least "
    counts = f"reading gave {read:,} records, counting {counted.how} gives {least}{counted.records:,}"
    return f"{counts}; please report this as a bug in scalesync"
