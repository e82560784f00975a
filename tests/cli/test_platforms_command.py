"""scalesync platforms and --with: what a platform offers, what it does not, and options of its own."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from scalesync.cli.main import run as program
from scalesync.platforms import registry
from scalesync.platforms.scale.spec import SPEC
from scalesync.ports.spec import ClassLimit, KeyRule, KeyStrength, Offer, Option
from tests.plugins import install, project

from .conftest import Run


def whole(text: str) -> int:
    """An option's reader."""
    if not text.isdigit():
        raise ValueError("use a whole number")
    return int(text)


OTHER = replace(
    SPEC,
    name="other",
    title="Other",
    hosts=("api.other.example",),
    default_url=None,
    key=KeyRule(strength=KeyStrength.LABEL, landing_s=90, namespaced=True),
    limits={cls: ClassLimit(rate="100/min", width=2) for cls in SPEC.limits},
    options={"depth": Option("how deep", whole), "shade": Option("how dark", {"dark": 1, "light": 0}.__getitem__)},
    offers={
        **{name: Offer(False, f"it has no {name.split()[-1]}") for name in SPEC.offers},
        "import": Offer(True, "in chunks"),
    },
    changes={},
)


@pytest.fixture
def _other(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """A second platform, of another package."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    install(
        tmp_path,
        project("scalesync-other", registry.GROUP, other="plugin_other:SPEC"),
        {"plugin_other": "from tests.cli.test_platforms_command import OTHER as SPEC\n"},
    )
    fresh = registry.Plugins(registry.GROUP, "platform", type(SPEC), 1, registry.BUILT_IN, fenced=registry._fenced)
    monkeypatch.setattr(registry, "PLUGINS", fresh)
    monkeypatch.setenv("SCALE_API_KEY", "live_k")
    yield
    sys.modules.pop("plugin_other", None)


def test_platforms_need_no_key_and_no_request(run: Run) -> None:
    listed = run("platforms", key=None)
    assert (listed.code, listed.err) == (0, "")
    assert [line.split()[0] for line in listed.out.splitlines()] == ["platform", "scale", "scale-v2"]
    assert [re.split(" {2,}", line)[2] for line in listed.out.splitlines()] == ["--api", "v1", "v2"]
    assert [each["api"] for each in run("platforms", "--json", key=None).json["platforms"]] == ["v1", "v2"]
    one = run("platforms", "scale", key=None)
    for words in (
        *("https://api.scale.com/v1", "SCALE_API_KEY, SCALE_API_URL", "unique_id", "30/s at api.scale.com"),
        "--api v1",
    ):
        assert words in one.out
    (shown,) = run("platforms", "scale", "--json", key=None).json["platforms"]
    assert shown["key"]["strength"] == "enforced"
    assert {offer["command"] for offer in shown["offers"] if offer["works"]} >= {"import", "export", "verify"}
    assert all(offer["words"] in one.out for offer in shown["offers"])


@pytest.mark.parametrize("args", [["platforms"], ["platforms", "--json"], ["types"], ["--help"]])
def test_what_cannot_be_printed_is_a_failure(
    args: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", None)  # as Python has it where the descriptor is closed
    assert program(args) == 3
    assert capsys.readouterr().err == (
        "scalesync: standard output is closed, so nothing can be printed; open it and run the same command again\n"
    )


def test_what_apply_can_change_is_shown_with_its_arguments_and_the_way_back(run: Run) -> None:
    lines = [" ".join(line.split()) for line in run("platforms", "scale", key=None).out.splitlines()]
    assert "apply cancel yes cancel tasks that nobody has begun; cannot be undone, so it asks first" in lines
    assert "apply tags add yes add tags to tasks; undone by `apply tags remove`" in lines
    (scale,) = run("platforms", "scale", "--json", key=None).json["platforms"]
    audit = next(change for change in scale["changes"] if change["operation"] == "audit")
    assert (audit["changes"], audit["repeat"], audit["undone_by"]) == ("task", "compare first", None)
    assert [(one["argument"], one["takes"], one["needed"]) for one in audit["arguments"]] == [
        ("accepted", "flag", True),
        ("comments", "text", False),
    ]
    (chats,) = run("platforms", "scale-v2", "--json", key=None).json["platforms"]
    assert chats["changes"] == []
    assert {offer["command"]: offer["works"] for offer in chats["offers"]}["apply"] is False


def test_an_unknown_platform_is_answered_with_the_nearest(run: Run) -> None:
    ended = run("platforms", "scael", key=None)
    assert (ended.code, ended.out) == (2, "")
    assert "did you mean 'scale'?" in ended.err


@pytest.mark.usefixtures("_other")
def test_a_platform_that_says_nothing_about_commands_shows_no_empty_table(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules[__name__], "OTHER", replace(OTHER, offers={}))
    assert program(["platforms", "other"]) == 0
    told = capsys.readouterr().out
    assert told.endswith("\nit says nothing about single commands, so scalesync refuses none beforehand\n")
    assert "how, or why not" not in told


@pytest.mark.usefixtures("_other")
def test_a_platform_of_another_package_is_listed_unseen_and_shown_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert program(["platforms"]) == 0
    assert "other     of another package" in capsys.readouterr().out
    assert "plugin_other" not in sys.modules
    assert program(["platforms", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["plugins"] == ["other"]
    assert program(["platforms", "other"]) == 0
    told = capsys.readouterr().out
    for words in (
        "each installation has its own",
        "unique_id, unique within a project",
        "more than 90 s after",
        "100/min at api.other.example, 2 at a time",
        "--with depth",
        "how deep",
        "no     it has no export",
    ):
        assert words in told


@pytest.mark.usefixtures("_other")
@pytest.mark.parametrize(
    ("args", "reason"),
    [
        (("export", "--out", "data"), "`scalesync export` does not work with Other: it has no export"),
        (("backfill", "export", "--out", "data", "--from", "7d"), "it has no export"),
        (("verify",), "it has no verify"),
        (("status", "--refresh"), "it has no --refresh"),
        (("ledger", "rebuild", "nowhere.jsonl", "--type", "t"), "it has no rebuild"),
    ],
)
def test_what_a_platform_does_not_offer_is_refused_with_its_reason(
    args: tuple[str, ...], reason: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    before = set(tmp_path.iterdir())
    assert program([*args, "--platform", "other", "--base-url", "http://127.0.0.1:9/v1"]) == 2
    assert reason in capsys.readouterr().err
    assert {path.name for path in set(tmp_path.iterdir()) - before} <= {"__pycache__"}


@pytest.mark.usefixtures("_other")
def test_an_import_without_keys_is_refused_unless_two_tasks_are_accepted(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules[__name__], "OTHER", replace(OTHER, key=KeyRule(strength=KeyStrength.NONE)))
    args = ["import", "a.jsonl", "--type", "t", "--platform", "other", "--base-url", "http://127.0.0.1:9/v1"]
    assert program(args) == 2
    assert "Other keeps no key of a record" in capsys.readouterr().err
    assert program([*args, "--at-least-once"]) == 2
    assert "a.jsonl: there is no such file" in capsys.readouterr().err


@pytest.mark.usefixtures("_other")
@pytest.mark.parametrize(
    ("typed", "told"),
    [
        (("--with", "dept=3"), "Other has no option 'dept'; did you mean 'depth'?; use depth, shade"),
        (("--with", "depth=deep"), "invalid --with depth=deep: use a whole number"),
        (("--with", "depth"), "--with takes KEY=VALUE, not 'depth'"),
        (("--with", "=3"), "--with takes KEY=VALUE, not '=3'"),
    ],
)
@pytest.mark.parametrize("before", [True, False])
def test_an_option_of_the_platform_that_is_wrong_is_one_sentence(
    typed: tuple[str, ...], told: str, before: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    way = ("--platform", "other", "--base-url", "http://127.0.0.1:9/v1")
    args = [*way, *typed, "export", "--out", "x"] if before else ["export", "--out", "x", *way, *typed]
    assert program(args) == 2
    assert capsys.readouterr().err == f"scalesync: {told}\n"


@pytest.mark.usefixtures("_other")
def test_an_option_whose_reading_fails_names_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    way = ("--platform", "other", "--base-url", "http://127.0.0.1:9/v1", "--with", "shade=grey")
    assert program([*way, "export", "--out", "x"]) == 3
    err = capsys.readouterr().err
    assert "(KeyError: 'grey')" in err
    assert "Traceback" not in err


def test_an_option_that_scale_does_not_have_is_answered_with_its_own(run: Run) -> None:
    ended = run("status", "--with", "depth=3")
    assert (ended.code, ended.err) == (2, "scalesync: Scale AI has no option 'depth'; use audit_landing_s\n")


def test_a_command_that_does_not_take_it_refuses_it_under_its_name(run: Run) -> None:
    for args in (("platforms", "--with", "a=b"), ("--with", "a=b", "platforms")):
        ended = run(*args, key=None)
        assert ended.code == 2
        assert "--with" in ended.err
