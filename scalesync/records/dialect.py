"""What a CSV looks like: delimiter, quotes and line ends, guessed from its beginning."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

CANDIDATES = (",", ";", "\t", "|")
_SAMPLE_ROWS = 100
_SEP = re.compile(r"sep=(.)\r?$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Dialect:
    """How cells are cut. quotechar: None when quotes mean nothing. newline: what ends a line in bytes."""

    delimiter: str = ","
    quotechar: str | None = '"'
    skipinitialspace: bool = False
    newline: bytes = b"\n"
    skip_lines: int = 0

    def rows(self, lines: Iterable[str]) -> Iterator[list[str]]:
        """The cells of each row; csv.Error where quotes do not match."""
        return csv.reader(
            lines,
            delimiter=self.delimiter,
            quotechar=self.quotechar,
            quoting=csv.QUOTE_NONE if self.quotechar is None else csv.QUOTE_MINIMAL,
            skipinitialspace=self.skipinitialspace,
            strict=True,
        )


@dataclass(frozen=True, slots=True)
class Sample:
    """The beginning of a table. complete: it is the whole; columns: their number when it is known.

    skip: lines before the first row.
    """

    text: str
    complete: bool
    columns: int | None = None
    skip: int = 0


def guess(sample: Sample, delimiter: str | None, quotechar: str | None, default: str | None = None) -> Dialect:
    """The dialect of a table. Given values are taken as they are; `default` is the name's delimiter.

    quotechar "" means: no quotes. A first line `sep=;`, as spreadsheets write it, is followed.
    """
    newline = b"\r" if "\r" in sample.text and "\n" not in sample.text else b"\n"
    skip = sample.skip
    if match := _SEP.match(sample.text.partition(newline.decode())[0]):
        delimiter = delimiter or match[1]
        skip = max(skip, 1)
    text = "".join(sample.text.split(newline.decode(), skip)[skip:])
    sample = Sample(text, sample.complete, sample.columns)
    quote = _quote(sample.text) if quotechar is None else quotechar or None
    chosen = delimiter or default or _delimiter(sample, quote)
    spaced = quote is not None and f"{chosen} {quote}" in sample.text and f"{chosen}{quote}" not in sample.text
    dialect = Dialect(chosen, quote, spaced, newline, skip)
    if quotechar is None and chosen == "\t" and _share(sample, dialect)[0] < 1:
        bare = Dialect(chosen, None, False, newline, skip)
        if _share(sample, bare)[0] == 1:
            return bare
    return dialect


def looks_like_table(sample: Sample) -> bool:
    """True when some delimiter cuts every line of the sample into the same number of cells, at least two."""
    for candidate in CANDIDATES:
        share, width = _share(sample, Dialect(candidate, _quote(sample.text)))
        if share == 1 and width > 1:
            return True
    return False


def _delimiter(sample: Sample, quote: str | None) -> str:
    best, best_share = ",", 0.0
    for candidate in CANDIDATES:
        share, width = _share(sample, Dialect(candidate, quote))
        if width > 1 and share > best_share:
            best, best_share = candidate, share
    return best


def _share(sample: Sample, dialect: Dialect) -> tuple[float, int]:
    """Which share of the rows has as many cells as the first, and that number."""
    text = sample.text.replace("\r", "\n") if dialect.newline == b"\r" else sample.text
    reader = dialect.rows(io.StringIO(text, newline=""))
    widths: list[int] = []
    broken = 0
    while len(widths) < _SAMPLE_ROWS:
        try:
            row = next(reader, None)
        except csv.Error:
            broken += 1
            continue
        if row is None:
            break
        if len(row) > 1 or (row and row[0].strip()):
            widths.append(len(row))
    if not sample.complete and len(widths) > 1 and len(widths) < _SAMPLE_ROWS:
        widths.pop()
    if not widths:
        return 0.0, 0
    width = sample.columns or widths[0]
    return Counter(widths)[width] / (len(widths) + broken), width


def _quote(text: str) -> str:
    """The apostrophe when cells are wrapped in it and the quotation mark never occurs, else the latter."""
    if '"' in text:
        return '"'
    wrapped = len(re.findall(r"(?:^|[,;\t|])'[^'\n]*'(?=[,;\t|\r]|$)", text, re.MULTILINE))
    return "'" if wrapped and wrapped >= text.count("\n") else '"'
