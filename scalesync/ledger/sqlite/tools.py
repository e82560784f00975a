"""sqlite-utils, imported without pandas and numpy.

It looks for them to map types that no ledger holds. Where they are installed, as they are with most people who work
with data, that costs every start 0.1 s (numpy) or half a second (pandas), and 15 MB and more.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["Database", "Migrations"]


@contextmanager
def _without(*names: str) -> Iterator[None]:
    """Let modules not be found for a moment, unless they are there already."""
    hidden = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None: the import system does not find it
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


with _without("pandas", "numpy"):
    from sqlite_utils import Database
    from sqlite_utils.migrations import Migrations
