"""The dialect of a CSV: delimiter, quotes and line ends, guessed from its beginning.

The guess must not depend on where the beginning was cut: it counts only rows that end in it, and the caller looks
further if there are too few.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple

from scalesync.sources.formats.cells import Dialect, Sample, fit

CANDIDATES = (",", ";", "\t", "|", "\x01", "\x1f")
WANTED_ROWS = 10  # fewer rows show nothing
LONGEST_LOOK = 4 * 1024 * 1024  # bytes
_RARE = "^~: "  # delimiters that occur in ordinary text: asked about, never taken
_BARE = ("\t", "|")  # where these separate cells, many tools write quotation marks as text
_SEP = re.compile(r"(\"?)sep=(.)\1\r?$", re.IGNORECASE)
_WORDS = {"\t": "tabs", " ": "spaces", "\x01": "U+0001", "\x1f": "U+001F"}
_OPTIONS = {"\t": "tab", ",": "comma", ";": "semicolon", "|": "pipe", " ": "space"}


class Guess(NamedTuple):
    """header: the cells of the first row.
    rows: how many rows it is based on.
    notes: sentences about another possible reading, or about an option that is needed.
    """

    dialect: Dialect
    header: tuple[str, ...]
    rows: int
    notes: tuple[str, ...]


def guess(sample: Sample, delimiter: str | None, quotechar: str | None, default: str | None = None) -> Guess:
    """The dialect of a table. Given values win; `default` is the delimiter of the name.

    quotechar "" means: no quotes. A first line `sep=;`, as spreadsheets write it, is followed.
    """
    newline = b"\r" if "\r" in sample.text and "\n" not in sample.text else b"\n"
    skip = sample.skip
    if match := _SEP.match(sample.text.partition(newline.decode())[0]):
        delimiter = delimiter or match[2]
        skip = max(skip, 1)
    text = "".join(sample.text.split(newline.decode(), skip)[skip:]).replace("\n\ufeff", "\n")
    sample = replace(sample, text=text.replace("\r", "\n") if newline == b"\r" else text)
    base = Dialect(newline=newline, skip_lines=skip)
    notes: list[str] = []
    chosen = delimiter or default or _delimiter(sample, base, quotechar, notes)
    dialect = _quoted(sample, replace(base, delimiter=chosen), quotechar, notes)
    if delimiter is None:
        notes += _odd_shape(sample, dialect)
    found = fit(sample, dialect)
    return Guess(dialect, found.header, len(found.widths), tuple(notes))


def guess_widely(
    look: Callable[[int], Sample], size: int, delimiter: str | None, quotechar: str | None, default: str | None
) -> Guess:
    """`guess`, from a look at `size` bytes, and at more if rows are so long that few end in it."""
    while True:
        sample = look(size)
        guessed = guess(sample, delimiter, quotechar, default)
        if sample.complete or guessed.rows >= WANTED_ROWS or size >= LONGEST_LOOK:
            return guessed
        size *= 4


def looks_like_table(sample: Sample) -> bool:
    """True when some delimiter cuts every line of the sample into the same number of cells, at least two."""
    return any(fit(sample, _quoted(sample, Dialect(candidate), None, [])).perfect for candidate in CANDIDATES)


def is_table(head: bytes, complete: bool) -> bool:
    """`looks_like_table`, of the first bytes of a file.

    complete: they are the whole.
    """
    return looks_like_table(Sample(head.decode("utf-8", "replace"), complete))


def _delimiter(sample: Sample, base: Dialect, quotechar: str | None, notes: list[str]) -> str:
    """The candidate that gives most rows the first one's number of cells; of equal ones, the one with more cells."""
    fits = {}
    for candidate in CANDIDATES:
        if candidate in sample.text:
            dialect = _quoted(sample, replace(base, delimiter=candidate), quotechar, [])
            fits[candidate] = fit(sample, dialect)
    usable = [candidate for candidate, found in fits.items() if found.columns > 1 and found.share]
    if not usable:
        return ","
    best = max(usable, key=lambda candidate: (fits[candidate].share, fits[candidate].columns))
    others = [one for one in usable if one != best and fits[one].perfect and len(fits[one].widths) > 1]
    if others and fits[best].perfect:
        notes.append(
            f"is cut at {_named(best)}; {_named(others[0])} would fit as well:"
            f" --delimiter {_option(others[0])} takes that"
        )
    return best


