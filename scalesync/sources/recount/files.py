"""A second way to count the records of a file, which shares no code with the readers.

    head --> format --> count of that format --> Recount

It counts JSON lines as lines that are not blank, JSON by the standard library's decoder, tables by its csv, Parquet by
its footer, and unpacks gzip and zstd with the modules of that name. Only the decision what a file is (its format, and
how cells are cut) comes from the readers: a count says nothing about a wrong guess, but everything about a missed
record.
"""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass

from scalesync.errors import SourceError
from scalesync.sources.detect import detect, may_have_json_lines
from scalesync.sources.formats.dialect import LONGEST_LOOK
from scalesync.sources.options import ReadOptions
from scalesync.sources.places.folders import carries_records, is_left_out, walk
from scalesync.sources.recount.content import DAMAGE, GZIP, ZSTD, head_of, text_head
from scalesync.sources.recount.counts import Tally
from scalesync.sources.registry import is_document

_BROKEN_OFF: tuple[type[BaseException], ...] = (ValueError, csv.Error, RecursionError, *DAMAGE)


@dataclass(frozen=True, slots=True)
class Recount:
    """How many records a file, or a folder, holds.

    how: what was counted, "" if the format has no second count.
    exact: False if the count broke off, at a place that the reader reports as invalid: then there are at least that
        many.
    """

    records: int
    exact: bool
    how: str

    def contradicts(self, read: int) -> bool:
        """Whether a reading with this many places cannot have seen all."""
        return read != self.records if self.exact else read < self.records


def recount_file(path: str, options: ReadOptions, name: str | None = None) -> Recount:
    """Count one file on this machine.

    name: shows its format.
    Raises OSError or SourceError.
    """
    head, complete = head_of(path)
    table = options.header is not None or options.delimiter is not None
    said = options.format or ("csv" if table else None)
    unpacked, whole = text_head(head, complete, path, options)
    if not whole and may_have_json_lines(name or path, unpacked, said) and b"\n" not in unpacked.lstrip():
        most = 4 * LONGEST_LOOK  # as many characters in UTF-32
        unpacked, whole = text_head(*head_of(path, most), path, options, most)
    packed = head.startswith((GZIP, ZSTD))
    format = detect(name or path, unpacked, whole, options.format, table, packed=packed)
    tally = Tally(format.counted)
    if format.count is None:
        return Recount(0, False, "")
    try:
        format.count(path, options, tally)
    except _BROKEN_OFF:
        return Recount(tally.records, False, tally.how)
    return Recount(tally.records, True, tally.how)


def recount_folder(folder: str, options: ReadOptions, left_out: frozenset[str] = frozenset()) -> Recount:
    """Count the files of a folder that do not carry records by their name: one each, JSON files by their content.

    left_out: paths inside the folder of files that are read elsewhere.
    """
    total, exact = 0, True
    for entry in walk(folder):
        if carries_records(entry, options.format is not None) or entry.inside in left_out:
            continue
        if is_left_out(entry, options.describe):
            continue
        if not is_document(entry.inside) or not os.path.getsize(entry.path):
            total += 1
            continue
        try:
            counted = recount_file(entry.path, options, entry.inside)
        except (OSError, SourceError):
            counted = Recount(1, False, "")  # reported as one place that cannot be used
        total += counted.records
        exact = exact and counted.exact
    return Recount(total, exact, "each of its files for itself")
