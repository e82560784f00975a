"""Words for people that all layers share."""

from __future__ import annotations

from collections.abc import Iterable

_TELLING = 3  # letters from which on the beginning of a name says which one is meant


def count(number: int, one: str, many: str = "") -> str:
    """`1 record`, `2,000 records`."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def either(names: Iterable[str]) -> str:
    """`a, b or c`."""
    *most, last = names
    return f"{', '.join(most)} or {last}" if most else last


def be(number: int) -> str:
    """`is` or `are`, for this number."""
    return "is" if number == 1 else "are"


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that `name` was probably meant to be: a similar one, or the only one that begins so.

    None when none is near.
    """
    import difflib  # noqa: PLC0415  only a name that nobody knows needs it

    plain = {_plain(item): item for item in known}
    found = difflib.get_close_matches(_plain(name), plain, n=1, cutoff=0.7)
    if found:
        return plain[found[0]]
    begun = [item for short, item in plain.items() if len(name) >= _TELLING and short.startswith(_plain(name))]
    return begun[0] if len(begun) == 1 else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`; did you mean 'banking77'?`, to stand behind what was not found; empty when no known name is near."""
    found = nearest(name, known)
    return "" if found is None else f"; did you mean {found!r}?"


def _plain(name: str) -> str:
    return name.casefold().replace("_", "-")
