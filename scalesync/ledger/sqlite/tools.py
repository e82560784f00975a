"""sqlite-utils, imported without pandas and numpy, and with dateutil when somebody uses it.

It imports the first two to map types that no ledger holds. Most people who work with data have them installed. Then the
import would cost 0.1 s (numpy) or half a second (pandas), and 15 MB or more. Its recipes for columns need dateutil's
parser, which takes 1 MB; a migration calls none of them.
"""

from __future__ import annotations

import importlib.util
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


def _later(package: str, name: str) -> None:
    """Let a module of a package be loaded at its first use, if nobody has loaded it yet."""
    whole = f"{package}.{name}"
    spec = None if whole in sys.modules else importlib.util.find_spec(whole)
    if spec is None or spec.loader is None:
        return
    spec.loader = importlib.util.LazyLoader(spec.loader)
    sys.modules[whole] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    setattr(sys.modules[package], name, module)


_later("dateutil", "parser")
with _without("pandas", "numpy"):
    from sqlite_utils import Database
    from sqlite_utils.migrations import Migrations
