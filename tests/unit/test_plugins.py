"""Additions of other packages: found without an import, and what is wrong with one told in one sentence."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from scalesync.errors import ConfigError
from scalesync.plugins import Plugins, clashes
from tests.plugins import install, project

GROUP = "scalesync.tests"
Add = Callable[..., None]


@dataclass(frozen=True)
class Thing:
    """What the entry points of the tests hold."""

    api: int
    name: str


@pytest.fixture
def add(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Add]:
    """add(name, code, package="other"): a package with one entry point, whose object is called IT."""
    monkeypatch.syspath_prepend(str(tmp_path))
    added: list[str] = []

    def go(name: str, code: str, package: str = "other", module: str = "") -> None:
        module = module or f"plugin_{package}_{name}"
        added.append(module)
        imports = "from tests.unit.test_plugins import Thing\n"
        install(tmp_path, project(package, GROUP, **{name: f"{module}:IT"}), {module: imports + code})

    yield go
    for module in added:
        sys.modules.pop(module, None)


def plugins(*own: str) -> Plugins[Thing]:
    return Plugins(GROUP, "thing", Thing, 3, own)


def test_names_are_known_without_an_import(add: Add) -> None:
    add("zebra", "IT = Thing(3, 'zebra')", "one")
    add("ant", "raise RuntimeError('imported')", "two")
    add("cow", "IT = Thing(3, 'cow')", "three")
    found = plugins("cow")
    assert list(found.names()) == ["ant", "zebra"]
    assert "ant" in found
    assert "cow" not in found
    assert "wolf" not in found
    assert not any(name.startswith("plugin_") for name in sys.modules)


def test_one_is_imported_when_its_name_is_asked_for(add: Add) -> None:
    add("zebra", "IT = Thing(3, 'zebra')", "one")
    add("ant", "raise RuntimeError('imported')", "two")
    found = plugins()
    assert found.load("zebra") == Thing(3, "zebra")
    assert found.load("zebra") is found.load("zebra")
    assert found.load("wolf") is None


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        (
            "import nowhere",
            "cannot be imported (ModuleNotFoundError: No module named 'nowhere'",
        ),
        ("raise ValueError('two\\nlines')", "cannot be imported (ValueError: two lines)"),
        ("1 +", "cannot be imported (SyntaxError"),
        ("pass", "cannot be imported (AttributeError"),
        ("IT = Thing", "is type, not Thing"),
        ("IT = Thing(2, 'ant')", "is written for version 2 of the interface, this scalesync has version 3"),
        ("IT = Thing(4, 'ant')", "is written for version 4 of the interface, this scalesync has version 3"),
        ("IT = Thing(3, 'aunt')", 'calls itself "aunt"'),
    ],
)
def test_what_cannot_be_used_is_reported_with_the_package(add: Add, code: str, sentence: str) -> None:
    add("ant", code)
    with pytest.raises(ConfigError) as caught:
        plugins().load("ant")
    told = str(caught.value)
    assert told.startswith('the thing "ant" of other 1.0 ')
    assert sentence in told
    assert "\n" not in told
    assert caught.value.exit_code == 2


def test_a_name_that_the_program_has_stays_its_own_and_is_told_once(add: Add) -> None:
    add("ant", "raise RuntimeError('imported')")
    found = plugins("ant", "cow")
    clashes()
    assert list(found.names()) == []
    assert found.load("cow") is found.load("ant") is None
    (told,) = clashes()
    assert told.startswith('other 1.0 adds the thing "ant", which scalesync has itself: scalesync uses its own; ')
    assert found.load("ant") is None
    assert list(clashes()) == [told], "each run tells it, once"


@pytest.mark.parametrize(
    "kind", ["SystemExit", "KeyboardInterrupt", "GeneratorExit", "type('Own', (BaseException,), {})"]
)
def test_whatever_ends_an_import_in_a_thread_is_told_as_a_broken_package(add: Add, kind: str) -> None:
    add("ant", f"raise {kind}('no')")
    told: list[BaseException] = []

    def work() -> None:
        try:
            plugins().load("ant")
        except BaseException as error:
            told.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    (error,) = told
    assert isinstance(error, ConfigError)
    assert 'the thing "ant" of other 1.0 cannot be imported (' in str(error)


def test_ctrl_c_during_an_import_is_not_the_package_s(add: Add) -> None:
    add("ant", "raise KeyboardInterrupt")
    with pytest.raises(KeyboardInterrupt):
        plugins().load("ant")


def test_a_name_that_two_packages_have_is_refused(add: Add) -> None:
    add("ant", "IT = Thing(3, 'ant')", "one")
    add("ant", "IT = Thing(3, 'ant')", "two")
    assert list(plugins().names()) == ["ant"]
    with pytest.raises(ConfigError, match=r'(one|two) 1.0 and (one|two) 1.0 both add the thing "ant"'):
        plugins().load("ant")
