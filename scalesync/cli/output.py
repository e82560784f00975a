"""Printing: results on standard output, everything else on standard error."""

from __future__ import annotations

import errno
import json
import os
import stat
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import IO, Any

from scalesync.errors import StopRun
from scalesync.times import now_iso

_CONTROL = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if code not in (9, 10)}
_CONTROL |= {0xDC00 + byte: f"\\x{byte:02x}" for byte in range(128, 256)}  # bytes of a name that is not UTF-8
Cell = str | int
# Private characters mark the painted parts. Strings from servers are made printable first, so they cannot paint.
_COLOURS = {"red": ("\ue001", "31"), "green": ("\ue002", "32"), "yellow": ("\ue003", "33"), "dim": ("\ue004", "2")}
_PLAIN = "\ue000"
_PRIVATE = {ord(mark): None for mark in (_PLAIN, *(mark for mark, _ in _COLOURS.values()))}
_ANSI = {ord(_PLAIN): "\x1b[0m"} | {ord(mark): f"\x1b[{code}m" for mark, code in _COLOURS.values()}


def printable(text: str) -> str:
    """The string with control characters and undecoded bytes escaped: messages come from servers and files."""
    return text.translate(_CONTROL)


def paint(text: str, colour: str) -> str:
    """The string in a colour, if `say` or `tell` prints it to a terminal."""
    return f"{_COLOURS[colour][0]}{text.translate(_PRIVATE)}{_PLAIN}"


def coloured(stream: IO[str] | None) -> bool:
    """Whether to print colours there: on terminals, unless NO_COLOR is set (no-color.org) or they are dumb."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return bool(os.environ.get("FORCE_COLOR")) or (stream is not None and stream.isatty())


def say(text: str) -> None:
    """Print a line on standard output. A reader or a terminal that went away ends the printing, not the program."""
    _write(sys.stdout, _painted(text, sys.stdout))


def need_output() -> None:
    """Raise StopRun if standard output is closed: for a command that does nothing but print.

    A run is not stopped by that, because daemons start programs so.
    """
    if sys.stdout is None:
        raise StopRun("standard output is closed, so nothing can be printed; open it and run the same command again")


def tell(text: str) -> None:
    """Print a line on standard error; a terminal that went away never stops a run."""
    for also in _also:
        also(printable(text).translate(_PRIVATE))
    try:
        _write(sys.stderr, _stamped(_painted(text, sys.stderr)))
    except OSError:
        _silence(sys.stderr)


def stamp(wanted: bool) -> None:
    """From now on, begin each line on standard error with the time, if that is not a terminal."""
    _stamps.clear()
    if wanted and sys.stderr is not None and not sys.stderr.isatty():
        _stamps.append(now_iso)


def also_tell(where: Callable[[str], None] | None) -> None:
    """Pass everything that `tell` prints on, such as to a log; None ends that."""
    _also.clear()
    if where is not None:
        _also.append(where)


def paragraphs(texts: Iterable[str]) -> Iterable[str]:
    """The strings, with an empty line between them."""
    for number, text in enumerate(texts):
        yield f"\n{text}" if number else text


_stamps: list[Callable[[], str]] = []
_also: list[Callable[[str], None]] = []


def _stamped(text: str) -> str:
    return "\n".join(f"{clock()} {line}" for clock in _stamps for line in text.split("\n")) or text


def _painted(text: str, stream: IO[str] | None) -> str:
    return printable(text).translate(_ANSI if coloured(stream) else _PRIVATE)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Aligned columns; the last one may be of any length."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in (head, *rows)
    ]


def say_json(value: Mapping[str, Any]) -> None:
    """One JSON object as one line, plain ASCII, which any encoding of a terminal can show."""
    _write(sys.stdout, json.dumps(value, default=str))


def facts(pairs: Mapping[str, Cell], *, indent: int = 0) -> str:
    """Name and value line by line; strings align left, numbers right."""
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
    """Whether standard output takes nothing more, because its reader is gone or its disk full; drops what it still
    holds.
    """
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
    except OSError as error:
        was_terminal = error.errno == errno.EIO and _is_device(stream)
        _silence(stream)
        if not was_terminal:
            raise


def _is_device(stream: IO[str]) -> bool:
    """Whether it is a terminal, also a closed one, which no longer says so."""
    try:
        return stat.S_ISCHR(os.fstat(stream.fileno()).st_mode)
    except (OSError, ValueError):
        return False


def _silence(stream: IO[str]) -> None:
    """Point the stream to nowhere, or the interpreter complains about it again at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, stream.fileno())
    except (OSError, ValueError):
        return
    finally:
        os.close(nowhere)
