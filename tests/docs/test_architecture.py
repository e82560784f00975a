"""The picture in docs/architecture.md names every package; tests/unit/test_layers.py keeps its arrows true."""

from __future__ import annotations

from .console import ROOT

PACKAGE = ROOT / "scalesync"


def test_every_package_is_in_the_picture() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    for path in PACKAGE.iterdir():
        if path.suffix == ".py" and not path.name.startswith("__"):
            assert path.stem in text
        elif (path / "__init__.py").exists():
            assert f"{path.name}/" in text


def test_every_module_of_the_flows_and_the_engine_is_told_of() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    for package in ("engine", "flows"):
        for path in (PACKAGE / package).glob("*.py"):
            told = f"`{path.stem}`" in text or f"`{package}/{path.stem}`" in text
            assert path.stem == "__init__" or told, f"{package}/{path.name}"
