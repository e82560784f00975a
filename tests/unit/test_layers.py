"""Who may import whom. The picture is docs/architecture's; this file keeps it true.

cli, api
flows          only flows.wiring knows a concrete platform, only flows.demo knows the sandbox
engine   ledger   records   platforms          no neighbour imports another
errors, model, ports, events, config, profiles, credentials,
times, masking, disk, signatures, addresses, words     the bottom
sandbox        imports nothing of the rest, so that it can catch its mistakes; in it no cycle, core under scale
"""

from __future__ import annotations

import ast
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2] / "scalesync"
BOTTOM = {
    *("errors", "model", "ports", "events", "config", "profiles", "credentials"),
    *("times", "masking", "disk", "signatures", "addresses", "words"),
}
MIDDLE = {"engine", "ledger", "records", "platforms"}
FOREIGN = {
    "aiohttp": {"platforms", "sandbox"},
    "yarl": {"platforms"},
    "multidict": {"platforms"},
    "sqlite3": {"ledger"},
    "sqlite_utils": {"ledger"},
    "click": {"cli"},
    "rich": {"cli"},
}


def modules() -> list[Path]:
    return sorted(path for path in ROOT.rglob("*.py"))


def name_of(path: Path) -> str:
    """`flows.wiring` for scalesync/flows/wiring.py, "" for the package itself."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


@cache
def imports(path: Path) -> set[str]:
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
    return found


def is_module(name: str) -> bool:
    if not name.startswith("scalesync."):
        return False
    path = ROOT.joinpath(*name.split(".")[1:])
    return path.is_dir() or path.with_suffix(".py").is_file()


def allowed(importer: str, imported: str) -> bool:
    """Whether an arrow between two modules of the package belongs to the picture."""
    here, there = importer.split(".", maxsplit=1)[0], imported.split(".", maxsplit=1)[0]
    if here == there == "sandbox":
        return allowed_in_sandbox(importer.split(".")[1:], imported.split(".")[1:])
    if here == there and here != "":
        return not (here == "platforms" and not importer.startswith("platforms.scale") and is_concrete(imported))
    if here in BOTTOM:
        return there in BOTTOM
    if here in MIDDLE:
        return there in BOTTOM
    if here == "flows":
        if there == "sandbox":
            return importer == "flows.demo"
        if is_concrete(imported):
            return importer == "flows.wiring"
        return there in BOTTOM | MIDDLE
    if here == "sandbox":
        return False
    if here == "cli":
        return there in BOTTOM | {"flows", "sandbox", "api"}
    return here in {"", "api", "__main__"} and there in BOTTOM | {"flows", "api", "cli"}


def allowed_in_sandbox(importer: list[str], imported: list[str]) -> bool:
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


def is_concrete(name: str) -> bool:
    return name.startswith("platforms.scale")


def arrows() -> list[tuple[str, str]]:
    pairs = []
    for path in modules():
        importer = name_of(path)
        for full in imports(path):
            imported = full.removeprefix("scalesync").removeprefix(".")
            if full.split(".")[0] == "scalesync" and imported and imported != importer:
                pairs.append((importer, imported))
    return pairs


def test_only_the_drawn_arrows_exist():
    forbidden = sorted(f"{a or 'scalesync'} -> {b}" for a, b in arrows() if not allowed(a, b))
    assert forbidden == []


@pytest.mark.parametrize("library", FOREIGN)
def test_a_library_is_known_in_its_layer_only(library):
    users = {name_of(path) for path in modules() if any(name.split(".")[0] == library for name in imports(path))}
    assert {user for user in users if user.split(".")[0] not in FOREIGN[library]} == set()
    assert users, f"{library} is imported nowhere: take it out of this test"


def test_the_sandbox_has_no_import_cycle():
    """Over all imports: those under TYPE_CHECKING and inside functions count as well."""
    inside = [pair for pair in arrows() if all(name.split(".")[0] == "sandbox" for name in pair)]
    assert len(inside) > 100
    assert cycle_of(inside) == []


def test_a_cycle_would_be_noticed():
    assert set(cycle_of([("a", "b"), ("b", "c"), ("c", "a"), ("c", "d")])) == {"a", "b", "c"}
    assert cycle_of([("a", "b"), ("a", "c"), ("b", "c")]) == []


def test_the_picture_would_notice_a_wrong_arrow():
    assert not allowed("engine.dispatch", "ledger.rows")
    assert not allowed("platforms.download", "records.manifest")
    assert not allowed("flows.ingest", "platforms.scale.platform")
    assert not allowed("sandbox.scale.tasks.create", "errors")
    assert not allowed("sandbox.core.server", "sandbox.scale.errors")
    assert not allowed("sandbox.core.server", "sandbox.sandbox")
    assert not allowed("sandbox.scale.app", "sandbox.other.app")
    assert not allowed("sandbox.scale.app", "sandbox.sandbox")
    assert allowed("sandbox.scale.app", "sandbox.core.app")
    assert allowed("sandbox.sandbox", "sandbox.scale.app")
    assert not allowed("config", "engine.limiter")
    assert not allowed("platforms.transport", "platforms.scale.wire")
    assert allowed("flows.wiring", "platforms.scale.platform")
    assert allowed("cli.demo", "flows.demo")


def test_there_is_something_to_look_at():
    assert len(modules()) > 60
    assert len(arrows()) > 200
