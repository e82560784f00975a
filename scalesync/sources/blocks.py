"""Records of sources in loads. One thread reads; if it waits for a slow source, another one takes what is there early.

A load spans sources, because the cost of a load (a thread, a commit) is higher than that of the record of a small file.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import closing
from typing import NamedTuple, Self

from scalesync.errors import SourceError
from scalesync.model.records import Block, Item, Load
from scalesync.sources.bytestream import Progress

LOAD_WEIGHT = 4 * 1024 * 1024  # unpacked bytes after which a load ends early


class Opened(NamedTuple):
    """A source that is being read.

    number: the one that its blocks carry.
    name: for people.
    """

    number: int
    name: str
    items: Generator[Item, None, None]
    progress: Progress


class Loads(Iterator[Load]):
    """The records of sources in order, in loads of at most `most`, fewer if they are large.

    sources: each is opened when those before it are read.
    done: all sources are read to their end.

    `next` raises SourceError if a source cannot be read further, after it has given out everything before that. The
    open source's file is closed when it is exhausted or by `close`.
    """

    def __init__(self, sources: Iterator[Opened], most: int) -> None:
        self.done = False
        self._sources = sources
        self._most = most
        self._open: Opened | None = None
        self._failure: Exception | None = None
        self._pending: deque[tuple[Opened, Item | None]] = deque()  # None: the source's end
        self._read = 0  # records: written by the thread that reads,
        self._given = 0  # and by those that take, one at a time
        self._behind = 0  # unpacked bytes of the sources that are read to their end
        self._weight = 0  # of what was given out
        self._taking = threading.Lock()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Load:
        full = False
        try:
            full = self._failure is None and self._fill()
        except OSError as error:
            assert self._open is not None  # before that, nothing is read
            self._failure = SourceError(f"cannot be read further: {error.strerror or error}", self._open.name)
        except Exception as error:
            self._failure = error
        if full or self._pending:
            return self._take()  # which is empty where another thread was faster
        if self._failure is not None:
            raise self._failure
        raise StopIteration

    def _fill(self) -> bool:
        """Read until there is a load; False at the end of the last source."""
        pending, most = self._pending, self._most
        while (source := self._open or next(self._sources, None)) is not None:
            self._open = source
            progress, behind = source.progress, self._behind
            for item in source.items:
                pending.append((source, item))
                self._read += 1
                if self._read - self._given >= most or behind + progress.weight - self._weight > LOAD_WEIGHT:
                    return True
            pending.append((source, None))
            self._open = None  # first: counted twice meanwhile, it would make a load too large
            self._behind += progress.weight
        self.done = True
        return False

    def early(self) -> Load | None:
        """Records that are read but not given out; use them before the load that `next` waits for in another thread."""
        return self._take() if self._pending else None

    def _take(self) -> Load:
        with self._taking:
            load: list[Block] = []
            room = self._most
            self._weight = self._behind + (0 if self._open is None else self._open.progress.weight)
            while self._pending and room:
                block = self._block(room)
                load.append(block)
                room -= len(block.records)
            self._given += self._most - room
            return load

    def _block(self, most: int) -> Block:
        """The pending records of the first source, at most this many."""
        pending = self._pending
        source = pending[0][0]
        # Before the records: those of all lines up to the mark are pending by then, or were given out.
        mark = source.progress.mark
        records: list[Item] = []
        while len(records) < most and pending and pending[0][0] is source:
            item = pending.popleft()[1]
            if item is None:
                return Block(records, source.progress.consumed, source.progress.mark, source.number, last=True)
            records.append(item)
        return Block(records, source.progress.consumed, mark, source.number)

    def close(self) -> None:
        """Close the open source's file; not while `next` runs."""
        if self._open is not None:
            self._open.items.close()


def blocks_of(source: Opened, most: int) -> Generator[Block, None, None]:
    """The records of one source, in blocks of at most `most`."""
    with closing(Loads(iter((source,)), most)) as loads:
        for load in loads:
            yield from (block for block in load if block.records)
