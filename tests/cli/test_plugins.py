"""Formats of other packages on the command line: what is wrong with one is told where it is asked for, nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.plugins import install, project

from .conftest import Run, sandbox

SOURCE = """
from scalesync.sources.plugin import SourceFormat
FORMAT = SourceFormat(api={api}, name="{name}", words="Odd", bind=lambda source: None)
"""
OUTPUT = """
from scalesync.outputs.encoders.plugin import OutputFormat
FORMAT = OutputFormat(api={api}, name="{name}", open=lambda file: None, lines=lambda file: None)
"""
SOURCES, ENCODERS = "scalesync.sources", "scalesync.encoders"
IMPORT = ("--type", "categorization", "--project", "p", "--dry-run")


def add(folder: Path, group: str, code: str, name: str = "odd", package: str = "other") -> None:
    install(folder, project(package, group, **{name: f"{package}_module:FORMAT"}), {f"{package}_module": code})


BROKEN = {
    "api": ("{code}", 2, "odd", "is written for version 2 of the interface, this scalesync has version 1"),
    "import": ("import nowhere", 1, "odd", "cannot be imported (ModuleNotFoundError: No module named 'nowhere')"),
    "kind": ("FORMAT = 7", 1, "odd", "is int, not "),
    "other name": ("{code}", 1, "strange", 'calls itself "strange"'),
}


@pytest.mark.parametrize("case", BROKEN)
@pytest.mark.parametrize("way", ["named source", "suffix", "output", "compacted"])
def test_one_that_cannot_be_used_is_one_sentence(run: Run, tmp_path: Path, case: str, way: str) -> None:
    code, api, name, sentence = BROKEN[case]
    group, template = (ENCODERS, OUTPUT) if way in ("output", "compacted") else (SOURCES, SOURCE)
    add(tmp_path, group, template.format(api=api, name=name) if code == "{code}" else code)
    (tmp_path / "in.odd").write_text('{"a": 1}\n')
    typed = {
        "named source": ("import", "in.odd", *IMPORT, "--input-format", "odd"),
        "suffix": ("import", "in.odd", *IMPORT),
        "output": ("export", "--out", "out", "--format", "odd"),
        "compacted": ("compact", "--from", "in", "--to", "out", "--format", "odd"),
    }[way]
    if way == "compacted":
        (tmp_path / "in").mkdir()
        (tmp_path / "in" / "manifest.json").write_text(MANIFEST)
    ended = run(*typed, env={"SCALE_API_URL": "http://127.0.0.1:9/v1"})
    assert (ended.code, ended.out) == (2, "")
    assert sentence in ended.err
    assert "of other 1.0 " in ended.err
    assert ended.err.count("\n") == 1


MANIFEST = '{"version": 1, "job": "j", "target": "t", "mode": "test", "files": [], "filters": {}, "watermark": null}'


@pytest.mark.parametrize(
    ("group", "what", "name", "typed"),
    [
        (SOURCES, "source format", "csv", ("import", "in.data", *IMPORT, "--input-format", "csv")),
        (ENCODERS, "output format", "parquet", ("export", "--out", "out", "--format", "parquet")),
    ],
)
def test_a_name_that_scalesync_has_stays_its_own_and_the_clash_is_told_once(
    run: Run, tmp_path: Path, group: str, what: str, name: str, typed: tuple[str, ...]
) -> None:
    add(tmp_path, group, "raise RuntimeError('imported')", name)
    (tmp_path / "in.data").write_text("attachment,attachment_type\nx,text\n")
    with sandbox(tmp_path, "--project", "p=categorization") as server:
        ended = run(*typed, env={"SCALE_API_URL": server.base_url})
        quiet = run(*typed, "--quiet", env={"SCALE_API_URL": server.base_url})
    assert (ended.code, "imported" in ended.err) == (0, False), ended
    clash = f'other 1.0 adds the {what} "{name}", which scalesync has itself: scalesync uses its own; uninstall that'
    assert ended.err.count(clash) == 1
    assert clash not in quiet.err


def test_a_suffix_that_scalesync_has_stays_its_own(run: Run, tmp_path: Path) -> None:
    add(tmp_path, SOURCES, "raise RuntimeError('imported')", "ndjson")
    (tmp_path / "in.ndjson").write_text("no JSON\n")
    with sandbox(tmp_path, "--project", "p=categorization") as server:
        url = {"SCALE_API_URL": server.base_url}
        ended = run("import", "in.ndjson", *IMPORT, "--json", env=url)
        named = run("import", "in.ndjson", *IMPORT, "--input-format", "ndjson", env=url)
    assert (ended.code, ended.json["invalid"]) == (1, 1)
    assert (named.code, "'ndjson' is not one of 'jsonl'" in named.err) == (2, True)
    assert "ndjson" not in run("import", "--help").out


def test_names_are_completed(run: Run, tmp_path: Path) -> None:
    add(tmp_path, SOURCES, "raise RuntimeError('imported')", "paper")
    typed = {
        "_SCALESYNC_COMPLETE": "bash_complete",
        "COMP_WORDS": "scalesync import x --input-format pa",
        "COMP_CWORD": "4",
    }
    assert run(env=typed).out.split() == ["plain,parquet", "plain,paper"]


def test_two_packages_with_one_name_are_reported(run: Run, tmp_path: Path) -> None:
    for package in ("one", "two"):
        add(tmp_path, SOURCES, SOURCE.format(api=1, name="odd"), package=package)
    (tmp_path / "in.odd").write_text("x\n")
    ended = run("import", "in.odd", *IMPORT, env={"SCALE_API_URL": "http://127.0.0.1:9/v1"})
    assert ended.code == 2
    assert 'both add the source format "odd"; uninstall one of them' in ended.err


FAULTY = """
from scalesync.sources.plugin import Reader, SourceFormat, SourceRecord
def items(stream):
    list(stream)
    yield SourceRecord(1, {{"attachment": {value}}})
    {then}
