"""sqlite-utils, imported without pandas and numpy, and with dateutil when somebody uses it.

It imports the first two to map types that no ledger holds. Most people who work with data have them installed. Then the
import would cost 0.1 s (numpy) or half a second (pandas), and 15 MB or more. Its recipes for columns need dateutil's
parser, which takes 1 MB; a migration calls none of them.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

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


class _Later(ModuleType):
    """A module that is imported when somebody uses it."""

    def __getattr__(self, name: str) -> Any:
        return getattr(importlib.import_module(self.__name__), name)


@contextmanager
def _later(package: str, name: str) -> Iterator[None]:
    """Give those who import a module of a package now a substitute; others get the module itself."""
    if f"{package}.{name}" in sys.modules:
        yield
        return
    parent, later = importlib.import_module(package), _Later(f"{package}.{name}")
    setattr(parent, name, later)
    try:
        yield
    finally:
        if vars(parent)[name] is later:
            delattr(parent, name)


with _without("pandas", "numpy"), _later("dateutil", "parser"):
    from sqlite_utils import Database
    from sqlite_utils.migrations import Migrations
