"""What folders and patterns pass over, and that each file is read once, however it is reached."""

from __future__ import annotations

import asyncio
import glob
import gzip
import io
import json
import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from scalesync.errors import SourceError
from scalesync.file_names import is_about_data
from scalesync.flows.verify import findings
from scalesync.ledger.sqlite.quota import QuotaFile
from scalesync.ledger.sqlite.store import SqliteLedger
from scalesync.sources.bytestream import _zstd_module
from scalesync.sources.open import open_sources
from scalesync.sources.options import ReadOptions
from scalesync.sources.places import written
from scalesync.sources.places.globs import expand
from scalesync.sources.places.passed_over import PassedOver
from scalesync.sources.source_file import SourceFile

zstd = _zstd_module()


def opened(*specs: object) -> tuple[list[SourceFile], str]:
    """The sources, and the sentence about what was passed over."""
    passed = PassedOver()
    sources = open_sources([str(spec) for spec in specs], ReadOptions(), passed=passed)
    return sources, str(passed) if passed else ""


def names(*specs: object) -> list[str]:
    return [source.name for source in opened(*specs)[0]]


def records(*specs: object) -> list[Any]:
    sources, _ = opened(*specs)
    return [item.value for source in sources for block in source.blocks() for item in block.records]


def line(**members: object) -> str:
    return json.dumps(members) + "\n"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "a.jsonl").write_text(line(n=1))
    return tmp_path


# --- hidden names, and what systems leave --------------------------------------------------------


SPARK = ("_SUCCESS", "_started_1", "_committed_1", "_metadata", "_common_metadata", ".a.jsonl.crc", "._a.jsonl")


@pytest.mark.parametrize("spec", ["d", "d/*", "d/**", "d/**/*"])
def test_a_folder_as_spark_writes_it_holds_its_records_alone(spec: str, here: Path) -> None:
    for name in (*SPARK, "Thumbs.db", "desktop.ini", ".DS_Store"):
        (here / "d" / name).write_text("")
    for folder in ("_delta_log", "_temporary", ".ipynb_checkpoints"):
        (here / "d" / folder / "0").mkdir(parents=True)
        (here / "d" / folder / "0" / "0.json").write_text(line(n=2))
    assert records(spec) == [{"n": 1}]
    assert opened(spec)[1] == "skipped 13 files: 11 hidden, 2 left by the system (Thumbs.db, desktop.ini)".replace(
        "(Thumbs.db, desktop.ini)", "(d/Thumbs.db, d/desktop.ini)"
    )


BESIDE = (
    "~$b.xlsx",
    "a.jsonl~",
    "#a.jsonl#",
    "a.jsonl:Zone.Identifier",
    "b.png\uf03aZone.Identifier",
    "c.csv.crdownload",
)


@pytest.mark.parametrize("spec", ["d", "d/*", "d/**/*"])
def test_what_programs_leave_beside_files_is_no_record(spec: str, here: Path) -> None:
    for name in BESIDE:
        (here / "d" / name).write_text(line(n=2))
    assert records(spec) == [{"n": 1}]
    assert opened(spec)[1].startswith(f"skipped {len(BESIDE)} files: {len(BESIDE)} left by the system (")


SYSTEMS = ("Icon\r", "ehthumbs.db", "lost+found/", "@eaDir/", "#recycle/", "@Recycle/", "#snapshot/", "$RECYCLE.BIN/")


@pytest.mark.parametrize("spec", ["d", "d/**", "d/**/*", "d*"])
def test_what_systems_and_network_disks_leave_is_no_record(spec: str, here: Path) -> None:
    for name in SYSTEMS:
        path = here / "d" / (f"{name}x.jsonl" if name.endswith("/") else name)
        path.parent.mkdir(exist_ok=True)
        path.write_text(line(n=2))
    assert records(spec) == [{"n": 1}]
    assert opened(spec)[1].startswith(f"skipped {len(SYSTEMS)} files: {len(SYSTEMS)} left by the system (")
    assert records("d/#recycle/*.jsonl") == records("d/#recycle") == [{"n": 2}]


