"""Every command, one row each: the list of commands, `--help`, the nearest name and the reserved names come from here.

A row imports nothing until its command is used.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import NamedTuple

import click

from scalesync.errors import ConfigError
from scalesync.flows.runtime.setup.services import own_platforms, spec_of


class Row(NamedTuple):
    """One command.

    text: its line in the list of commands.
    module: in cli/commands, with the command as `NAME_command`; several rows may share one.
    operations: words that may follow the name, as in `backfill export`; none if the command has no such words.
    reserved: the operations that are not built yet.
    platform: whose own things the command is about; such a command is made of the platform's table, without a module.
    """

    name: str
    text: str
    module: str
    operations: tuple[str, ...] = ()
    reserved: tuple[str, ...] = ()
    platform: str = ""

    def load(self) -> click.Command:
        """Import the module; returns its command."""
        if self.platform:
            from scalesync.cli.resources.group import platform_group

            return platform_group(self.platform, self.text)
        module = importlib.import_module(f"scalesync.cli.commands.{self.module}")
        command: click.Command = getattr(module, f"{self.name}_command")
        return command


ROWS = (
    Row("demo", "the whole loop on the embedded sandbox: records in, annotations out", "demo"),
    Row("sandbox", "serve the embedded emulator of the API", "sandbox"),
    Row("import", "create one task per record, exactly once", "ingest"),
    Row("export", "write tasks and their annotations to files", "export"),
    Row("backfill", "export a past period, window by window, each window once", "backfill", ("export",), ("apply",)),
    Row("compact", "the newest version of each task from a folder of increments", "compact"),
    Row("apply", "one change of many tasks: cancel, tags, metadata, audit, unique-id, ...", "apply"),
    Row("status", "jobs of the ledger and their progress", "status"),
    Row("failures", "what failed and why; writes it back out as a source", "failures"),
    Row("retry", "send failed records again", "retry"),
    Row("verify", "compare source, ledger and server; repair differences", "verify"),
    Row("platforms", "labelling services, and what each offers", "platforms"),
    Row("types", "task types that are documented, and the fields they need", "kinds"),
    Row("ledger", "restore a lost ledger from source and server", "ledger", ("rebuild",)),
)


def _platform_rows() -> Iterator[Row]:
    """A row for each of the program's platforms that has commands for its own things."""
    for name in own_platforms():
        spec = spec_of(name)
        if spec.resources:
            yield Row(name, f"single calls of {spec.title}'s API: list, get, create, change", "", platform=name)


COMMANDS = {row.name: row for row in (*ROWS, *_platform_rows())}
RESERVED = ("upload", "listen", "report", "route", "quality", "workflow", "doctor", "worker")
"""Names of commands that are not built yet."""


def not_built(words: str) -> ConfigError:
    """The error for a reserved name.

    words: the name as typed after the program's.
    """
    return ConfigError(f"`scalesync {words}` is not built yet; the name is reserved")
