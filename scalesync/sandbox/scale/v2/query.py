"""Reads the arguments of version 2: names and ids, what to expand, bounds, and bodies."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from scalesync.sandbox.core.wire.errors import ApiError
from scalesync.sandbox.core.wire.messages import Call
from scalesync.sandbox.core.wire.rawjson import join, loads, members
from scalesync.sandbox.core.wire.times import parse_us
from scalesync.sandbox.scale.errors import bad
from scalesync.sandbox.scale.state.model import Batch, Project
from scalesync.sandbox.scale.v2.state import GenAI

NEVER = 1 << 62
OPTS = ("annotation_details", "attachment_details", "model_parameters", "submissions")
Text = Callable[[str], str | None]  # the value of a parameter or of a member of the body
Bounds = tuple[int, int]  # milliseconds, both ends included


@dataclass(frozen=True)
class Shown:
    """What a caller wants to see of an object beyond its plain form."""

    expand: frozenset[str] = frozenset()
    opts: frozenset[str] = frozenset()


def shown_of(call: Call, *allowed: str) -> Shown:
    """`expand` and `opts`, both repeated. Raises ApiError 400 for a value that the endpoint does not have (guess)."""
    return Shown(_among(call, "expand", allowed), _among(call, "opts", OPTS))


def _among(call: Call, name: str, allowed: tuple[str, ...]) -> frozenset[str]:
    values = frozenset(call.query.get(name, ()))
    if not values <= set(allowed):
        raise ApiError(400, f"Invalid {name}: must be among {', '.join(allowed)}")
    return values


def choice(call: Call, name: str, allowed: Iterable[str]) -> str | None:
    """One of several values, or None. Raises ApiError 400."""
    value, known = call.first(name), tuple(allowed)
    if value is not None and value not in known:
        raise ApiError(400, f"Invalid {name}: must be one of {', '.join(known)}")
    return value


def needed(call: Call, name: str) -> str:
    """A parameter that must be there. Raises ApiError 400."""
    value = call.first(name)
    if value is None:
        raise bad(f'"{name}" is required')
    return value


def bounds(genai: GenAI, call: Call, what: str) -> Bounds | None:
    """The times between `<what>_after` and `<what>_before`; None if neither is given. Raises ApiError 400."""
    after, before = call.first(f"{what}_after"), call.first(f"{what}_before")
    if after is None and before is None:
        return None
    inside = 0 if genai.world.config.v2_time_bounds == "inclusive" else 1
    low = -NEVER if after is None else -(-(_us(f"{what}_after", after) + inside) // 1000)
    high = NEVER if before is None else (_us(f"{what}_before", before) - inside) // 1000
    return low, high


def _us(name: str, text: str) -> int:
    try:
        return parse_us(text)
    except ValueError:
        raise ApiError(400, f"Invalid {name}: must be an ISO 8601 time") from None


def within(value_ms: int, wanted: Bounds | None) -> bool:
    """Whether a time is inside; a time that is not set (0) is inside of no bounds."""
    return wanted is None or (value_ms > 0 and wanted[0] <= value_ms <= wanted[1])


class Body:
    """The JSON object of a request, with values as they were sent. Raises ApiError 400 for a wrong shape."""

    def __init__(self, call: Call) -> None:
        self.raw = {name: value for name, value in members(call.body).items() if value != b"null"}

    def text(self, name: str) -> str | None:
        """A string, or None if it is absent."""
        value = loads(self.raw[name]) if name in self.raw else None
        if value is not None and not isinstance(value, str):
            raise bad(f'"{name}" must be a string')
        return value

    def flag(self, name: str) -> bool:
        """A boolean; false if it is absent."""
        raw = self.raw.get(name, b"false")
        if raw not in (b"true", b"false"):
            raise bad(f'"{name}" must be a boolean')
        return raw == b"true"

    def object(self, name: str) -> bytes | None:
        """An object as raw JSON, or None if it is absent."""
        raw = self.raw.get(name)
        if raw is not None and raw[:1] != b"{":
            raise bad(f'"{name}" must be an object')
        return raw


def project_of(genai: GenAI, text: Text, *, lost: int = 404) -> Project | None:
    """The project of `project_id` or `project_name`; None if neither is given. Raises ApiError: 400, or `lost`."""
    by_id, by_name = text("project_id"), text("project_name")
    found = [genai.project(by_id)] if by_id is not None else []
    if by_name is not None:
        found.append(genai.world.project_names.get(by_name))
    if None in found:
        raise ApiError(lost, f'Project "{by_name if found[0] is not None or by_id is None else by_id}" not found.')
    if len(found) == 2 and found[0] is not found[1]:
        raise bad('"project_id" and "project_name" name two projects')
    return found[0] if found else None


def batch_of(genai: GenAI, text: Text, *, lost: int = 404) -> Batch | None:
    """The batch of `batch_id` or `batch_name`; None if neither is given. Raises ApiError: 400, or `lost`."""
    by_id, by_name = text("batch_id"), text("batch_name")
    found = [genai.batch(by_id)] if by_id is not None else []
    if by_name is not None:
        found.append(genai.world.batch_names.get(by_name))
    if None in found:
        raise ApiError(lost, f'Batch "{by_name if found[0] is not None or by_id is None else by_id}" not found.')
    if len(found) == 2 and found[0] is not found[1]:
        raise bad('"batch_id" and "batch_name" name two batches')
    return found[0] if found else None


def merged(old: bytes, new: bytes) -> bytes:
    """`new` laid over `old`, object by object; numbers and strings stay as they were sent."""
    if old[:1] != b"{" or new[:1] != b"{":
        return new
    both = members(old)
    for name, raw in members(new).items():
        both[name] = merged(both[name], raw) if name in both else raw
    return join(both)
