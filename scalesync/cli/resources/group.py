"""The words behind a platform's name: its nouns, and the verbs of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import click

from scalesync.cli.command import CONTEXT, Once, write_examples, write_options
from scalesync.cli.invocation import Invocation
from scalesync.cli.options import Common, common_options
from scalesync.cli.resources.call import COMMONS, command_of
from scalesync.flows.runtime.setup.resources import resources_of
from scalesync.ports.resources import ResourceCall
from scalesync.text import did_you_mean

Maker = Callable[[], click.Command]


class Words(Once, click.Group):
    """A group that makes a command when it is used, and names the nearest word for one that it does not have.

    entries: for each word its line of help, and what makes its command.
    examples: command lines without the prompt.
    """

    def __init__(
        self, *args: Any, entries: Mapping[str, tuple[str, Maker]], examples: Sequence[str] = (), **kwargs: Any
    ) -> None:
        between = common_options()
        for option in between:
            option.hidden = option.name not in COMMONS  # the commands below refuse it
        super().__init__(*args, callback=_between, params=[*between], context_settings=CONTEXT, **kwargs)
        self.entries = entries
        self.examples = tuple(examples)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.entries)  # in the order of the table

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return self.entries[cmd_name][1]() if cmd_name in self.entries else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if not args[0].startswith("-") and args[0] not in self.entries:
            near = did_you_mean(args[0], self.entries) or f"; there are {', '.join(self.entries)}"
            raise click.UsageError(f"there is no {args[0]!r}{near}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(word, line) for word, (line, _) in self.entries.items()])

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        self.format_commands(ctx, formatter)
        write_options(ctx, formatter, "Options, anywhere in the line", self.get_params(ctx))

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        write_examples(formatter, self.examples)


@click.pass_context
def _between(ctx: click.Context, /, **typed: Any) -> None:
    """Take the common options that are given between the words; the last place wins."""
    invocation = ctx.ensure_object(Invocation)
    invocation.common = Common(**typed).over(invocation.common)


def platform_group(platform: str, text: str) -> click.Group:
    """The group of a platform's own things.

    text: its line in the list of commands.
    """
    resources = resources_of(platform)
    nouns: dict[str, list[ResourceCall]] = {}
    for row in resources.rows:
        nouns.setdefault(row.noun, []).append(row)
    return Words(
        platform,
        short_help=text,
        help=f"{text[0].upper()}{text[1:]}.\n\nA table for people; --json or --jsonl for programs.",
        entries={
            noun: (", ".join(row.verb for row in rows), partial(_noun, platform, noun, rows))
            for noun, rows in nouns.items()
        },
        examples=[f"scalesync {platform} {line}" for line in resources.examples],
        subcommand_metavar="NOUN VERB [ARGS]...",
    )


def _noun(platform: str, noun: str, rows: Sequence[ResourceCall]) -> click.Group:
    return Words(
        noun,
        entries={row.verb: (row.words, partial(command_of, platform, row)) for row in rows},
        subcommand_metavar="VERB [ARGS]...",
    )
