"""`scalesync ledger rebuild`."""

from __future__ import annotations

from typing import Any

import click

from scalesync.cli.command import SyncCommand
from scalesync.cli.commands.ingest import import_command
from scalesync.cli.event_loop import run_async
from scalesync.cli.invocation import Invocation
from scalesync.cli.types import Operation, Positional

# What an import's options and a rebuild's have in common: what a record becomes, and under which job.
SHARED = (
    *("sources", "type", "project", "batch", "unique_id", "template", "sets", "job", "on_conflict", "force"),
    *("blueprint", "describe_all"),
    *("format", "delimiter", "quotechar", "header", "records", "skip_rows", "encoding"),
)


@click.pass_obj
def _rebuild(invocation: Invocation, /, action: str, **typed: Any) -> int:
    """Restore a lost ledger: `scalesync ledger rebuild SOURCE...` with the options of the import.

    It looks each record up on the server by its unique_id, a hundred in a list call. It sends nothing and changes no
    task. It records equal tasks as created or adopted, different ones as conflicts, and records without a task as
    pending: the next import sends those and nothing else.
    """
    from scalesync.flows.runtime.options import ImportOptions

    header = typed.pop("header")
    options = ImportOptions(
        header=None if header is None else tuple(name.strip() for name in header.split(",")), **typed
    )
    settings = invocation.for_import(options, invocation.settings(task_type=options.type))

    from scalesync.cli.results import import_advice, namespace_of, show_import
    from scalesync.flows.jobs.rebuild import run_rebuild

    with invocation.display() as display:
        summary = run_async(run_rebuild, options, settings, display)
    carry_on, project = "the import with the same options sends them", namespace_of(settings, options.project)
    advice = import_advice(summary, invocation, carry_on, project=project)
    return show_import(summary, invocation, advice)


ledger_command = SyncCommand(
    "ledger",
    callback=_rebuild,
    params=[
        Positional(["action"], type=Operation("ledger"), metavar="rebuild", help="the only thing to do so far"),
        *(parameter for parameter in import_command.params if parameter.name in SHARED),
    ],
    help=_rebuild.__doc__,
    examples=(
        "scalesync ledger rebuild reviews.jsonl --type categorization --project reviews",
        "scalesync ledger rebuild 'drives/*.csv.gz' --type imageannotation --template task.toml --job drives --json",
    ),
)
