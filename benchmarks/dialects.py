"""How well tables are read: our guess of the dialect beside DuckDB's sniffer and CleverCSV, on known cells.

    python -m venv /tmp/sniffers && /tmp/sniffers/bin/pip install duckdb clevercsv -e .
    /tmp/sniffers/bin/python -m benchmarks.dialects [--shared ../shared/data] [--show KIND]

Each table is written from its cells, in the ways in which the Pollock benchmark pollutes files (delimiters, quotes,
escapes, line ends, marks, encodings, lines before the header, ragged and empty rows), and cut or stretched so that the
reader's first look ends inside a cell. A reading is *right* when the header and every cell come back; *told* when it
does not, but there is an error, a complaint about a row or a note about the reading; else it is *silent*: other cells
without a word.
"""

from __future__ import annotations

import argparse
import csv
import importlib
import io
import itertools
import random
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scalesync.errors import ScalesyncError
from scalesync.model.records import SourceRecord
from scalesync.sources.open import open_sources
from scalesync.sources.options import ReadOptions

Rows = list[list[str]]
DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe"}


@dataclass(frozen=True, slots=True)
class Table:
    """A file and what is in it. rows: the cells, header first; ragged ones are the reader's to complain about."""

    kind: str
    name: str
    data: bytes
    rows: Rows


@dataclass(frozen=True, slots=True)
class Reading:
    """What a reader made of it. rows: None when it gave none. told: whether it said that something is odd."""

    rows: Rows | None
    told: bool


def written(rows: Rows, delimiter: str = ",", **how: Any) -> str:
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, **{"lineterminator": "\n", **how}).writerows(rows)
    return out.getvalue()


# --- cells ---------------------------------------------------------------------------------------


def plain(count: int = 40) -> Rows:
    return [["id", "name", "city"], *([str(n), f"name {n}", f"city {n % 7}"] for n in range(count))]


def texts(count: int = 40) -> Rows:
    """Sentences with what separates and wraps cells elsewhere."""
    parts = ("Hello, world", 'she said "no"', "one; two", "don't", "a | b", "line\nbreak", "", "100%", "x\ty")
    draw = random.Random(5)
    return [
        ["id", "text", "note"],
        *([str(n), " ".join(draw.sample(parts, 3)), draw.choice(parts)] for n in range(count)),
    ]


def clean_texts(count: int = 40) -> Rows:
    """Sentences with apostrophes and commas, without quotation marks, tabs or line breaks."""
    parts = ("Hello, world", "don't", "rock 'n' roll", "one; two", "fine", "well, well, well")
    draw = random.Random(6)
    return [["id", "text", "label"], *([str(n), " ".join(draw.sample(parts, 2)), f"l{n % 3}"] for n in range(count))]


def numbers(count: int = 40) -> Rows:
    """Decimal commas, dates and times."""
    return [
        ["day", "at", "value"],
        *([f"2024-01-{n % 28 + 1:02d}", f"12:{n % 60:02d}:00", f"{n},{n % 10}"] for n in range(count)),
    ]


def links(count: int = 40) -> Rows:
    return [["id", "url"], *([f"u{n}", f"https://a.example:80/p;x={n}?q=a,b|c&r={n}#f"] for n in range(count))]


