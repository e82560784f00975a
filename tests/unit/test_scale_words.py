"""Scale's words stand in its own packages, so that another platform meets none of them."""

from __future__ import annotations

from tests.layers.words import WORDS, Word, is_within, places, unused


def test_no_word_of_scale_stands_outside_its_packages():
    assert [f"{place.module}:{place.line} {place.text}" for place in places()] == []


def test_every_exception_is_needed_and_has_its_reason():
    assert list(unused()) == []
    assert [word.name for word in WORDS if word.may and not word.reason] == []


def test_the_search_finds_what_it_looks_for():
    found = {place.module for place in places((Word("class", r"\bclass ScaleTasks\b|\bclass ListPage\b", (), ""),))}
    assert found == {"ports.platform"}  # and not Scale's own package
    assert not list(places((Word("class", r"\bclass ListPage\b", ("ports",), "here"),)))


def test_a_package_holds_its_modules_and_no_other_name():
    assert is_within("ledger.sqlite.imports.rows", ("ledger.sqlite",))
    assert not is_within("ledger.sqlites", ("ledger.sqlite",))
