"""Seeded draws, cheap enough to compute an answer again each time it is read."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Draws:
    """An endless sequence of numbers that depends only on the label."""

    __slots__ = ("_block", "_key", "_left")

    def __init__(self, label: str) -> None:
        self._key = hashlib.blake2b(label.encode(), digest_size=64).digest()
        self._left = int.from_bytes(self._key, "big")
        self._block = 0

    def below(self, bound: int) -> int:
        """An integer in 0..bound-1; bound up to a few million."""
        if self._left < 1 << 64:
            self._block += 1
            digest = hashlib.blake2b(self._block.to_bytes(8, "big"), key=self._key, digest_size=64)
            self._left = int.from_bytes(digest.digest(), "big")
        self._left, value = divmod(self._left, bound)
        return value

    def between(self, low: int, high: int) -> int:
        """An integer in low..high."""
        return low + self.below(high - low + 1)

    def one(self, options: Sequence[T]) -> T:
        """One of the options."""
        return options[self.below(len(options))]

    def uuid(self) -> str:
        """A string that looks like a random UUID."""
        value = f"{self.below(1 << 20):05x}{self.below(1 << 20):05x}{self.below(1 << 20):05x}"
        value += f"{self.below(1 << 20):05x}{self.below(1 << 20):05x}{self.below(1 << 20):05x}00"
        return f"{value[:8]}-{value[8:12]}-4{value[13:16]}-a{value[17:20]}-{value[20:32]}"
