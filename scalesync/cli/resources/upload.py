"""Commands that send files: one call for each file, and its outcome."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scalesync.cli.output import say, say_json, tell
from scalesync.cli.resources.show import lines_of_list, lines_of_object
from scalesync.errors import ConfigError, Refused, ScalesyncError
from scalesync.text import count

if TYPE_CHECKING:
    from scalesync.cli.resources.call import Asked
    from scalesync.config.settings import Settings
    from scalesync.events import Observer

ALONE = ("reference_id", "display_name")  # names of one file


@dataclass(slots=True)
class Uploaded:
    """The outcome of each file.

    items: of those that were sent, in order, each with its `file`.
    failed: path and reason of those that the server refused.
    stopped: what ended the run, with its files unsent.
    """

    items: list[dict[str, Any]] = field(default_factory=list)
    failed: list[dict[str, str]] = field(default_factory=list)
    stopped: ScalesyncError | None = None
    unsent: int = 0


def check(files: Sequence[Path], given: Mapping[str, Any]) -> None:
    """Check that all files can be read before the first one leaves. Raises ConfigError."""
    for name in ALONE:
        if len(files) > 1 and given.get(name) is not None:
            raise ConfigError(f"--{name.replace('_', '-')} is the name of one file, and {len(files)} are given")
    for file in files:
        if not file.is_file():
            raise ConfigError(f"{file}: {'is not a file' if file.exists() else 'no such file'}")
        if not os.access(file, os.R_OK):
            raise ConfigError(f"{file}: cannot be read: permission denied")


async def upload(asked: Asked, settings: Settings, observer: Observer) -> Uploaded:
    """Send the files one after the other. A file that the server refuses does not stop the others."""
    from scalesync.cli.resources.call import calling

    done = Uploaded()
    try:
        async with calling(settings, observer) as caller:
            for file in asked.files:
                done.unsent = len(asked.files) - len(done.items) - len(done.failed)
                try:
                    item = await caller.call(asked.row, asked.given, file)
                    done.items.append({"file": str(file), **item})
                except Refused as error:
                    done.failed.append({"file": str(file), "error": str(error)})
            done.unsent = 0
    except ScalesyncError as error:
        done.stopped = error
    return done


def show(done: Uploaded, asked: Asked) -> int:
    """Print the outcome of each file; returns the exit code."""
    invocation = asked.invocation
    if done.stopped is not None and not done.items and not done.failed:
        raise done.stopped
    reasons = [f"{one['file']}: {one['error']}" for one in done.failed]
    if done.stopped is not None:
        reasons.append(f"{count(done.unsent, 'file')} not uploaded: {done.stopped}")
    code = done.stopped.exit_code if done.stopped is not None else 1 if done.failed else 0
    if invocation.common.json:
        say_json(invocation.mask.deep({"items": done.items, "failed": done.failed, "unsent": done.unsent}))
    elif len(asked.files) == 1 and done.items:
        for line in lines_of_object(done.items[0], asked.row.columns):
            say(invocation.mask(line))
    elif done.items:
        for line in lines_of_list(done.items, ("file", *asked.row.columns)):
            say(invocation.mask(line))
    if reasons and not (invocation.common.json and invocation.common.quiet):
        tell(invocation.mask(f"scalesync: {'; '.join(reasons)}"))
    return code
