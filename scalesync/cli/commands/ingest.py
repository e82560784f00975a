"""`scalesync import`."""

from __future__ import annotations

from typing import Any

import click

from scalesync.cli.command import SyncCommand
from scalesync.cli.event_loop import run_async
from scalesync.cli.invocation import Invocation
from scalesync.cli.options import one_of
from scalesync.cli.types import CountOrPercent, Encoding, FormatName, OneCharacter, Positional
from scalesync.sources.places.named import read_once
from scalesync.sources.registry import FORMATS, ROWS, names
from scalesync.text import either

EXAMPLES = (
    "scalesync import reviews.jsonl --type categorization --project reviews",
    "scalesync import 'drives/*.csv.gz' --type imageannotation --batch '{drive_id}' --template task.toml",
    "scalesync import frames.parquet --type lidarannotation --unique-id '{drive}/{frame}' --dry-run",
    "scalesync import reviews.jsonl --type categorization --canary 50 --max-failures 1%",
    "zcat dump.gz | scalesync import - --type transcription --job nightly --json",
)
HELP = f"""Create one task per record of the sources.

A source is a path, a glob, a URL, a folder of files, or - for standard input; {either(row.words for row in ROWS)},
plain, .gz or .zst. Run the same command again; it resumes where it stopped: no record becomes two tasks.
"""


@click.command(
    "import",
    cls=SyncCommand,
    examples=EXAMPLES,
    help=HELP,
)
@click.argument(
    "sources",
    cls=Positional,
    nargs=-1,
    required=True,
    metavar="SOURCE...",
    help="paths, globs, URLs, folders of files, or -",
)
@click.option("--type", default="", metavar="T", help="task type, such as categorization or imageannotation")
@click.option("--project", metavar="P", help="project of records that name none")
@click.option("--batch", metavar="B", help="batch of records that name none; may be a template such as {drive_id}")
@click.option("--blueprint", metavar="NAME", help="blueprint of records that name none  [the active one]")
@click.option("--unique-id", metavar="EXPR", help="template for records without unique_id, such as {drive}/{frame}")
@click.option("--template", metavar="FILE", help="TOML or JSON file that makes a record into the body of a task")
@click.option("--set", "sets", multiple=True, metavar="KEY=JSON", help="put a value into every task; repeatable")
@click.option("--job", metavar="NAME", help="name of this job; needed for standard input, else derived")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="take only the first N records  [all]")
@click.option("--dry-run", is_flag=True, help="check and count; writes neither the server nor the ledger")
@click.option(
    "--on-conflict",
    type=click.Choice(["report", "adopt", "stop"]),
    default="report",
    show_default=True,
    help="what to do when a different task holds the unique_id",
)
@click.option(
    "--reclaim", multiple=True, metavar="LIST", help="canceled,error: free the ids of these tasks and create them again"
)
@click.option("--finalize", is_flag=True, help="finalize batches in which nothing is left open")
@click.option("--finalize-anyway", is_flag=True, help="finalize even if some lines could not be parsed")
@click.option(
    "--canary", type=click.IntRange(min=1), metavar="N", help="send N records first; continue if they succeed"
)
@click.option(
    "--canary-wait",
    type=click.FloatRange(min=0),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="wait at most this long for the canary's attachments",
)
@click.option("--max-new", type=click.IntRange(min=1), metavar="N", help="stop after N new records  [no limit]")
@click.option("--max-failures", type=CountOrPercent(), metavar="N|P%", help="stop when more records failed  [no limit]")
@click.option(
    "--max-invalid", type=click.IntRange(min=0), metavar="N", help="stop when more records are invalid  [no limit]"
)
@click.option("--force", is_flag=True, help="--project and --batch win over what a record says")
@click.option("--yes", is_flag=True, help="create more than 1,000 tasks with a live key without a question")
@click.option("--at-least-once", is_flag=True, help="import although the platform has no keys; see scalesync platforms")
@click.option("--describe-all", is_flag=True, help="each file of a folder without records in it is a record")
@click.option("--rescan", is_flag=True, help="read sources again even if they look unchanged")
@click.option(
    "--input-format",
    "format",
    type=FormatName(FORMATS, names),
    help="of the sources  [detected from name and content]",
)
@click.option("--delimiter", type=OneCharacter(), metavar="C", help="delimiter of CSV cells: a character, or tab")
@click.option("--quotechar", type=OneCharacter(), metavar="C", help="quote around CSV cells that hold a delimiter")
@click.option("--header", metavar="A,B,C", help="column names of a CSV file without a header line")
@click.option("--records", metavar="KEY", help="of a JSON object: the list under KEY holds the records")
@click.option(
    "--skip-rows", type=click.IntRange(min=0), default=0, metavar="N", help="lines of a CSV file before its header"
)
@click.option("--encoding", type=Encoding(), default="utf-8", show_default=True, help="of text sources")
@click.pass_obj
def import_command(invocation: Invocation, /, **typed: Any) -> int:
    from scalesync.flows.runtime.options import ImportOptions

    header = typed.pop("header")
    settings = invocation.settings(task_type=typed["type"])
    options = ImportOptions(
        reclaim=frozenset(one_of("--reclaim", typed.pop("reclaim"), invocation.words(settings).reclaimable)),
        header=None if header is None else tuple(name.strip() for name in header.split(",")),
        **typed,
    )
    settings = invocation.for_import(options, settings)

    from functools import partial

    from scalesync.cli.asking import asker
    from scalesync.cli.results import dry_run_advice, import_advice, namespace_of, show_import
    from scalesync.flows.imports.run import run_import

    with invocation.display() as display:
        summary = run_async(partial(run_import, confirm=asker(invocation.mask)), options, settings, display)
    if options.dry_run:
        return show_import(summary, invocation, dry_run_advice(summary))
    project = namespace_of(settings, options.project)
    advice = import_advice(summary, invocation, project=project, piped=read_once(options.sources) is not None)
    return show_import(summary, invocation, advice)
