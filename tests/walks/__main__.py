"""Go walks, or one of them again with the fewest steps that still break a promise.

python -m tests.walks [--seed 1] [--walks 10] [--steps 12] [--lies | --no-lies] [--shrink]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.walks.steps import Step, draw_steps
from tests.walks.walk import Outcome, walk


def go(seed: int, steps: Sequence[Step]) -> Outcome:
    """One walk in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="walk-") as folder:
        return walk(Path(folder), seed, steps)


def shrink(seed: int, steps: list[Step]) -> tuple[list[Step], Outcome]:
    """Leave out steps, one after the other, as long as the same promise stays broken."""
    worst = go(seed, steps)
    kind = _kind(worst)
    at = len(steps) - 1
    while at > 0:
        fewer = steps[:at] + steps[at + 1 :]
        outcome = go(seed, fewer)
        if _kind(outcome) == kind:
            steps, worst = fewer, outcome
        at -= 1
    return steps, worst


def _kind(outcome: Outcome) -> str:
    """The words with which the first complaint begins."""
    return " ".join(outcome.wrong[0].partition("): ")[2].split()[:3]) if outcome.wrong else ""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.walks")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--walks", type=int, default=10)
    parser.add_argument("--steps", type=int, default=12)
    told = "whether lists lie in two of three commands; each seed says without it"
    parser.add_argument("--lies", action=argparse.BooleanOptionalAction, help=told)
    parser.add_argument("--shrink", action="store_true", help="leave out what a broken promise does not need")
    asked = parser.parse_args()
    broken = 0
    for seed in range(asked.seed, asked.seed + asked.walks):
        steps = draw_steps(seed, asked.steps, lies=asked.lies)
        outcome = go(seed, steps)
        if outcome.wrong and asked.shrink:
            steps, outcome = shrink(seed, steps)
        broken += bool(outcome.wrong)
        sys.stdout.write(
            f"walk {seed}: {outcome.commands} commands, {outcome.kills} killed, {outcome.lied_to} lied to,"
            f" {len(outcome.wrong)} wrong\n"
        )
        if outcome.wrong:
            sys.stdout.writelines(f"    {line}\n" for line in outcome.log)
            sys.stdout.writelines(f"  WRONG {line}\n" for line in outcome.wrong)
        sys.stdout.flush()
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
