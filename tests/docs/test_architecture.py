"""docs/architecture.md tells the house as it stands: its picture, and every module."""

from __future__ import annotations

import re

from tests.layers.picture import draw, modules, name_of

from .console import ROOT

PAGE = ROOT / "docs" / "architecture.md"


def test_the_picture_is_drawn_from_the_imports() -> None:
    text = PAGE.read_text("utf-8")
    drawn = "".join(f"    {line}\n" for line in draw().splitlines())
    assert drawn in text, "the picture is an older one: python -m tests.layers --draw"


def test_every_module_is_named_where_it_lies() -> None:
    text = PAGE.read_text("utf-8")
    told = {
        where.strip("`/"): set(re.findall(r"`(\w+)`", names))
        for row, names in re.findall(r"^\| (`.*?) \| .* \| (.*) \|$", text, re.MULTILINE)
        for where in row.split(", ")
    }
    told["ports"] = told["model"] = told["ports"] | told["model"]
    for path in modules():
        name = name_of(path)
        package, _, module = name.rpartition(".")
        if path.stem == "__init__" or package in {"", "ports", "model"} or package.startswith("sandbox"):
            assert package.startswith("sandbox") or path.stem.startswith("__") or f"`{path.stem}`" in text, name
        else:
            assert module in told[package.replace(".", "/")], name


def test_no_module_is_named_that_is_not_there() -> None:
    text = PAGE.read_text("utf-8")
    known = {name_of(path) for path in modules()}
    for where, names in re.findall(r"^\| `([\w/]+)/` \| .* \| (.*) \|$", text, re.MULTILINE):
        for module in re.findall(r"`(\w+)`", names):
            assert f"{where.replace('/', '.')}.{module}" in known, f"{where}/{module}"
