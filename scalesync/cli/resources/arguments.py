"""How an argument of a call is typed: its place in the command line, its name, its value."""

from __future__ import annotations

import codecs
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scalesync.cli.options import filter_values
from scalesync.cli.types import Positional
from scalesync.errors import ConfigError
from scalesync.ports.resources import Argument, In, Kind, ResourceCall

if TYPE_CHECKING:
    TextType = click.ParamType[str]
    ObjectType = click.ParamType[dict[str, Any]]
else:  # not generic before click 8.4
    TextType = ObjectType = click.ParamType

# The names that `scalesync export` gives to the same filters, and one of several things for what may be repeated.
NAMES = {
    "project_name": "project",
    "blueprint_name": "name",
    "projects": "project",
    "batch_name": "batch",
    "batch_names": "batch",
    "batch_status": "status",
    "task_type": "type",
    "tags": "tag",
    "project_group": "group",
    "project_groups": "group",
    "delivery_name": "delivery",
    "emails": "email",
    "add_emails": "add-email",
    "remove_emails": "remove-email",
}
BESIDE = frozenset({"project", "project_name", "projects", "task_type"})  # options although they are needed
LISTED = frozenset({"tags", "review_status"})  # filters that `export` also takes with commas


class Moment(TextType):
    """A time as `scalesync export` takes it, or an age such as 7d; becomes an ISO 8601 timestamp."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        from scalesync.flows.exports.filters import moment
        from scalesync.times import iso, local_ms

        return iso(moment(value, local_ms(), param.opts[0] if param is not None else "it"))


class JsonText(ObjectType):
    """A JSON object as typed, from a file of JSON or TOML (`@FILE`), or from standard input (`@-`)."""

    name = "json"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dict[str, Any]:
        from scalesync.jsonvalue import loads

        where = "" if not value.startswith("@") else "standard input: " if value == "@-" else f"{value[1:]}: "
        if where.lower().endswith(".toml: "):
            return self._toml(Path(value[1:]), param, ctx)
        try:
            found = loads(_text(value))
        except OSError as error:
            self.fail(f"{where}cannot be read: {error.strerror}", param, ctx)
        except ValueError as error:
            self.fail(f"{where}not JSON: {str(error).removeprefix('is not valid JSON: ')}{_advice(value)}", param, ctx)
        if not isinstance(found, dict):
            self.fail(f'{where}must be a JSON object such as {{"a": 1}}', param, ctx)
        return found

    def _toml(self, path: Path, param: click.Parameter | None, ctx: click.Context | None) -> dict[str, Any]:
        import tomllib

        try:
            return tomllib.loads(path.read_bytes().decode("utf-8-sig"))
        except UnicodeDecodeError as error:
            at = f"byte 0x{error.object[error.start]:02x} at byte {error.start + 1}"
            self.fail(f"{path}: not TOML: is not valid UTF-8 ({at})", param, ctx)
        except OSError as error:
            self.fail(f"{path}: cannot be read: {error.strerror}", param, ctx)
        except ValueError as error:
            self.fail(f"{path}: not TOML: {error}", param, ctx)


class Document(JsonText):
    """A JSON object that people keep in a file, which is typed by its path; `-` is standard input."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dict[str, Any]:
        return super().convert(value if value.startswith(("@", "{")) else f"@{value}", param, ctx)


def _text(typed: str) -> bytes:
    if typed == "@-":
        return sys.stdin.buffer.read().removeprefix(codecs.BOM_UTF8)
    if typed.startswith("@"):
        return Path(typed[1:]).read_bytes().removeprefix(codecs.BOM_UTF8)
    return typed.encode()


def _advice(typed: str) -> str:
    """What to do about a text that is not JSON; empty where nobody knows."""
    if not typed.startswith("@"):
        return "" if typed.lstrip().startswith("{") else "; @FILE takes it from a file"
    foreign = Path(typed[1:]).suffix.lower() != ".json" and typed != "@-"
    return "; a file whose name does not end in .toml is read as JSON" if foreign else ""


def option_name(argument: Argument) -> str:
    """The name of an argument at the terminal."""
    return NAMES.get(argument.name, argument.name.replace("_", "-"))


