"""sqlite-utils, imported without pandas and numpy.

It imports them to map types that no ledger holds. Most people who work with data have them installed. Then the import
would cost every start 0.1 s (numpy) or half a second (pandas), and 15 MB or more.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["Database", "Migrations"]


@contextmanager
def _without(*names: str) -> Iterator[None]:
    """Hide modules from the import system for a moment, unless they are imported already."""
    hidden = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None hides a module
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


with _without("pandas", "numpy"):
    from sqlite_utils import Database
    from sqlite_utils.migrations import Migrations
