"""`scalesync apply`: one change of many tasks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

import click

from scalesync.cli.asking import asker
from scalesync.cli.command import SyncCommand
from scalesync.cli.event_loop import run_async
from scalesync.cli.invocation import Invocation
from scalesync.cli.options import filter_values
from scalesync.cli.types import LocalPath, Positional
from scalesync.errors import ConfigError
from scalesync.text import either

EXAMPLES = (
    "scalesync apply cancel --project reviews --status pending --dry-run --plan cancel.jsonl",
    "scalesync apply cancel --plan cancel.jsonl --yes",
    "scalesync apply tags add tags=gold,checked --tasks list.csv",
    "scalesync apply metadata merge 'metadata={\"reviewed\": true}' --from annotations",
    "scalesync apply audit reject 'comments=boxes too wide' --tasks reviewed.csv",
    "scalesync apply unique-id clear --job nightly --yes",
)
LISTS = ("status", "review_status", "tags")


@click.command("apply", cls=SyncCommand, examples=EXAMPLES)
@click.argument(
    "words",
    nargs=-1,
    cls=Positional,
    metavar="OPERATION [NAME=VALUE]...",
    help="the change, such as `tags add`, and its arguments for all tasks; a column of --tasks gives them for each",
)
@click.option("--tasks", multiple=True, metavar="SOURCE", help="a row for each task: task_id or unique_id, arguments")
@click.option("--from", "folder", metavar="DIR", type=LocalPath(), help="the tasks of an export")
@click.option("--job", metavar="NAME", help="the tasks that an import made")
@click.option("--plan", metavar="FILE", type=LocalPath(), help="with --dry-run: write it; else apply just that")
@click.option("--dry-run", is_flag=True, help="show what would change, before and after; change nothing")
@click.option("--name", metavar="NAME", help="name of this job  [derived from operation, arguments and targets]")
@click.option("--yes", is_flag=True, help="make changes that cannot be taken back without a question")
@click.option("--max-failures", metavar="N|P%", help="stop when more changes failed  [no limit]")
@click.option("--project", metavar="P", help="only tasks of this project")
@click.option("--batch", metavar="B", help="only tasks of this batch")
@click.option("--type", metavar="T", help="only tasks of this type")
@click.option("--status", multiple=True, metavar="S", help="only tasks in one of these statuses")
@click.option("--review-status", multiple=True, metavar="S", help="only tasks with one of these reviews")
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="only tasks with one of these tags")
@click.option("--created-after", metavar="TIME", help="this time or later: ISO 8601, or an age such as 7d")
@click.option("--created-before", metavar="TIME", help="earlier than this time")
@click.option("--updated-after", metavar="TIME", help="this time or later")
@click.option("--updated-before", metavar="TIME", help="earlier than this time")
@click.option("--completed-after", metavar="TIME", help="this time or later")
@click.option("--completed-before", metavar="TIME", help="earlier than this time")
@click.pass_obj
def apply_command(invocation: Invocation, /, *, words: tuple[str, ...], **typed: Any) -> int:
    """Make one change of many tasks: each once, also over stops, kills and lost answers.

    Name the tasks in one way: --tasks, --from, --job, --plan, or filters. All are read before the first is changed.
    Run the same command again to resume. What cannot be taken back asks first, or wants --yes.
    """
    from scalesync.flows.changes.options import ChangeOptions
    from scalesync.flows.runtime.options import ExportOptions

    own = {field.name for field in fields(ChangeOptions)}
    filters = {name: value for name, value in typed.items() if name not in own and value not in (None, ())}
    settings = invocation.settings()
    change, arguments = split(words, [*changes_of(settings.platform)])
    options = ChangeOptions(
        change,
        arguments,
        filters=ExportOptions(Path(), **_lists(filters)) if filters else None,
        **{name: value for name, value in typed.items() if name in own},
    )

    from scalesync.cli.results import show_change
    from scalesync.flows.changes.run import run_changes

    with invocation.display() as display:
        flow = partial(run_changes, confirm=asker(invocation.mask))
        summary = run_async(flow, options, settings, display)
    return show_change(summary, invocation, dry=options.dry_run)


def changes_of(platform: str) -> Mapping[str, Any]:
    """The changes that a platform offers, by name."""
    from scalesync.flows.runtime.setup.services import spec_of

    return spec_of(platform).changes


def split(words: tuple[str, ...], known: list[str]) -> tuple[str, tuple[str, ...]]:
    """The name of the change, and the arguments behind it. Raises ConfigError without a name."""
    names = [word for word in words if "=" not in word]
    if not names:
        ways = f": {either(sorted(known))}" if known else ""
        raise ConfigError(f"name the change that is to be applied{ways}")
    return " ".join(names), tuple(word for word in words if "=" in word)


def _lists(filters: Mapping[str, Any]) -> dict[str, Any]:
    return {name: filter_values(value) if name in LISTS else value for name, value in filters.items()}
