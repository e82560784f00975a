"""`scalesync export`."""

from __future__ import annotations

from typing import Any

import click

from scalesync.cli.command import SyncCommand
from scalesync.cli.event_loop import run_async
from scalesync.cli.invocation import Invocation
from scalesync.cli.options import filter_values
from scalesync.cli.types import FormatName, LocalPath
from scalesync.outputs.encoders.registry import FORMATS, names

EXAMPLES = (
    "scalesync export --out annotations --project reviews --status completed",
    "scalesync export --out week --completed-after 7d --format jsonl.zst",
    "scalesync export --out annotations --project reviews --incremental --full-every 7d",
    "scalesync export --out lidar --type lidarannotation --download-responses",
    "scalesync export --api v2 --out delivered --project chats --with list=deliveries --incremental",
    "scalesync export --out audit --tag gold,checked --review-status accepted --again",
)


@click.command("export", cls=SyncCommand, examples=EXAMPLES)
@click.option("--out", required=True, metavar="DIR", type=LocalPath(), help="folder, new or of this same job")
@click.option("--job", metavar="NAME", help="name of this job  [derived from target and --out]")
@click.option("--project", metavar="P", help="only tasks of this project")
@click.option("--batch", metavar="B", help="only tasks of this batch")
@click.option("--type", metavar="T", help="only tasks of this type")
@click.option("--status", multiple=True, metavar="S", help="pending, completed, canceled or error  [every one]")
@click.option("--review-status", multiple=True, metavar="S", help="pending, accepted, fixed, rejected or commented")
@click.option("--tag", "tags", multiple=True, metavar="TAG", help="only tasks with one of these tags")
@click.option("--created-after", metavar="TIME", help="this time or later: ISO 8601, or an age such as 7d")
@click.option("--created-before", metavar="TIME", help="earlier than this time")
@click.option("--updated-after", metavar="TIME", help="this time or later")
@click.option("--updated-before", metavar="TIME", help="earlier than this time")
@click.option("--completed-after", metavar="TIME", help="this time or later")
@click.option("--completed-before", metavar="TIME", help="earlier than this time")
@click.option(
    "--format",
    type=FormatName(FORMATS, names),
    default="jsonl",
    show_default=True,
    help="of the data files; jsonl holds each task byte for byte",
)
@click.option("--download-responses", is_flag=True, help="also store the files that an answer points to")
@click.option("--fields", multiple=True, metavar="LIST", help="only these fields of a task, comma separated")
@click.option("--again", is_flag=True, help="export everything again even if this export is finished")
@click.option("--incremental", is_flag=True, help="add what is new or changed since the last run to the folder")
@click.option("--overlap", metavar="T", default="10m", show_default=True, help="how far an increment looks back")
@click.option("--full-every", metavar="T", help="with --incremental: compare all counts with the server's every T")
@click.option(
    "--via",
    type=click.Choice(["auto", "pages", "job"]),
    default="auto",
    show_default=True,
    help="read lists, or a file that the platform makes; auto: the file where there is one",
)
@click.pass_obj
def export_command(invocation: Invocation, /, **typed: Any) -> int:
    """Write every matching task to data files and a manifest.json in DIR.

    Filters that may be repeated also take a comma separated list. Times without a zone are UTC; after is inclusive,
    before exclusive. Files in the manifest are complete; other files in the folder are not data yet.
    """
    from scalesync.flows.runtime.options import ExportOptions

    typed |= {name: filter_values(typed.pop(name)) for name in ("status", "review_status", "tags", "fields")}
    options = ExportOptions(**typed)
    settings = invocation.settings()

    from scalesync.cli.results import show_export
    from scalesync.flows.exports.run import run_export

    with invocation.display() as display:
        summary = run_async(run_export, options, settings, display)
    return show_export(summary, options.out, invocation)
