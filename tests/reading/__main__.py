"""Draw points of the matrix and run them, or one of them again.

    python -m tests.reading [--points 200] [--seed 1] [--pairs] [--minutes M] [--only "format=csv mode=killed seed=17"]

--only takes what a failure prints: with all its values it is that point again.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from itertools import islice, takewhile

from tests.reading.campaign import run_points
from tests.reading.points import Point, draw, drawn, pairwise, size
from tests.reading.trial import Trial


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.reading")
    parser.add_argument("--points", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--pairs", action="store_true", help="every pair of values instead of a draw")
    parser.add_argument("--only", default="", metavar="NAME=VALUE ...", help="values that every point has")
    parser.add_argument("--minutes", type=float, default=1e9, help="begin no point later than that")
    typed = parser.parse_args()
    begun = time.monotonic()
    in_time = takewhile(lambda _: time.monotonic() - begun < typed.minutes * 60, chosen(typed))
    campaign = run_points(in_time, tell)
    wrong = len({sentence.rpartition("\n")[2] for sentence in campaign.wrong})
    for name, counts in campaign.values.items():
        sys.stdout.write(f"{name}: {', '.join(f'{value} {n}' for value, n in sorted(counts.items()))}\n")
    sys.stdout.write(
        f"{campaign.points} points of {size():,}, {campaign.places:,} places, {campaign.runs} runs, "
        f"{campaign.kills} kills, {wrong} wrong, {time.monotonic() - begun:.0f} s\n"
    )
    return 1 if wrong else 0


def chosen(typed: argparse.Namespace) -> list[Point]:
    """The points that were asked for."""
    fixed = Point.parse(typed.only)
    if "seed" in fixed:
        seed = int(fixed.pop("seed"))
        return [draw(random.Random(seed), seed=seed, **fixed)]
    return pairwise(typed.seed) if typed.pairs else list(islice(drawn(typed.seed, **fixed), typed.points))


def tell(trial: Trial) -> None:
    """What is wrong with a point, at once."""
    sys.stdout.writelines(f"{sentence}\n" for sentence in trial.wrong)
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