FORMAT = SourceFormat(api=1, name="odd", words="Odd", bind=lambda source: Reader({reader}))
"""


@pytest.mark.parametrize(
    ("value", "then", "reader"),
    [("'x'", "raise KeyError('lost')", "source.reads(items)"), ("'x'", "", "{}['lost']")],
    ids=["while it reads", "before"],
)
def test_a_mistake_in_its_code_is_reported_as_one_of_the_package(
    run: Run, tmp_path: Path, value: str, then: str, reader: str
) -> None:
    add(tmp_path, SOURCES, FAULTY.format(value=value, then=then, reader=reader))
    (tmp_path / "in.odd").write_text("x\n")
    with sandbox(tmp_path, "--project", "p=categorization") as server:
        ended = run("import", "in.odd", *IMPORT, env={"SCALE_API_URL": server.base_url})
    assert (ended.code, ended.out) == (3, "")
    told = (
        "the source format \"odd\" of other 1.0 failed (KeyError: 'lost'); run the same command again when it is fixed"
    )
    assert ended.err.count(told) == 1


def test_a_value_that_json_does_not_have_makes_its_record_invalid(run: Run, tmp_path: Path) -> None:
    add(tmp_path, SOURCES, FAULTY.format(value="{1, 2}", then="", reader="source.reads(items)"))
    (tmp_path / "in.odd").write_text("x\n")
    with sandbox(tmp_path, "--project", "p=categorization") as server:
        ended = run("import", "in.odd", *IMPORT, "--json", env={"SCALE_API_URL": server.base_url})
    assert (ended.code, ended.json["invalid"], ended.json["read"]) == (1, 1, 1)


@pytest.mark.parametrize(("item", "kind"), [("None", "NoneType"), ("{'attachment': 'y'}", "dict")])
def test_what_is_neither_record_nor_bad_record_stops_the_run(run: Run, tmp_path: Path, item: str, kind: str) -> None:
    code = FAULTY.format(value="'x'", then=f"yield {item}", reader="source.reads(items)")
    add(tmp_path, SOURCES, code)
    (tmp_path / "in.odd").write_text("x\n")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "in.odd").write_text("x\n")
    with sandbox(tmp_path, "--project", "p=categorization") as server:
        for source in ("in.odd", "folder"):
            ended = run("import", source, *IMPORT, env={"SCALE_API_URL": server.base_url})
            assert ended.code == 3
            assert f'in.odd: the source format "odd" of other 1.0 gave {kind} in place of a' in ended.err
            assert "run the same command again when it is fixed" in ended.err


def test_a_broken_one_disturbs_nothing_that_does_not_ask_for_it(run: Run, tmp_path: Path) -> None:
    add(tmp_path, SOURCES, "raise RuntimeError('imported')")
    add(tmp_path, ENCODERS, "raise RuntimeError('imported')", package="another")
    body = '"attachment": "x", "attachment_type": "text", "categories": ["a", "b"]'
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.jsonl").write_text(f'{{"unique_id": "u", {body}}}\n')
    assert "|parquet|odd]" in run("import", "--help").out
    assert "|parquet|odd]" in run("export", "--help").out
    unknown = run("export", "--out", "out", "--format", "odder")
    assert unknown.code == 2
    assert "'odd'" in unknown.err
    with sandbox(tmp_path, "--project", "p=categorization") as server:
        url = {"SCALE_API_URL": server.base_url}
        typed = ("--type", "categorization", "--project", "p", "--job", "j")
        assert run("import", "in", *typed, env=url).code == 0
        assert run("export", "--out", "out", env=url).code == 0
        (folder / "b.odd").write_text("x")
        ended = run("import", "in", *typed, env=url)
    assert (ended.code, "cannot be imported" in ended.err) == (2, True)
