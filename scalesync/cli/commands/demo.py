"""`scalesync demo`."""

from __future__ import annotations

import shutil
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from scalesync.cli.command import SyncCommand
from scalesync.cli.event_loop import run_async
from scalesync.cli.invocation import Invocation
from scalesync.cli.output import facts, say, say_json
from scalesync.cli.results import tell_outcome
from scalesync.cli.types import LocalPath

if TYPE_CHECKING:
    from scalesync.demo.run import DemoReport


@click.command(
    "demo",
    cls=SyncCommand,
    commons=("log_file", "log_format", "json", "verbose", "quiet"),
    examples=("scalesync demo", "scalesync demo --folder /tmp/demo", "scalesync demo --quiet --json"),
)
@click.option(
    "--folder",
    metavar="DIR",
    type=LocalPath(),
    help="new or empty folder for its files  [./scalesync-demo, or the next free number]",
)
@click.option("--records", type=click.IntRange(min=10), hidden=True, help="take only the first N docstrings")
@click.pass_obj
def demo_command(invocation: Invocation, /, folder: Path | None, records: int | None) -> int:
    """Run the whole loop on this machine: no account, no key, no network.

    The demo imports the docstrings of the installed Python standard library into the embedded sandbox, which simulates
    the annotation, and exports the result. Then it kills a second import half way with SIGKILL, runs it again, and
    counts the server's tasks.
    """
    from scalesync.demo.run import run_demo

    with invocation.display() as display:
        report = run_async(run_demo, folder, display, records)
    left_out = {"exit_code"} if report.message else {"exit_code", "message"}
    invocation.summary = {name: value for name, value in asdict(report).items() if name not in left_out}
    if invocation.common.json:
        say_json(invocation.summary)
        if report.exit_code:
            tell_outcome(report.message, invocation)
    else:
        _show(report)
    return report.exit_code


def _show(report: DemoReport) -> None:
    home = Path(report.folder)
    say("1. import, annotate, export")
    say(
        facts(
            {
                "docstrings read": report.records,
                "tasks created": report.created,
                "tasks per second": round(report.tasks_per_second),
                "annotations exported": report.exported,
            }
        )
    )
    for category, number in report.answers.items():
        say(f"  {number:>6,}  {category}")
    say("\n2. the same records again under another project, killed half way with SIGKILL, then resumed")
    say(
        facts(
            {
                "tasks on the server at the kill": report.killed_at,
                "tasks on the server at the end": report.on_server,
                "records with more than one task": report.repeated,
                "records without a task": report.missing,
                "creates sent again": report.sent_again,
            }
        )
    )
    once = "every record has exactly one task on the server"
    say(f"\n{report.message or once}; {report.seconds:.0f} s in all")
    say(
        facts(
            {
                "records": str(home / "docstrings.jsonl"),
                "template": str(home / "template.toml"),
                "annotations": str(home / "annotations"),
                "ledger": f"{home / 'scalesync.db'} ({_program()} status --ledger {home / 'scalesync.db'})",
            }
        )
    )


def _program() -> str:
    """This program as a person can type it here: the plain name does not work outside of its virtual environment."""
    typed = Path(sys.argv[0])
    if shutil.which("scalesync") is not None:
        return "scalesync"
    return str(typed) if typed.name == "scalesync" else f"{sys.executable} -m scalesync"
