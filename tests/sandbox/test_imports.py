"""The sandbox must be able to catch the client's mistakes, so it shares no code with it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import scalesync.sandbox

FILES = sorted(Path(scalesync.sandbox.__file__).parent.glob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=[path.name for path in FILES])
def test_nothing_of_the_rest_is_imported(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            assert node.level <= 1, ast.unparse(node)
            assert node.level == 1 or not (node.module or "").startswith("scalesync"), ast.unparse(node)
        elif isinstance(node, ast.Import):
            assert not any(alias.name.startswith("scalesync") for alias in node.names), ast.unparse(node)


def test_the_public_names_are_few() -> None:
    assert scalesync.sandbox.__all__ == ["FaultRule", "Sandbox", "SandboxConfig", "load_faults", "serve"]
