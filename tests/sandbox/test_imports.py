"""The sandbox must be able to catch the client's mistakes, so it shares no code with it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import scalesync.sandbox

ROOT = Path(scalesync.sandbox.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(ROOT)) for path in FILES])
def test_nothing_of_the_rest_is_imported(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, ast.unparse(node)
            names = [node.module or ""]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        ours = [name for name in names if name.split(".")[0] == "scalesync"]
        assert all(f"{name}.".startswith("scalesync.sandbox.") for name in ours), ast.unparse(node)


def test_the_public_names_are_few() -> None:
    assert scalesync.sandbox.__all__ == ["FaultRule", "Sandbox", "SandboxConfig", "load_faults", "serve"]
