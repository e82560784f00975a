"""Objects laid over objects: a record over its template, and the fields of `--set` over both."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from scalesync.errors import ConfigError
from scalesync.jsonvalue import strict_loads
from scalesync.model.records import JsonObject


def merge(base: JsonObject, over: JsonObject) -> JsonObject:
    """A new object: fields of `over` win, objects merge, arrays replace. Neither argument is changed."""
    merged = base.copy()
    for key, value in over.items():
        if type(value) is dict and type(below := merged.get(key)) is dict:
            merged[key] = merge(below, value)
        else:
            merged[key] = value
    return merged


def nest(name: str, value: Any) -> JsonObject:
    """Build {"a": {"b": value}} from the name "a.b"."""
    for part in reversed(name.split(".")):
        value = {part: value}
    nested: JsonObject = value
    return nested


def parse_set(text: str) -> JsonObject:
    """Parse `KEY=JSON` into an object that is nested at the dots of KEY. Raises ConfigError for anything else."""
    name, equals, right = text.partition("=")
    if not equals or not name or not all(name.split(".")):
        raise ConfigError(f'--set takes KEY=JSON, such as priority=10; got "{text}"')
    try:
        value = strict_loads(right)
    except ValueError:
        quoted = json.dumps(right, ensure_ascii=False)
        raise ConfigError(
            f"--set {name}: the value is not JSON; a string needs quotes: --set '{name}={quoted}'"
        ) from None
    return nest(name, value)


def parse_sets(texts: Iterable[str]) -> JsonObject:
    """Parse several `KEY=JSON` into one object; a later one replaces an earlier one."""
    merged: JsonObject = {}
    for text in texts:
        merged = merge(merged, parse_set(text))
    return merged
