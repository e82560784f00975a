"""Cells of a table: how a dialect cuts lines, and how well it fits the beginning of a table."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

_SAMPLE_ROWS = 100


@dataclass(frozen=True, slots=True)
class Dialect:
    """How cells are cut.

    quotechar: None if quotes mean nothing.
    newline: the bytes that end a line.
    escapechar: the character that escapes a quote within a cell, None if it is doubled.
    """

    delimiter: str = ","
    quotechar: str | None = '"'
    skipinitialspace: bool = False
    newline: bytes = b"\n"
    skip_lines: int = 0
    escapechar: str | None = None

    def rows(self, lines: Iterable[str]) -> _Reader:
        """The cells of each row; csv.Error if quotes do not match."""
        return csv.reader(
            lines,
            delimiter=self.delimiter,
            quotechar=self.quotechar,
            quoting=csv.QUOTE_NONE if self.quotechar is None else csv.QUOTE_MINIMAL,
            skipinitialspace=self.skipinitialspace,
            escapechar=self.escapechar,
            doublequote=self.escapechar is None,
            strict=True,
        )


@dataclass(frozen=True, slots=True)
class Sample:
    """The beginning of a table.

    complete: it is the whole.
    columns: their number if known.
    skip: lines before the first row.
    """

    text: str
    complete: bool
    columns: int | None = None
    skip: int = 0


class _Reader(Protocol):
    line_num: int

    def __iter__(self) -> _Reader: ...

    def __next__(self) -> list[str]: ...


@dataclass(frozen=True, slots=True)
class Fit:
    """How a dialect cuts a sample.

    widths: cells of each whole row.
    broken: rows with quotes that do not match.
    spans: a row, or the rest of one at the end, holds a line break.
    header: the first row's cells.
    """

    widths: tuple[int, ...]
    broken: int
    spans: bool
    columns: int
    header: tuple[str, ...]

    @property
    def share(self) -> float:
        """The share of rows with as many cells as the first, or as given."""
        return self.widths.count(self.columns) / (len(self.widths) + self.broken) if self.widths else 0.0

    @property
    def perfect(self) -> bool:
        """Whether each row has the same number of cells, more than one."""
        return self.columns > 1 and self.share == 1


def fit(sample: Sample, dialect: Dialect) -> Fit:
    """Cut the first rows of a sample, without those that the cut leaves unfinished."""
    lines = _lines(sample.text)
    if lines and not sample.complete and not lines[-1].endswith("\n"):
        lines.pop()
    reader = dialect.rows(iter(lines))
    widths: list[int] = []
    header: tuple[str, ...] = ()
    broken, spans, before = 0, False, 0
    while len(widths) < _SAMPLE_ROWS:
        try:
            row = next(reader, None)
        except csv.Error as error:
            spans = spans or reader.line_num > before + 1
            if "unexpected end" not in str(error) or sample.complete:
                broken += 1
            before = reader.line_num
            continue
        if row is None:
            break
        spans = spans or reader.line_num > before + 1
        before = reader.line_num
        if len(row) > 1 or (row and row[0].strip()):
            header = header if widths else tuple(row)
            widths.append(len(row))
    return Fit(tuple(widths), broken, spans, sample.columns or (widths[0] if widths else 0), header)


def _lines(text: str) -> list[str]:
    parts = text.split("\n")
    return [part + "\n" for part in parts[:-1]] + ([parts[-1]] if parts[-1] else [])
