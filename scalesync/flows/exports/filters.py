"""The filters of an export: those that the server gets, and those that the export checks itself.

No documentation gives the exact meaning of the server's filters: whether bounds are inclusive, whether one tag or all
must match, whether `error` is allowed. So the export asks for a little more and checks every task here: after is
inclusive, before is exclusive, and of several values of one filter any may match.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from scalesync.errors import ConfigError
from scalesync.flows.runtime.options import ExportOptions
from scalesync.model.records import JsonObject
from scalesync.model.selection import Selection
from scalesync.ports.platform import Changes
from scalesync.times import EPOCH, iso

AGE = re.compile(r"^(\d+(?:\.\d+)?)\s*([smhdw])$")
UNIT_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
CHANGING = frozenset({"batch", "status", "review_status", "tags"})  # members; bounds are replaced as a whole
LAST_MS = 253_370_764_800_000  # the year 9999; requests widen a bound a little, and it must still be a date
BOUNDS = tuple(f"{time}_{side}" for time in ("created", "updated", "completed") for side in ("after", "before"))


def moment(text: str, now_ms: int, option: str) -> int:
    """An ISO 8601 time (UTC when it has no zone) or an age such as `7d`, as ms since the epoch.

    Raises ConfigError for anything else, and for a time that no task can have.
    """
    age_ms = _age_ms(text)
    if age_ms is not None:
        at_ms = now_ms - age_ms
    else:
        try:
            at = datetime.fromisoformat(text.strip())
        except ValueError:
            raise ConfigError(
                f"{option} takes a time such as 2026-11-20T14:00 or an age such as 7d, not {text!r}"
            ) from None
        at_ms = (at.replace(tzinfo=at.tzinfo or UTC) - EPOCH) // timedelta(milliseconds=1)
    if not 0 <= at_ms < LAST_MS:
        raise ConfigError(f"{option} {text!r} is outside the years 1970 to 9998; no task has that time")
    return at_ms


def ages(options: ExportOptions) -> dict[str, str]:
    """The bounds that were typed as ages, by field name."""
    texts = {name: getattr(options, name) for name in BOUNDS}
    return {name: text for name, text in texts.items() if text and AGE.match(text.strip())}


def _age_ms(text: str) -> int | None:
    """The length of an age; None if the string is not an age. An age beyond all bounds is as long as all time."""
    age = AGE.match(text.strip())
    return None if age is None else int(min(float(age[1]) * UNIT_S[age[2]] * 1000, LAST_MS))


def typed(options: ExportOptions) -> JsonObject:
    """The filters as typed. The manifest holds them, and they show whether a command is the same export."""
    names = ("project", "batch", "type", "status", "review_status", "tags")
    found: JsonObject = {name: getattr(options, name) for name in names if getattr(options, name)}
    for name in ("status", "review_status", "tags"):
        if name in found:
            found[name] = list(found[name])
    if options.reading.typed:
        found["with"] = [f"{name}={value}" for name, value in options.reading.typed.items()]
    return found | {name: getattr(options, name) for name in BOUNDS if getattr(options, name)}


def selection(options: ExportOptions, now_ms: int) -> Selection:
    """Fix ages against the server's clock. Raises ConfigError for an invalid time."""
    bounds = {
        name: moment(getattr(options, name), now_ms, "--" + name.replace("_", "-"))
        for name in BOUNDS
        if getattr(options, name)
    }
    _check_ranges(bounds)
    return Selection(
        project=options.project,
        batch=options.batch,
        type=options.type,
        status=frozenset(options.status),
        review_status=tuple(options.review_status),
        tags=frozenset(options.tags),
        bounds=bounds,
    )


def _check_ranges(bounds: Mapping[str, int]) -> None:
    """Raise ConfigError for an empty range."""
    for what in ("created", "updated", "completed"):
        after, before = bounds.get(f"{what}_after"), bounds.get(f"{what}_before")
        if after is not None and before is not None and after >= before:
            raise ConfigError(
                f"--{what}-after is {iso(after)} and --{what}-before is {iso(before)}: no task is between them;"
                " after must be the earlier one"
            )


def narrowed(selection: Selection, bounds: Mapping[str, int]) -> Selection:
    """The selection within further bounds."""
    both = dict(selection.bounds)
    for name, ms in bounds.items():
        narrower = max if name.endswith("_after") else min
        both[name] = narrower(ms, both.get(name, ms))
    return replace(selection, bounds=both)


def asked(
    selection: Selection,
    *,
    window: tuple[int, int] | None = None,
    by: Changes = Changes.TIME,
    since: JsonObject | None = None,
    stays: frozenset[str] = frozenset(),
) -> Selection:
    """The selection to request from the server.

    window: of an increment, [first, last] in ms of `updated_at`, asked for if changes go by time. The export itself
        applies filters on what can change, because a task that stopped matching must still be seen.
    by: how to ask the platform for changes.
    since: the cursor of an increment if changes go by version.
    stays: members that never change.
    """
    if window is None:
        return selection
    bounds = {name: ms for name, ms in selection.bounds.items() if name.startswith("created")}
    first, last = window
    if by is Changes.TIME:
        bounds |= {"updated_before": last} | ({"updated_after": first} if first > 0 else {})
    every = replace(selection, bounds=bounds).without(CHANGING - stays)
    return replace(every, since=since)


def duration_ms(text: str, option: str) -> int:
    """A length of time such as `10m` or `7d` in ms."""
    age_ms = _age_ms(text)
    if age_ms is None:
        raise ConfigError(f"{option} takes a length of time such as 10m or 7d, not {text!r}")
    return age_ms
