"""Blocks of records, read in one thread and, where that one waits for a slow source, taken early by another."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Generator, Iterator
from typing import Self

from scalesync.errors import SourceError
from scalesync.model import Block
from scalesync.records.bytestream import Progress
from scalesync.records.jsonlines import Item

BLOCK_WEIGHT = 4 * 1024 * 1024  # unpacked bytes after which a block ends early


class Blocks(Iterator[Block]):
    """The records of one source in order, in blocks of at most `most`, fewer when they are large.

    `next` raises SourceError when the source cannot be read on. The source's files are closed when it is exhausted or
    by `close`.
    """

    def __init__(self, items: Generator[Item, None, None], progress: Progress, most: int, name: str) -> None:
        self._items = items
        self._progress = progress
        self._most = most
        self._name = name
        self._weight = 0  # of what was given out
        self._pending: deque[Item] = deque()
        self._taking = threading.Lock()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Block:
        pending, progress, most = self._pending, self._progress, self._most
        try:
            for item in self._items:
                pending.append(item)
                if len(pending) >= most or progress.weight - self._weight > BLOCK_WEIGHT:
                    return self._take()
        except OSError as error:
            raise SourceError(f"cannot be read on: {error.strerror or error}", self._name) from None
        if pending:
            return self._take()
        raise StopIteration

    def early(self) -> Block | None:
        """What was read but not given out, to be used before the block that `next`, in another thread, waits for."""
        return self._take() if self._pending else None

    def _take(self) -> Block:
        with self._taking:
            # Before the records: those of all lines up to the mark are pending by then, or were given out.
            mark = self._progress.mark
            self._weight = self._progress.weight
            records = [self._pending.popleft() for _ in range(min(len(self._pending), self._most))]
            return Block(records, self._progress.consumed, mark)

    def close(self) -> None:
        """Close the source's files; not while `next` runs."""
        self._items.close()