def long_texts(delimiter: str, inner: str, count: int = 100, size: int = 4000) -> Rows:
    filler = f"lorem ipsum {inner} dolor sit amet "
    text = (filler * (size // len(filler) + 1))[:size]
    return [
        ["unique_id", "k", f"text{inner if inner == '; note' else ''}"],
        *([f"u{n}", str(n), f"{text} {n}"] for n in range(count)),
    ]


BASES: dict[str, Callable[[], Rows]] = {
    "plain": plain,
    "texts": texts,
    "clean": clean_texts,
    "numbers": numbers,
    "links": links,
}


# --- files ---------------------------------------------------------------------------------------


def suffix(delimiter: str) -> str:
    return "tsv" if delimiter == "\t" else "csv"


def delimited() -> Iterator[Table]:
    for base, delimiter, quoting in itertools.product(BASES, DELIMITERS, (csv.QUOTE_MINIMAL, csv.QUOTE_ALL)):
        rows = BASES[base]()
        for name in {suffix(delimiter), "csv"}:
            text = written(rows, delimiter, quoting=quoting)
            yield Table(
                "delimiter and quoting", f"{base}-{DELIMITERS[delimiter]}-{quoting}.{name}", text.encode(), rows
            )


def line_ends() -> Iterator[Table]:
    for base, delimiter, end in itertools.product(("plain", "texts", "links"), DELIMITERS, ("\r\n", "\r")):
        rows = BASES[base]()
        if end == "\r" and base == "texts":
            continue  # a line break inside a cell beside old line ends is another table
        text = written(rows, delimiter, lineterminator=end)
        wide = text.rstrip("\r\n") if base == "plain" else text
        yield Table("line ends", f"{base}-{DELIMITERS[delimiter]}-{end!r}.csv", wide.encode(), rows)


def quotes() -> Iterator[Table]:
    for base, delimiter in itertools.product(("plain", "numbers", "links"), DELIMITERS):
        rows = BASES[base]()
        text = written(rows, delimiter, quotechar="'", quoting=csv.QUOTE_ALL)
        yield Table("apostrophes around cells", f"{base}-{DELIMITERS[delimiter]}.csv", text.encode(), rows)
    for delimiter, word in DELIMITERS.items():
        rows = [["id", "size", "label"], *([str(n), f'{n}"', "inch"] for n in range(30))]
        text = "".join(delimiter.join(row) + "\n" for row in rows)
        yield Table("quotes within bare text", f"inches-{word}.csv", text.encode(), rows)
        rows = [["id", "title", "artist"], *([str(n), "'Heroes'", "Bowie"] for n in range(30))]
        text = "".join(delimiter.join(row) + "\n" for row in rows)
        yield Table("apostrophes as text", f"heroes-{word}.csv", text.encode(), rows)
        rows = [["id", "text"], *([str(n), ('"so', "fine", 'end"', 'a "b" c')[n % 4]] for n in range(40))]
        text = "".join(delimiter.join(row) + "\n" for row in rows)
        yield Table(
            "lone quotes at the edges of texts",
            f"lone-{word}.{suffix(delimiter)}",
            text.encode(),
            rows,
        )
    for delimiter, word in DELIMITERS.items():
        rows = [["id", "text", "n"], *([str(n), f'say "hi" {delimiter} {n}', "x"] for n in range(30))]
        text = "".join(
            delimiter.join(
                ('"' + cell.replace('"', '\\"') + '"') if at == 1 and n else cell for at, cell in enumerate(row)
            )
            + "\n"
            for n, row in enumerate(rows)
        )
        yield Table("backslash escapes", f"escaped-{word}.csv", text.encode(), rows)
    for base, delimiter in itertools.product(("plain", "clean"), (",", ";", "|")):
        rows = BASES[base]()
        text = written(rows, delimiter, quoting=csv.QUOTE_ALL).replace(f'"{delimiter}"', f'"{delimiter} "')
        yield Table("spaces behind delimiters", f"{base}-{DELIMITERS[delimiter]}.csv", text.encode(), rows)


def long_cells() -> Iterator[Table]:
    for delimiter, quoting, inner in itertools.product(
        DELIMITERS, (csv.QUOTE_ALL, csv.QUOTE_MINIMAL), (' "word" ', '; "x"', ", and\nmore", "don't | ")
    ):
        rows = long_texts(delimiter, inner)
        text = written(rows, delimiter, quoting=quoting)
        name = f"{DELIMITERS[delimiter]}-{quoting}-{inner.strip()[:3]!r}.{suffix(delimiter)}"
        yield Table("long cells over the first look", name.replace("/", ""), text.encode(), rows)
    for size in (70_000, 300_000, 1_000_000):
        for delimiter, word in DELIMITERS.items():
            rows = long_texts(delimiter, ' "q", ; ', count=4, size=size)
            text = written(rows, delimiter)
            yield Table(
                "rows longer than the first look",
                f"{size}-{word}.{suffix(delimiter)}",
                text.encode(),
                rows,
            )


def surroundings() -> Iterator[Table]:
    for delimiter, word in DELIMITERS.items():
        rows = plain()
        text = written(rows, delimiter)
        yield Table("marks and encodings", f"mark-{word}.csv", b"\xef\xbb\xbf" + text.encode(), rows)
        yield Table("marks and encodings", f"utf16-{word}.csv", text.encode("utf-16"), rows)
        accents = [*rows, ["40", "n\u00e4h", "K\u00f6ln"], ["41", "\u201cquoted\u201d", "\u20ac"]]
        yield Table("marks and encodings", f"cp1252-{word}.csv", written(accents, delimiter).encode("cp1252"), accents)
        yield Table("marks and encodings", f"utf8-{word}.csv", written(accents, delimiter).encode(), accents)
        yield Table("empty rows", f"blank-{word}.csv", text.replace("\n", "\n\n").encode(), rows)
        yield Table("empty rows", f"first-{word}.csv", ("\n\n" + text + "\n\n\n").encode(), rows)
        holes = [rows[0], *([row[0], "", ""] for row in rows[1:])]
        yield Table("empty cells", f"holes-{word}.csv", written(holes, delimiter).encode(), holes)
        yield Table("a line that names the delimiter", f"sep-{word}.csv", (f"sep={delimiter}\n" + text).encode(), rows)
        for lines in (["Report of May"], ["Report", "made by us, for you", ""]):
            data = "".join(line + "\n" for line in lines) + text
            yield Table("lines before the header", f"pre{len(lines)}-{word}.csv", data.encode(), rows)
        second = [rows[0], ["no.", "text", "text"], *rows[1:]]
        yield Table("two header rows", f"two-{word}.csv", written(second, delimiter).encode(), second)
        ragged = [row if n % 9 != 4 else row[:-1] for n, row in enumerate(rows)]
        yield Table("ragged rows", f"short-{word}.csv", written(ragged, delimiter).encode(), ragged)
        ragged = [row if n % 9 != 4 else [*row, "more"] for n, row in enumerate(rows)]
        yield Table("ragged rows", f"long-{word}.csv", written(ragged, delimiter).encode(), ragged)
        few = texts(3)
        yield Table("few rows", f"three-{word}.csv", written(few, delimiter).encode(), few)
        one = [["name", "full text"], ["a", "b, c; d"]]
        yield Table("few rows", f"one-{word}.csv", written(one, delimiter).encode(), one)
    for name, cells in (
        ("words", ["url", *(f"https://a.example/{n}" for n in range(30))]),
        ("sentences", ["text", *(f"Well, {'so, ' * (n % 3)}it is; no {n}" for n in range(30))]),
        ("quoted", ["text", *(f'He said "{n}", then\nleft' for n in range(30))]),
        ("times", ["at", *(f"2024-01-01 12:{n:02d}:00" for n in range(30))]),
    ):
        rows = [[cell] for cell in cells]
        yield Table("one column", f"{name}.csv", written(rows).encode(), rows)
        yield Table("one column", f"{name}-all.csv", written(rows, quoting=csv.QUOTE_ALL).encode(), rows)
    for delimiter in ("^", "~", ":", " ", "\x01", "\x1f", "||"):
        rows = plain(20) if delimiter != " " else [[cell.replace(" ", "-") for cell in row] for row in plain(20)]
        text = "".join(delimiter.join(row) + "\n" for row in rows)
        yield Table("other delimiters", f"{delimiter.encode().hex()}.csv", text.encode(), rows)


def real(shared: Path) -> Iterator[Table]:
    """The shared tables, cut at many lengths and written in other dialects. Read by Python's csv from what they are."""
    for path in sorted(shared.rglob("*.csv")):
        with open(path, encoding="utf-8", newline="") as stream:
            rows = list(itertools.islice(csv.reader(stream), 3000))
        if any("/" in cell for cell in rows[0]):  # no line of names
            rows = [[f"c{place}" for place in range(len(rows[0]))], *rows]
        if len({len(row) for row in rows}) > 1 or len(set(rows[0])) < len(rows[0]) or len(rows) < 20:
            continue
        for length, delimiter, quoting in itertools.product((20, 3000), DELIMITERS, (csv.QUOTE_MINIMAL, csv.QUOTE_ALL)):
            name = f"{path.stem}-{length}-{DELIMITERS[delimiter]}-{quoting}.csv"
            yield Table("shared data", name, written(rows[:length], delimiter, quoting=quoting).encode(), rows[:length])


def corpus(shared: Path | None) -> list[Table]:
    parts = [delimited(), line_ends(), quotes(), long_cells(), surroundings()]
    return [table for part in [*parts, *([real(shared)] if shared and shared.is_dir() else [])] for table in part]


# --- readers -------------------------------------------------------------------------------------


def ours(path: Path) -> Reading:
    try:
        (source,) = open_sources([str(path)], ReadOptions())
        items = [item for block in source.blocks() for item in block.records]
    except ScalesyncError:
        return Reading(None, True)
    records = [item for item in items if isinstance(item, SourceRecord)]
    rows: Rows = [list(records[0].value)] if records else []
    rows += [list(map(str, item.value.values())) for item in records]
    return Reading(rows, bool(source.notes) or len(records) < len(items))


def duck(path: Path) -> Reading:
    duckdb = importlib.import_module("duckdb")
    try:
        found = duckdb.read_csv(str(path), header=True, all_varchar=True)
        return Reading([found.columns, *([cell or "" for cell in row] for row in found.fetchall())], False)
    except (duckdb.Error, UnicodeDecodeError):
        return Reading(None, True)


def clever(path: Path) -> Reading:
    clevercsv = importlib.import_module("clevercsv")
    encoding = importlib.import_module("clevercsv.encoding").get_encoding(str(path))
    try:
        with open(path, encoding=encoding, newline="") as stream:
            head = stream.read(30_000)
            dialect = clevercsv.detect.Detector().detect(head)
            if dialect is None:
                return Reading(None, True)
            stream.seek(0)
            return Reading([row for row in clevercsv.reader(stream, dialect) if row], False)
    except (UnicodeError, clevercsv.exceptions.Error, csv.Error, LookupError):
        return Reading(None, True)


READERS = {"scalesync": ours, "DuckDB": duck, "CleverCSV": clever}


def verdict(table: Table, reading: Reading) -> str:
    width = len(table.rows[0])
    good = [row for row in table.rows if len(row) == width]
    if reading.rows is not None:
        if reading.rows == table.rows:
            return "right"
        if reading.rows == good and reading.told:
            return "right"  # the ragged rows are complained of
    return "told" if reading.told else "silent"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dialects")
    parser.add_argument("--shared", type=Path, default=Path("../shared/data"))
    parser.add_argument("--show", default="", help="name the tables of kinds that hold this word and are not right")
    parser.add_argument("--readers", default=",".join(READERS))
    typed = parser.parse_args()
    tables = corpus(typed.shared)
    names = typed.readers.split(",")
    counts: dict[str, dict[str, Counter[str]]] = defaultdict(lambda: {name: Counter() for name in names})
    with tempfile.TemporaryDirectory() as folder:
        for number, table in enumerate(tables):
            path = Path(folder) / f"{number}.{table.name.rpartition('.')[2]}"
            path.write_bytes(table.data)
            for name in names:
                found = verdict(table, READERS[name](path))
                counts[table.kind][name][found] += 1
                if found != "right" and typed.show and typed.show in f"{name} {table.kind}":
                    print(f"{name}: {found}: {table.kind}: {table.name}")
            path.unlink()
    print(f"{len(tables)} tables; right / told / silent\n")
    print("| kind | tables | " + " | ".join(names) + " |\n|---|---" + "|---" * len(names) + "|")
    whole = {name: Counter[str]() for name in names}
    for kind, by_name in counts.items():
        for name in names:
            whole[name] += by_name[name]
        print(_line(kind, by_name))
    print(_line("all", whole))


def _line(kind: str, by_name: dict[str, Counter[str]]) -> str:
    cells = [" / ".join(str(found[word]) for word in ("right", "told", "silent")) for found in by_name.values()]
    return f"| {kind} | {sum(next(iter(by_name.values())).values())} | " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()
