"""Words for people that all layers share."""

from __future__ import annotations


def count(number: int, one: str, many: str = "") -> str:
    """`1 record`, `2,000 records`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def be(number: int) -> str:
    """`is` or `are`, for so many."""
    return "is" if number == 1 else "are"
