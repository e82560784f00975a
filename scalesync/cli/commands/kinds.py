"""`scalesync types`."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import click

from scalesync.cli.command import SyncCommand
from scalesync.cli.invocation import Invocation
from scalesync.cli.output import need_output, say, say_json, table, tell
from scalesync.cli.types import Positional
from scalesync.errors import ConfigError
from scalesync.text import did_you_mean

if TYPE_CHECKING:
    from scalesync.model.selection import TaskFields

OPEN = "the platform takes other types and fields, too: these are the documented ones"


@click.command(
    "types",
    cls=SyncCommand,
    commons=("platform", "log_file", "log_format", "json", "verbose", "quiet"),
    examples=("scalesync types", "scalesync types categorization", "scalesync types lidarannotation --json"),
)
@click.argument("name", cls=Positional, help="a task type: the fields it needs and those it may have", required=False)
@click.pass_obj
def types_command(invocation: Invocation, /, name: str | None) -> int:
    """List the documented task types and the fields that each needs, or all documented fields of one type.

    It sends no request and needs no key.
    """
    from scalesync.flows.runtime.setup.services import default_spec, spec_of

    typed = invocation.common.platform
    spec = default_spec() if typed is None else spec_of(typed)
    others = {kind: spec_of(spec.apis[version]).types[kind] for kind, version in spec.api_of_types.items()}
    known = {**spec.types, **others}
    if name is not None and name not in known:
        raise ConfigError(
            f"no documentation has a type {name!r}{did_you_mean(name, known)}; scalesync types lists them"
        )
    chosen = known if name is None else {name: known[name]}
    need_output()
    if invocation.common.json:
        say_json({"types": [_as_json(kind, fields) for kind, fields in chosen.items()]})
        return 0
    for line in table(("type", "needs"), [(kind, _needs(fields)) for kind, fields in chosen.items()]):
        say(line)
    if name is not None:
        say(textwrap.fill(f"may have {', '.join(_optional(known[name]))}", 100, subsequent_indent="  "))
    if not invocation.common.quiet:
        tell(OPEN)
    return 0


def _needs(fields: TaskFields) -> str:
    return ", ".join(" or ".join(group) for group in fields.required)


def _optional(fields: TaskFields) -> list[str]:
    return sorted(fields.names - {group[0] for group in fields.required if len(group) == 1})


def _as_json(kind: str, fields: TaskFields) -> dict[str, Any]:
    return {"type": kind, "required": [list(group) for group in fields.required], "optional": _optional(fields)}
