"""Values of options that need their own check."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scalesync.addresses import is_address, refused_as_path
from scalesync.cli.table import COMMANDS

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    TextType = click.ParamType[str]
    PairType = click.ParamType[tuple[str, str]]
else:  # not generic before click 8.4
    TextType = PairType = click.ParamType

_NAMED = {"\\t": "\t", "tab": "\t", "comma": ",", "semicolon": ";", "pipe": "|", "space": " "}


class OneCharacter(TextType):
    """One character as typed, or its name: tab, comma, semicolon, pipe, space."""

    name = "character"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        character = _NAMED.get(value, value)
        if len(character) != 1:
            self.fail(f"{value!r} is not one character, nor one of tab, comma, semicolon, pipe, space", param, ctx)
        return str(character)


class LocalPath(click.Path):
    """A path of this machine, and not an address, which would quietly become a folder here that has its name."""

    def __init__(self, *, dir_okay: bool = True) -> None:
        super().__init__(path_type=Path, dir_okay=dir_okay)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if isinstance(value, str) and is_address(value):
            self.fail(refused_as_path(value), param, ctx)
        return super().convert(value, param, ctx)


class FormatName(TextType):
    """The name of a format.

    own: those of the program.
    names: those of other packages as well.

    It looks for other packages only when one of their names is typed, completed or listed.
    """

    name = "format"

    def __init__(self, own: Collection[str], names: Callable[[], Sequence[str]]) -> None:
        self._own = own
        self._names = names

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        return f"[{'|'.join(self._names())}]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        return str(value) if value in self._own else str(click.Choice(self._names()).convert(value, param, ctx))

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return click.Choice(self._names()).shell_complete(ctx, param, incomplete)


class CountOrPercent(TextType):
    """A number such as 500, or a share such as 5%; kept as typed."""

    name = "count"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if re.fullmatch(r"[0-9]+|(?:100|[0-9]{1,2})(?:\.[0-9]+)?%", value) is None:
            self.fail(f"{value!r} is neither a number nor a percentage such as 5%", param, ctx)
        return str(value)


class Encoding(TextType):
    """A text encoding that Python knows."""

    name = "encoding"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        import codecs

        try:
            codecs.lookup(value)
        except LookupError:
            self.fail(f"{value!r} is not a known text encoding", param, ctx)
        return str(value)


class Operation(TextType):
    """The word after the name of a command that has several operations."""

    name = "operation"

    def __init__(self, command: str) -> None:
        self._row = COMMANDS[command]

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        name, known = self._row.name, self._row.operations
        if value not in known:
            ways = " or ".join(f"scalesync {name} {one}" for one in known)
            self.fail(f"scalesync {name} has no operation {value!r}; write {ways}", param, ctx)
        return str(value)


class Pair(PairType):
    """NAME=VALUE, split at the first equals sign."""

    name = "pair"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        if isinstance(value, tuple):
            return value
        name, equals, rest = value.partition("=")
        if not equals or not name.strip():
            self.fail(f"{value!r} is not of the form NAME=VALUE", param, ctx)
        return name.strip(), rest


class Positional(click.Argument):
    """An argument with a line of help, which click itself takes only from 8.5 on."""

    def __init__(self, names: Sequence[str], *, help: str, **kwargs: Any) -> None:
        super().__init__(names, **kwargs)
        self.help = help
