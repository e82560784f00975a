"""Schedules of faults, drawn from a random number generator: which faults, which guesses, which shape of import.

The same generator serves hypothesis (`st.randoms`, which shrinks) and the long runs (`random.Random(seed)`).
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from scalesync.sandbox import FaultRule

# One list of values for each guess of the sandbox that an import or its look-ups can notice; the first is the default.
GUESSES: Mapping[str, tuple[Any, ...]] = {
    "time_bounds": ("inclusive", "exclusive", "half_open"),
    "cursor_form": ("keyset", "opaque"),
    "last_cursor": ("omit", "null", "empty"),
    "invalid_cursor": ("error", "ignore"),
    "unknown_parent_status": (404, 400),
    "unknown_parent_in_list": ("empty", "error"),
    "unknown_query": ("ignore", "error"),
    "limit_out_of_range": ("error", "clamp"),
    "tags_match": ("any", "all"),
    "test_completion": ("after", "reply", "never"),
    "instruction_separator": ("\n\n", "\n", " ", ""),
    "batch_project_conflict": ("error", "batch"),
    "batch_list": ("union", "sdk", "sail", "node"),
    "batch_extra": (True, False),
    "late_tasks": ("error", "accept"),
    "open_types": (False, True),
    "review_field": (True, False),
    "attachment_url_field": ("attachment_url", "signed_url"),
    "rate_text": ("Too many requests", "slow down"),
    "retry_after": (None, 0.0),
    "retry_after_date": (False, True),
    "annotate_after_s": (None, 0.0, 0.2),
    "page_gzip": (False, True),
    "keepalive_s": (75.0, 0.05),
}

AMBIGUOUS = (408, 500, 502, 503, 504, 520, 522, 524, 529)
CALLS = ("create", "list", "get", "batch", "project", "mutate")
# Instructions: a record's own, the project's behind it, both, neither.
INSTRUCTIONS = ("", "Sort the letter.")


@dataclass(frozen=True, slots=True)
class Schedule:
    """One trial of an import. batch: as `--batch` is typed. own_project: each record names its project itself."""

    seed: int
    rules: tuple[FaultRule, ...]
    guesses: Mapping[str, Any] = field(default_factory=dict)
    key: str = "live_k"
    batch: str | None = None
    own_project: bool = False
    project_instruction: str = ""
    instruction: str = ""
    rate: str | None = "2000"
    repeats: int = 0


def draw_schedule(rng: random.Random, *, most_rules: int = 6, rate: str = "600") -> Schedule:
    """Draw one schedule; small draws are the simple ones, so that a failing example shrinks to something readable."""
    rules = tuple(draw_rule(rng) for _ in range(rng.randint(1, most_rules)))
    guesses = {name: values[rng.randrange(len(values))] for name, values in GUESSES.items()}
    own_project = rng.randrange(4) == 3
    # A 429 that has nothing to do with the rate makes a controller crawl; it is drawn for fixed rates only.
    unthrottled = all(rule.status != 429 for rule in rules)
    return Schedule(
        seed=rng.randint(0, 10_000),
        rules=rules,
        guesses=guesses,
        key=("live_k", "test_k")[rng.randrange(2)],
        batch=(None, "shelf {metadata.shelf}", "one batch")[rng.randrange(2 if own_project else 3)],
        own_project=own_project,
        project_instruction=INSTRUCTIONS[rng.randrange(2)],
        instruction=INSTRUCTIONS[rng.randrange(2)],
        rate="auto" if unthrottled and rng.randrange(4) == 3 else rate,
        repeats=rng.randint(0, 3),
    )


def draw_rule(rng: random.Random) -> FaultRule:
    """Draw one rule of any kind on any mix of calls."""
    kind = ("error", "reset", "cut", "html502", "hang", "latency", "lag", "outage", "throttle", "refuse", "too_long")[
        rng.randrange(11)
    ]
    return DRAWS[kind](rng)


def _calls(rng: random.Random) -> str:
    chosen = [name for name in CALLS[1:] if rng.randrange(3) == 2]
    return "|".join(["create", *chosen] if rng.randrange(3) or not chosen else chosen)


def _when(rng: random.Random) -> dict[str, Any]:
    """When a rule strikes: now and then, a few times in a row, at chosen requests, or for a while."""
    match rng.randrange(4):
        case 0:
            return {"share": rng.randint(1, 30) / 100}
        case 1:
            return {"times": rng.randint(1, 8)}
        case 2:
            return {"at": tuple(sorted({rng.randint(0, 60) for _ in range(rng.randint(1, 8))}))}
        case _:
            start = rng.randint(0, 40) / 100
            return {"between": (start, start + rng.randint(5, 40) / 100), "share": rng.randint(30, 100) / 100}


def _broken(kind: str, rng: random.Random) -> FaultRule:
    return FaultRule(kind=kind, on=_calls(rng), after_write=bool(rng.randrange(2)), **_when(rng))


def _error(rng: random.Random) -> FaultRule:
    status = AMBIGUOUS[rng.randrange(len(AMBIGUOUS))]
    return FaultRule(kind="error", on=_calls(rng), status=status, after_write=bool(rng.randrange(2)), **_when(rng))


def _cut(rng: random.Random) -> FaultRule:
    return FaultRule(kind="cut", on=_calls(rng), **_when(rng))


def _hang(rng: random.Random) -> FaultRule:
    # Without seconds the client's own deadline has to end it.
    seconds = None if rng.randrange(2) else rng.randint(0, 20) / 100
    when = {"times": rng.randint(1, 4), "share": rng.randint(5, 100) / 100}
    return FaultRule(kind="hang", on=_calls(rng), after_write=bool(rng.randrange(2)), seconds=seconds, **when)


def _latency(rng: random.Random) -> FaultRule:
    # Longer than the client's deadline: the request is carried out when nobody waits for it any more.
    seconds = (0.0, 0.02, 0.05, 0.7)[rng.randrange(4)]
    times = rng.randint(1, 6) if seconds > 0.5 else rng.randint(1, 60)
    return FaultRule(kind="latency", on=_calls(rng), seconds=seconds, jitter=0.05, share=0.3, times=times)


def _lag(rng: random.Random) -> FaultRule:
    return FaultRule(kind="lag", on="create", seconds=rng.randint(1, 50) / 100, share=rng.randint(10, 100) / 100)


def _outage(rng: random.Random) -> FaultRule:
    start = rng.randint(0, 50) / 100
    status = (None, 0, 502, 504)[rng.randrange(4)]
    return FaultRule(kind="outage", between=(start, start + rng.randint(5, 50) / 100), status=status)


def _throttle(rng: random.Random) -> FaultRule:
    retry_after = (None, 0.0)[rng.randrange(2)]
    times = rng.randint(1, 8)
    return FaultRule(kind="error", on=_calls(rng), status=429, retry_after=retry_after, share=0.5, times=times)


def _refuse(rng: random.Random) -> FaultRule:
    # The key is refused for a moment: the run stops, nothing is marked as failed, the same command resumes.
    status = (401, 403)[rng.randrange(2)]
    return FaultRule(kind="error", on="create", status=status, at=(rng.randint(0, 200),))


def _too_long(rng: random.Random) -> FaultRule:
    # Look-ups answered as too long are halved.
    status = (414, 431)[rng.randrange(2)]
    return FaultRule(kind="error", on="list", status=status, share=0.5, times=rng.randint(1, 6))


DRAWS = {
    "error": _error,
    "reset": lambda rng: _broken("reset", rng),
    "cut": _cut,
    "html502": lambda rng: _broken("html502", rng),
    "hang": _hang,
    "latency": _latency,
    "lag": _lag,
    "outage": _outage,
    "throttle": _throttle,
    "refuse": _refuse,
    "too_long": _too_long,
}
