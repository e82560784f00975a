"""`--set KEY=VALUE` of `scalesync sandbox`: any switch of its settings, typed by the dataclass that holds them."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from scalesync.errors import ConfigError
from scalesync.text import did_you_mean

_WORDS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_CODE = ("clock", "monotonic")  # functions, set by programs only


def switch_names(config: type[Any], taken: Iterable[str] = ()) -> list[str]:
    """Fields that --set may name, except those with their own option."""
    return sorted(item.name for item in fields(config) if item.name not in {*_CODE, *taken})


def read_switches(config: type[Any], pairs: Iterable[tuple[str, str]], taken: Mapping[str, str]) -> dict[str, Any]:
    """Typed values for KEY=VALUE pairs; the last of a key wins.

    taken: field -> the option that sets it instead.
    Raises ConfigError naming key and value.
    """
    hints = get_type_hints(config)
    known = switch_names(config, taken)
    values = {}
    for typed, text in pairs:
        key = typed.replace("-", "_")
        if key in taken:
            raise ConfigError(f"--set {key}: use {taken[key]} for that")
        if key not in known:
            hint = did_you_mean(key, known)
            raise ConfigError(f"the sandbox has no switch {typed!r}{hint}; there are {', '.join(known)}")
        try:
            values[key] = read_value(hints[key], text)
        except ValueError as error:
            raise ConfigError(f"--set {key}={text}: {error}") from None
    return values


def read_value(hint: Any, text: str) -> Any:
    """The string as a value of this type. Raises ValueError that says what is wanted."""
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        return _read_union(get_args(hint), text)
    if origin is Literal:
        return _read_literal(get_args(hint), text)
    if origin is frozenset:
        return frozenset(part.strip() for part in text.split(",") if part.strip())
    if origin is not None and issubclass(origin, Mapping):
        return _read_mapping(get_args(hint)[1], text)
    if hint is bool:
        return _read_bool(text)
    plain: dict[Any, tuple[Callable[[str], Any], str]] = {
        int: (int, "a whole number"),
        float: (float, "a number"),
        str: (str, "a string"),
        Path: (Path, "a path"),
    }
    convert, wanted = plain[hint]
    try:
        return convert(text)
    except ValueError:
        raise ValueError(f"want {wanted}") from None


def _read_union(members: tuple[Any, ...], text: str) -> Any:
    if text.lower() == "none" and type(None) in members:
        return None
    # a string fits everything, so it is tried last
    tried = sorted((member for member in members if member is not type(None)), key=lambda kind: kind is str)
    problem = ValueError("no value fits")
    for member in tried:
        try:
            return read_value(member, text)
        except ValueError as error:
            problem = error
    raise problem


def _read_literal(allowed: tuple[Any, ...], text: str) -> Any:
    for value in allowed:
        if str(value) == text:
            return value
    raise ValueError(f"want one of {', '.join(str(value) for value in allowed)}")


def _read_mapping(kind: Any, text: str) -> dict[str, Any]:
    values = {}
    for part in text.split(","):
        name, colon, value = part.strip().rpartition(":")
        if not colon or not name:
            raise ValueError("want NAME:VALUE,NAME:VALUE")
        values[name] = read_value(kind, value)
    return values


def _read_bool(text: str) -> bool:
    try:
        return _WORDS[text.lower()]
    except KeyError:
        raise ValueError("want true or false") from None
