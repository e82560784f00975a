"""The steps of a walk: what is drawn of each. A step has a seed of its own, so that others can be left out."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.walks.lies import Lies, draw_lies
from tests.walks.sources import EDITS

COMMANDS = (
    *("import",) * 5,
    *("limit", "max_new", "canary", "retry", "verify", "fix", "refresh", "reclaim", "rescan") * 2,
    *("increment",) * 3,
    *("again", "full", "compact", "backfill", "rebuild"),
)
LISTING = ("verify", "fix", "refresh", "rebuild", "increment", "again", "full", "backfill")  # what rests on lists
READING = frozenset({"verify", "refresh", "increment", "again", "full", "compact", "backfill", "rebuild"})
FAULTS: tuple[Mapping[str, Any], ...] = (
    {"kind": "error", "on": "create", "status": 500, "after_write": True},
    {"kind": "error", "on": "create", "status": 503},
    {"kind": "reset", "on": "create|list", "after_write": True},
    {"kind": "html502", "on": "any"},
    {"kind": "cut", "on": "list|get"},
    {"kind": "error", "on": "any", "status": 429},
)
DOUBTS: Mapping[str, Any] = {"kind": "reset", "on": "create", "after_write": True, "share": 0.5, "times": 6}


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happens. kind: edit, server or command; what: which; seed: of all that is drawn in it."""

    kind: str
    what: str
    seed: int
    job: str = "walk"
    kill: int = 0
    phase: str = "enter"
    faults: tuple[Mapping[str, Any], ...] = ()
    lies: Lies | None = None

    def __str__(self) -> str:
        more = f", killed at request {self.kill} ({self.phase})" if self.kill else ""
        more += f", with {', '.join(str(rule['kind']) for rule in self.faults)}" if self.faults else ""
        more += f", with {self.lies}" if self.lies is not None else ""
        return f"{self.kind} {self.what} [{self.seed}] of {self.job}{more}"

    @property
    def rules(self) -> list[dict[str, Any]]:
        """Of the server, while the step's first run goes on."""
        return [dict(rule) for rule in (*self.faults, *(self.lies.rules if self.lies is not None else ()))]


def draw_steps(seed: int, count: int, *, lies: bool | None = None) -> list[Step]:
    """The steps of a walk. lies: whether lists lie in two of three commands; None leaves it to the seed."""
    rng = random.Random(f"walk {seed}")
    lying = random.Random(f"lies {seed}").random() < 0.5 if lies is None else lies
    steps = [Step("command", "import", rng.randrange(10**6))]
    while len(steps) < count:
        own = rng.randrange(10**6)
        kind = rng.choice(("edit", "edit", "server", "command", "command", "command"))
        if kind == "edit":
            steps.append(Step(kind, rng.choice(EDITS), own))
        elif kind == "server":
            steps.append(Step(kind, "touch", own))
        else:
            steps.append(_command(rng, own, lying))
    return steps


def _command(rng: random.Random, own: int, lying: bool) -> Step:
    kill = rng.choice((1, 2, 3, 5, 9, 17)) if rng.random() < 0.35 else 0
    faults: tuple[Mapping[str, Any], ...] = ()
    if rng.random() < 0.3:
        faults = tuple({**rule, "at": (rng.randrange(4),)} for rule in rng.sample(FAULTS, rng.randint(1, 2)))
    job = "part" if rng.random() < 0.25 else "walk"
    what, phase = rng.choice(COMMANDS), rng.choice(("enter", "leave"))
    told = None
    mine = random.Random(f"lies {own}")  # of its own: the other steps are those of a walk whose lists tell the truth
    if lying and mine.random() < 2 / 3:
        what = mine.choice(LISTING) if what == "compact" or mine.random() < 0.5 else what
        told = draw_lies(mine, ends=what not in READING)
        if what not in READING and mine.random() < 0.5:
            faults = (*faults, DOUBTS)  # without a doubt an import looks nothing up, and nobody can lie to it
    return Step("command", what, own, job, kill, phase, faults, told)
