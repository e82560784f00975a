"""The program's own log: on standard error with -v, in a file with --log-file; the key is masked in both."""

from __future__ import annotations

import json
import logging
import shlex
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scalesync.cli import output
from scalesync.cli.output import tell
from scalesync.errors import ConfigError
from scalesync.masking import Mask

TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
MESSAGES = logging.getLogger("scalesync.messages")
"""Messages for people, for the file: standard error has them already."""


class _MaskedHandler(logging.Handler):
    def __init__(self, mask: Mask) -> None:
        super().__init__()
        self._mask = mask

    def emit(self, record: logging.LogRecord) -> None:
        tell(self._mask(self.format(record)))


class _MaskedFile(logging.FileHandler):
    def __init__(self, path: Path, mask: Mask) -> None:
        super().__init__(path, encoding="utf-8", errors="backslashreplace")
        self._mask = mask

    def format(self, record: logging.LogRecord) -> str:
        return self._mask(super().format(record))


class _JsonLines(logging.Formatter):
    """One object a line: at (UTC), level, logger, message, and the traceback if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = {"at": at, "level": record.levelname, "logger": record.name, "message": record.getMessage()}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line)


def log_to_stderr(verbosity: int, mask: Mask) -> None:
    """Show the log of the package: one -v from INFO up, two from DEBUG up."""
    handler = _MaskedHandler(mask)
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    output.stamp(True)
    logger = _logger(verbosity)
    logger.addHandler(handler)


def log_to_file(path: Path, form: str, verbosity: int, mask: Mask) -> None:
    """Append the log to a file, with everything printed on standard error.

    form: text or json.
    Raises ConfigError if the file cannot be written.
    """
    try:
        handler = _MaskedFile(path, mask)
    except OSError as error:
        raise ConfigError(f"--log-file {path} cannot be written: {error.strerror or error}") from error
    handler.setFormatter(_JsonLines() if form == "json" else logging.Formatter(TEXT))
    _logger(verbosity).addHandler(handler)
    MESSAGES.handlers = [handler]
    MESSAGES.setLevel(logging.INFO)
    MESSAGES.propagate = False
    output.also_tell(log_line)


def log_line(text: str) -> None:
    """A line for the file only, if there is one; secrets are masked there."""
    if MESSAGES.handlers:
        MESSAGES.info("%s", text)


def log_begin(args: Sequence[str]) -> None:
    """The command as typed, with URLs without credentials and queries."""
    from importlib.metadata import version

    from scalesync.addresses import public_text

    log_line(f"begin: scalesync {version('scalesync')}: {shlex.join(public_text(arg) for arg in args)}")


def log_end(code: int, summary: Mapping[str, Any] | None) -> None:
    """How it ended; a summary's figures as JSON."""
    figures = "" if summary is None else f", {json.dumps(summary, ensure_ascii=False, default=str)}"
    log_line(f"end: exit code {code}{figures}")


def _logger(verbosity: int) -> logging.Logger:
    logger = logging.getLogger("scalesync")
    logger.setLevel(logging.DEBUG if verbosity > 1 else logging.INFO)
    logger.propagate = False
    return logger


def forget_handlers() -> None:
    """Start again: a program that runs several commands opens no file twice."""
    for logger in (logging.getLogger("scalesync"), MESSAGES):
        for handler in logger.handlers:
            handler.close()
        logger.handlers = []
    output.also_tell(None)
    output.stamp(False)


def mask_stray_logs(mask: Mask) -> None:
    """Libraries log errors to standard error themselves; mask the key there too."""
    handler = _MaskedHandler(mask)
    handler.setLevel(logging.WARNING)
    logging.lastResort = handler
