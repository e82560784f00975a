"""The picture in docs/architecture.md holds: who may import whom."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from .console import ROOT

PACKAGE = ROOT / "scalesync"
VALUES = {"errors", "model", "times", "events", "ports", "config", "masking"}
MAY_IMPORT = {
    **dict.fromkeys(VALUES, VALUES),
    "engine": VALUES,
    "ledger": VALUES,
    "records": VALUES,
    "platforms": VALUES,
    "flows": VALUES | {"engine", "ledger", "records", "platforms"},
    "api": VALUES | {"flows"},
    "cli": VALUES | {"flows"},
    "__main__": {"cli"},
    "__init__": VALUES | {"api"},
    "sandbox": set(),
}
SIDEWAYS = {("platforms/download.py", "records.manifest")}  # told in docs/architecture.md
START_THE_SANDBOX = {"flows/demo.py", "cli/sandbox.py", "cli/switches.py"}


def layer(module: Path) -> str:
    """The package of a module, or its own name at the top."""
    return module.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(module: Path) -> Iterator[str]:
    """Dotted names below `scalesync` that a module imports, inside functions too."""
    for node in ast.walk(ast.parse(module.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level == 0 and (node.module or "").startswith("scalesync"):
            base = (node.module or "").removeprefix("scalesync").lstrip(".")
            yield from (f"{base}.{name.name}".lstrip(".") for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level > 0:
            yield layer(module)
        elif isinstance(node, ast.Import):
            yield from (name.name.removeprefix("scalesync.") for name in node.names if "scalesync." in name.name)


MODULES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("module", MODULES, ids=lambda module: str(module.relative_to(PACKAGE)))
def test_imports_point_downwards(module: Path) -> None:
    own, place = layer(module), str(module.relative_to(PACKAGE))
    for name in imported(module):
        other = name.split(".")[0]
        if other == "sandbox" and own != "sandbox":
            assert place in START_THE_SANDBOX, f"{place} imports {name}"
        else:
            told = (place, name.rpartition(".")[0]) in SIDEWAYS
            assert told or other == own or other in MAY_IMPORT[own], f"{place} imports {name}"


def test_only_wiring_knows_the_platform() -> None:
    knowing = {
        str(module.relative_to(PACKAGE))
        for module in MODULES
        if layer(module) != "platforms" and any(name.startswith("platforms.scale") for name in imported(module))
    }
    assert knowing == {"flows/wiring.py"}


def test_every_package_is_in_the_picture() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    for path in PACKAGE.iterdir():
        if path.suffix == ".py" and not path.name.startswith("__"):
            assert path.stem in text
        elif (path / "__init__.py").exists():
            assert f"{path.name}/" in text
