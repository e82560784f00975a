"""Sources as a person named them, by what they are."""

from __future__ import annotations

import os
from collections.abc import Iterable
from hashlib import blake2b

from scalesync.addresses import is_url, public_name, without_credentials
from scalesync.file_names import readable
from scalesync.home import Home
from scalesync.signatures import strip_signatures

STANDARD_INPUT = "-"
_ITS_NAMES = frozenset({"/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"})


def as_named(source: str) -> str:
    """A source as typed, standard input under its one name: its other names are other files in each program."""
    return STANDARD_INPUT if source in _ITS_NAMES else source


def is_read_once(source: str) -> bool:
    """Whether a name gives other records the next time, or none: standard input, and what a shell makes of `<(...)`."""
    is_device = source.startswith(("/dev/", "/proc/")) and not source.startswith("/dev/shm/")  # noqa: S108  files in memory
    return source == STANDARD_INPUT or is_device


def read_once(sources: Iterable[str]) -> str | None:
    """The first such source, for people; None if all can be read again."""
    found = next(filter(is_read_once, sources), None)
    return "standard input" if found == STANDARD_INPUT else found


def what_is(source: str, folder: str | None, home: Home) -> str:
    """A source by what it is, however it was typed: `x`, `./x` and the full path are one.

    A path beneath the ledger's folder is relative to it, so you may move the folder with everything in it.
    """
    if source == STANDARD_INPUT:
        return source
    if is_url(source):
        return address(source)
    return readable(home.told(path_of(source, folder)))


def address(url: str) -> str:
    """The identity of a URL: its public name, and a digest of its query if that holds more than a signature.

    A query may hold secrets, and it may be the only difference between two sources.
    """
    query = strip_signatures(without_credentials(url)).partition("?")[2].partition("#")[0]
    digest = f"?{blake2b(query.encode('utf-8', 'surrogateescape'), digest_size=5).hexdigest()}" if query else ""
    return f"{public_name(url)}{digest}"


def placed_in(folder: str, spec: str) -> str:
    """The place of a source that was named in a folder."""
    return spec if spec == STANDARD_INPUT or "://" in spec else os.path.join(folder, spec)


def path_of(source: str, folder: str | None) -> str:
    """The whole path of a source that was named in a folder, None for the working folder."""
    return os.path.abspath(os.path.join(folder or os.getcwd(), source.removeprefix("file://")))
