"""Lists that lie during a step: which lies, for how many runs of its command, and what they can hide."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Rule = Mapping[str, Any]

PAGES: tuple[tuple[int, ...] | None, ...] = (None, (1,), (1,), (2,), (1, 2), (1, 2, 3))
SHORTEST: tuple[int | None, ...] = (None, 1, 2, 3, 7)  # tasks on a page of a walk's server
HIDING = frozenset({"gap", "foreign"})  # what a page leaves out or puts another task in the place of
# Nothing can be told of a record while these go on, and an import waits five minutes for an answer before it gives up.
TELLING_NOTHING = frozenset({"circle", "empty", "foreign"})
ELSEWHERE = 6  # tasks of another project, for pages of another filter
STRANGERS = 3  # tasks of the project that are of no record


@dataclass(frozen=True, slots=True)
class Lies:
    """What a server says that is not so, in the first `runs` runs of one command."""

    rules: tuple[Rule, ...]
    runs: int

    def __str__(self) -> str:
        told = ", ".join(" ".join(f"{name}={value}" for name, value in rule.items()) for rule in self.rules)
        return f"lists that lie in {self.runs} runs ({told})"


def _repeat(rng: random.Random) -> Rule:
    back = rng.randrange(4)
    return {"kind": "repeat", "back": back, "count": rng.randint(1, 9), **({"pages": (1, 2)} if back == 0 else {})}


def _gap(rng: random.Random) -> Rule:
    pages = rng.choice(PAGES)
    return {"kind": "gap", "count": rng.randint(1, 3), **({} if pages is None else {"pages": pages})}


def _paged(kind: str) -> Callable[[random.Random], Rule]:
    def draw(rng: random.Random) -> Rule:
        pages = rng.choice(PAGES)
        more = {"fresh": rng.random() < 0.5} if kind != "foreign" else {}
        return {"kind": kind, **more, **({} if pages is None else {"pages": pages})}

    return draw


def _total(rng: random.Random) -> Rule:
    by = rng.choice((-1000, -2, -1, 1, 2, 1000))
    return {"kind": "total", "by": by, "moving": rng.random() < 0.25}


DRAWS: Mapping[str, Callable[[random.Random], Rule]] = {
    "repeat": _repeat,
    "gap": _gap,
    "circle": _paged("circle"),
    "empty": _paged("empty"),
    "total": _total,
    "foreign": _paged("foreign"),
}


def draw_lies(rng: random.Random, *, ends: bool) -> Lies:
    """One lie or two. ends: the command sends, so what tells nothing of a record must stop while it runs.

    A wrong total never comes with a page that hides a task: together they could agree, and nothing would show it.
    """
    kinds = rng.sample(sorted(DRAWS), rng.choice((1, 1, 2)))
    if "total" in kinds and HIDING & set(kinds):
        kinds.remove("total")
    return Lies(tuple(_for_a_while(DRAWS[kind](rng), rng, ends) for kind in kinds), rng.randint(1, 3))


def _for_a_while(rule: Rule, rng: random.Random, ends: bool) -> Rule:
    if ends and rule["kind"] in TELLING_NOTHING:
        return {**rule, "times": rng.randint(1, 4)}
    way = rng.randrange(4)
    if way == 0:
        return {**rule, "times": rng.randint(1, 12)}
    return rule if way != 1 else {**rule, "share": rng.choice((0.3, 0.7))}