def test_names_that_only_resemble_them_are_read(here: Path) -> None:
    for at, name in enumerate(("a~b.jsonl", "#a.jsonl", "$a.jsonl", "a (1).jsonl", "Zone.Identifier.jsonl"), 2):
        (here / "d" / name).write_text(line(n=at))
    assert sorted(record["n"] for record in records("d")) == [1, 2, 3, 4, 5, 6]
    (here / "d" / "a.jsonl~").write_text(line(n=7))
    assert records("d/*.jsonl~") == records("d/a.jsonl~") == [{"n": 7}]  # the pattern asks for them


def test_hidden_names_that_are_named_are_read(here: Path) -> None:
    (here / "_in").mkdir()
    for path in ("_in/x.jsonl", "_in/_y.jsonl", "_z.jsonl", ".h.jsonl"):
        (here / path).write_text(line(path=path))
    assert names("_in") == ["_in/x.jsonl"]
    assert names("_in/*.jsonl") == ["_in/x.jsonl"]
    assert names("_in/_*.jsonl") == ["_in/_y.jsonl"]
    assert names("_*/x.jsonl") == ["_in/x.jsonl"]
    assert names("_z.jsonl", ".h.jsonl", "_in/_y.jsonl") == ["_z.jsonl", ".h.jsonl", "_in/_y.jsonl"]
    with pytest.raises(SourceError, match=r"matches no file that is read \(skipped 1 file: 1 hidden; name one"):
        opened("*z.jsonl")


@pytest.mark.parametrize("spec", ["d", "d/*"])
def test_pipes_and_devices_are_skipped_and_never_waited_for(spec: str, here: Path) -> None:
    for name in ("b.jsonl", "c.json", "d.png", "manifest.json", "a.jsonl.reasons.jsonl"):
        os.mkfifo(here / "d" / name)
    (here / "d" / "zero.jsonl").symlink_to("/dev/zero")
    found, told = opened(spec)
    assert [source.name for source in found] == ["d/a.jsonl"]
    assert "6 pipes, sockets or devices (" in told


def test_a_folder_in_which_nothing_is_read_says_why(here: Path) -> None:
    (here / "e" / ".git").mkdir(parents=True)
    with pytest.raises(SourceError, match=r"e: is a folder without files \(skipped 1 file: 1 hidden\)"):
        opened("e")


# --- files that scalesync wrote -------------------------------------------------------------------


def test_the_keys_of_our_files_are_those_that_are_written() -> None:
    assert written.FINDINGS == findings.ALWAYS


REASON = line(unique_id="u", file="a.jsonl", line=1, reason="is wrong", task_id=None)
FINDING = line(kind="missing", unique_id="u", task_id=None, file="a.jsonl", line=1, detail="there is no task for it")
MANIFEST = {
    "files": [{"path": "tasks-00001.jsonl", "rows": 1, "bytes": 9, "sha256": "0"}],
    "filters": {},
    "watermark": None,
    "version": 1,
    "job": "export-x",
    "target": "t",
    "mode": "live",
}


def database(path: Path, table: str) -> None:
    db = sqlite3.connect(path)
    db.execute(f"CREATE TABLE {table}")
    db.commit()
    db.close()


