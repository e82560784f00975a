"""Packages in layers, and the arrows between them. An arrow is an import; a package imports what lies below it.

`LAYERS` is the picture from top to bottom. What a package may import stands in `MAY`; every package may import the
bottom, and modules of its own. `ONLY` names arrows that a single module may draw.
"""

from __future__ import annotations

import ast
from collections import Counter
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2] / "scalesync"
FLOWS = ("flows.verify", "flows.jobs", "flows.changes", "flows.imports", "flows.exports", "flows.runtime")
MIDDLE = ("ledger", "mapping", "sources", "outputs", "engine", "pacing", "http")
BOTTOM = (
    "config",
    "ports",
    "model",
    "errors",
    "events",
    "fences",
    "addresses",
    "disk",
    "file_names",
    "home",
    "jsonvalue",
    "masking",
    "plugins",
    "signatures",
    "stored",
    "text",
    "times",
)
LAYERS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("what a person types, what a program calls", ("cli", "api", "scale", "demo", "testing")),
    ("source, ledger and server compared", ("flows.verify",)),
    ("jobs that the ledger knows", ("flows.jobs",)),
    ("one change of many tasks", ("flows.changes",)),
    ("one run from options to summary", ("flows.imports", "flows.exports")),
    ("what every run needs; builds the concrete objects", ("flows.runtime",)),
    ("one service each; one kind of ledger each", ("platforms", "platforms.scale", "ledger.sqlite")),
    ("what becomes of a row, the same for every ledger; pure", ("ledger",)),
    ("records in, bodies, files out", ("mapping", "sources", "outputs")),
    ("in what order, how fast, over which connection", ("engine", "pacing", "http")),
    ("protocols, values, errors, small tools", BOTTOM),
)
MAY: dict[str, tuple[str, ...]] = {
    "": ("api", "flows.runtime"),
    "__main__": ("cli",),
    "cli": ("api", "demo", "sandbox", *FLOWS),
    "api": FLOWS,
    "scale": ("flows.runtime", "platforms.scale", "engine", "http"),
    "testing": ("flows.jobs", "flows.verify", "flows.imports", "flows.exports", "flows.runtime", "engine", "sandbox"),
    "demo": ("flows.imports", "flows.exports", "flows.runtime", "sandbox"),
    "flows.changes": ("flows.imports", "flows.exports", "flows.runtime", *MIDDLE),
    "flows.verify": ("flows.jobs", "flows.imports", "flows.runtime", *MIDDLE),
    "flows.jobs": ("flows.changes", "flows.imports", "flows.runtime", *MIDDLE),
    "flows.imports": ("flows.runtime", *MIDDLE),
    "flows.exports": ("flows.runtime", *MIDDLE),
    "flows.runtime": MIDDLE,
    "platforms": ("http",),
    "platforms.scale": ("http",),
    "ledger.sqlite": ("ledger",),
    "mapping": ("sources",),
    "sources": ("outputs",),
    "ports": ("model",),
    "config": ("ports", "model", "addresses", "errors", "masking", "text"),
    "disk": ("errors",),
    "fences": ("errors",),
    "plugins": ("errors", "fences"),
    "stored": ("errors",),
    "jsonvalue": ("model",),
}
ONLY = {
    ("flows.runtime.wiring", "platforms"),
    ("flows.runtime.setup.services", "platforms"),
    ("flows.runtime.ledgers", "ledger.sqlite"),
    ("api", "cli"),  # the progress line, where a program asks for it
    ("api", "sources"),  # records that a program gives
    ("cli.commands.ingest", "sources"),  # the names of the formats
    ("cli.commands.export", "outputs"),
    ("cli.commands.compact", "outputs"),
}
MODULES_AT_MOST = 15  # of a package, without its sub-packages


def modules() -> list[Path]:
    """Every module of the program."""
    return sorted(ROOT.rglob("*.py"))