def typed_name(row: ResourceCall, name: str) -> str:
    """How an argument of a call is typed, for messages: TASK_ID, --batch, --accepted or --no-accepted."""
    argument = next(item for item in row.params if item.name == name)
    option = option_name(argument)
    if argument in positionals(row):
        return option.replace("-", "_").upper()
    return f"--{option} or --no-{option}" if argument.kind is Kind.FLAG else f"--{option}"


def positionals(row: ResourceCall) -> list[Argument]:
    """The arguments without a name: what the call is about, the only object, the only list of names."""
    needed = [argument for argument in row.params if argument.needed]
    singles = [argument for argument in needed if _is_single(row, argument)]
    objects = [argument for argument in row.params if argument.kind in {Kind.OBJECT, Kind.DOCUMENT}]
    return [
        *sorted(singles, key=lambda argument: argument.place is not In.PATH),
        *(objects if len(objects) == 1 and objects[0].needed else []),
        *(lists if len(lists := _lists(row)) == 1 else []),
    ]


def _is_single(row: ResourceCall, argument: Argument) -> bool:
    if argument.place is In.PATH or argument.name == row.named_by:
        return True
    return argument.kind is Kind.TEXT and not argument.choices and argument.name not in BESIDE


def _lists(row: ResourceCall) -> list[Argument]:
    return [item for item in row.params if item.needed and item.kind is Kind.TEXTS and item.name not in BESIDE]


def parameters(row: ResourceCall) -> list[click.Parameter]:
    """The parameters of the command."""
    first = positionals(row)
    optional = _lists(row) if len(_lists(row)) > 1 else []  # one of them is enough
    rest = [argument for argument in row.params if argument not in first]
    return [
        *(_positional(argument) for argument in first),
        *(_option(argument, required=argument.needed and argument not in optional) for argument in rest),
    ]


def arguments(row: ResourceCall, typed: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of the call, from what the parameters held. Raises ConfigError."""
    given: dict[str, Any] = {}
    for argument in row.params:
        value = typed.get(argument.name)
        if argument.kind is not Kind.TEXTS:
            given[argument.name] = value
        elif value or argument.needed:
            typed_values = value or ()
            given[argument.name] = list(filter_values(typed_values) if argument.name in LISTED else typed_values)
    lists = _lists(row)
    if len(lists) > 1 and not any(given[argument.name] for argument in lists):
        raise ConfigError(f"{row.op}: give {' or '.join(f'--{option_name(argument)}' for argument in lists)}")
    return {name: value for name, value in given.items() if value is not None}


def _positional(argument: Argument) -> click.Parameter:
    metavar = "FILE" if argument.kind is Kind.DOCUMENT else option_name(argument).replace("-", "_").upper()
    if argument.kind is Kind.TEXTS:
        return Positional([argument.name], help=argument.words, nargs=-1, required=True, metavar=f"{metavar}...")
    return Positional([argument.name], help=_words(argument), type=_type(argument), metavar=metavar)


def _option(argument: Argument, *, required: bool) -> click.Parameter:
    name = option_name(argument)
    if argument.kind is Kind.FLAG:
        typed = [f"--{name}/--no-{name}", argument.name]
        return click.Option(typed, default=None, required=required, help=argument.words)
    return click.Option(
        [f"--{name}", argument.name],
        type=_type(argument),
        multiple=argument.kind is Kind.TEXTS,
        required=required,
        metavar=None if argument.choices else _METAVARS.get(argument.kind, _metavar(argument.name)),
        help=_words(argument),
    )


_METAVARS = {Kind.NUMBER: "N", Kind.TIME: "TIME", Kind.OBJECT: "JSON"}


def _metavar(name: str) -> str:
    return "ID" if name.endswith("_id") else "NAME" if name.endswith("name") else "TEXT"


def _words(argument: Argument) -> str:
    more = {
        Kind.OBJECT: "; a JSON object, @FILE or @-",
        Kind.DOCUMENT: "; a TOML or JSON file, or - for standard input",
        Kind.TEXTS: "; may be repeated",
    }
    return f"{argument.words}{more.get(argument.kind, '')}"


def _type(argument: Argument) -> click.ParamType[Any]:
    if argument.choices:
        return click.Choice(argument.choices)
    match argument.kind:
        case Kind.NUMBER:
            return click.INT
        case Kind.TIME:
            return Moment()
        case Kind.OBJECT:
            return JsonText()
        case Kind.DOCUMENT:
            return Document()
    return click.STRING
