"""`scalesync compact`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scalesync.cli.command import SyncCommand
from scalesync.cli.event_loop import run_async
from scalesync.cli.invocation import Invocation
from scalesync.cli.output import facts, say, say_json, size
from scalesync.cli.results import tell_outcome
from scalesync.cli.types import FormatName, LocalPath
from scalesync.outputs.encoders.registry import FORMATS, names
from scalesync.text import count

if TYPE_CHECKING:
    from scalesync.flows.exports.compact.run import CompactSummary


@click.command(
    "compact",
    cls=SyncCommand,
    commons=("log_file", "log_format", "json", "verbose", "quiet"),
    examples=(
        "scalesync compact --from annotations --to today",
        "scalesync compact --from annotations --to before-launch --as-of 2026-11-20T14:00",
        "scalesync compact --from annotations --to week-ago --as-of 7d --format parquet --json",
    ),
)
@click.option(
    "--from",
    "source",
    required=True,
    metavar="DIR",
    type=LocalPath(),
    help="folder of an export, such as an incremental one; it is only read",
)
@click.option("--to", required=True, metavar="NEWDIR", type=LocalPath(), help="folder, new or empty")
@click.option("--as-of", metavar="T", help="the state at this time: ISO 8601, or an age such as 7d  [now]")
@click.option(
    "--format",
    type=FormatName(FORMATS, names),
    default="jsonl",
    show_default=True,
    help="of the data files; lines stay byte for byte",
)
@click.pass_obj
def compact_command(invocation: Invocation, /, **typed: Any) -> int:
    """Write the newest version of each task in DIR to NEWDIR, without those that left the export.

    It sends no request and checks each file of DIR against its manifest first. The same DIR gives the same files.
    """
    from scalesync.flows.exports.compact.run import CompactOptions, run_compact

    with invocation.display() as display:
        summary = run_async(run_compact, CompactOptions(**typed), display)
    _show(summary, typed["to"], invocation)
    return summary.exit_code


def _show(summary: CompactSummary, to: Path, invocation: Invocation) -> None:
    left_out = {"exit_code"} if summary.message else {"exit_code", "message"}
    fields = {name: value for name, value in asdict(summary).items() if name not in left_out}
    invocation.summary = {"from" if name == "source" else name: value for name, value in fields.items()}
    if invocation.common.json:
        say_json(invocation.summary)
        if summary.exit_code:
            tell_outcome(summary.message, invocation)
        return
    rows: dict[str, str | int] = {"job": summary.job, "from": summary.source}
    if summary.as_of is not None:
        rows["as of"] = summary.as_of
    rows |= {"lines read": summary.read, "tasks": summary.tasks, "left": summary.left}
    if summary.stages:
        rows["stages"] = f"{count(summary.stages, 'delivery', 'deliveries')}, the newest of each, in stages-*"
    rows["files"] = f"{count(summary.files, 'file')}, {size(summary.bytes)}, listed in {to / 'manifest.json'}"
    if summary.watermark:
        rows["watermark"] = summary.watermark
    say(facts(rows))
    if summary.message:
        say(summary.message)
