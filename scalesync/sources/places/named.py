"""Sources as a person named them, by what they are."""

from __future__ import annotations

import os

from scalesync.addresses import is_url
from scalesync.file_names import readable
from scalesync.home import Home
from scalesync.sources.places.remote import address

STANDARD_INPUT = "-"
_ITS_NAMES = frozenset({"/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"})


def as_named(source: str) -> str:
    """A source as typed, standard input under its one name: its other names are other files in each program."""
    return STANDARD_INPUT if source in _ITS_NAMES else source


def what_is(source: str, folder: str | None, home: Home) -> str:
    """A source by what it is, however it was typed: `x`, `./x` and the full path are one.

    A path beneath the ledger's folder is relative to it, so you may move the folder with everything in it.
    """
    if source == STANDARD_INPUT:
        return source
    if is_url(source):
        return address(source)
    return readable(home.told(path_of(source, folder)))


def placed_in(folder: str, spec: str) -> str:
    """The place of a source that was named in a folder."""
    return spec if spec == STANDARD_INPUT or "://" in spec else os.path.join(folder, spec)


def path_of(source: str, folder: str | None) -> str:
    """The whole path of a source that was named in a folder, None for the working folder."""
    return os.path.abspath(os.path.join(folder or os.getcwd(), source.removeprefix("file://")))
