"""Tasks that a file names: a row each, with an id or a key, and columns for arguments."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from scalesync.errors import ConfigError
from scalesync.flows.changes.targets.target import Named, Row, Rows, Unusable
from scalesync.flows.imports.reading.prepare import read_all
from scalesync.model.records import BadRecord, JsonObject, SourceRecord
from scalesync.ports.spec import Vocabulary
from scalesync.sources.open import open_sources
from scalesync.sources.options import Describe, ReadOptions
from scalesync.sources.places.passed_over import PassedOver
from scalesync.sources.source_file import SourceFile

RAW = 500  # characters of a row that are kept


class Table:
    """The rows of some sources. ref, key: the columns that name a task (or batch) and its key."""

    def __init__(self, sources: Sequence[SourceFile], ref: str, key: str | None) -> None:
        self._sources = sources
        self._ref = ref
        self._key = key

    def sources(self) -> Sequence[tuple[str, JsonObject]]:
        """The files."""
        facts = [(source.name, source.fingerprint()) for source in self._sources]
        return [(name, {**about, "name": name}) for name, about in facts]

    async def rows(self) -> Rows:
        """Every row, in the order of the sources."""
        async for load in read_all(enumerate(self._sources, start=1)):
            for block in load:
                if block.records:
                    yield [self._row(block.source, item) for item in block.records]

    def _row(self, source: int, item: SourceRecord | BadRecord) -> Row:
        if isinstance(item, BadRecord):
            return Unusable(source, item.line, item.reason, item.raw)
        for name, is_ref in ((self._ref, True), (self._key, False)):
            value = None if name is None else _text(item.value.get(name))
            if value:
                ref, key = (value, None) if is_ref else (None, value)
                return Named(ref, key, item.value, source, item.line)
        columns = self._ref if self._key is None else f"{self._ref} or {self._key}"
        raw = json.dumps(item.value, ensure_ascii=False, default=str)[:RAW]
        return Unusable(source, item.line, f"it names no task: it has no {columns}", raw)


def _text(value: Any) -> str:
    """A cell as a name; numbers, which some tables make of ids, as they are written."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value.strip() if isinstance(value, str) else ""


def open_table(typed: Sequence[str], subject: str, words: Vocabulary) -> Table:
    """Open the sources. Raises ConfigError or SourceError before any request.

    subject: "task" or "batch".
    """
    passed = PassedOver()
    sources = open_sources(list(typed), ReadOptions(describe=Describe.NONE), passed=passed)
    if not sources:
        raise ConfigError(f"--tasks: there is nothing to read in {', '.join(typed)}")
    return Table(sources, words.ref, words.key) if subject == "task" else Table(sources, words.batch or "batch", None)
