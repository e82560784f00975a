"""`scalesync retry`: failed records sent again."""

from __future__ import annotations

from functools import partial

import click

from scalesync.cli.asking import asker
from scalesync.cli.command import SyncCommand
from scalesync.cli.event_loop import run_async
from scalesync.cli.invocation import Invocation
from scalesync.flows.runtime.options import RetryOptions


@click.command(
    "retry",
    cls=SyncCommand,
    examples=(
        "scalesync retry --job nightly",
        "scalesync retry --job nightly --group failed-400-3f2a1c --json",
        "scalesync retry --job nightly --errored",
    ),
)
@click.option("--job", metavar="NAME", help="the job whose failed records are sent again")
@click.option("--project", metavar="P", help="its project, where jobs of several projects have this name")
@click.option("--group", metavar="G", help="only this group, as `scalesync failures` lists it")
@click.option("--errored", is_flag=True, help="the records of tasks that turned to error: free their ids, send again")
@click.option("--yes", is_flag=True, help="send more than 1,000 records with a live key without a question")
@click.pass_obj
def retry_command(
    invocation: Invocation, /, *, job: str | None, project: str | None, group: str | None, errored: bool, yes: bool
) -> int:
    """Send failed records again, as they are in their sources now, under the same unique_id.

    It only marks records of standard input as pending: then pipe the same input into the same import.
    """
    settings = invocation.settings()

    from scalesync.cli.results import import_advice, show_change, show_import
    from scalesync.flows.jobs.retry import run_retry
    from scalesync.flows.jobs.retry_changes import run_changes_retry

    with invocation.display() as display:
        options = RetryOptions(job=job, group=group, project=project, errored=errored, yes=yes)
        changed = run_async(run_changes_retry, options, settings, display)
        if changed is not None:
            return show_change(changed, invocation)
        flow = partial(run_retry, confirm=asker(invocation.mask))
        summary = run_async(flow, options, settings, display)
    return show_import(summary, invocation, import_advice(summary, invocation, project=project))
