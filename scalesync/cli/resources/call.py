"""One command: its options, the question before it, the call, and what it prints."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scalesync.cli.asking import asker
from scalesync.cli.command import Once, SyncCommand
from scalesync.cli.event_loop import run_async
from scalesync.cli.invocation import Invocation
from scalesync.cli.output import need_output, say, say_json, tell
from scalesync.cli.resources.arguments import arguments, parameters, typed_name
from scalesync.cli.resources.show import lines_of_list, lines_of_object
from scalesync.cli.types import LocalPath, Positional
from scalesync.errors import (
    ConfigError,
    Interrupted,
    KeyRefused,
    NotAllowed,
    OutcomeUnknown,
    StopRun,
    Throttled,
    Unavailable,
)
from scalesync.flows.runtime.setup.resources import open_resources, resources_of
from scalesync.flows.runtime.setup.services import spec_of
from scalesync.ports.resources import ResourceCall
from scalesync.text import count

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from scalesync.config.settings import Settings
    from scalesync.events import Observer
    from scalesync.flows.runtime.setup.resources import ResourceCaller

SHOWN = 50  # items of a list that a person gets who asks for no number
COMMONS = (
    *("base_url", "profile", "ledger", "rate", "rate_all", "concurrency", "allow_http", "with_"),
    *("log_file", "log_format", "json", "verbose", "quiet"),
)


@dataclass(slots=True)
class Asked:
    """What was typed beside the arguments of the call."""

    invocation: Invocation
    row: ResourceCall
    given: Mapping[str, Any]
    limit: int | None = None
    jsonl: bool = False
    yes: bool = False
    files: Sequence[Path] = ()


@dataclass(slots=True)
class Found:
    """Items of a list, and whether there are more."""

    items: list[Any] = field(default_factory=list)
    more: bool = False


class ResourceCommand(SyncCommand):
    """A command of one row. Its verb may be the name of a command of the program, such as `import`."""

    def __init__(self, name: str, *, words: str, **kwargs: Any) -> None:
        super().__init__(name, commons=COMMONS, **kwargs)
        self.short_help = words

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return Once.parse_args(self, ctx, args)


def command_of(platform: str, row: ResourceCall) -> click.Command:
    """The command of a row."""

    @click.pass_obj
    def run(invocation: Invocation, /, **typed: Any) -> int:
        invocation.common = replace(invocation.common, platform=platform, api=spec_of(platform).version)
        more = {name: typed.pop(name) for name in ("limit", "jsonl", "yes", "files") if name in typed}
        return _run(Asked(invocation, row, arguments(row, typed), **more), platform)

    return ResourceCommand(
        row.verb,
        words=row.words,
        callback=run,
        params=[*_files(row), *parameters(row), *_more(row)],
        help=f"{row.words[0].upper()}{row.words[1:]}.{_asks(row)}",
    )


def _asks(row: ResourceCall) -> str:
    return f"\n\nIt asks before: {row.asks}." if row.asks else ""


def _files(row: ResourceCall) -> list[click.Parameter]:
    if not row.uploads:
        return []
    words = "files of this machine, one after the other"
    kind = LocalPath(dir_okay=False)
    return [Positional(["files"], help=words, type=kind, nargs=-1, required=True, metavar="FILE...")]


def _more(row: ResourceCall) -> list[click.Parameter]:
    found: list[click.Parameter] = []
    if row.is_list and row.reads:
        words = f"how many in all  [{SHOWN} in a table, all of them with --json and --jsonl]"
        found.append(click.Option(["--limit"], type=click.IntRange(min=1), metavar="N", help=words))
        found.append(click.Option(["--jsonl"], is_flag=True, help="print one JSON object a line, each when it comes"))
    if row.asks:
        found.append(click.Option(["--yes"], is_flag=True, help="do not ask"))
    return found


def _run(asked: Asked, platform: str) -> int:
    invocation, row = asked.invocation, asked.row
    if asked.jsonl and invocation.common.json:
        raise ConfigError("--json prints one object and --jsonl one a line; give one of them")
    resources_of(platform).check(row, asked.given, partial(typed_name, row))
    if row.uploads:
        from scalesync.cli.resources.upload import check

        check(asked.files, asked.given)
    settings = invocation.settings()
    if row.reads:
        need_output()
    _confirm(asked)
    with invocation.display() as display:
        if row.uploads:
            from scalesync.cli.resources.upload import show, upload

            return show(run_async(upload, asked, settings, display), asked)
        if row.is_list:
            return _show_list(run_async(_listed, asked, settings, display), asked)
        return _show(run_async(_called, asked, settings, display), asked)


def _confirm(asked: Asked) -> None:
    """Ask before a call that costs money or concerns people. Raises ConfigError, or Interrupted for a no."""
    row, mask = asked.row, asked.invocation.mask
    if not row.asks or asked.yes:
        return
    ask = asker(mask)
    if ask is None:
        raise ConfigError(f"{row.op}: {row.asks}; there is no terminal to ask at, so add --yes to continue")
    if not ask(f"{row.op}: {row.asks}. Continue?"):
        raise Interrupted("nothing was sent, as you answered; --yes asks nothing")


@asynccontextmanager
async def calling(settings: Settings, observer: Observer) -> AsyncIterator[ResourceCaller]:
    """The caller. Raises KeyRefused for a key that may not do this, StopRun if the server gives no clear answer."""
    try:
        async with open_resources(settings, observer) as caller:
            yield caller
    except NotAllowed as error:
        what_next = "correct the key and run the same command" if error.status == 401 else "use a key that may do this"
        raise KeyRefused(f"{error} ({error.status}); {what_next}") from error
    except (Throttled, Unavailable, OutcomeUnknown) as error:
        raise StopRun(str(error)) from error


async def _called(asked: Asked, settings: Settings, observer: Observer) -> Any:
    async with calling(settings, observer) as caller:
        return await caller.call(asked.row, asked.given)


async def _listed(asked: Asked, settings: Settings, observer: Observer) -> Found:
    """The items; with --jsonl they are printed as they come, and not kept."""
    for_people = not (asked.jsonl or asked.invocation.common.json)
    limit = asked.limit or (SHOWN if for_people and asked.row.reads else None)
    found, left = Found(), limit
    async with calling(settings, observer) as caller:
        async for items, more in caller.pages(asked.row, asked.given, limit):
            found.more = more or (left is not None and len(items) > left)
            taken = items if left is None else items[:left]
            if asked.jsonl:
                _say_lines(taken, asked)
            else:
                found.items += taken
            left = None if left is None else left - len(taken)
            if left == 0:
                break
    return found


def _say_lines(items: Sequence[Any], asked: Asked) -> None:
    for item in items:
        say(json.dumps(asked.invocation.mask.deep(item)))


def _show_list(found: Found, asked: Asked) -> int:
    invocation, row = asked.invocation, asked.row
    if asked.jsonl:
        return 0
    if invocation.common.json:
        say_json(invocation.mask.deep({"items": found.items, "more": found.more}))
        return 0
    if not found.items:
        say("nothing found" if row.reads else f"{row.op}: done")
        return 0
    for line in lines_of_list(found.items, row.columns):
        say(invocation.mask(line))
    if row.reads and not invocation.common.quiet:
        more = "; there are more: --limit N shows N of them" if found.more else ""
        tell(f"{count(len(found.items), 'row')}{more}")
    return 0


def _show(value: Any, asked: Asked) -> int:
    invocation, row = asked.invocation, asked.row
    if invocation.common.json:
        say_json(invocation.mask.deep(value if isinstance(value, Mapping) else {"result": value}))
    elif value is None:
        say(f"{row.op}: done")
    elif isinstance(value, str):
        say(invocation.mask(value))
    else:
        for line in lines_of_object(value, row.columns):
            say(invocation.mask(line))
    return 0
