"""The matrix: dimensions of a source and of what happens to it, and which of their values go together."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from itertools import combinations, product
from math import prod

JSON_LINES = ("jsonl", "lines")
MOVING = ("added", "removed", "renamed")
DIMENSIONS: dict[str, tuple[str, ...]] = {
    # lines: JSON lines in a .json. objects: one after the other, not one a line.
    "format": ("jsonl", "lines", "array", "objects", "csv", "tsv", "parquet"),
    "packing": ("plain", "gz", "zst"),  # several members, several frames
    "container": ("file", "files", "flat", "nested", "mixed", "glob", "links", "stdin", "pipe", "url", "store"),
    "records": ("0", "1", "2", "3", "511", "512", "513", "1500"),  # of the largest file
    "ending": ("newline", "bare"),
    "blanks": ("none", "some"),
    "bad": ("none", "some"),
    "values": ("plain", "awkward"),
    "ids": ("own", "expression", "derived"),
    "repeats": ("none", "duplicates", "clashes"),
    "refused": ("none", "some"),
    "dress": ("utf-8", "mark", "utf-16", "crlf"),
    "grain": ("coarse", "fine"),  # fine: small pieces and blocks, a mark after each, so that borders fall anywhere
    "mode": (
        *("fresh", "killed", "limit", "pieces", "canary", "jobs"),
        *("appended", "changed", "swapped", *MOVING),
    ),
    "after": ("again", "rescan"),
}
FOLDERS = ("flat", "nested", "mixed", "links")
SEVERAL = (*FOLDERS, "files", "glob", "url", "store")
LISTED = (*FOLDERS, "glob", "store")  # what is found there decides what is read
ONCE = ("stdin", "pipe")


@dataclass(frozen=True, slots=True)
class Point:
    """One point of the matrix; seed draws everything that is no dimension."""

    format: str
    packing: str
    container: str
    records: str
    ending: str
    blanks: str
    bad: str
    values: str
    ids: str
    repeats: str
    refused: str
    dress: str
    grain: str
    mode: str
    after: str
    seed: int = 0

    def __str__(self) -> str:
        return " ".join(f"{name}={getattr(self, name)}" for name in (*DIMENSIONS, "seed"))

    @classmethod
    def parse(cls, text: str) -> dict[str, str]:
        """The values that a text such as `format=csv mode=killed` names. Raises ValueError for unknown ones."""
        named = dict(word.split("=", 1) for word in text.split())
        for name, value in named.items():
            if name != "seed" and value not in DIMENSIONS.get(name, ()):
                raise ValueError(f"{name}={value} is not in the matrix")
        return named


# Pairs of dimensions of which some values do not go together, with the reason in `apart`.
BOUND = ("format", "container", "ending", "blanks", "dress", "ids", "repeats", "refused", "mode")


def apart(at: dict[str, str]) -> bool:
    """Whether these values exclude each other. A dimension that is not named excludes nothing."""
    get = at.get
    if get("format") == "parquet" and (
        get("dress") in ("mark", "utf-16", "crlf") or get("blanks") == "some" or get("ending") == "bare"
    ):
        return True  # a binary format has no lines
    # Equal ids with other contents: derived ids are equal for equal contents only. And which of two rivals a task
    # belongs to after they moved is a matter of conflicts, not of reading.
    if get("repeats") == "clashes" and (get("ids") == "derived" or get("mode") in ("changed", "swapped", *MOVING)):
        return True
    if get("mode") == "canary" and get("refused") == "some":
        return True  # the canary stops there
    mode, container = get("mode"), get("container")
    if mode is None or container is None:
        return False
    if mode in MOVING and container not in LISTED:
        return True
    if mode == "swapped" and container not in (*LISTED, "files", "url"):
        return True
    return mode == "killed" and container == "store"  # the process would not see this one's memory


def size() -> int:
    """How many points the matrix has."""
    free = prod(len(values) for name, values in DIMENSIONS.items() if name not in BOUND)
    bound = product(*(DIMENSIONS[name] for name in BOUND))
    return free * sum(not apart(dict(zip(BOUND, values, strict=True))) for values in bound)


def draw(rng: random.Random, seed: int | None = None, **fixed: str) -> Point:
    """A point that goes together, each value as likely as the others. Raises ValueError when none with `fixed` does."""
    # Format and mode come first: they are apart from many values of the others, and would be rare otherwise.
    for _ in range(100):
        first = {name: rng.choice(DIMENSIONS[name]) for name in ("format", "mode")} | fixed
        for _ in range(100):
            at = {name: rng.choice(values) for name, values in DIMENSIONS.items()} | first
            if not apart(at):
                return Point(**at, seed=rng.randrange(1 << 30) if seed is None else seed)
    raise ValueError(f"no point with {fixed}")


def drawn(seed: int, **fixed: str) -> Iterator[Point]:
    """Points without end; the same for the same seed."""
    rng = random.Random(f"reading {seed}")
    while True:
        yield draw(rng, **fixed)


Pair = tuple[tuple[str, str], tuple[str, str]]


def pairs_of(point: Point) -> set[Pair]:
    """Every pair of values that a point has."""
    return set(combinations(((name, str(getattr(point, name))) for name in DIMENSIONS), 2))


def all_pairs() -> set[Pair]:
    """Every pair of values of two dimensions that goes together."""
    return {
        ((one, first), (other, second))
        for one, other in combinations(DIMENSIONS, 2)
        for first, second in product(DIMENSIONS[one], DIMENSIONS[other])
        if not apart({one: first, other: second})
    }


def pairwise(seed: int, candidates: int = 40) -> list[Point]:
    """Points in which every pair of values occurs: of some draws around a missing pair, the one with the most new."""
    rng = random.Random(f"pairs {seed}")
    missing, chosen = all_pairs(), []
    while missing:
        (one, first), (other, second) = min(missing) if len(missing) < 200 else rng.choice(sorted(missing))
        around = [draw(rng, **{one: first, other: second}) for _ in range(candidates)]
        best = max(around, key=lambda point: len(pairs_of(point) & missing))
        missing -= pairs_of(best)
        chosen.append(best)
    return chosen


def tally(points: Iterable[Point]) -> dict[str, Counter[str]]:
    """How many points each value of each dimension has."""
    counts: dict[str, Counter[str]] = {name: Counter() for name in DIMENSIONS}
    for point in points:
        for name in DIMENSIONS:
            counts[name][getattr(point, name)] += 1
    return counts


assert {field.name for field in fields(Point)} == {*DIMENSIONS, "seed"}
