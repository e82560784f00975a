"""Help, wrong usage and wrong settings: the outside of the command line that needs no server."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

import click
import pytest

from scalesync.cli.main import cli
from scalesync.cli.options import common_options
from scalesync.cli.table import COMMANDS, RESERVED

from .conftest import KEY, PROGRAM, Run, environment

# What takes longer to import than all of `--help` does; a command imports it when it runs.
HEAVY = {"aiohttp", "anyio", "asyncio", "pyarrow", "rich", "sqlite3", "sqlite_utils", "ssl", "uvloop"}
# one valid call of each command that reads settings; none of them reaches a server
ADDRESS = "postgresql://me:hidden@db.example/scalesync"
CALLS = {
    "import": ("missing.jsonl", "--type", "categorization"),
    "export": ("--out", "data"),
    "backfill": ("export", "--out", "data", "--from", "7d"),
    "status": (),
    "failures": (),
    "retry": ("--job", "nightly"),
    "verify": ("--job", "nightly"),
    "ledger": ("rebuild", "missing.jsonl", "--type", "categorization"),
}


def commands() -> dict[str, click.Command]:
    context = click.Context(cli)
    return {name: command for name in COMMANDS if (command := cli.get_command(context, name)) is not None}


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (("import", "x", "--typ", "t"), "--type"),
        (("import", "x", "--tpye=t"), "--type"),
        (("--ledgr", "x"), "--ledger"),
    ],
)
def test_an_option_with_a_typing_error_brings_the_nearest_one(run: Run, typed: tuple[str, ...], meant: str) -> None:
    ended = run(*typed)
    assert (ended.code, ended.out) == (2, "")
    assert f"; did you mean '{meant}'? (scalesync" in ended.err
    assert run("import", "x", "--zzzz").err == (
        "scalesync: there is no option --zzzz (scalesync import --help says more)\n"
    )


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("team", "; did you mean `scalesync scale team`?"),
        ("files", "; did you mean `scalesync scale files`?"),
        ("task", "; did you mean `scalesync scale tasks`?"),
        ("exprot", "; did you mean 'export'?"),
        ("zzz", ""),
    ],
)
def test_an_unknown_command_brings_what_was_probably_meant(run: Run, typed: str, meant: str) -> None:
    ended = run(typed, "list", key=None)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == f"scalesync: there is no command '{typed}'{meant} (scalesync --help says more)\n"


@pytest.mark.parametrize("args", ["--help", "import --help", "scale tasks list --help", "--version"])
def test_help_imports_nothing_heavy(tmp_path: Path, args: str) -> None:
    """A count of modules says on any machine what a time says on a quiet one."""
    python, *rest = PROGRAM
    command = [python, "-X", "importtime", *rest, *args.split()]
    ended = subprocess.run(command, check=True, capture_output=True, text=True, env=environment(tmp_path))
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in ended.stderr.splitlines()}
    assert "click" in imported
    assert not imported & HEAVY


def test_help_lists_every_command_and_names_what_is_reserved(run: Run) -> None:
    ended = run("--help", key=None)
    assert ended.code == 0
    assert ended.err == ""
    head, tail = ended.out.split("Reserved")
    for name in COMMANDS:
        assert f"\n  {name} " in head
    for name in RESERVED:
        assert f"\n  {name} " not in head
        assert name in tail


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_examples_and_every_option_a_help(name: str) -> None:
    command = commands()[name]
    text = command.get_help(click.Context(command, info_name=name))
    examples = text.split("Examples:")[1].splitlines()
    assert sum(line.startswith("  ") and f"scalesync {name}" in line for line in examples) >= 1
    assert command.short_help == COMMANDS[name].text
    for option in command.params:
        assert getattr(option, "help", None), f"{name} {option.opts}"
        for flag in option.opts:
            assert not flag.startswith("--") or flag in text or getattr(option, "hidden", False)


def test_examples_parse(tmp_path: Path) -> None:
    """What the help shows must not be wrong usage."""
    for name, command in commands().items():
        for line in command.examples:  # type: ignore[attr-defined]
            words = shlex.split(line.split("|")[-1].split("&")[0])
            args = words[words.index("scalesync") + 1 :]
            cli.make_context("scalesync", list(args))
            rest = args[args.index(name) + 1 :]
            command.make_context(name, list(rest))


def test_nothing_typed_shows_the_help_and_exits_2(run: Run) -> None:
    ended = run()
    assert (ended.code, ended.out) == (2, "")
    assert "Commands:" in ended.err


def test_version(run: Run) -> None:
    ended = run("--version")
    assert ended.code == 0
    assert ended.out.startswith("scalesync ")


@pytest.mark.parametrize(
    "args",
    [
        ("improt",),
        ("import",),
        ("import", "a.jsonl"),
        ("import", "--type", "categorization"),
        ("import", "a.jsonl", "--type", "t", "--nope"),
        ("import", "a.jsonl", "--type", "t", "--limit", "0"),
        ("import", "a.jsonl", "--type", "t", "--limit", "many"),
        ("import", "a.jsonl", "--type", "t", "--max-failures", "many"),
        ("import", "a.jsonl", "--type", "t", "--max-failures", "101%"),
        ("import", "a.jsonl", "--type", "t", "--reclaim", "completed"),
        ("import", "a.jsonl", "--type", "t", "--on-conflict", "guess"),
        ("import", "a.jsonl", "--type", "t", "--delimiter", "ab"),
        ("import", "a.jsonl", "--type", "t", "--encoding", "klingon"),
        ("export",),
        ("export", "--out", "data", "--format", "xml"),
        ("export", "--out", "data", "--incremental", "--again"),
        ("export", "--out", "data", "--full-every", "7d"),
        ("export", "--out", "data", "--status", "cancelled"),
        ("export", "--out", "data", "--status", "completed", "--status", "Pending"),
        ("export", "--out", "data", "--status", ""),
        ("export", "--out", "data", "--status", ","),
        ("export", "--out", "data", "--review-status", "bogus"),
        ("export", "--out", "data", "--tag", ""),
        ("export", "--out", "data", "--project", ""),
        ("export", "--out", "data", "--created-after", ""),
        ("export", "--out", "data", "--fields", ""),
        ("export", "--out", "data", "--fields", "a..b"),
        ("backfill", "export", "--out", "data", "--from", "7d", "--batch", ""),
        ("backfill", "export", "--out", "data", "--from", "7d", "--tag", ","),
        ("export", "--out", "data", "--created-after", "99999999d"),
        ("export", "--out", "data", "--created-after", "9" * 400 + "w"),
        ("export", "--out", "data", "--updated-before", "0001-01-01"),
        ("export", "--out", "data", "--completed-before", "9999-12-31T23:59:59.999Z"),
        ("backfill", "export", "--out", "data", "--from", "99999999d"),
        ("backfill", "export", "--out", "data", "--from", "1969-12-31"),
        ("backfill", "export", "--out", "data", "--from", "2025-01-01", "--to", "9999-12-31"),
        ("backfill", "export", "--out", "data"),
        ("backfill", "export", "--out", "data", "--from", "7d", "--window", "1y"),
        ("backfill", "export", "--out", "data", "--from", "2026-02-01", "--to", "2026-01-01"),
        ("backfill", "export", "--out", "data", "--from", "7d", "--created-after", "6d"),
        ("backfill", "apply", "--out", "data"),
        ("backfill", "--out", "data", "--from", "7d"),
        ("backfill", "import", "--out", "data", "--from", "7d"),
        ("compact", "--from", "missing", "--to", "data"),
        ("compact", "--from", "missing"),
        ("compact", "--from", "missing", "--to", "data", "--as-of", "99999999d"),
        ("compact", "--from", "missing", "--to", "data", "--as-of", "0001-01-01"),
        ("failures", "--limit", "4"),
        ("status", "extra"),
        ("sandbox", "--port", "-1"),
        ("sandbox", "--set", "colour=red"),
        ("sandbox", "--set", "colour"),
        ("sandbox", "--set", "rate=1"),
        ("sandbox", "--set", "keepalive_s=long"),
        ("sandbox", "--faults", "missing.toml"),
        ("sandbox", "--project", "name-only"),
        ("sandbox", "--port", "0", "--project", "a=categorization", "--project", "a=annotation"),
        ("--json",),
        ("--rate", "fast", "status"),
        ("status", "--concurrency", "1000"),
        ("status", "--base-url", "ftp://nowhere"),
    ],
)
def test_wrong_usage_exits_2_with_one_sentence(run_here: Run, tmp_path: Path, args: tuple[str, ...]) -> None:
    ended = run_here(*args)
    assert ended.code == 2, ended.err
    assert ended.err.startswith("scalesync: ")
    assert ended.err.count("\n") == 1
    assert not (tmp_path / "scalesync.db").exists()


@pytest.mark.parametrize(
    "args",
    [
        ("export", "--out", ADDRESS),
        ("export", "--out", "file:///tmp/data"),
        ("backfill", "export", "--out", ADDRESS, "--from", "7d"),
        ("compact", "--from", "data", "--to", ADDRESS),
        ("compact", "--from", ADDRESS, "--to", "data"),
        ("--ledger", ADDRESS, "status"),
        ("import", "a.jsonl", "--type", "t", "--ledger", ADDRESS),
        ("failures", "--out", ADDRESS),
        ("verify", "--out", ADDRESS),
        ("status", "--log-file", ADDRESS),
        ("sandbox", "--data", ADDRESS),
        ("--profile", "shared", "status"),
    ],
)
def test_an_address_is_not_taken_for_a_folder_of_its_name(run_here: Run, tmp_path: Path, args: tuple[str, ...]) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "shared.toml").write_text(f'ledger = "{ADDRESS}"\n', encoding="utf-8")
    before = set(tmp_path.iterdir())
    ended = run_here(*args)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.count("\n") == 1
    assert "is an address; name a file or folder of this machine" in ended.err
    assert "hidden" not in ended.err
    assert set(tmp_path.iterdir()) == before


@pytest.mark.parametrize("name", RESERVED)
def test_reserved_names_say_that_they_are_not_built(run_here: Run, name: str) -> None:
    ended = run_here(name, "--fix", "anything", "--help")
    assert (ended.code, ended.out) == (2, "")
    assert f"`scalesync {name}` is not built yet" in ended.err


def test_json_carries_errors_too(run: Run) -> None:
    wrong_fields = ("export", "--out", "data", "--fields", "a..b", "--json")
    for args in (
        ("--json", "improt"),
        ("import", "x", "--json"),
        ("apply", "--json"),
        ("--json", "status", "-x"),
        wrong_fields,
    ):
        ended = run(*args)
        assert ended.code == 2
        assert ended.json.keys() == {"error", "exit_code"}
        assert ended.json["exit_code"] == 2
        assert ended.json["error"] in ended.err


@pytest.mark.parametrize("name", ["import", "export", "retry", "verify", "ledger"])
def test_a_missing_key_is_one_sentence(run: Run, name: str) -> None:
    ended = run(name, *CALLS[name], key=None)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.count("\n") == 1
    assert "SCALE_API_KEY" in ended.err


@pytest.mark.parametrize("name", CALLS)
def test_plain_http_to_other_machines_is_refused_before_and_after_the_name(run_here: Run, name: str) -> None:
    url = ("--base-url", "http://192.0.2.1/v1")
    for args in ((*url, name, *CALLS[name]), (name, *CALLS[name], *url)):
        ended = run_here(*args)
        assert ended.code == 2
        assert "--allow-http" in ended.err


@pytest.mark.parametrize("name", CALLS)
def test_an_unknown_profile_names_both_places(run_here: Run, name: str) -> None:
    for args in (("--profile", "nobody", name, *CALLS[name]), (name, *CALLS[name], "--profile", "nobody")):
        ended = run_here(*args)
        assert ended.code == 2
        assert str(Path("config") / "nobody.toml") in ended.err


def test_an_option_after_the_name_wins_over_the_same_before_it(run: Run) -> None:
    bad, good = ("--rate", "fast"), ("--rate", "30")
    assert "invalid rate" in run(*good, "import", *CALLS["import"], *bad).err
    assert "invalid rate" not in run(*bad, "import", *CALLS["import"], *good).err


IMPORT = ("import", "a.jsonl", "--type", "t")


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ((*IMPORT, "--project", "letters", "--project", "p"), "--project is given twice, as 'letters' and 'p'"),
        ((*IMPORT, "--project=a", "--project", "b", "--project=a"), "--project is given 3 times, as 'a' and 'b'"),
        ((*IMPORT, "--limit", "1", "--type", "u"), "--type is given twice, as 't' and 'u'"),
        ((*IMPORT, "--rate", "30", "--rate", "fast"), "--rate is given twice, as '30' and 'fast'"),
        (("--rate", "30", "--rate", "40", "status"), "--rate is given twice, as '30' and '40'"),
        (("export", "--out", "a", "--out", "b"), "--out is given twice, as 'a' and 'b'"),
        (("failures", "--job", "a", "--job", "b"), "--job is given twice, as 'a' and 'b'"),
        (("scale", "--rate", "3", "--rate", "4", "tasks", "list"), "--rate is given twice, as '3' and '4'"),
        (("scale", "tasks", "list", "--batch", "a", "--batch", "b"), "--batch is given twice, as 'a' and 'b'"),
        (
            ("--base-url", "http://me:hidden@h.test/v1", "--base-url", "http://127.0.0.1/v1?sig=hidden", "status"),
            "--base-url is given twice, as 'http://h.test/v1' and 'http://127.0.0.1/v1'",
        ),
    ],
)
def test_an_option_of_one_value_given_twice_is_refused(run_here: Run, args: tuple[str, ...], words: str) -> None:
    ended = run_here(*args)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith(f"scalesync: {words}; it takes one value")
    assert ended.err.count("\n") == 1


@pytest.mark.parametrize(
    "args",
    [
        (*IMPORT, "--project", "p", "--project=p"),
        ("export", "--out", "d", "--status", "completed", "--status", "bogus"),
        (*IMPORT, "--set", "a=1", "--set", "b=2", "-v", "-v", "--force", "--force"),
    ],
)
def test_the_same_value_twice_and_options_of_several_values_are_taken(run_here: Run, args: tuple[str, ...]) -> None:
    ended = run_here(*args)
    assert ended.code == 2
    assert "given twice" not in ended.err
    assert "a.jsonl: there is no such file" in ended.err or "bogus" in ended.err


def test_every_command_that_reads_settings_takes_all_common_options() -> None:
    wanted = {option.name for option in common_options()}
    for name in CALLS:
        assert wanted <= {option.name for option in commands()[name].params}


ELSEWHERE = {
    "--platform": "nowhere",
    "--api": "v9",
    "--base-url": "ftp://nowhere",
    "--profile": "nobody",
    "--ledger": "",
    "--rate": "fast",
    "--rate-all": "fast",
    "--concurrency": "many",
}


@pytest.mark.parametrize("option", ELSEWHERE)
@pytest.mark.parametrize("name", CALLS)
def test_every_setting_is_read_before_and_after_the_commands_name(run_here: Run, name: str, option: str) -> None:
    typed = (option, ELSEWHERE[option])
    before, after = run_here(*typed, name, *CALLS[name]), run_here(name, *CALLS[name], *typed)
    assert before == after
    assert before.code == 2


@pytest.mark.parametrize("name", ["demo", "sandbox", "compact"])
@pytest.mark.parametrize("option", [("--rate-all", "5"), ("--ledger", "x.db"), ("--profile", "p"), ("--allow-http",)])
def test_an_option_that_a_command_does_not_take_is_refused_on_both_sides(
    run_here: Run, name: str, option: tuple[str, ...]
) -> None:
    rest = ("--from", "a", "--to", "b") if name == "compact" else ()
    for args in ((*option, name, *rest), (name, *rest, *option)):
        ended = run_here(*args)
        assert ended.code == 2
        assert option[0] in ended.err


def test_the_sandboxs_own_rate_is_not_that_of_every_command(run_here: Run) -> None:
    assert run_here("--rate", "5", "sandbox").err == "scalesync: `scalesync sandbox` takes no --rate before its name\n"


@pytest.mark.parametrize(
    ("args", "meant"),
    [
        (("improt", "a.jsonl"), "'import'"),
        (("exprot",), "'export'"),
        (("fialures",), "'failures'"),
        (("import", "a.jsonl", "--typ", "t"), "--type"),
        (("status", "--jop", "x"), "--job"),
        (("sandbox", "--set", "keep_alive=3"), "'keepalive_s'"),
        (("export", "--out", "d", "--status", "cancelled"), "canceled"),
        (("import", "a.jsonl", "--type", "t", "--reclaim", "eror"), "'error'"),
        (("--platform", "scal", "status"), "'scale'"),
    ],
)
def test_what_is_not_there_is_answered_with_the_nearest_name(run_here: Run, args: tuple[str, ...], meant: str) -> None:
    ended = run_here(*args)
    assert ended.code == 2
    assert meant in ended.err


def test_a_profile_that_is_not_there_is_answered_with_the_nearest_name(run_here: Run, tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "staging.toml").write_text('acount = "x"\n', "utf-8")
    assert "did you mean 'staging'?" in run_here("--profile", "stagin", "status").err
    assert "did you mean 'account'?" in run_here("--profile", "staging", "status").err


def test_a_damaged_key_is_not_shown(run: Run) -> None:
    ended = run("import", *CALLS["import"], key=f"{KEY} {KEY}")
    assert ended.code == 2
    assert KEY not in ended.err + ended.out


def test_a_profile_with_a_key_in_it_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "work.toml").write_text(f'api_key = "{KEY}"\n', "utf-8")
    ended = run("--profile", "work", "status", key=None)
    assert ended.code == 2
    assert KEY not in ended.err
    assert "do not belong in files" in ended.err


def test_a_reader_that_went_away_is_no_error(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as closed:
        ended = subprocess.run(
            [*PROGRAM, "--help"], stdout=closed, stderr=subprocess.PIPE, env=environment(tmp_path), check=False
        )
    assert ended.stderr == b""
