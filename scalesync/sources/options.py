"""How a person wants sources to be read."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from scalesync.errors import ConfigError
from scalesync.sources.bytestream import check_encoding
from scalesync.sources.registry import find


class Describe(Enum):
    """Which files of a folder become records although they hold none.

    NONE: none of them. OBJECTS: those that people label, not those for people to read. ALL: every one.
    """

    NONE = "none"
    OBJECTS = "objects"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How sources are read.

    format: the name of one (sources/registry.py); None: by name, then by content.
    delimiter, quotechar: of tables, None to guess; quotechar "" for no quotes.
    header: the column names of a table without a header line.
    encoding: of text; a UTF-16 mark at the beginning is recognised anyway.
    records: of JSON, the key of the list that holds the records, with dots for nested ones.
    skip_rows: lines before a table's header.
    describe: which files of a folder without records in them are a record each, which only describes the file.
    """

    format: str | None = None
    delimiter: str | None = None
    quotechar: str | None = None
    header: tuple[str, ...] | None = None
    encoding: str = "utf-8"
    records: str | None = None
    skip_rows: int = 0
    describe: Describe = Describe.ALL

    def check(self) -> None:
        """Raises ConfigError for a value that cannot work."""
        if self.format is not None:
            find(self.format)
        if self.delimiter is not None and (len(self.delimiter) != 1 or self.delimiter in '\r\n"'):
            raise ConfigError("the delimiter must be one character")
        if self.quotechar is not None and (len(self.quotechar) > 1 or self.quotechar in ("\r", "\n")):
            raise ConfigError("the quote must be one character, or empty for none")
        check_encoding(self.encoding)
        if self.records is not None and not all(self.records.split(".")):
            raise ConfigError(f'--records takes the key of a list, such as items or data.items, not "{self.records}"')
        if self.skip_rows < 0:
            raise ConfigError(f"--skip-rows takes a number of 0 or more, not {self.skip_rows}")
