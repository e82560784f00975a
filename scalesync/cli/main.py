"""The group of commands, and the one place that turns the end of a run into an exit code."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import click

from scalesync.cli.command import CONTEXT, Once, write_examples, write_options
from scalesync.cli.ending import report
from scalesync.cli.invocation import Invocation
from scalesync.cli.options import Common, common_options
from scalesync.cli.output import need_output, tell
from scalesync.cli.table import COMMANDS, RESERVED, not_built
from scalesync.flows.runtime.setup.services import key_variables
from scalesync.plugins import clashes
from scalesync.text import did_you_mean, nearest

EXAMPLES = (
    "scalesync demo",
    "scalesync import records.jsonl --type categorization --project reviews",
    "scalesync export --out annotations --project reviews --status completed",
    "scalesync --profile staging status",
)


class LazyGroup(Once, click.Group):
    """Knows its commands by name and line of help; imports a command when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in RESERVED:
            return reserved(cmd_name)
        row = COMMANDS.get(cmd_name)
        return None if row is None else row.load()

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            raise click.UsageError(f"there is no command {args[0]!r}{_meant(args[0])}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(row.name, row.text) for row in COMMANDS.values()])

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        self.format_commands(ctx, formatter)
        write_options(ctx, formatter, "Options, before or after the command", self.get_params(ctx))

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        write_examples(formatter, EXAMPLES)
        formatter.write_paragraph()
        formatter.write_text(f"Reserved, not built yet: {', '.join(RESERVED)}.")


def _meant(word: str) -> str:
    """What was probably meant: a platform's own things lie behind its name, where nobody looks for them first."""
    from scalesync.flows.runtime.setup.resources import resources_of

    platforms = [row.platform for row in COMMANDS.values() if row.platform]
    behind = {row.noun: platform for platform in platforms for row in resources_of(platform).rows}
    if word not in behind and (near := did_you_mean(word, COMMANDS)):
        return near
    noun = nearest(word, behind)
    return "" if noun is None else f"; did you mean `scalesync {behind[noun]} {noun}`?"


def reserved(name: str) -> click.Command:
    """A command that only says that it is not built yet, whatever follows its name."""

    def refuse(rest: tuple[str, ...]) -> NoReturn:
        raise not_built(name)

    return click.Command(
        name,
        callback=refuse,
        params=[click.Argument(["rest"], nargs=-1, type=click.UNPROCESSED)],
        context_settings={"ignore_unknown_options": True},
        add_help_option=False,
        hidden=True,
    )


def _print_version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if not value or ctx.resilient_parsing:
        return
    from importlib.metadata import version

    click.echo(f"scalesync {version('scalesync')}")
    ctx.exit()


@click.pass_context
def _begin(ctx: click.Context, /, **typed: Any) -> None:
    ctx.ensure_object(Invocation).common = Common(**typed)


cli = LazyGroup(
    "scalesync",
    callback=_begin,
    params=[
        *common_options(),
        click.Option(
            ["--version"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_print_version,
            help="print the version",
        ),
    ],
    help="Bulk import of labelling tasks and export of annotations: rate-limited, exactly once, resumable.",
    context_settings=CONTEXT,
)


def run(args: Sequence[str]) -> int:
    """Run one command line and return its exit code; it raises nothing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    invocation = Invocation(args=args)
    for name in key_variables():
        invocation.mask.add(os.environ.get(name, ""))
    quiet = "--quiet" in args or "-q" in args
    try:
        code = _dispatch(list(args), invocation)
    except BaseException as error:  # another package may raise SystemExit
        code = report(error, invocation, as_json="--json" in args, quiet=quiet)
    for sentence in () if quiet else clashes():
        tell(invocation.mask(sentence))
    invocation.end_logging(code)
    return code


def _dispatch(args: list[str], invocation: Invocation) -> int:
    completion = os.environ.get("_SCALESYNC_COMPLETE")
    if completion:
        from click.shell_completion import shell_complete

        return shell_complete(cli, {}, "scalesync", "_SCALESYNC_COMPLETE", completion)
    try:
        with cli.make_context("scalesync", args, obj=invocation) as context:
            code = cli.invoke(context)
    except click.exceptions.Exit as end:
        need_output()  # it printed help or the version
        return end.exit_code
    return code if isinstance(code, int) else 0