def _quoted(sample: Sample, dialect: Dialect, quotechar: str | None, notes: list[str]) -> Dialect:
    """The dialect with its quotes."""
    text = sample.text
    if quotechar is not None:
        return replace(dialect, quotechar=quotechar or None)
    if '"' not in text:
        return replace(dialect, quotechar=_apostrophe(sample, dialect, notes))
    delimiter = dialect.delimiter
    spaced = f'{delimiter} "' in text and f'{delimiter}"' not in text
    quoted = replace(dialect, skipinitialspace=spaced)
    found = fit(sample, quoted)
    if not found.broken and not found.spans:
        return quoted
    bare = replace(dialect, quotechar=None)
    if fit(sample, bare).perfect and (not found.broken or delimiter in _BARE):
        if not found.broken:
            notes.append(
                "has quotation marks at the edges of cells that are read as text, because each line has all its cells;"
                " --quotechar '\"' takes them for quotes around cells of several lines"
            )
        return bare
    if found.broken and '\\"' in text:
        escaped = replace(quoted, escapechar="\\")
        again = fit(sample, escaped)
        if again.perfect and not again.broken:
            notes.append(
                'is read with \\" as a quotation mark within a cell, and with \\ taken off before any character'
            )
            return escaped
    return quoted


def _apostrophe(sample: Sample, dialect: Dialect, notes: list[str]) -> str:
    """The apostrophe if it wraps the cells of the header, else the quotation mark, which does not occur."""
    delimiter, text = dialect.delimiter, sample.text
    edge = re.escape(delimiter)
    wrapped = re.compile(rf"(?:^|(?<={edge}))'[^'\n]*'(?=(?:{edge}|\r?$))", re.MULTILINE)
    header = next((line for line in text.split("\n") if line.strip()), "").rstrip("\r")
    if header and re.fullmatch(rf"'[^'\n]*'(?:{edge}'[^'\n]*')*", header):
        return "'"
    if len(wrapped.findall(text)) >= max(text.count("\n") - 1, 1):
        if not fit(sample, replace(dialect, quotechar=None)).perfect:
            if fit(sample, replace(dialect, quotechar="'")).perfect:
                return "'"
        else:
            notes.append('has cells in apostrophes, which are read as text; --quotechar "\'" takes them off')
    return '"'


def _odd_shape(sample: Sample, dialect: Dialect) -> Iterator[str]:
    """What a person should know about rows that do not match the first one."""
    found = fit(sample, dialect)
    if found.columns == 1 and len(found.widths) > 1 and '"' not in sample.text:
        yield from _other_cut(sample, dialect)
    elif found.columns > 1 and len(found.widths) > 2 and found.columns not in found.widths[1:]:
        width = found.widths[-1]
        first = next(at for at, one in enumerate(found.widths) if one == width)
        yield _skipping(sample, dialect, first, found.columns, width)


def _other_cut(sample: Sample, dialect: Dialect) -> Iterator[str]:
    for candidate in (*CANDIDATES, *_RARE):
        other = fit(sample, replace(dialect, delimiter=candidate, quotechar=None))
        if other.perfect and len(other.widths) > 2:
            yield (
                f"is read as one column; each row has {other.columns} cells at {_named(candidate)}:"
                f" --delimiter {_option(candidate)} cuts there"
            )
            return
        rest = other.widths[other.widths.index(other.widths[-1]) :] if other.widths else ()
        # Two cells a row may be sentences with one comma each; where the rows are cut there anyway they are bad ones.
        telling = rest and (
            rest[0] > 2 or (rest[0] == 2 and (len(rest) >= WANTED_ROWS or candidate == dialect.delimiter))
        )
        if candidate in CANDIDATES and telling and len(rest) > 2 and len(set(rest)) == 1 and other.columns == 1:
            yield _skipping(sample, replace(dialect, delimiter=candidate), len(other.widths) - len(rest), 1, rest[0])
            return


def _skipping(sample: Sample, dialect: Dialect, row: int, columns: int, width: int) -> str:
    lines = [number for number, line in enumerate(sample.text.split("\n")) if line.strip()]
    skip = dialect.skip_lines + lines[min(row, len(lines) - 1)]
    cells = "1 cell" if columns == 1 else f"{columns} cells"
    return (
        f"has {cells} in its first row and {width} at {_named(dialect.delimiter)} from line"
        f" {skip + 1} on; if that is the header, give --skip-rows {skip}"
    )


def _option(delimiter: str) -> str:
    return _OPTIONS.get(delimiter, f"'{delimiter}'")


def _named(delimiter: str) -> str:
    return _WORDS.get(delimiter, f'"{delimiter}"')