def our_files(folder: Path) -> int:
    """Put one of each kind of what scalesync writes into a folder; returns how many there are."""
    texts = {
        "0failed.jsonl": line(n=7),
        "0failed.jsonl.reasons.jsonl": REASON,
        "0failed.jsonl.bad.txt": "no JSON\n",
        "0failed.jsonl.bad.txt.reasons.jsonl": REASON,
        "0none.json": "",
        "0none.json.reasons.jsonl": "",
        "moved-reasons.jsonl": REASON,
        "verify-j.jsonl": FINDING,
        "findings.ndjson": FINDING,
        "out/manifest.json": json.dumps(MANIFEST),
        "out/tasks-00001.jsonl": line(task_id="t"),
        "out/tasks-x-00002.jsonl": line(task_id="t"),
        "out/left-00001.jsonl": line(task_id="t"),
        "out/responses/ab/cd.json": line(a=1),
        "out/tasks/tasks-00003.jsonl": line(task_id="t"),
        "sandbox.data": "scalesync-sandbox 1\n",
    }
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    SqliteLedger.open(folder / "work.ledger", note=print).close()
    (folder / "work.ledger-wal").write_text("")
    quota = QuotaFile(folder / "work.ledger.quota")
    asyncio.run(quota.change("x", lambda data: (b"1", None)))
    quota.close("x", lambda data: (b"1", None))
    return len(texts) + 3


@pytest.mark.parametrize("spec", ["d", "d/*", "d/**", "./d/**/*"])
def test_what_scalesync_wrote_is_skipped_and_counted(spec: str, here: Path) -> None:
    count = our_files(here / "d")
    if spec == "d/*":
        count -= 6  # those in folders, to which this pattern does not come
    assert records(spec) == [{"n": 1}]
    assert f"skipped {count} files: {count} written by scalesync (" in opened(spec)[1]


def packed(path: Path, how: str) -> None:
    """Replace a file by its packed copy."""
    data = path.read_bytes()
    path.unlink()
    path.with_name(f"{path.name}.{how}").write_bytes(gzip.compress(data) if how == "gz" else zstd.compress(data))


@pytest.mark.parametrize("spec", ["d", "d/**"])
@pytest.mark.parametrize("how", ["gz", "zst"])
def test_packed_copies_of_what_scalesync_wrote_are_skipped_too(how: str, spec: str, here: Path) -> None:
    count = our_files(here / "d") - 1
    (here / "d" / "work.ledger-wal").unlink()
    for path in [path for path in (here / "d").iterdir() if path.is_file()]:
        packed(path, how)
    assert records(spec) == [{"n": 1}]
    assert f"skipped {count} files: {count} written by scalesync (" in opened(spec)[1]


def test_a_packed_source_whose_reasons_are_plain_is_skipped(here: Path) -> None:
    our_files(here / "d")
    packed(here / "d" / "0failed.jsonl", "gz")
    assert records("d") == [{"n": 1}]


def test_what_is_packed_is_unpacked_no_further_than_a_line_of_ours_is_long() -> None:
    bomb = io.BytesIO(gzip.compress(b"[" * 2**24 + b"\n"))
    text = written.beginning(bomb, 2**20, b"\n")
    assert text.startswith(b"[[")
    assert 2**20 <= len(text) < 2**21
    damaged = io.BytesIO(gzip.compress(FINDING.encode())[:30])
    assert FINDING.encode().startswith(written.beginning(damaged, 2**20, b"\n"))


def test_what_scalesync_wrote_is_read_where_it_is_named_exactly(here: Path) -> None:
    our_files(here / "d")
    assert records("d/0failed.jsonl", "d/out/tasks-00001.jsonl") == [{"n": 7}, {"task_id": "t"}]
    with pytest.raises(SourceError, match=r"matches no file that is read \(skipped 1 file: 1 written by scalesync"):
        opened("d/0f*d.jsonl")
    with pytest.raises(SourceError, match="is a folder without files"):
        opened("d/out")
    with pytest.raises(SourceError, match="is a folder without files"):
        opened("d/out/tasks")


