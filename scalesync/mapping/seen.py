"""The keys that an import has seen, in 15 to 20 MB per million: fingerprints in open addressing."""

from __future__ import annotations

import math
import mmap
from collections.abc import Iterable
from enum import IntEnum

SHARDS = 64
_KEY_BYTES = 8
_SLOT_BYTES = 12
_KEY_MASK, _CONTENT_MASK = 2**64 - 1, 2**32 - 1
_FULL = 0.82  # a table that is fuller than this grows
_STEP = 1.2  # by this factor, or towards the expected number, and then by no more than
_STRIDE = 2.0


class Sight(IntEnum):
    """The answer of `add` for a key."""

    NEW = 0
    SAME = 1  # met before with the same content
    OTHER = 2  # met before with other content


class SeenTable:
    """Keys with the content of their first record.

    It holds a fingerprint of 8 bytes for each key and of 4 bytes for its content. The probability that two of a million
    keys count as one is 3 in 100 million. Their contents nearly always differ, so `add` reports OTHER and a person sees
    it.
    """

    __slots__ = ("_contents", "_counts", "_expected", "_keys", "_limits")

    def __init__(self) -> None:
        # Many small tables grow one at a time, so the copy that a growing table needs is small.
        tables = [_table(mmap.PAGESIZE) for _ in range(SHARDS)]
        self._keys = [keys for keys, _ in tables]
        self._contents = [contents for _, contents in tables]
        self._counts = [0] * SHARDS
        self._limits = [int(len(keys) * _FULL) for keys in self._keys]
        self._expected = 0.0

    def expect(self, count: float) -> None:
        """Set the expected number of keys; the tables grow towards it in few steps.

        A number that is too high costs at most twice the memory. A number that is too low costs some time.
        """
        share = count / SHARDS
        self._expected = (share + 4 * math.sqrt(share)) / _FULL  # hashes do not fall evenly

    def __len__(self) -> int:
        return sum(self._counts)

    def __contains__(self, key: object) -> bool:
        if not isinstance(key, str):
            return False
        mark = _key_mark(key)
        keys = self._keys[mark % SHARDS]
        size = len(keys)
        slot = (mark >> 8) % size
        while found := keys[slot]:
            if found == mark:
                return True
            slot += 1
            if slot == size:
                slot = 0
        return False

    def look(self, key: str, content: bytes) -> Sight:
        """Return what `add` would return, and remember nothing."""
        mark = _key_mark(key)
        shard = mark % SHARDS
        keys = self._keys[shard]
        size = len(keys)
        slot = (mark >> 8) % size
        while found := keys[slot]:
            if found == mark:
                return Sight.SAME if self._contents[shard][slot] == _content_mark(content) else Sight.OTHER
            slot = (slot + 1) % size
        return Sight.NEW

    def add(self, key: str, content: bytes) -> Sight:
        """Remember a key. A key that was seen before keeps its first content.

        content: a hash, any length.
        """
        mark = (hash(key) & _KEY_MASK) or 1  # as `_key_mark`, whose call would double the cost
        shard = mark % SHARDS
        keys = self._keys[shard]
        size = len(keys)
        slot = (mark >> 8) % size
        while found := keys[slot]:
            if found == mark:
                return Sight.SAME if self._contents[shard][slot] == _content_mark(content) else Sight.OTHER
            slot += 1
            if slot == size:
                slot = 0
        keys[slot] = mark
        self._contents[shard][slot] = hash(content) & _CONTENT_MASK
        self._counts[shard] += 1
        if self._counts[shard] > self._limits[shard]:
            self._grow(shard)
        return Sight.NEW

    def renew(self, key: str, content: bytes) -> Sight:
        """Like `add`, but a key that was seen before gets this content."""
        sight = self.add(key, content)
        if sight is Sight.OTHER:
            mark = _key_mark(key)
            keys = self._keys[mark % SHARDS]
            slot = (mark >> 8) % len(keys)
            while keys[slot] != mark:
                slot = (slot + 1) % len(keys)
            self._contents[mark % SHARDS][slot] = _content_mark(content)
        return sight

    @property
    def nbytes(self) -> int:
        """Bytes of all tables."""
        return sum(len(keys) for keys in self._keys) * _SLOT_BYTES

    def fill(self, hashes: Iterable[int], content: bytes) -> None:
        """Add keys by their `hash()`, with this content. None of them may be in the table."""
        stamp = _content_mark(content)
        for number in hashes:
            mark = (number & _KEY_MASK) or 1
            shard = mark % SHARDS
            _put(self._keys[shard], self._contents[shard], mark, stamp)
            self._counts[shard] += 1
            if self._counts[shard] > self._limits[shard]:
                self._grow(shard)

    def _grow(self, shard: int) -> None:
        old_keys, old_contents = self._keys[shard], self._contents[shard]
        slots = max(_STEP * len(old_keys), min(self._expected, _STRIDE * len(old_keys)))
        keys, contents = _table(int(slots) * _SLOT_BYTES + mmap.PAGESIZE)
        for at, mark in enumerate(old_keys):
            if mark:
                _put(keys, contents, mark, old_contents[at])
        self._keys[shard] = keys
        self._contents[shard] = contents
        self._limits[shard] = int(len(keys) * _FULL)


def _put(keys: memoryview[int], contents: memoryview[int], mark: int, content: int) -> None:
    """Put a key that is not there into its slot, or the next free one."""
    size = len(keys)
    slot = (mark >> 8) % size
    while keys[slot]:
        slot += 1
        if slot == size:
            slot = 0
    keys[slot] = mark
    contents[slot] = content


def _table(size: int) -> tuple[memoryview[int], memoryview[int]]:
    """Zeroed slots for keys and contents in pages of their own; `size` bytes, rounded down to pages.

    They do not come from malloc, because the holes of grown tables would cost a third more there.
    """
    size = max(size // mmap.PAGESIZE, 1) * mmap.PAGESIZE
    slots = size // _SLOT_BYTES
    pages = memoryview(mmap.mmap(-1, size))
    keys = pages[: slots * _KEY_BYTES].cast("Q")
    return keys, pages[slots * _KEY_BYTES : slots * _SLOT_BYTES].cast("I")


def _key_mark(key: str) -> int:
    # Python's hash has another key in each process, so nobody can choose keys that collide. Zero marks an empty slot.
    return (hash(key) & _KEY_MASK) or 1


def _content_mark(content: bytes) -> int:
    return hash(content) & _CONTENT_MASK
