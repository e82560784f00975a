"""Mutants of the readers of tables, Parquet, gzip and zstd."""

from __future__ import annotations

from tests.mutants.model import Edit, Mutant

FIRST_BYTE = "nothing is lost from the first byte on"
UNIT = "tests/unit"
DIALECT = (f"{UNIT}/test_sources_dialect.py",)
TABLES = (f"{UNIT}/test_sources_tables.py",)
JOINED = (f"{UNIT}/test_sources_joined.py",)
READERS = (f"{UNIT}/test_sources_readers.py",)
ARROW = (f"{UNIT}/test_sources_arrow.py",)
PARQUET = (f"{UNIT}/test_sources_parquet.py",)
PLUGINS = (f"{UNIT}/test_plugins.py",)
PACKED = (f"{UNIT}/test_sources_open.py",)


def _mutant(name: str, file: str, old: str, new: str, first: tuple[str, ...]) -> Mutant:
    return Mutant(name, FIRST_BYTE, (Edit(f"scalesync/{file}", old, new),), first)


FORMAT_MUTANTS = (
    # joined files, and what stands in the place of data
    _mutant(
        "a repeated header is a record",
        "sources/formats/tables.py",
        "        elif row == names and len(row) > 1:\n",
        "        elif False:\n",
        JOINED,
    ),
    _mutant(
        "a word like the name of the one column is not a record",
        "sources/formats/tables.py",
        "elif row == names and len(row) > 1:",
        "elif row == names:",
        JOINED,
    ),
    _mutant(
        "the mark of a joined table goes into its first cell",
        "sources/formats/tables.py",
        "line.removeprefix(_BOM)",
        "line",
        JOINED,
    ),
    _mutant(
        "a mark inside a cell is taken off",
        "sources/formats/tables.py",
        "if line.startswith(_MARKS) and len(self.taken) == 1:",
        "if line.startswith(_MARKS):",
        JOINED,
    ),
    _mutant("UTF-32 is taken for UTF-16", "sources/bytestream.py", "if first.startswith(_UTF32):", "if False:", JOINED),
    _mutant("a pointer of Git LFS is read", "sources/detect.py", "if head.startswith(_LFS):", "if False:", JOINED),
    _mutant("a hole makes a text binary", "sources/detect.py", '    head = _HOLES.sub(b"", head)\n', "", JOINED),
    # formats of other packages
    _mutant(
        "a format for another version of the interface is used",
        "plugins.py",
        "        if addition.api != self._api:\n",
        "        if False:\n",
        PLUGINS,
    ),
    _mutant(
        "a format of another package takes the place of one of ours",
        "plugins.py",
        "        if name in self._own:\n",
        "        if False:\n",
        PLUGINS,
    ),
    _mutant(
        "what another package reads goes unchecked into the ledger",
        "sources/readers.py",
        "            yield _as_json(item) if isinstance(item, SourceRecord) else item\n",
        "            yield item\n",
        ("tests/cli/test_plugins.py",),
    ),
    # tables
    _mutant(
        "a row that the look cuts counts as broken",
        "sources/formats/cells.py",
        'if "unexpected end" not in str(error) or sample.complete:',
        "if True:",
        DIALECT,
    ),
    _mutant(
        "a table of long rows is judged by its first look",
        "sources/formats/dialect.py",
        "if sample.complete or guessed.rows >= WANTED_ROWS or size >= LONGEST_LOOK:",
        "if True:",
        DIALECT,
    ),
    _mutant(
        "lone quotes join rows",
        "sources/formats/dialect.py",
        "    if not found.broken and not found.spans:\n",
        "    if not found.broken:\n",
        DIALECT,
    ),
    _mutant(
        "a column beside the name before its dot nests",
        "sources/formats/tables.py",
        "if all(parts) and not any(before in columns for before in outer) else (name,)",
        "if all(parts) else (name,)",
        TABLES,
    ),
    _mutant(
        "a quote that is never closed takes the lines after it along",
        "sources/formats/tables.py",
        "            feed.take_back()\n",
        "",
        TABLES,
    ),
    _mutant(
        "skipped lines are read as the header",
        "sources/formats/dialect.py",
        "    base = Dialect(newline=newline, skip_lines=skip)\n",
        "    base = Dialect(newline=newline)\n",
        READERS,
    ),
    _mutant(
        "a .tsv is cut at commas",
        "sources/formats/tables.py",
        '    return _bind(source, "\\t")\n',
        '    return _bind(source, ",")\n',
        READERS + DIALECT,
    ),
    # Parquet
    _mutant(
        "INT96 is read as nanoseconds alone",
        "sources/formats/arrowvalues.py",
        'if seconds is not None and self._pa.types.is_timestamp(seconds.type) and seconds.type.unit == "s":',
        "if False:",
        ARROW,
    ),
    _mutant(
        "INT96 inside structs is read as nanoseconds alone",
        "sources/formats/arrowvalues.py",
        "others = [None] * len(names) if seconds is None else seconds.flatten()",
        "others = [None] * len(names)",
        ARROW,
    ),
    _mutant(
        "nanoseconds inside lists are cut",
        "sources/formats/arrowvalues.py",
        "    if not rest:\n        return local.isoformat()\n",
        "    if rest is not None:\n        return local.isoformat()\n",
        ARROW,
    ),
    _mutant(
        "a slice of a list is read from the beginning of its values",
        "sources/formats/arrowvalues.py",
        "    first = min(bounds[0], default=0)\n    return values.slice(first,",
        "    first = 0\n    return values.slice(first,",
        ARROW,
    ),
    _mutant(
        "an index with a name is taken for row numbers",
        "sources/formats/parquet.py",
        "if isinstance(name, str) and named.get(name) is None]",
        "if isinstance(name, str)]",
        ARROW,
    ),
    _mutant(
        "a row group behind a damaged one is left out",
        "sources/formats/parquet.py",
        "            done += file.metadata.row_group(group).num_rows\n",
        "            done += file.metadata.row_group(group).num_rows\n            if isinstance(item, BadRecord):\n"
        "                break\n",
        PARQUET,
    ),
    # gzip
    _mutant(
        "members of a .gz behind the first are dropped",
        "sources/bytestream.py",
        "engine = zlib.decompressobj(31) if data[:1] == GZIP[:1] else engine",
        "data = b''",
        PACKED,
    ),
    _mutant(
        "a .gz that ends too early is whole",
        "sources/bytestream.py",
        '            self.damage = "the gzip data ends too early (file cut off?)"\n',
        "            pass\n",
        PACKED,
    ),
    _mutant(
        "what a damaged .gz still gives is dropped",
        "sources/bytestream.py",
        "                    yield _salvage(backup, data)\n",
        "",
        PACKED,
    ),
    # zstd
    _mutant(
        "frames of a .zst behind the first are dropped",
        "sources/bytestream.py",
        "                    data = engine.unused_data\n",
        "                    data = b''\n",
        PACKED,
    ),
    _mutant(
        "a .zst that ends too early is whole",
        "sources/bytestream.py",
        '            self.damage = "the zstd data ends too early (file cut off?)"\n',
        "            pass\n",
        PACKED,
    ),
    _mutant(
        "long windows are damage",
        "sources/zstdframe.py",
        "WINDOW_LOG_MAX = 31 ",
        "WINDOW_LOG_MAX = 27 ",
        READERS,
    ),
    _mutant(
        "a frame that needs a dictionary is damage",
        "sources/bytestream.py",
        "    if frame.dictionary:\n",
        "    if False:\n",
        READERS,
    ),
)
