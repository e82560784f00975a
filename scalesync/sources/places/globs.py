"""Patterns of files: `*`, `?`, `[abc]` in a name, and `**` for any depth of folders.

The program's own, not glob's: that one goes through links to folders, and does not say what it leaves out. Names that
begin with `.` or `_` match only if the pattern itself has such a name.
"""

from __future__ import annotations

import fnmatch
import glob
import os
import re
from collections.abc import Iterator

from scalesync.errors import SourceError
from scalesync.file_names import is_hidden, is_of_the_system
from scalesync.sources.places.folders import leads_to_folder
from scalesync.sources.places.passed_over import PassedOver, Reason

_DEEP = "**"


def expand(pattern: str, passed: PassedOver) -> list[str]:
    """The paths that a pattern matches, sorted, each once. Raises SourceError for a folder that cannot be listed."""
    drive, path = os.path.splitdrive(pattern)
    path = path.replace(os.sep, "/")
    top = drive + path[: len(path) - len(path.lstrip("/"))]
    parts = [part for part in path.split("/") if part]
    found = set(_match(top, parts, passed))
    return sorted(filter(os.path.isdir, found) if path.endswith("/") else found)


def _match(base: str, parts: list[str], passed: PassedOver) -> Iterator[str]:
    """Paths below `base`, which is empty or ends with a slash, that match all the parts."""
    if not parts:
        yield base.rstrip("/")
        return
    part, rest = parts[0], parts[1:]
    if part == _DEEP:
        yield from _match(base, rest or ["*"], passed)
        for name in _names(base, "*", passed, folders=True):
            if os.path.islink(base + name):
                passed.add(Reason.LINK, base + name)
            else:
                yield from _match(f"{base}{name}/", parts, passed)
    elif not glob.has_magic(part):
        if os.path.lexists(base + part):
            yield from _match(f"{base}{part}/", rest, passed)
    else:
        for name in _names(base, part, passed, folders=bool(rest)):
            yield from _match(f"{base}{name}/", rest, passed)


def _names(base: str, part: str, passed: PassedOver, *, folders: bool) -> list[str]:
    """The names in a folder that match one part.

    folders: only those of folders, with links to them.
    """
    matches = re.compile(fnmatch.translate(part)).match
    try:
        with os.scandir(base or ".") as entries:
            found = sorted(e.name for e in entries if matches(e.name) and (not folders or leads_to_folder(e)))
    except NotADirectoryError:
        return []
    except OSError as error:
        raise SourceError(f"cannot be listed: {error.strerror}", base) from None
    names = []
    for name in found:
        if is_hidden(name) and part[0] != name[0]:
            passed.add(Reason.HIDDEN, base + name)
        elif is_of_the_system(name) and not is_of_the_system(part):
            passed.add(Reason.SYSTEM, base + name)
        else:
            names.append(name)
    return names
