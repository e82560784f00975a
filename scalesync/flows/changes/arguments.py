"""The arguments of a change: as typed for all tasks, or for each in a column of its row. Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from scalesync.errors import ConfigError
from scalesync.model.records import JsonObject
from scalesync.ports.changes import ChangeArgument, ChangeSpec, Takes
from scalesync.text import did_you_mean, either

YES, NO = frozenset({"yes", "true", "1", "y"}), frozenset({"no", "false", "0", "n"})
_WANTED = {
    Takes.TEXT: "text",
    Takes.TEXTS: "a list, with commas",
    Takes.FLAG: "yes or no",
    Takes.NUMBER: "a number",
    Takes.OBJECT: "a JSON object",
}


def typed(spec: ChangeSpec, given: Sequence[str]) -> JsonObject:
    """The arguments that hold for all tasks, from NAME=VALUE. Raises ConfigError."""
    found: JsonObject = {}
    for text in given:
        name, sign, value = text.partition("=")
        if not sign:
            raise ConfigError(f"arguments are typed as NAME=VALUE, not {text!r}")
        if name not in spec.arguments:
            takes = either(sorted(spec.arguments)) if spec.arguments else "none"
            raise ConfigError(
                f"`apply {spec.name}` has no argument {name}{did_you_mean(name, spec.arguments)}; it takes {takes}"
            )
        if name in found:
            raise ConfigError(f"{name} is typed twice")
        try:
            found[name] = value_of(spec.arguments[name], value)
        except ValueError as error:
            raise ConfigError(f"{name}={value}: {error}") from None
    return found


def of_row(spec: ChangeSpec, common: Mapping[str, Any], row: Mapping[str, Any]) -> JsonObject:
    """The arguments for one task. What was typed counts for all; columns fill in the rest.

    Raises ValueError with one sentence if the row lacks one, or has one that cannot be used.
    """
    found = dict(common)
    for name, argument in spec.arguments.items():
        if name in found or (value := row.get(name)) is None or value == "":
            continue
        try:
            found[name] = value_of(argument, value)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
    missing = [name for name, argument in spec.arguments.items() if argument.needed and name not in found]
    if missing:
        raise ValueError(f"it has no {either(missing)}; type it as {missing[0]}=VALUE, or give each row that column")
    spec.check(found)
    return found


def value_of(argument: ChangeArgument, value: Any) -> Any:
    """A value as typed, as a cell, or as JSON. Raises ValueError with what it takes."""
    found = _from_text(argument.takes, value) if isinstance(value, str) else _from_json(argument.takes, value)
    if found is None:
        raise ValueError(f"it takes {_WANTED[argument.takes]}, not {json.dumps(value, ensure_ascii=False)[:80]}")
    return found


def _from_text(takes: Takes, text: str) -> Any:
    match takes:
        case Takes.TEXT:
            return text
        case Takes.TEXTS:
            if text.lstrip().startswith("["):
                return _from_json(takes, _json(text))
            return [part.strip() for part in text.split(",") if part.strip()]
        case Takes.FLAG:
            word = text.strip().casefold()
            return True if word in YES else False if word in NO else None
        case Takes.NUMBER:
            return _from_json(takes, _json(text))
        case Takes.OBJECT:
            return _from_json(takes, _json(text))


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _from_json(takes: Takes, value: Any) -> Any:
    match takes:
        case Takes.TEXT:
            return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
        case Takes.TEXTS:
            return value if isinstance(value, list) and all(isinstance(item, str) for item in value) else None
        case Takes.FLAG:
            return value if isinstance(value, bool) else {0: False, 1: True}.get(value) if _is_number(value) else None
        case Takes.NUMBER:
            return value if _is_number(value) else None
        case Takes.OBJECT:
            return value if isinstance(value, dict) else None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
