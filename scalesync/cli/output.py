"""What is printed: results on standard output, everything else on standard error."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from typing import IO, Any

_CONTROL = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if code not in (9, 10)}
Cell = str | int


def printable(text: str) -> str:
    """The text with control characters shown, not obeyed: messages come from servers and files."""
    return text.translate(_CONTROL)


def say(text: str) -> None:
    """A line for standard output. A reader that went away ends the printing, not the program."""
    _write(sys.stdout, printable(text))


def tell(text: str) -> None:
    """A line for standard error; a terminal that went away never stops a run."""
    try:
        _write(sys.stderr, printable(text))
    except OSError:
        _silence(sys.stderr)


def say_json(value: Mapping[str, Any]) -> None:
    """One JSON object as one line, plain ASCII so that any encoding of the terminal carries it."""
    _write(sys.stdout, json.dumps(value, default=str))


def facts(pairs: Mapping[str, Cell], *, indent: int = 0) -> str:
    """Name and value line by line; texts begin, and numbers end, under each other."""
    name_width = max(map(len, pairs), default=0)
    numbers = {name: f"{value:,}" for name, value in pairs.items() if not isinstance(value, str)}
    number_width = max(map(len, numbers.values()), default=0)
    return "\n".join(
        f"{'':{indent}}{name:{name_width}}  {numbers[name].rjust(number_width) if name in numbers else value}"
        for name, value in pairs.items()
    )


def size(number: int) -> str:
    """Bytes for people, in binary steps."""
    amount, units = float(number), ["bytes", "KiB", "MiB", "GiB", "TiB"]
    while amount >= 1024 and len(units) > 1:
        amount /= 1024
        units.pop(0)
    return f"{number:,} bytes" if units[0] == "bytes" else f"{amount:,.1f} {units[0]}"


def output_is_broken() -> bool:
    """Whether standard output takes nothing more, its reader gone or its disk full; what it still holds is dropped."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        _silence(sys.stdout)
        return True
    return False


def _write(stream: IO[str] | None, text: str) -> None:
    if stream is None:
        return
    try:
        stream.write(text + "\n")
        stream.flush()
    except BrokenPipeError:
        _silence(stream)
    except OSError:
        _silence(stream)
        raise


def _silence(stream: IO[str]) -> None:
    """Point the stream nowhere, or the interpreter would complain about it once more when it ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, stream.fileno())
    except (OSError, ValueError):
        return
    finally:
        os.close(nowhere)
