"""Real records for the demo: the docstrings of the installed standard library, read but never imported."""

from __future__ import annotations

import ast
import sysconfig
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

from scalesync.errors import ConfigError
from scalesync.model.records import JsonObject

SKIPPED = {"site-packages", "dist-packages", "test", "tests", "idlelib", "lib2to3", "__pycache__"}
_Documented: TypeAlias = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def standard_library_docstrings(limit: int | None = None) -> Iterator[JsonObject]:
    """Up to `limit` docstrings, always in the same order: module, qualname, file, line, docstring.

    Raises ConfigError if the standard library is installed without its sources.
    """
    root = Path(sysconfig.get_paths()["stdlib"])
    found = 0
    for path in sorted(root.rglob("*.py")):
        inside = path.relative_to(root)
        if SKIPPED.intersection(inside.parts):
            continue
        for record in _docstrings_of(path, inside):
            if found == limit:
                return
            found += 1
            yield record
    if not found:
        raise ConfigError(f"no docstrings under {root}: this Python comes without the sources of its library")


def _docstrings_of(path: Path, inside: Path) -> Iterator[JsonObject]:
    try:
        source = path.read_bytes()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
    except (OSError, SyntaxError, ValueError):
        return
    parts = inside.with_suffix("").parts
    module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts) or "__init__"
    for qualname, line, text in _walk(tree, ""):
        yield {
            "module": module,
            "qualname": qualname or module,
            "file": inside.as_posix(),
            "line": line,
            "docstring": text,
        }


def _walk(node: ast.Module | _Documented, qualname: str) -> Iterator[tuple[str, int, str]]:
    text = ast.get_docstring(node)
    if text and text.strip() and _is_text(text):
        yield qualname, getattr(node, "lineno", 1), text
    waiting: list[ast.AST] = list(reversed(node.body))
    while waiting:
        child = waiting.pop()
        if isinstance(child, _Documented):
            yield from _walk(child, f"{qualname}.{child.name}".lstrip("."))
        elif isinstance(child, ast.stmt | ast.ExceptHandler):
            # definitions may stand under if, try and with as well
            for part in ("finalbody", "orelse", "handlers", "body"):
                waiting.extend(reversed(getattr(child, part, [])))


def _is_text(text: str) -> bool:
    """Python can write lone surrogates; UTF-8 cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