def test_files_that_only_look_like_ours_are_read(here: Path) -> None:
    texts = {
        "failed.jsonl": line(n=2),
        "x.jsonl": line(unique_id="u", file="a.jsonl", line=1, reason="r"),
        "verify-j.jsonl": line(kind="cat", unique_id="u"),
        "y.jsonl": line(n=3),
        "y.jsonl.reasons.jsonl": line(n=4),
        "tasks-00001.jsonl": line(n=5),
        "manifest.json": json.dumps({"files": [], "name": "an extension of a browser"}),
    }
    for name, text in texts.items():
        (here / "d" / name).write_text(text)
    database(here / "d" / "other.db", "splits (unique_id)")
    database(here / "d" / "shop.db", "shelf (name TEXT PRIMARY KEY, price INT)")
    sources, told = opened("d")
    assert told == ""
    assert len(sources) == len(texts) + 1  # with a.jsonl, and manifest.json in the folder's own source
    assert len(records("d")) == len(texts) + 3


# --- each file once -------------------------------------------------------------------------------


def test_a_file_is_read_once_however_it_is_reached(here: Path) -> None:
    os.symlink(here / "d", here / "d" / "self")
    os.symlink(here / "d" / "a.jsonl", here / "d" / "link.jsonl")
    os.link(here / "d" / "a.jsonl", here / "hard.jsonl")
    for specs in (
        ("d/**/*.jsonl",),
        ("d",),
        ("d/a.jsonl", "d/a.jsonl"),
        ("d/a.jsonl", "./d//a.jsonl", str(here / "d" / "a.jsonl"), "d/*.jsonl", "d"),
        ("d/self/*.jsonl", "**/*.jsonl"),
    ):
        assert records(*specs) == [{"n": 1}], specs
    assert opened("d/a.jsonl", "d/a.jsonl")[1] == "skipped 1 file: 1 named more than once (d/a.jsonl)"
    told = opened("d/**/*.jsonl")[1]
    assert told == "skipped 2 files: 1 link to a folder (d/self), 1 named more than once (d/link.jsonl)"


def test_links_that_lead_to_each_other_read_each_file_once(here: Path) -> None:
    folder_of_letters(here / "e", 2)
    (here / "e" / "b.jsonl").write_text(line(n=3))
    (here / "d" / "e").symlink_to("../e")
    (here / "e" / "d").symlink_to(here / "d")
    (here / "d" / "up").symlink_to("..")
    for specs in (("d", "e"), ("d/**/*.json*", "e/**/*.json*"), ("**/*.json*",), ("*/*/*/*.json*",)):
        assert numbers_of(*specs) == [1, 2, 3], specs
    assert numbers_of("d/*/*.json*") == [2, 3]
    assert numbers_of("d/e/d/e/b.jsonl", "e/b.jsonl", "d/up/e") == [2, 3]


@pytest.mark.parametrize(
    ("target", "words"), [("x.jsonl", "cannot be read: Too many levels of symbolic links"), ("gone", "no such file")]
)
def test_a_link_that_leads_nowhere_is_named_and_stops_nothing_else(target: str, words: str, here: Path) -> None:
    (here / "d" / "x.jsonl").symlink_to(target)
    for spec in ("d", "d/*", "d/**/*.jsonl", "d/x.jsonl", "d/x.*"):
        with pytest.raises(SourceError, match=f"d/x.jsonl: .*{words}"):
            opened(spec)
    assert records("d/a*") == [{"n": 1}]
    (here / "d" / "x.jsonl").unlink()
    (here / "d" / "x.json").symlink_to("x.json" if target == "x.jsonl" else target)
    found = [item for source in opened("d")[0] for block in source.blocks() for item in block.records]
    assert found[0].value == {"n": 1}
    assert found[1].reason.startswith("file x.json: ")


def test_a_folder_named_twice_is_read_once(here: Path) -> None:
    (here / "d" / "x.json").write_text(line(n=2))
    assert records("d", "d/", here / "d") == [{"n": 1}, {"n": 2}]


# --- patterns -------------------------------------------------------------------------------------


