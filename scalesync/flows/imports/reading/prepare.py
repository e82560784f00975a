"""Turns loads of sources into records for the ledger: builds bodies, and separates repeats and invalid places."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from scalesync.errors import RecordError
from scalesync.flows.runtime.threads import in_daemon
from scalesync.jsonvalue import as_text
from scalesync.mapping.body import BodyBuilder
from scalesync.mapping.seen import SeenTable, Sight
from scalesync.model.records import BadRecord, Block, Load, Outgoing
from scalesync.model.rows import OtherRecord, RecordState, RowState
from scalesync.sources.about import written_out
from scalesync.sources.blocks import Loads
from scalesync.sources.source_file import SourceFile

RAW_LIMIT = 4096
PATIENCE_S = 0.5
LOAD_RECORDS = 256  # for readings that write nothing

Peek = Callable[[Sequence[str]], Awaitable[Mapping[str, tuple[RowState, bytes]]]]


@dataclass(slots=True)
class Prepared:
    """One load, sorted: records with distinct keys, and other records.

    clashes: the clashes among the other records, as records.
    whole: how many of its blocks were read before a limit.
    """

    records: list[Outgoing] = field(default_factory=list)
    other_records: list[OtherRecord] = field(default_factory=list)
    clashes: list[Outgoing] = field(default_factory=list)
    whole: int = 0

    @property
    def invalid(self) -> Sequence[OtherRecord]:
        """Places that cannot be used."""
        return [other for other in self.other_records if other.state is RecordState.INVALID]


class Preparer:
    """Prepares loads, and remembers the keys of this reading.

    peek: returns what the ledger knows of keys. It is asked only about apparent repeats, because the memory holds only
        fingerprints. None for a reading that writes nothing: then an apparent repeat counts as a repeat.
    look: the same, to recognise records of older versions; by default `peek`.
    most_invalid: how many places may be invalid. The reading stops after the next one.
    """

    def __init__(
        self,
        builder: BodyBuilder,
        peek: Peek | None,
        limit: int | None = None,
        *,
        look: Peek | None = None,
        most_invalid: int | None = None,
    ) -> None:
        self.seen = SeenTable()
        self.taken = 0
        self.invalid = 0
        self._builder = builder
        self._peek = peek
        self._look = look or peek
        self._limit = limit
        self._most_invalid = most_invalid

    @property
    def full(self) -> bool:
        """Whether the reading has --limit records."""
        return self._limit is not None and self.taken >= self._limit

    @property
    def spoiled(self) -> bool:
        """Whether more places are invalid than --max-invalid allows.

        invalid: invalid places of earlier runs, which count too.
        """
        return self._most_invalid is not None and self.invalid > self._most_invalid

    async def prepare(self, load: Load) -> Prepared:
        """Prepare the next load of the sources."""
        prepared = Prepared()
        repeats: list[tuple[Outgoing, Sight]] = []
        for record, content in await self._built(load, prepared):
            sighting = self.seen.add(record.key, content)
            if sighting is Sight.OTHER and record.former is not None:
                sighting = self.seen.add(record.key, record.former.content)
            if sighting is Sight.NEW:
                prepared.records.append(record)
            else:
                repeats.append((record, sighting))
        if repeats:
            await self._sort_repeats(prepared, repeats)
        return prepared

    async def _built(self, load: Load, prepared: Prepared) -> list[tuple[Outgoing, bytes]]:
        """The records of a load with their current contents; unusable ones go to `prepared`."""
        built: list[Outgoing] = []
        for block in load:
            self._build(block, built, prepared)
            if self.full or self.spoiled:
                break
            prepared.whole += 1
        contents = [record.content for record in built]
        old = [record for record in built if record.former is not None]
        if old and self._look is not None:
            keys = [key for record in old for key in (record.key, record.former and record.former.key) if key]
            known = await self._look(keys)
            for record in old:
                self._builder.known_as(record, known)
        return list(zip(built, contents, strict=True))

    def _build(self, block: Block, built: list[Outgoing], prepared: Prepared) -> None:
        bounded = self._limit is not None or self._most_invalid is not None
        source = block.source
        for place in block.records:
            if bounded and (self.full or self.spoiled):
                break
            self.taken += 1
            if isinstance(place, BadRecord):
                self.invalid += 1
                prepared.other_records.append(_invalid(source, place.line, place.reason, place.raw))
                continue
            try:
                built.append(self._builder.build(place, source))
            except RecordError as error:
                batch = self._builder.batch_of(place)
                self.invalid += 1
                raw = as_text(written_out(place.value, place.about))
                told = _told(None if place.about is None else (place.about["path"], place.inner))
                prepared.other_records.append(
                    replace(_invalid(source, place.line, str(error), raw, batch), detail=told)
                )

    async def _sort_repeats(self, prepared: Prepared, repeats: Sequence[tuple[Outgoing, Sight]]) -> None:
        here = {record.key for record in prepared.records}
        known = None if self._peek is None else await self._peek([record.key for record, _ in repeats])
        for record, sighting in repeats:
            if known is not None and record.key not in here and record.key not in known:
                # Two keys share a fingerprint, so this record is new.
                here.add(record.key)
                prepared.records.append(record)
                continue
            same = sighting is Sight.SAME
            if not same:
                prepared.clashes.append(record)
            prepared.other_records.append(
                OtherRecord(
                    record.source,
                    record.line,
                    RecordState.DUPLICATE if same else RecordState.CLASH,
                    key=record.key,
                    reason=None if same else "the same unique_id stands earlier in the input with other content",
                    content=record.content,
                    detail=None if same else _told(record.inside),
                )
            )


def _told(inside: tuple[str, int] | None) -> Mapping[str, object] | None:
    """The place in a folder that the detail of an other record holds, for people."""
    return None if inside is None else {"inside": inside}


def _invalid(source: int, line: int, reason: str, raw: str, batch: str | None = None) -> OtherRecord:
    return OtherRecord(source, line, RecordState.INVALID, reason=reason, raw=raw[:RAW_LIMIT], batch=batch)


async def read_loads(loads: Loads, at_end: Callable[[], None] = lambda: None) -> AsyncGenerator[Load, None]:
    """Loads of sources. A thread reads each one ahead of its use, because a source may be slow.

    Records that have arrived do not wait long for the rest of their load, because a pipe may fall silent for hours.

    at_end: called once no record is left, even if the reading stops while the last load is still in use.
    """
    ahead = asyncio.ensure_future(in_daemon(lambda: next(loads, None)))
    try:
        while True:
            if not ahead.done():
                await asyncio.wait((ahead,), timeout=PATIENCE_S)
            if not ahead.done():
                load = loads.early()
            elif (load := ahead.result()) is None:
                return
            else:
                ahead = asyncio.ensure_future(in_daemon(lambda: next(loads, None)))
            if load:
                yield load
    finally:
        ahead.cancel()
        # Nobody else retrieves this exception.
        unread = not ahead.done() or ahead.cancelled() or ahead.exception() is not None or not loads.done
        if not unread and not any(block.records for block in ahead.result() or ()):
            at_end()


def read_all(sources: Iterable[tuple[int, SourceFile]]) -> AsyncGenerator[Load, None]:
    """Loads of sources, by number, from the first line of each."""
    return read_loads(Loads((source.opened(number) for number, source in sources), LOAD_RECORDS))
