"""What a soak adds up, and the JSON it leaves behind."""

from __future__ import annotations

import os
import platform
import subprocess
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.faults.kills import Verdict
from tests.faults.trial import Trial
from tests.reading.campaign import Campaign
from tests.reading.points import size
from tests.walks.walk import Outcome

ROOT = Path(__file__).resolve().parents[2]
WORDS = 600  # of what a broken promise says: its end names the place


@dataclass(slots=True)
class Plan:
    """What a full soak is."""

    schedules: int = 200
    records: int = 10_000
    kills: int = 300
    rounds: int = 20
    walks: int = 100
    long: int = 20
    reading: int = 2000


@dataclass(frozen=True, slots=True)
class Round:
    """Tests that were run: how many passed, and what tells of the others. cut: the time was over before their end."""

    tests: int
    wrong: list[str]
    cut: bool = False


@dataclass(slots=True)
class Figures:
    """Sums over what was run. wrong: broken promises in words.

    schedule_runs: of the program, for all schedules. property_tests: passed, over all rounds. long_tests: of those that
    take minutes. walk_commands, walk_kills, walk_lies: over all walks; walk_lies are commands whose lists lied.
    reading: points of the matrix of sources, with how many had each value of each dimension.
    """

    schedules: int = 0
    records: int = 0
    schedule_runs: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    kills: Counter[str] = field(default_factory=Counter)
    killed_jobs: Counter[str] = field(default_factory=Counter)
    killed_records: int = 0
    duplicates: int = 0
    losses: int = 0
    false_failures: int = 0
    sent_again_under_faults: int = 0
    sent_again_after_kills: int = 0
    most_sent_again_after_one_kill: int = 0
    rounds: int = 0
    property_tests: int = 0
    walks: int = 0
    walk_commands: int = 0
    walk_kills: int = 0
    walk_lies: int = 0
    long: int = 0
    long_tests: int = 0
    reading: Campaign = field(default_factory=Campaign)
    wrong: list[str] = field(default_factory=list)

    def add_trial(self, trial: Trial) -> None:
        """A schedule of faults is over."""
        self.schedules += 1
        self.records += trial.records
        self.schedule_runs += trial.runs
        self.faults.update(trial.struck)
        self.sent_again_under_faults += trial.sent_again
        self.false_failures += trial.false_failures
        self._add(trial.losses, trial.duplicates, trial.wrong, repr(trial.schedule))

    def add_verdict(self, verdict: Verdict, seed: int) -> None:
        """A killed job is over."""
        self.kills[verdict.kind] += verdict.kills
        self.killed_jobs[verdict.kind] += 1
        self.killed_records += verdict.records
        self.sent_again_after_kills += verdict.sent_again
        self.most_sent_again_after_one_kill = max(self.most_sent_again_after_one_kill, verdict.most_sent_again)
        self._add(verdict.losses, verdict.duplicates, verdict.wrong, f"killed {verdict.kind}, seed {seed}")

    def add_round(self, found: Round, seed: int) -> None:
        """A round of property tests is over."""
        self.rounds += 1
        self.property_tests += found.tests
        self.wrong += [f"{output}: property tests, seed {seed}" for output in found.wrong]

    def add_walk(self, found: Outcome) -> None:
        """A walk of commands is over."""
        self.walks += 1
        self.walk_commands += found.commands
        self.walk_kills += found.kills
        self.walk_lies += found.lied_to
        self.wrong += [f"{sentence}: walk, seed {found.seed}, {found.steps} steps" for sentence in found.wrong]

    def add_long(self, found: Round) -> None:
        """A part of the tests that take minutes is over."""
        self.long += 1
        self.long_tests += found.tests
        self.wrong += found.wrong

    def add_reading(self, found: Campaign) -> None:
        """Some points of the matrix of sources are over."""
        self.reading.points += found.points
        self.reading.places += found.places
        self.reading.runs += found.runs
        self.reading.kills += found.kills
        self.reading.merge(found.values)
        self.wrong += found.wrong

    def _add(self, losses: int, duplicates: int, wrong: list[str], where: str) -> None:
        self.losses += losses
        self.duplicates += duplicates
        self.wrong += [f"{sentence}: {where}" for sentence in wrong]

    def to_json(self, plan: Plan, seed: int, minutes: float, seconds: float) -> dict[str, Any]:
        """Everything that the run is to be known by."""
        pairs = (
            *((self.schedules, plan.schedules), (self.kills.total(), plan.kills)),
            *((self.rounds, plan.rounds), (self.walks, plan.walks), (self.long, plan.long)),
            (self.reading.points, plan.reading),
        )
        done = all(run >= planned for run, planned in pairs)
        head = {"seed": seed, "commit": commit(), "complete": done, "seconds": round(seconds, 1), "minutes": minutes}
        machine = {"python": platform.python_version(), "system": platform.system(), "cpus": os.cpu_count()}
        sums = {name: getattr(self, name) for name in self.__slots__}
        sums["reading"] = {"matrix": size(), **self.reading.to_json()}
        return {**head, "machine": machine, "planned": asdict(plan), **sums}


def in_short(found: dict[str, Any]) -> list[str]:
    """What a soak ran and found, in a line for all and one for each broken promise. found: its JSON."""
    planned = found["planned"]
    ran = {
        "schedules": found["schedules"],
        "kills": sum(found["kills"].values()),
        "rounds": found["rounds"],
        "walks": found["walks"],
        "reading": found["reading"]["points"],
        "long": found["long"],
    }
    parts = ", ".join(f"{name} {count} of {planned[name]}" for name, count in ran.items())
    zeros = ", ".join(f"{found[name]} {name.replace('_', ' ')}" for name in ("duplicates", "losses", "false_failures"))
    head = f"soak of {found['commit']}, seed {found['seed']}, {found['seconds'] / 60:.0f} minutes: {parts}; {zeros};"
    return [f"{head} {len(found['wrong'])} wrong", *(f"wrong: {sentence[-WORDS:]}" for sentence in found["wrong"])]


def commit() -> str:
    """The commit that was run; marked when the tree had changes."""
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--abbrev=12", "--dirty"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return found.stdout.strip()
