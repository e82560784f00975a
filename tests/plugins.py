"""Packages as pip would install them, laid into a folder that is on the path of the program."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path


def install(folder: Path, pyproject: str, modules: Mapping[str, str]) -> None:
    """Lay a package into a folder: its modules, by name, and a .dist-info with the entry points of its pyproject.toml.

    `python -m` has the working folder on its path, so a program that runs there finds the package.
    """
    project = tomllib.loads(pyproject)["project"]
    for name, code in modules.items():
        (folder / f"{name}.py").write_text(code, "utf-8")
    info = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    lines: list[str] = []
    for group, entries in project["entry-points"].items():
        lines += [f"[{group}]", *(f"{name} = {value}" for name, value in entries.items()), ""]
    (info / "entry_points.txt").write_text("\n".join(lines), "utf-8")


def project(name: str, group: str, **entries: str) -> str:
    """A pyproject.toml with entry points of one group."""
    lines = [f'{entry} = "{value}"' for entry, value in entries.items()]
    return "\n".join(["[project]", f'name = "{name}"', 'version = "1.0"', f'[project.entry-points."{group}"]', *lines])
