"""What the manifests of a folder have listed: numbers of files, which are never used a second time."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from scalesync.outputs.manifest import Manifest

NUMBERS = "numbers"
_NUMBERED = re.compile(r"([a-z]+)-(\d{5,})\.")


def highest(manifest: Manifest | None, paths: Iterable[str] = ()) -> dict[str, int]:
    """The highest number per stem that the folder has given out, by its manifest, or that is in `paths`.

    A reader that knows a file by its name has read it: that name must never get another file.
    """
    found = dict(manifest.extra.get(NUMBERS, {})) if manifest is not None else {}
    for path in (*paths, *(manifest.paths() if manifest is not None else ())):
        match = _NUMBERED.match(path.rpartition("/")[2])
        if match is not None:
            found[match[1]] = max(found.get(match[1], 0), int(match[2]))
    return found


def larger(one: Mapping[str, int], other: Mapping[str, int]) -> dict[str, int]:
    """The larger number of each stem."""
    return {stem: max(one.get(stem, 0), other.get(stem, 0)) for stem in (*one, *other)}
