"""The fault schedule: rules whose draws depend only on the seed and on the count of matching requests."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import msgspec

LIES = ("repeat", "gap", "circle", "empty", "total", "foreign")  # faults of lists
KINDS = ("latency", "error", "reset", "hang", "cut", "html502", "outage", "late", "partial", "lag", *LIES)
CLASSES = (
    *("create", "get", "list", "mutate", "batch", "project", "result"),
    *("file", "quality", "team", "studio", "audit"),
    *("token", "command", "export", "any"),
)


@dataclass(frozen=True, kw_only=True)
class FaultRule:
    """One fault and when it strikes. Without `share`, `at` or `between` it strikes always.

    kind, for all requests:
        latency: wait `seconds`, plus up to `jitter`.
        error: answer `status`.
        reset: RST.
        hang: no answer until the client leaves or `seconds` have passed.
        cut: half of the promised body.
        html502: the error page of a proxy.
        outage: answer `status`; if `status` is 0, reset the connection.
        late: answer `status` or reset at once, and carry the request out `seconds` later.
        partial: make only the first `count` records of the request, then answer `status` or reset.
        lag: lists do not show a new task for `seconds`.
    kind, for lists only:
        repeat: `count` tasks that were on the list `back` pages earlier appear again.
        gap: `count` tasks are missing.
        circle: `next_token` leads to an earlier page.
        empty: no task, although more follow.
        total: wrong by `by`; with `moving`, by up to `by`.
        foreign: the page of another query.
    on: a class of requests, or several joined by "|".
    share: probability, drawn from the seed.
    at: numbers of matching requests, from 0.
    between: seconds since the rule was set.
    times: the rule strikes at most this often.
    after_write: error, reset, html502 and hang strike after the request was carried out; its reply is lost.
    retry_after: seconds, sent as Retry-After with error and outage.
    pages: page numbers in their chain, from 1, on which a list is wrong. None: every page; for repeat, gap and circle,
        every page but the first.
    count: tasks that are repeated or missing.
    back: pages; 0 is within the page.
    by: tasks; negative is too low.
    moving: each request gets another total, up to `by` away.
    fresh: circle and empty make a new token each time.
    Raises ValueError for impossible settings.
    """

    kind: str
    on: str = "any"
    share: float | None = None
    at: tuple[int, ...] | None = None
    between: tuple[float, float] | None = None
    times: int | None = None
    status: int | None = None
    seconds: float | None = None
    jitter: float = 0.0
    after_write: bool = False
    retry_after: float | None = None
    pages: tuple[int, ...] | None = None
    count: int = 1
    back: int = 1
    by: int = 1
    moving: bool = False
    fresh: bool = False

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind {self.kind!r} is none of {', '.join(KINDS)}")
        unknown = set(self.on.split("|")) - set(CLASSES)
        if unknown:
            raise ValueError(f"on {sorted(unknown)[0]!r} is none of {', '.join(CLASSES)}")
        if self.share is not None and not 0 <= self.share <= 1:
            raise ValueError(f"share must be in 0..1, got {self.share}")
        if self.between is not None and not self.between[0] <= self.between[1]:
            raise ValueError(f"between must be (start, end), got {self.between}")
        if self.status is not None and not (400 <= self.status <= 599 or self.status == 0):
            raise ValueError(f"status must be in 400..599, got {self.status}")
        if self.kind in ("latency", "lag", "late") and self.seconds is None:
            raise ValueError(f"{self.kind} needs seconds")
        if min(self.seconds or 0, self.jitter, self.retry_after or 0) < 0:
            raise ValueError("seconds, jitter and retry_after must not be negative")
        if self.kind == "lag" and self.on not in ("create", "any"):
            raise ValueError("lag works on creates only")
        if self.kind in LIES and self.on not in ("list", "any"):
            raise ValueError(f"{self.kind} works on lists only")
        if self.count < 1 or self.back < 0 or min(self.pages or (1,)) < 1:
            raise ValueError("count and pages begin with 1, back with 0")

    def concerns(self, kind: str) -> bool:
        """Whether a request of this class counts for the rule."""
        if self.kind == "lag":
            return kind == "create"
        if self.kind in LIES:
            return kind == "list"
        return "any" in (wanted := self.on.split("|")) or kind in wanted


@dataclass(slots=True)
class _Active:
    rule: FaultRule
    since_s: float
    seen: int = 0
    struck: int = 0


@dataclass(slots=True)
class Decision:
    """What happens to one request: waits and faults of lists add up, and at most one rule breaks the request.

    draw: 0 to 1, for the faults of lists.
    """

    latency_s: float = 0.0
    lag_s: float = 0.0
    rule: FaultRule | None = None
    lies: tuple[FaultRule, ...] = ()
    draw: float = 0.0

    @property
    def name(self) -> str | None:
        """The word for the journal."""
        if self.rule is not None:
            return self.rule.kind + ("_after_write" if self.rule.after_write else "")
        if self.lag_s:
            return "lag"
        if self.lies:
            return "+".join(lie.kind for lie in self.lies)
        return "latency" if self.latency_s else None


NOTHING = Decision()


class FaultPlan:
    """The rules in force. The same seed and the same sequence of matching requests give the same faults."""

    def __init__(self, rules: Iterable[FaultRule], seed: int, monotonic: Callable[[], float]) -> None:
        self._seed = seed
        self._monotonic = monotonic
        self._active: list[_Active] = []
        self.replace(rules)

    @property
    def rules(self) -> list[FaultRule]:
        """The rules, in the order of their evaluation."""
        return [active.rule for active in self._active]

    def replace(self, rules: Iterable[FaultRule]) -> None:
        """Change the schedule; counts and windows start again."""
        since_s = self._monotonic()
        self._active = [_Active(rule, since_s) for rule in rules]

    def decide(self, kind: str) -> Decision:
        """Decide what happens to the next request of class `kind`."""
        if not self._active:
            return NOTHING
        now_s = self._monotonic()
        decision = Decision()
        for number, active in enumerate(self._active):
            if not active.rule.concerns(kind):
                continue
            place = active.seen
            active.seen += 1
            if not self._strikes(active, number, place, now_s):
                continue
            if active.rule.kind in ("latency", "lag", *LIES) or decision.rule is None:
                active.struck += 1
                self._apply(decision, active.rule, f"{number}:{place}")
        return decision

    def _strikes(self, active: _Active, number: int, place: int, now_s: float) -> bool:
        rule = active.rule
        if rule.times is not None and active.struck >= rule.times:
            return False
        if rule.at is not None and place not in rule.at:
            return False
        if rule.between is not None and not rule.between[0] <= now_s - active.since_s < rule.between[1]:
            return False
        return rule.share is None or self._draw(f"{number}:{place}") < rule.share

    def _draw(self, label: str) -> float:
        digest = hashlib.blake2b(f"{self._seed}:fault:{label}".encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") / 2**64

    def _apply(self, decision: Decision, rule: FaultRule, label: str) -> None:
        if rule.kind == "latency":
            decision.latency_s += (rule.seconds or 0.0) + rule.jitter * self._draw(f"jitter:{label}")
        elif rule.kind in LIES:
            decision.lies = (*decision.lies, rule)
            decision.draw = self._draw(f"lie:{label}")
        elif rule.kind == "lag":
            decision.lag_s = max(decision.lag_s, rule.seconds or 0.0)
        else:
            decision.rule = rule


def rules_from(items: object, where: str = "faults") -> list[FaultRule]:
    """Read rules from a list of mappings. Raises a ValueError that names the rule and the field."""
    try:
        listed = msgspec.convert(items, list[dict[str, Any]])
    except msgspec.ValidationError as error:
        raise ValueError(f"{where}: {error}") from error
    known = {field.name for field in fields(FaultRule)}
    rules = []
    for number, item in enumerate(listed):
        unknown = sorted(set(item) - known)
        if unknown:
            raise ValueError(f"{where}: rule {number}: unknown field {unknown[0]!r}; known are {sorted(known)}")
        try:
            rules.append(msgspec.convert(item, FaultRule))
        except ValueError as error:
            raise ValueError(f"{where}: rule {number}: {error}") from error
    return rules


def load_faults(path: str | Path) -> list[FaultRule]:
    """Read rules from a TOML file (`[[rule]]` tables) or a JSON file (a list, or `{"rule": [...]}`).

    Raises ValueError if the file cannot be read or a rule is invalid; the message names file, rule and field.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
        data: object = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from error
    if isinstance(data, dict):
        extra = sorted(set(data) - {"rule"})
        if extra:
            raise ValueError(f"{path}: unknown table {extra[0]!r}; rules are written as [[rule]]")
        data = data.get("rule", [])
    return rules_from(data, str(path))
