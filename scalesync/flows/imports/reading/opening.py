"""The sources of an import, opened: how its options want them read, and which of them are there."""

from __future__ import annotations

import os
import sys
from typing import BinaryIO

from scalesync.addresses import public_name
from scalesync.errors import SourceError
from scalesync.flows.runtime.options import ImportOptions
from scalesync.mapping.body import BodyBuilder
from scalesync.sources.open import open_sources
from scalesync.sources.options import Describe, ReadOptions
from scalesync.sources.places.named import STANDARD_INPUT, placed_in
from scalesync.sources.places.passed_over import PassedOver
from scalesync.sources.source_file import SourceFile

NOT_THERE = ("there is no such file", "matches no file")


def read_options(options: ImportOptions, builder: BodyBuilder) -> ReadOptions:
    """The options for reading the sources of an import."""
    describe = Describe.OBJECTS if builder.names_file else Describe.NONE
    return ReadOptions(
        format=options.format,
        delimiter=options.delimiter,
        quotechar=options.quotechar,
        header=options.header,
        encoding=options.encoding,
        records=options.records,
        skip_rows=options.skip_rows,
        describe=Describe.ALL if options.describe_all else describe,
    )


def open_named(
    options: ImportOptions, reading: ReadOptions, passed: PassedOver, given: BinaryIO | None
) -> tuple[list[tuple[SourceFile, str]], list[str]]:
    """The sources with the names typed for them, found from the options' folder; and the names not found.

    passed: gets what is skipped.
    given: read instead of standard input.
    Raises SourceError if one of them cannot be opened, or is not there though the options ask for all.
    """
    stdin = given
    if given is None and STANDARD_INPUT in options.sources:
        if sys.stdin is None:
            raise SourceError("standard input is closed", STANDARD_INPUT)
        stdin = _unbuffered_stdin()
    found: list[tuple[SourceFile, str]] = []
    missing: list[str] = []
    for spec in options.sources:
        placed = spec if options.folder is None else placed_in(options.folder, spec)
        try:
            opened = open_sources([placed], reading, stdin=stdin, passed=passed)
        except SourceError as error:
            last = len(missing) == len(options.sources) - 1
            if not options.some or last or not any(words in str(error) for words in NOT_THERE):
                raise
            missing.append(public_name(spec))
            continue
        for source in opened:
            if options.folder is not None and placed != spec:
                source.name = source.name.removeprefix(os.path.join(options.folder, ""))
            found.append((source, spec))
    return found, missing


def _unbuffered_stdin() -> BinaryIO | None:
    """Standard input without Python's buffer; None if it is not a file.

    A thread that waits in the buffer holds its lock, and the interpreter crashes on that lock at its end.
    """
    try:
        return open(sys.stdin.fileno(), "rb", buffering=0, closefd=False)
    except (AttributeError, OSError, ValueError):
        return None
