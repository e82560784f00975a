"""Values of options that need a check of their own."""

from __future__ import annotations

import re
from typing import Any

import click

_NAMED = {"\\t": "\t", "tab": "\t", "comma": ",", "semicolon": ";", "pipe": "|", "space": " "}


class OneCharacter(click.ParamType[str]):
    """One character as typed, or its name: tab, comma, semicolon, pipe, space."""

    name = "character"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        character = _NAMED.get(value, value)
        if len(character) != 1:
            self.fail(f"{value!r} is not one character, nor one of tab, comma, semicolon, pipe, space", param, ctx)
        return str(character)


class CountOrPercent(click.ParamType[str]):
    """A number such as 500, or a share such as 5%; kept as typed."""

    name = "count"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if re.fullmatch(r"[0-9]+|(?:100|[0-9]{1,2})(?:\.[0-9]+)?%", value) is None:
            self.fail(f"{value!r} is neither a number nor a percentage such as 5%", param, ctx)
        return str(value)


class Encoding(click.ParamType[str]):
    """A text encoding that Python knows."""

    name = "encoding"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        import codecs

        try:
            codecs.lookup(value)
        except LookupError:
            self.fail(f"{value!r} is no known text encoding", param, ctx)
        return str(value)


class Pair(click.ParamType[tuple[str, str]]):
    """NAME=VALUE, split at the first equals sign."""

    name = "pair"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        if isinstance(value, tuple):
            return value
        name, equals, rest = value.partition("=")
        if not equals or not name.strip():
            self.fail(f"{value!r} is not of the form NAME=VALUE", param, ctx)
        return name.strip(), rest
