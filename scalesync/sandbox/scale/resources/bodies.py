"""Members of request bodies, with the messages for wrong ones."""

from __future__ import annotations

from typing import Any

from scalesync.sandbox.core.wire.messages import Call
from scalesync.sandbox.core.wire.rawjson import loads, members
from scalesync.sandbox.scale.errors import bad
from scalesync.sandbox.scale.tasks.create import storable


def body_of(call: Call) -> dict[str, Any]:
    """The JSON object of a request. Raises ApiError 400."""
    return {name: loads(raw) for name, raw in members(call.body).items()}


def text_of(body: dict[str, Any], name: str) -> str:
    """A text that has to be there. Raises ApiError 400."""
    value = body.get(name)
    if not isinstance(value, str) or not value or not storable(value):
        raise bad(f'"{name}" is required')
    return value


def texts_of(body: dict[str, Any], name: str, *, needed: bool = True) -> list[str]:
    """A list of strings, each once and in order. Raises ApiError 400.

    needed: an empty list, or none, is refused.
    """
    value = body.get(name)
    if value is None and not needed:
        return []
    if not isinstance(value, list) or not all(isinstance(item, str) and storable(item) for item in value):
        raise bad(f'"{name}" must be an array of strings')
    if needed and not value:
        raise bad(f'"{name}" is required')
    return list(dict.fromkeys(value))
