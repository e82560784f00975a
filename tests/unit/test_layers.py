"""Who may import whom: tests/layers/picture.py holds the picture, this file keeps it true."""

from __future__ import annotations

import pytest

from tests.layers.picture import (
    LAYERS,
    MODULES_AT_MOST,
    allowed,
    arrows,
    cycle_of,
    draw,
    imports,
    modules,
    name_of,
    sizes,
)

FOREIGN = {
    "aiohttp": {"http", "platforms", "sandbox"},
    "yarl": {"http", "platforms"},
    "multidict": {"http"},
    "sqlite3": {"ledger.sqlite"},
    "sqlite_utils": {"ledger.sqlite"},
    "click": {"cli"},
    "rich": {"cli"},
    "pytest": {"testing"},
}


def test_only_the_drawn_arrows_exist():
    forbidden = sorted(f"{a or 'scalesync'} -> {b}" for a, b in arrows() if not allowed(a, b))
    assert forbidden == []


@pytest.mark.parametrize("library", FOREIGN)
def test_a_library_is_known_in_its_layer_only(library):
    users = {name_of(path) for path in modules() if any(name.split(".")[0] == library for name in imports(path))}
    assert {
        user for user in users if not any(f"{user}.".startswith(f"{where}.") for where in FOREIGN[library])
    } == set()
    assert users, f"{library} is imported nowhere: take it out of this test"


def test_no_package_is_a_drawer():
    """Beyond this many modules a package holds more than one noun."""
    large = {name: count for name, count in sizes().items() if count > MODULES_AT_MOST}
    assert large == {}


def test_the_sandbox_has_no_import_cycle():
    """Over all imports: those under TYPE_CHECKING and inside functions count as well."""
    inside = [pair for pair in arrows() if all(name.split(".")[0] == "sandbox" for name in pair)]
    assert len(inside) > 100
    assert cycle_of(inside) == []


def test_a_cycle_would_be_noticed():
    assert set(cycle_of([("a", "b"), ("b", "c"), ("c", "a"), ("c", "d")])) == {"a", "b", "c"}
    assert cycle_of([("a", "b"), ("a", "c"), ("b", "c")]) == []


def test_the_picture_would_notice_a_wrong_arrow():
    assert not allowed("engine.dispatcher", "ledger.sqlite.rows")
    assert not allowed("http.download", "outputs.manifest")
    assert not allowed("flows.imports.run", "flows.exports.run")
    assert not allowed("flows.runtime.lease", "flows.jobs.status")
    assert not allowed("flows.runtime.gate", "platforms.scale.wire")
    assert not allowed("sandbox.scale.tasks.create", "errors")
    assert not allowed("sandbox.core.server", "sandbox.scale.errors")
    assert not allowed("sandbox.core.server", "sandbox.sandbox")
    assert not allowed("sandbox.scale.app", "sandbox.other.app")
    assert not allowed("sandbox.scale.app", "sandbox.sandbox")
    assert allowed("sandbox.scale.app", "sandbox.core.app")
    assert allowed("sandbox.sandbox", "sandbox.scale.app")
    assert not allowed("model.rows", "ports.ledger")
    assert allowed("flows.runtime.wiring", "platforms.registry")
    assert not allowed("flows.runtime.wiring", "platforms.scale.adapter")
    assert not allowed("platforms.registry", "platforms.scale.adapter")
    assert not allowed("flows.imports.run", "ledger.sqlite.store")
    assert not allowed("flows.runtime.lease", "ledger.sqlite.jobs")
    assert not allowed("ledger.states", "ledger.sqlite.schema")
    assert not allowed("cli.commands.status", "ledger.states")
    assert allowed("flows.imports.dry_run", "ledger.states")
    assert allowed("flows.runtime.ledgers", "ledger.sqlite.store")


def test_the_picture_draws_every_package_once():
    picture = draw()
    for _, packages in LAYERS:
        for name in packages:
            assert picture.count(f"|   {name} ") + picture.count(f"  {name} ") >= 1, name
