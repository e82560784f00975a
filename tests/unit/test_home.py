"""Paths as the ledger keeps them."""

from __future__ import annotations

import os

import pytest

from scalesync.home import Home


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("/p/x", "x"),
        ("/p/a/x[1].jsonl", "a/x[1].jsonl"),
        ("/p", "."),
        ("/pp/x", "/pp/x"),
        ("/x", "/x"),
    ],
)
def test_a_path_beneath_the_folder_is_relative_to_it(path, told):
    home = Home("/p")
    assert home.told(path) == told
    assert home.place(told) == path
    assert Home("/q/r").place(told) == (path if told == path else os.path.normpath(f"/q/r/{told}"))


def test_the_root_can_be_the_folder():
    assert (Home("/").told("/x/y"), Home("/").told("/"), Home("/").place("x/y")) == ("x/y", ".", "/x/y")


def test_a_path_behind_a_link_is_beneath_what_the_link_leads_to(tmp_path):
    (tmp_path / "real" / "data").mkdir(parents=True)
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "real")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "real" / "out").symlink_to(tmp_path / "elsewhere")
    for one, other in (("real", "link"), ("link", "real")):
        home = Home(tmp_path / one)
        assert home.told(str(tmp_path / other / "data" / "x")) == "data/x"
        assert home.told(str(tmp_path / other)) == "."
        assert home.told(str(tmp_path / one / "out" / "x")) == "out/x"  # a link beneath it is a name there
        assert home.told(str(tmp_path / "elsewhere" / "x")) == str(tmp_path / "elsewhere" / "x")


def test_only_whole_paths_to_a_place_that_moved_are_shown_otherwise(tmp_path):
    home = Home("/now")
    assert home.shown("/then/x", "x") == "/now/x"
    assert home.shown("./x", "x") == "./x"
    assert home.shown("/other/x", "/other/x") == "/other/x"
