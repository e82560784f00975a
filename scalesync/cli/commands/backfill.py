"""`scalesync backfill`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scalesync.cli.command import SyncCommand
from scalesync.cli.commands.export import export_command
from scalesync.cli.event_loop import run_async
from scalesync.cli.invocation import Invocation
from scalesync.cli.options import common_options, filter_values
from scalesync.cli.types import Operation, Positional

if TYPE_CHECKING:
    from scalesync.flows.exports.backfill.plan import BackfillSummary

EXAMPLES = (
    "scalesync backfill export --out history --from 2025-01-01 --to 2026-01-01 --window 1mo --project reviews",
    "scalesync backfill export --out history --from 2026-11-01 --window 1d --by completed --order newest",
    "scalesync backfill export --out hours --from 2d --window 6h --status completed --format jsonl.zst --json",
)
NOT_HERE = ("again", "incremental", "overlap", "full_every")


def _shared() -> list[click.Parameter]:
    """Folder, filters and form: the options of `scalesync export` that belong here too."""
    commons = {option.name for option in common_options()}
    return [item for item in export_command.params if item.name not in {*NOT_HERE, *commons}]


@click.command(
    "backfill",
    cls=SyncCommand,
    examples=EXAMPLES,
)
@click.argument(
    "operation", cls=Positional, type=Operation("backfill"), metavar="export", help="the only operation so far"
)
@click.option("--from", "first", required=True, metavar="T", help="start: ISO 8601, or an age such as 30d")
@click.option("--to", "last", metavar="T", help="end, exclusive  [the server's time]")
@click.option(
    "--window", metavar="W", default="1d", show_default=True, help="hours, days, weeks, months: 6h, 1d, 1w, 1mo"
)
@click.option(
    "--by",
    type=click.Choice(["created", "completed", "updated"]),
    default="created",
    show_default=True,
    help="the time that puts a task into a window",
)
@click.option(
    "--order", type=click.Choice(["oldest", "newest"]), default="oldest", show_default=True, help="which window first"
)
@click.pass_obj
def backfill_command(invocation: Invocation, /, operation: str, **typed: Any) -> int:
    """Export the tasks of a past period in windows, each window once.

    Run again with a later --to, it reads only the new windows. `scalesync status` shows them. It never moves the
    watermark of an incremental export. Times and windows are UTC.
    """
    from scalesync.flows.exports.backfill.plan import BackfillOptions
    from scalesync.flows.runtime.options import ExportOptions

    own = {name: typed.pop(name) for name in ("first", "last", "window", "by", "order")}
    typed |= {name: filter_values(typed.pop(name)) for name in ("status", "review_status", "tags", "fields")}
    options = BackfillOptions(ExportOptions(**typed), **own)
    settings = invocation.settings()

    from scalesync.flows.exports.backfill.run import run_backfill

    with invocation.display() as display:
        summary = run_async(run_backfill, options, settings, display)
    return _show(summary, options.export.out, invocation)


def _show(summary: BackfillSummary, out: Path, invocation: Invocation) -> int:
    from scalesync.cli.results import show_export

    more = {"windows": f"{summary.windows:,}, {summary.windows_read:,} read by this run"}
    wrong = {"unsettled": summary.unsettled, "without all response files": summary.responses_failed}
    advice = [f"windows {name} are read again by the same command" for name, number in wrong.items() if number]
    return show_export(summary, out, invocation, more=more, advice=advice, listed=summary.windows > 0)


backfill_command.params[1:1] = _shared()
