"""Strings with placeholders: "{column}", "{a.b}", "{maybe?}", and "{{" for a brace."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from scalesync.errors import ConfigError, NoColumn, RecordError
from scalesync.jsonvalue import kind
from scalesync.model.records import JsonObject

Fill = Callable[[JsonObject], Any]
_TOKEN = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_SHOWN = 8


class _Missing:
    def __repr__(self) -> str:
        return "MISSING"


MISSING: Any = _Missing()


class Expression:
    """A compiled string. fill(record) returns its value; MISSING if the string is one optional field that is absent.

    names: the fields in its placeholders; a constant string has none.
    Raises ConfigError for braces that do not match.
    """

    __slots__ = ("_parts", "fill", "names", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        parts = self._parts = _parse(text)
        self.names = tuple(part.name for part in parts if isinstance(part, Field))
        self.fill: Fill
        if len(parts) == 1 and isinstance(parts[0], Field):
            self.fill = parts[0].value
        elif not self.names:
            constant = "".join(str(part) for part in parts)
            self.fill = lambda _record: constant
        else:
            self.fill = lambda record: "".join(part if isinstance(part, str) else part.text(record) for part in parts)

    def formerly(self, record: JsonObject) -> str | None:
        """The string of an older version, which wrote 7.0 where this one writes 7. None if both write the same."""
        found = [part if isinstance(part, str) else part.find(record) for part in self._parts]
        if len(found) == 1 or not any(type(value) is float and value.is_integer() for value in found):
            return None
        return "".join(
            str(value) if type(value) is float else part if isinstance(part, str) else part.text(record)
            for part, value in zip(self._parts, found, strict=True)
        )


class Field:
    """One placeholder."""

    __slots__ = ("_path", "name", "optional")

    def __init__(self, name: str, optional: bool) -> None:
        self.name = name
        self.optional = optional
        self._path = name.split(".") if "." in name else None

    def find(self, record: JsonObject) -> Any:
        """The field's value; MISSING if there is none. A key with dots in its name comes before a nested key."""
        if self.name in record:
            return record[self.name]
        if self._path is not None:
            found = _walk(record, self._path)
            if found is not MISSING:
                return found
        # A column may really end in a question mark: "{Is it ok?}".
        return record.get(f"{self.name}?", MISSING) if self.optional else MISSING

    def value(self, record: JsonObject) -> Any:
        """The value with its type; MISSING if it is optional and absent or empty."""
        found = self.find(record)
        if self.optional:
            return MISSING if found is None or found == "" else found
        if found is MISSING:
            raise NoColumn(f'has no column "{self.name}" (there is {_columns(record)})', self.name, record)
        return found

    def text(self, record: JsonObject) -> str:
        """The value inside a longer string: a string unchanged, a number by its value, `true` or `false`."""
        found = self.value(record)
        if type(found) is str:
            return found
        if found is MISSING:
            return ""
        if found is None:
            raise RecordError(f'column "{self.name}" is null and cannot be part of a string')
        if isinstance(found, bool):
            return "true" if found else "false"
        if isinstance(found, (int, float)):
            return number_text(found)
        raise RecordError(f'column "{self.name}" is {kind(found)} and cannot be part of a string')


def number_text(number: float) -> str:
    """A number as a string by its value: 7.0 becomes 7, because a table with an empty cell turns its 7 into 7.0."""
    return str(int(number) if type(number) is float and number.is_integer() else number)


def _parse(text: str) -> list[str | Field]:
    parts: list[str | Field] = []
    literal = ""
    at = 0
    for match in _TOKEN.finditer(text):
        literal += text[at : match.start()]
        at = match.end()
        token = match[0]
        if token in ("{{", "}}"):
            literal += token[0]
        elif match[1]:
            if literal:
                parts.append(literal)
            literal = ""
            parts.append(_field(match[1], text))
        else:
            raise ConfigError(f'the braces in "{_short(text)}" do not match; write {{{{ or }}}} for a brace itself')
    if literal or not parts:
        parts.append(literal + text[at:])
    elif at < len(text):
        parts.append(text[at:])
    return parts


def _field(name: str, text: str) -> Field:
    optional = name.endswith("?")
    bare = name[:-1] if optional else name
    if not bare.strip():
        raise ConfigError(f'a placeholder in "{_short(text)}" names no column')
    return Field(bare, optional)


def _walk(value: Any, path: list[str]) -> Any:
    for part in path:
        if type(value) is dict and part in value:
            value = value[part]
        elif type(value) is list and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        else:
            return MISSING
    return value


def _columns(record: JsonObject) -> str:
    names = list(record)
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return (", ".join(names[:_SHOWN]) or "none") + more


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:57] + "..."