def name_of(path: Path) -> str:
    """`flows.runtime.wiring` for scalesync/flows/runtime/wiring.py, "" for the package itself."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


@cache
def imports(path: Path) -> frozenset[str]:
    """Full names of the modules that a file imports, wherever in it."""
    package = ["scalesync", *path.relative_to(ROOT).parts[:-1]]
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*start, *([node.module] if node.module else [])])
            found.add(base)
            found.update(f"{base}.{alias.name}" for alias in node.names if is_module(f"{base}.{alias.name}"))
    return frozenset(found)


def is_module(name: str) -> bool:
    """Whether a full name is a module or a package of the program."""
    if not name.startswith("scalesync."):
        return False
    path = ROOT.joinpath(*name.split(".")[1:])
    return path.is_dir() or path.with_suffix(".py").is_file()


def package_of(module: str) -> str:
    """The box of the picture in which a module lies."""
    parts = module.split(".")
    if parts[0] == "platforms" and not ROOT.joinpath(*parts[:2]).is_dir():
        return "platforms"  # what stands beside the services
    return ".".join(parts[:2]) if parts[0] in {"flows", "platforms"} or parts[:2] == ["ledger", "sqlite"] else parts[0]


def allowed(importer: str, imported: str) -> bool:
    """Whether an arrow between two modules belongs to the picture."""
    here, there = package_of(importer), package_of(imported)
    if here == there and here not in {*BOTTOM, "sandbox"}:
        return True
    if here == "sandbox":
        return there == "sandbox" and _allowed_in_sandbox(importer.split(".")[1:], imported.split(".")[1:])
    if here in BOTTOM:
        return here == there or there in MAY.get(here, ())
    return there in BOTTOM or there in MAY.get(here, ()) or (importer, there) in ONLY


def _allowed_in_sandbox(importer: list[str], imported: list[str]) -> bool:
    """core knows no platform, a platform knows core and itself; what stands beside them puts them together."""
    here, there = (path[0] if path else "" for path in (importer, imported))
    together = {"", "sandbox"}
    return here in together or here == there or (there == "core" and here != "core")


def cycle_of(pairs: list[tuple[str, str]]) -> list[str]:
    """The modules of one import cycle, [] when there is none."""
    graph: dict[str, set[str]] = {}
    for importer, imported in pairs:
        graph.setdefault(importer, set()).add(imported)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def arrows() -> list[tuple[str, str]]:
    """(importer, imported) of all modules of the program."""
    pairs = []
    for path in modules():
        importer = name_of(path)
        for full in sorted(imports(path)):
            imported = full.removeprefix("scalesync").removeprefix(".")
            inside = imported in {"flows", "platforms"}  # the name of a folder, not a package with contents
            if full.split(".")[0] == "scalesync" and imported and imported != importer and not inside:
                pairs.append((importer, imported))
    return pairs


def sizes() -> Counter[str]:
    """Modules of each package, `__init__` left out; a package with sub-packages counts its own."""
    return Counter(
        ".".join(name_of(path).split(".")[:-1])
        for path in modules()
        if path.stem != "__init__" and "." in name_of(path)
    )


def draw() -> str:
    """The layers from top to bottom, each package with its modules counted, and what it imports of the others."""
    counts = Counter(package_of(name_of(path)) for path in modules() if path.stem != "__init__")
    drawn: dict[str, set[str]] = {}
    for importer, imported in arrows():
        here, there = package_of(importer), package_of(imported)
        if here != there and there not in BOTTOM:
            drawn.setdefault(here, set()).add(there)
    width = 98
    rule = "+" + "-" * width + "+"
    lines = [rule]
    for title, packages in LAYERS:
        lines.append(f"| {title:<{width - 2}} |")
        if packages is BOTTOM:
            told = [f"{name} {counts[name]}" if counts[name] > 1 else name for name in packages]
            lines += [f"|   {text:<{width - 4}} |" for text in _wrapped(told, width - 4)]
        else:
            for name in packages:
                below = " ".join(sorted(drawn.get(name, ()), key=_order))
                texts = _wrapped(below.split(" ") if below else [], width - 27)
                lines.append(f"|   {name:<16} {counts[name]:>3}   {texts[0] if texts else '':<{width - 27}} |")
                lines += [f"|   {'':<20}   {text:<{width - 27}} |" for text in texts[1:]]
        lines.append(rule)
    apart = "the emulators import nothing of the rest, so that they can catch its mistakes"
    lines.append(f"  sandbox {counts['sandbox']}: {apart}")
    return "\n".join(lines) + "\n"


def _order(name: str) -> int:
    flat = [package for _, packages in LAYERS for package in packages]
    return flat.index(name) if name in flat else len(flat)


def _wrapped(words: list[str], width: int) -> list[str]:
    lines: list[str] = []
    for word in words:
        if lines and len(lines[-1]) + 2 + len(word) <= width:
            lines[-1] += "  " + word
        else:
            lines.append(word)
    return lines
