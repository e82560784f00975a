"""What the demo begins with: its folder, a file of docstrings, a template, and the names of its projects."""

from __future__ import annotations

from pathlib import Path

import orjson

from scalesync.demo.docstrings import standard_library_docstrings
from scalesync.errors import ConfigError

DEMO_KEY = "live_demo"
DEFAULT_FOLDER = "scalesync-demo"
FIRST, SECOND = "docstrings", "docstrings-again"
TASK_TYPE = "categorization"
TEMPLATE = """\
# A record of docstrings.jsonl becomes a task: "{column}" stands for a value of the record.
keep = []

[task]
instruction = "What does this docstring mainly do?"
attachment_type = "text"
attachment = "{docstring}"
categories = ["explains how to use it", "explains how it works", "states a warning or a limit", "repeats the name"]

[task.metadata]
module = "{module}"
qualname = "{qualname}"
file = "{file}"
line = "{line}"
"""


def make_folder(folder: Path | None) -> Path:
    """The folder as named, or the first free one. Raises ConfigError if it is not empty or cannot be made."""
    if folder is not None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            taken = any(folder.iterdir())
        except OSError as error:
            raise ConfigError(f"{folder}: cannot be the demo's folder: {error.strerror}") from error
        if taken:
            raise ConfigError(f"{folder} is not empty; give the demo a folder of its own")
        return folder
    for number in range(1, 10_000):
        home = Path(DEFAULT_FOLDER if number == 1 else f"{DEFAULT_FOLDER}-{number}")
        try:
            home.mkdir()
        except FileExistsError:
            continue
        except OSError as error:
            raise ConfigError(f"{home}: cannot be made: {error.strerror}; use --folder") from error
        return home
    raise ConfigError(f"{DEFAULT_FOLDER} and thousands after it exist; use --folder")


def write_inputs(home: Path, limit: int | None) -> int:
    """Write template and records; returns how many records."""
    (home / "template.toml").write_text(TEMPLATE, "utf-8")
    count = 0
    with (home / "docstrings.jsonl").open("wb") as file:
        for record in standard_library_docstrings(limit):
            file.write(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE))
            count += 1
    return count
