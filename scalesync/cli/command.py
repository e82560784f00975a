"""The class of all commands: it takes the common options, and its help ends with examples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import Any

import click

from scalesync.addresses import public_name
from scalesync.cli.invocation import Invocation
from scalesync.cli.options import Common, common_options
from scalesync.cli.table import COMMANDS, not_built
from scalesync.cli.types import Positional
from scalesync.errors import ConfigError

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class Once(click.Command):
    """A command, or with click.Group a group, that refuses an option of one value given twice.

    click would take the last one and say nothing.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        _refuse_repeats(self, ctx, args)
        return super().parse_args(ctx, args)


def _refuse_repeats(command: click.Command, ctx: click.Context, args: Sequence[str]) -> None:
    """Raise click.UsageError if an option of one value is given twice with different values, as typed.

    The arguments are parsed for this alone, with these options collecting their values; click reads them again.
    """
    if ctx.resilient_parsing:
        return
    once = list(_of_one_value(command, ctx))
    parser = command.make_parser(ctx)
    for option in once:
        parser.add_option(option, [*option.opts], option.name, action="append", nargs=option.nargs)
    typed, *_ = parser.parse_args([*args])
    for option in once:
        values = typed.get(str(option.name)) or []
        different = list(dict.fromkeys(values))
        if len(different) > 1:
            told = " and ".join(repr(public_name(value) if isinstance(value, str) else value) for value in different)
            often = "twice" if len(values) == 2 else f"{len(values)} times"
            name = max(option.opts, key=len)
            raise click.UsageError(f"{name} is given {often}, as {told}; it takes one value: leave the others out", ctx)


def _of_one_value(command: click.Command, ctx: click.Context) -> Iterator[click.Option]:
    for option in command.get_params(ctx):
        if isinstance(option, click.Option) and not (option.is_flag or option.count or option.multiple):
            yield option


class SyncCommand(Once):
    """A command that also takes the common options and ends its help with examples.

    examples: command lines without the prompt.
    commons: names of the common options it takes, None for all.
    """

    def __init__(
        self, *args: Any, examples: Sequence[str] = (), commons: Sequence[str] | None = None, **kwargs: Any
    ) -> None:
        kwargs["context_settings"] = {**CONTEXT, **(kwargs.get("context_settings") or {})}
        super().__init__(*args, **kwargs)
        self.examples = tuple(examples)
        if self.name in COMMANDS:
            self.short_help = COMMANDS[self.name].text
        own = {parameter.name for parameter in self.params}
        self.shared = [
            option
            for option in common_options()
            if option.name not in own and (commons is None or option.name in commons)
        ]
        self.params.extend(self.shared)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        row = COMMANDS.get(self.name or "")
        if row is not None and args and args[0] in row.reserved:  # whatever follows
            raise not_built(f"{row.name} {args[0]}")
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        invocation = ctx.ensure_object(Invocation)
        self._refuse_strangers(invocation.common, ctx.command_path)
        typed = Common(**{str(option.name): ctx.params.pop(str(option.name)) for option in self.shared})
        invocation.common = typed.over(invocation.common)
        invocation.start_logging()
        return super().invoke(ctx)

    def _refuse_strangers(self, before: Common, path: str) -> None:
        """Refuse an option that this command does not take before its name, as after it."""
        taken = {option.name for option in self.shared}
        for item in fields(before):
            if item.name not in taken and getattr(before, item.name) != item.default:
                option = f"--{item.name.rstrip('_').replace('_', '-')}"
                where = " before its name" if item.name in {parameter.name for parameter in self.params} else ""
                raise ConfigError(f"`{path}` takes no {option}{where}")

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        own = [item for item in self.get_params(ctx) if item not in self.shared]
        arguments = [(item.make_metavar(ctx), item.help or "") for item in own if isinstance(item, Positional)]
        if arguments:
            with formatter.section("Arguments"):
                formatter.write_dl(arguments)
        write_options(ctx, formatter, "Options", own)
        write_options(ctx, formatter, "Options of every command", self.shared)

    def format_arguments(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Listed with the options, by every version of click."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        write_examples(formatter, self.examples)


def write_options(
    ctx: click.Context, formatter: click.HelpFormatter, title: str, options: Sequence[click.Parameter]
) -> None:
    """One titled list of options."""
    named = [option for option in options if isinstance(option, click.Option)]
    records = [record for option in named if (record := option.get_help_record(ctx)) is not None]
    if records:
        with formatter.section(title):
            formatter.write_dl(records)


def write_examples(formatter: click.HelpFormatter, examples: Sequence[str]) -> None:
    """Print examples unwrapped: a person copies a command line whole."""
    if not examples:
        return
    with formatter.section("Examples"):
        for line in examples:
            formatter.write(f"{'':>{formatter.current_indent}}{line}\n")