PATTERNS = [
    "*",
    "*/",
    "d*",
    "**",
    "**/*.x",
    "*/*.x",
    "d?/*.x",
    "d[12]/**/*.x",
    "d1/../*/[!b].x",
    "./*/b.x",
    "d1/**/c/*",
    "q*",
]


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("absolute", [False, True])
def test_patterns_match_what_pythons_glob_matches(pattern: str, absolute: bool, here: Path) -> None:
    for path in ("a.x", "d1/a.x", "d1/b.x", "d1/c/a.x", "d1/c/d/b.x", "d2/b.x", "d2/c/.h/e.x", "q[1].x", "\udcff.x"):
        (here / path).parent.mkdir(parents=True, exist_ok=True)
        (here / path).touch()
    wanted = f"{here}/{pattern}" if absolute else pattern
    expected = {path.rstrip("/") for path in glob.glob(wanted, recursive=True)} - {"", str(here)}
    assert {path.rstrip("/") for path in expand(wanted, PassedOver())} - {"", str(here)} == expected


def test_a_folder_that_cannot_be_listed_is_reported(
    here: Path, plain_user: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (plain_user / "shut").mkdir()
    (plain_user / "shut").chmod(0)
    try:
        with pytest.raises(SourceError, match="shut/: cannot be listed: Permission denied"):
            opened(f"{plain_user}/**/*.jsonl")
    finally:
        (plain_user / "shut").chmod(0o700)


# --- names that are not UTF-8 ---------------------------------------------------------------------


def test_names_that_are_not_utf8_are_written_out_wherever_they_stand(here: Path) -> None:
    folder = here / "f\udcff"
    try:
        folder.mkdir()
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    (folder / "b\udcfe.jsonl").write_text(line(n=1))
    (folder / "c\udcfd.json").write_text(line(n=2) + "bad\n")
    (folder / "e\udcfc.csv").write_text("")
    for specs in (["f\udcff"], ["f*"], ["f\udcff/*"], [str(folder / "b\udcfe.jsonl")]):
        for source in opened(*specs)[0]:
            facts = json.dumps([source.name, source.fingerprint()], ensure_ascii=False).encode()
            assert b"\\\\xff" in facts
            for block in source.blocks():
                for place in block.records:
                    assert "\udcff" not in str(place)
                    assert "\udcfd" not in str(place)
    (inner,) = [source for source in opened(folder)[0] if source.name.endswith("\\xff")]
    good, bad = (place for block in inner.blocks() for place in block.records)
    assert good.about["path"] == "c\\xfd.json"
    assert bad.reason.startswith("file c\\xfd.json, element 2: ")


# --- object stores --------------------------------------------------------------------------------


def test_patterns_of_a_store_pass_over_what_patterns_of_files_do() -> None:
    store = pytest.importorskip("fsspec").filesystem("memory")
    texts = {
        "a.jsonl": line(n=1),
        "_SUCCESS.jsonl": "",
        "_temporary/0/x.jsonl": line(n=9),
        ".h.jsonl": line(n=9),
        "0failed.jsonl": line(n=9),
        "0failed.jsonl.reasons.jsonl": REASON,
        "verify-j.jsonl": FINDING,
        "verify-k.jsonl": gzip.compress(FINDING.encode()),
        "1failed.jsonl": gzip.compress(line(n=9).encode()),
        "1failed.jsonl.reasons.jsonl": zstd.compress(REASON.encode()),
        "out/manifest.json": json.dumps(MANIFEST),
        "out/tasks/tasks-00003.jsonl": line(task_id="t"),
        "deep/b.jsonl": line(n=2),
        "deep/@eaDir/b.jsonl": line(n=9),
        "#recycle/b.jsonl": line(n=9),
    }
    try:
        for name, text in texts.items():
            gz = isinstance(text, bytes)
            store.pipe(f"/scalesync-passed/{name}{'.gz' * gz}", text if isinstance(text, bytes) else text.encode())
        place = "memory://scalesync-passed"
        assert records(f"{place}/**/*.jsonl*") == [{"n": 1}, {"n": 2}]
        assert opened(f"{place}/**/*.jsonl*")[1].startswith("skipped 12 files: 3 hidden, 2 left by the system (")
        assert records(f"{place}/_*/**/*.jsonl", f"{place}/0failed.jsonl") == [{"n": 9}, {"n": 9}]
        assert records(f"{place}/a.jsonl", f"{place}/*.jsonl") == [{"n": 1}]
        with pytest.raises(SourceError, match="matches no file that is read"):
            opened(f"{place}/out/*/*.jsonl")
    finally:
        store.rm("/scalesync-passed", recursive=True)


def folder_of_letters(folder: Path, *numbers: int) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        (folder / f"{number}.json").write_text(line(n=number))
    return folder


def numbers_of(*specs: object) -> list[int]:
    return sorted(record["n"] for record in records(*specs))


def test_a_json_file_of_a_folder_is_read_once_under_however_many_names(here: Path) -> None:
    folder = folder_of_letters(here / "in", 1, 2)
    away = folder_of_letters(here / "away", 3)
    (folder / "0-first.json").symlink_to(folder / "2.json")  # comes before the file that it leads to
    (folder / "x.json").symlink_to(away / "3.json")
    (folder / "y.json").symlink_to(away / "3.json")
    os.link(folder / "1.json", folder / "z.json")
    sources, told = opened(folder)
    assert numbers_of(folder) == [1, 2, 3]
    assert "3 named more than once" in told
    assert sources[0].fingerprint()["files"] == 3


def test_links_into_a_hidden_folder_are_the_only_way_to_what_is_there(here: Path) -> None:
    folder = folder_of_letters(here / "in", 1)
    hidden = folder_of_letters(folder / ".git" / "objects", 2)
    (folder / "2.json").symlink_to(hidden / "2.json")
    assert numbers_of(folder) == [1, 2]


@pytest.mark.parametrize(
    "specs",
    [
        ("in", "in/1.json"),
        ("in/1.json", "in"),
        ("in", "in/deep"),
        ("in/deep", "in"),
        ("in/deep/3.json", "in/deep", "./in", "in/*.json"),
        ("other", "in"),
    ],
)
def test_sources_that_overlap_read_each_json_file_once(here: Path, specs: tuple[str, ...]) -> None:
    folder_of_letters(here / "in", 1, 2)
    deep = folder_of_letters(here / "in" / "deep", 3)
    other = here / "other"
    other.mkdir()
    (other / "linked.json").symlink_to(deep / "3.json")
    assert numbers_of(*specs) == [1, 2, 3]


@pytest.mark.parametrize(
    ("names", "note"),
    [
        (["a.json", "b.jsonl"], None),
        (["a.jpg"], "1 file without records (1 .jpg): it is one record, which only describes the file"),
        (
            ["a.JPG", "b.jpg", "notes.txt", "LICENSE", "c.json"],
            "4 files without records (2 .jpg, 1 .txt, 1 without an extension): each is one record, which only",
        ),
        ([f"x.{end}" for end in "abcdef"], "(1 .a, 1 .b, 1 .c, 1 .d, 2 more kinds): each is one record"),
    ],
)
def test_a_folder_tells_which_files_become_records_that_only_describe_them(
    tmp_path: Path, names: list[str], note: str | None
) -> None:
    for name in names:
        (tmp_path / name).write_text('{"a": 1}\n')
    told = [note for source in open_sources([str(tmp_path)], ReadOptions()) for note in source.notes]
    assert told == [] if note is None else note in told[0]


@pytest.mark.parametrize("name", ["README", "readme.md", "LICENSE", "Licence.txt", "CHANGES.rst", "SHA256SUMS", "a.md"])
def test_names_of_files_that_explain_data(name: str) -> None:
    assert is_about_data(name)


@pytest.mark.parametrize("name", ["readmes.jsonl", "letter.txt", "notes", "changed.png", "manifesto.txt", "licensed"])
def test_names_of_files_that_may_be_data(name: str) -> None:
    assert not is_about_data(name)
