"""The stages of a task that were delivered apart from it, cut out of its bytes unchanged. No network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from scalesync.model.task_view import Part, TaskView
from scalesync.platforms.scale.jsonbytes import items, loads, members
from scalesync.platforms.scale.multistage import wire
from scalesync.times import milliseconds

_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode


def parts_of(task: TaskView, document: bytes) -> Sequence[Part]:
    """The deliveries of a task's stages as they are now, by time; none for other tasks and other deliveries."""
    if task.get("type") != wire.TYPE:
        return ()
    found = _members(document)
    if _value(found.get(wire.DELIVERY_OF_TASK)) != wire.WITH_STAGE or wire.STAGES_OF_TASK not in found:
        return ()
    of = {wire.BLUEPRINT: _value(found.get(wire.BLUEPRINT)), wire.PROJECT: task.get(wire.PROJECT)}
    parts: dict[tuple[str, str], Part] = {}
    for raw in _items(found[wire.STAGES_OF_TASK]):
        stage = _value(raw)
        of_stage = stage if isinstance(stage, dict) else {}
        name, at = _text(of_stage.get(wire.STAGE_NAME)), _text(of_stage.get(wire.DELIVERED_AT))
        if name and at:
            parts[name, at] = Part(name, at, raw, of)
    # Should a service list earlier deliveries of a stage beside its newest, they come in the order of their times.
    return sorted(parts.values(), key=lambda part: milliseconds(part.at))


def _text(value: Any) -> str:
    """A name or a time, which may be numbers, as text that a file and the ledger can hold; "" for anything else."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    return _plain(str(value))


def _value(raw: bytes | None) -> Any:
    try:
        return None if raw is None else loads(raw)
    except ValueError:
        return None


def _members(document: bytes) -> dict[str, bytes]:
    try:
        return {name: bytes(raw) for name, raw in _decode(document).items()}
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass  # it refuses escaped lone surrogates, which JSON allows
    try:
        text = document.decode("utf-8", "surrogateescape")
        return {name: text[start:end].encode("utf-8", "surrogateescape") for name, start, end in members(text)}
    except (ValueError, RecursionError):
        return {}


def _items(array: bytes) -> list[bytes]:
    try:
        return [bytes(raw) for raw in _decode_list(array)]
    except (msgspec.DecodeError, UnicodeDecodeError):
        pass
    try:
        text = array.decode("utf-8", "surrogateescape")
        return [text[start:end].encode("utf-8", "surrogateescape") for start, end in items(text)]
    except (ValueError, RecursionError):
        return []


def _plain(text: str) -> str:
    """Text that a file and the ledger can hold; what was sent is in the document."""
    return text.encode("utf-8", "backslashreplace").decode()
