"""The table of data file formats. Writers, readers, options and checks read everything about a format from its row.

The program's own rows name functions whose modules are imported at their first use. A row of another package comes
from an entry point in the group `scalesync.encoders`; the name of the entry point is the name of the format.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module
from typing import Any, BinaryIO, Protocol, cast

from scalesync.errors import ConfigError
from scalesync.fences import Fence, Fenced
from scalesync.plugins import Plugins

API = 1  # rises if a row for the previous version would no longer work
GROUP = "scalesync.encoders"
_NUMBERED = re.compile(r".*-\d{5,}\.(.+)", re.DOTALL)


Columns = Mapping[str, Sequence[str]]  # column -> paths in a document, as `PlatformSpec.columns` says


class Output(Protocol):
    """The file that an encoder writes to. Its bytes are hashed as they arrive, so an encoder can only append."""

    def write(self, data: bytes, /) -> int:
        """Append bytes; returns how many."""

    def tell(self) -> int:
        """The number of its bytes."""


class Encoder(Protocol):
    """Turns documents into the bytes of one file."""

    def add(self, lines: Sequence[bytes]) -> None:
        """Add documents. Each is the bytes of one JSON object on one line, without a newline."""

    def pause(self) -> None:
        """If the format is resumable, write everything held so far; the file is then readable."""

    def close(self) -> None:
        """Write everything held so far, then the end of the file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputFormat:
    """One format.

    api: the version of this interface.
    name: the value of --format, and the suffix of the files.
    open: makes an encoder for a file. If `resumable`, the file may already hold bytes up to a `pause`.
    lines: reads the documents of an open file in order, each as it was added.
    resumable: after a `pause` the file is readable, and another encoder can continue after it.
    fields: whether documents may be cut down to fields before they are added.
    check: raises ConfigError if a package has to be installed.
    open_untyped: like `open`, for a folder whose first files have strings in all columns.
    open_columns: like `open`, for documents that have values of columns at other places.
    """

    api: int
    name: str
    open: Callable[[Output], Encoder]
    lines: Callable[[BinaryIO], Iterator[bytes]]
    resumable: bool = False
    fields: bool = True
    check: Callable[[], object] | None = None
    open_untyped: Callable[[Output], Encoder] | None = None
    open_columns: Callable[[Output, Columns], Encoder] | None = None


def _late(module: str, name: str) -> Callable[..., Any]:
    """A function of a module in this package. The module is imported at the first call."""

    def call(*arguments: Any) -> Any:
        return getattr(import_module(f"scalesync.outputs.encoders.{module}"), name)(*arguments)

    return call


ROWS = (
    OutputFormat(
        api=API, name="jsonl", open=_late("jsonl", "plain"), lines=_late("jsonl", "plain_lines"), resumable=True
    ),
    OutputFormat(
        api=API, name="jsonl.gz", open=_late("jsonl", "gzipped"), lines=_late("jsonl", "gzipped_lines"), resumable=True
    ),
    OutputFormat(
        api=API, name="jsonl.zst", open=_late("jsonl", "zipped"), lines=_late("jsonl", "zipped_lines"), resumable=True
    ),
    OutputFormat(
        api=API,
        name="parquet",
        open=_late("parquet", "typed"),
        lines=_late("parquet", "documents"),
        fields=False,
        check=_late("parquet", "arrow"),
        open_untyped=_late("parquet", "untyped"),
        open_columns=_late("parquet", "with_columns"),
    ),
)
FORMATS: Mapping[str, OutputFormat] = {row.name: row for row in ROWS}


def _fenced(format: OutputFormat, fence: Fence) -> OutputFormat:
    """Of another package."""

    def opened(open: Callable[..., Encoder]) -> Callable[..., Encoder]:
        return lambda *asked: cast(Encoder, Fenced(fence.call(open)(*asked), fence))

    return replace(
        format,
        open=opened(format.open),
        lines=lambda file: fence.each(fence.call(format.lines)(file)),
        check=format.check and fence.call(format.check),
        open_untyped=format.open_untyped and opened(format.open_untyped),
        open_columns=format.open_columns and opened(format.open_columns),
    )


PLUGINS = Plugins(GROUP, "output format", OutputFormat, API, FORMATS, fenced=_fenced)


def names() -> Sequence[str]:
    """The names of all formats, those of other packages last."""
    return (*FORMATS, *PLUGINS.names())


def find(name: str) -> OutputFormat:
    """The row for a name that a person typed. Raises ConfigError if there is none, or if it cannot be used."""
    row = PLUGINS.load(name) or FORMATS.get(name)
    if row is None:
        raise ConfigError(f'"{name}" is not an output format; write one of {", ".join(names())}')
    return row


def of_lines(name: str) -> str:
    """The format for what is JSON lines whatever the tasks are: packed like them, if they are lines too."""
    return name if name in FORMATS and name.startswith("jsonl") else "jsonl"


def format_of(file: str) -> OutputFormat:
    """The row of a data file, by its name. Raises ConfigError if no installed package has it."""
    match = _NUMBERED.fullmatch(file)
    name = match[1] if match else next((name for name in FORMATS if file.endswith(f".{name}")), "jsonl")
    row = FORMATS.get(name) or PLUGINS.load(name)
    if row is None:
        raise ConfigError(f'{file}: the format "{name}" is not known; install the package that wrote it')
    return row


def is_data_name(name: str, stems: Collection[str]) -> bool:
    """Whether this is the name of an export's data file.

    stems: words that the name may begin with.
    """
    if _pattern(tuple(stems), tuple(FORMATS)).fullmatch(name):
        return True
    return _NUMBERED.fullmatch(name) is not None and bool(_pattern(tuple(stems), tuple(names())).fullmatch(name))


@cache
def _pattern(stems: tuple[str, ...], formats: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(rf"(?:{_one_of(stems)})(?:-[\w.+-]+)?-\d{{5,}}\.(?:{_one_of(formats)})")


def _one_of(words: Sequence[str]) -> str:
    return "|".join(map(re.escape, words))
