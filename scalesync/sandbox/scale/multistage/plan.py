"""A blueprint as values: its stages, what each waits for, what it may answer, and when it is left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any


@dataclass(frozen=True)
class Condition:
    """A stage runs only if an annotation of an earlier stage has the value (wanted), or none has it (not wanted)."""

    stage: str
    attribute: str
    value: Any
    wanted: bool


@dataclass(frozen=True)
class Stage:
    """One stage. attributes: by name, the values to choose from; None stands for any text."""

    name: str
    after: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    attributes: Mapping[str, tuple[Any, ...] | None] = field(default_factory=dict)
    conditions: tuple[Condition, ...] = ()


@dataclass(frozen=True)
class Plan:
    """A blueprint. by_stage: each stage is delivered by itself."""

    name: str
    by_stage: bool
    stages: tuple[Stage, ...]

    @cached_property
    def places(self) -> dict[str, int]:
        """The place of each stage by its name."""
        return {stage.name: place for place, stage in enumerate(self.stages)}

    @cached_property
    def order(self) -> tuple[int, ...]:
        """The places of all stages, each behind those that it waits for; fewer if they wait in a circle."""
        found: list[int] = []
        behind: dict[str, list[int]] = {}
        for place, stage in enumerate(self.stages):
            for name in stage.after:
                behind.setdefault(name, []).append(place)
        waits = [len(stage.after) for stage in self.stages]
        ready = [place for place, count in enumerate(waits) if not count]
        passed: set[str] = set()
        while ready:
            found += ready
            over = dict.fromkeys(self.stages[place].name for place in ready if self.stages[place].name not in passed)
            passed.update(over)
            freed = [place for name in over for place in behind.get(name, ())]
            for place in freed:
                waits[place] -= 1
            ready = sorted({place for place in freed if not waits[place]})
        return tuple(found)


def ancestors(stages: Sequence[Stage], name: str) -> set[str]:
    """The names of all stages that are over before this one begins."""
    known = {stage.name: stage for stage in stages}
    found: set[str] = set()
    open_names = list(known[name].after) if name in known else []
    while open_names:
        other = open_names.pop()
        if other in known and other not in found:
            found.add(other)
            open_names += known[other].after
    return found
