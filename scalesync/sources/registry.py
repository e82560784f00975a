"""The formats of a source, one row each: what readers, detection, options and help know about a format.

A row of the program names functions of modules that are imported when they are needed. A row of another package comes
from its entry point in the group `scalesync.sources`; the entry point's name is the format's name and, with a dot
before it, the one suffix that means the format. So a suffix is known without importing anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any

from scalesync.errors import ConfigError
from scalesync.fences import Fence
from scalesync.plugins import Plugins

if TYPE_CHECKING:
    from scalesync.sources.options import ReadOptions
    from scalesync.sources.recount.counts import Tally
    from scalesync.sources.source import Reader, Source

API = 1  # raised when a row that was written for the version before would no longer do
GROUP = "scalesync.sources"
PACKED = (".gz", ".zst")


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFormat:
    """One format.

    api: the version of this interface.
    name: as typed.
    words: what people call it.
    bind: looks at a source and says how to read it.
    Raises SourceError if it cannot be read.
    suffixes: ends of names that mean it.
    begins: whether bytes begin like every file of it; then no other check looks at them, and a file with its suffix
        that begins otherwise is refused.
    guess: whether the beginning of a file, which may be the whole, looks like it; asked in the order of the rows if
        neither caller nor name says.
    may_hold: formats that a file with its suffix may have after all, by their guess, if the caller names none.
    takes: options of ReadOptions that apply to it.
    same_columns: all records have the same ones.
    checkpoints: an unchanged beginning is recognised, and stays unread.
    document: in a folder, its files are one source together with those of no format.
    count, counted: a second way to count records, with the path of a file on this machine, and what it counts in words;
        it shares no code with `bind`, and may raise if the file is damaged.
    """

    api: int
    name: str
    words: str
    bind: Callable[[Source], Reader]
    suffixes: tuple[str, ...] = ()
    begins: Callable[[bytes], bool] | None = None
    guess: Callable[[bytes, bool], bool] | None = None
    may_hold: tuple[str, ...] = ()
    takes: frozenset[str] = frozenset()
    same_columns: bool = False
    checkpoints: bool = False
    document: bool = False
    count: Callable[[str, ReadOptions, Tally], None] | None = None
    counted: str = ""


def _late(module: str, name: str) -> Callable[..., Any]:
    """A function of a module in this package, which is imported when it is called."""

    def call(*arguments: Any) -> Any:
        return getattr(import_module(f"scalesync.sources.{module}"), name)(*arguments)

    return call


_TEXT = frozenset({"encoding"})
_JSON = _TEXT | {"records"}
_TABLE = _TEXT | {"delimiter", "quotechar", "header", "skip_rows"}
ROWS = (
    SourceFormat(
        api=API,
        name="jsonl",
        words="JSON lines",
        suffixes=(".jsonl", ".ndjson"),
        bind=_late("formats.jsontexts", "bind_lines"),
        guess=_late("formats.jsonguess", "is_lines"),
        takes=_JSON,
        checkpoints=True,
        count=_late("recount.counts", "count_lines"),
        counted="lines that are not blank",
    ),
    SourceFormat(
        api=API,
        name="json",
        words="JSON",
        suffixes=(".json",),
        bind=_late("formats.jsontexts", "bind_array"),
        guess=_late("formats.jsonguess", "is_json"),
        may_hold=("jsonl",),
        takes=_JSON,
        document=True,
        count=_late("recount.counts", "count_json"),
        counted="its values with Python's json",
    ),
    SourceFormat(
        api=API,
        name="csv",
        words="CSV",
        suffixes=(".csv",),
        bind=_late("formats.tables", "bind_csv"),
        guess=_late("formats.dialect", "is_table"),
        takes=_TABLE,
        same_columns=True,
        count=_late("recount.counts", "count_csv"),
        counted="its rows with Python's csv",
    ),
    SourceFormat(
        api=API,
        name="tsv",
        words="TSV",
        suffixes=(".tsv", ".tab"),
        bind=_late("formats.tables", "bind_tsv"),
        takes=_TABLE,
        same_columns=True,
        count=_late("recount.counts", "count_tsv"),
        counted="its rows with Python's csv",
    ),
    SourceFormat(
        api=API,
        name="parquet",
        words="Parquet",
        suffixes=(".parquet", ".pq"),
        bind=_late("formats.parquet", "bind"),
        begins=lambda head: head.startswith(b"PAR1"),
        same_columns=True,
        count=_late("recount.counts", "count_parquet"),
        counted="the number in its footer",
    ),
)
FORMATS: Mapping[str, SourceFormat] = {row.name: row for row in ROWS}
_SUFFIXES = {suffix: row.name for row in ROWS for suffix in row.suffixes}
DOCUMENTS = frozenset(row.name for row in ROWS if row.document)


def _fenced(format: SourceFormat, fence: Fence) -> SourceFormat:
    """Of another package; `readers` fences what its reader reads."""
    return replace(
        format,
        bind=fence.call(format.bind),
        begins=format.begins and fence.call(format.begins),
        count=format.count and fence.call(format.count),
    )


_OURS = {*FORMATS, *(suffix[1:] for suffix in _SUFFIXES)}
PLUGINS = Plugins(GROUP, "source format", SourceFormat, API, _OURS, fenced=_fenced)


def names() -> Sequence[str]:
    """The names of all formats, those of other packages last."""
    return (*FORMATS, *PLUGINS.names())


def find(name: str) -> SourceFormat:
    """The row of a name that a person gave. Raises ConfigError if there is none, or if it cannot be used."""
    row = PLUGINS.load(name) or FORMATS.get(name)
    if row is None:
        raise ConfigError(f'format "{name}" is not known; use {", ".join(names())}')
    return row


def suffix_format(name: str) -> str | None:
    """The format of a file's name, looking under .gz and .zst; None if it has none."""
    low = name.lower()
    for packed in PACKED:
        low = low.removesuffix(packed)
    dot = low.rfind(".")
    if dot <= low.rfind("/"):
        return None
    suffix = low[dot:]
    known = _SUFFIXES.get(suffix)
    return suffix[1:] if known is None and suffix[1:] in PLUGINS else known


def format_of(name: str) -> SourceFormat | None:
    """The row of a file's name. Raises ConfigError if it is of another package and cannot be used."""
    format = suffix_format(name)
    return None if format is None else FORMATS.get(format) or find(format)


def is_document(name: str) -> bool:
    """Whether the content of a file in a folder belongs to the folder's own source, by its name."""
    return suffix_format(name) in DOCUMENTS


def is_packed(name: str) -> bool:
    """True for names that end in .gz or .zst."""
    return name.lower().endswith(PACKED)
