"""Ledgers, manifests, profiles and reports of commit 3cfd558 go on working.

`tests/fixtures/3cfd558/JOBS.md` lists what there is. Counts and states are compared with the server and with what the
sources hold, not with what the program says of itself.
"""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path

import pytest

from tests.released.conftest import Left

RELEASE = "3cfd558"


def read(path: Path) -> list[dict[str, object]]:
    """The records of a JSONL file."""
    data = path.read_bytes()
    return [json.loads(line) for line in (gzip.decompress(data) if path.suffix == ".gz" else data).splitlines()]


def exported(folder: Path) -> Counter[str]:
    """The task_ids in the files that the manifest lists."""
    entries = json.loads((folder / "manifest.json").read_text())["files"]
    return Counter(
        str(task["task_id"])
        for entry in entries
        if entry.get("kind") != "left"
        for task in read(folder / entry["path"])
    )


def on_server(left: Left, **wanted: str) -> set[str]:
    """The task_ids of the server whose members are as wanted."""
    return {
        task["task_id"]
        for task in left.sandbox.store.world("live").documents()
        if all(task.get(name) == value for name, value in wanted.items())
    }


# --- reading ---------------------------------------------------------------------------------------


def test_status_shows_every_job(left: Left):
    jobs = {job["job"]: job for job in left.run("status").json["jobs"]}
    assert len(jobs) == 29
    assert jobs["hashed"]["counts"]["created"] == 20
    assert jobs["stopped"]["state"] == "unfinished"
    assert jobs["nightly"]["command"] == "export"


def test_failures_are_listed_and_written_out_as_they_were(left: Left):
    name = left.derived("import-rows")
    groups = left.run("failures", "--job", name).json["failures"]
    assert Counter(group["state"] for group in groups for _ in range(group["count"])) == Counter(
        failed=2, invalid=1, conflict=1
    )
    # That version wrote what is no record among the records.
    *records, broken = (left.root / "failed.jsonl").read_bytes().splitlines(keepends=True)
    assert left.run("failures", "--job", name, "--out", "failed.jsonl").code == 0
    assert (left.root / "failed.jsonl").read_bytes() == b"".join(records)
    assert (left.root / "failed.jsonl.bad.txt").read_bytes() == broken


# --- imports ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "typed",
    [
        ("letters.jsonl",),
        ("./letters.jsonl",),
        ("hashed.jsonl", "--job", "hashed"),
        ("hashed.jsonl",),
        ("notes", "--job", "notes"),
        ("own",),
        ("parts/*.jsonl", "--job", "parts"),
        ("batched.jsonl", "--job", "batched", "--batch", "autumn"),
        ("profiled.jsonl", "--profile", "staging", "--rate", "300"),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("rescan", [False, True], ids=["", "rescan"])
def test_a_finished_import_is_finished_and_makes_nothing_twice(left: Left, typed: tuple[str, ...], rescan: bool):
    tasks, jobs = left.tasks, left.ask("SELECT count(*) FROM jobs")
    again = left.bring(*typed, *(["--rescan"] if rescan else []))
    assert (again.code, again.json["read"]) == (0, again.json["created"]), again.json
    assert again.json["created"] > 0
    assert (left.tasks, left.creates()) == (tasks, 0)
    assert left.ask("SELECT count(*) FROM jobs") == jobs
    # A folder is read once more: that version lost records of some.
    assert rescan or (left.root / typed[0]).is_dir() or again.json["requests"] == 0
    assert left.bring(*typed).json["requests"] == 0


@pytest.mark.parametrize(
    ("typed", "count"),
    [
        (("packed.jsonl.gz", "--job", "packed"), 60),
        (("killed.jsonl",), 60),
        (("stopped.jsonl", "--job", "stopped"), 200),
        (("pages", "--job", "pages"), 60),
        (("limited.jsonl",), 20),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_an_interrupted_import_is_carried_on_to_its_end(left: Left, typed: tuple[str, ...], count: int):
    stem = typed[0].partition(".")[0].removesuffix("s")
    ours = f"Dear reader, this is {stem}-"
    jobs = left.ask("SELECT count(*) FROM jobs")
    ended = left.bring(*typed)
    assert (ended.code, ended.json["read"], ended.json["created"]) == (0, count, count), ended.json
    assert left.ask("SELECT count(*) FROM jobs") == jobs
    texts = [task["params"]["attachment"] for task in left.sandbox.store.world("live").documents()]
    assert Counter(text for text in texts if text.startswith(ours)).most_common(1)[0][1] == 1
    assert sum(text.startswith(ours) for text in texts) == count


def test_what_failed_is_sent_again_by_retry(left: Left):
    name = left.derived("import-rows")
    text = (left.root / "rows.csv").read_text()
    (left.root / "rows.csv").write_text(text.replace("row-003,,text", "row-003,Dear reader,text"))
    ended = left.run("retry", "--job", name)
    assert (ended.code, ended.json["created"], ended.json["failed"]) == (1, 19, 1), ended.json
    assert left.creates() == 2


def test_a_second_job_of_shared_rows_is_as_it_was(left: Left):
    told = left.bring("shared.jsonl", "--job", "shared", "--rescan")
    assert (told.code, told.json["created"], told.json["conflicts"]) == (1, 10, 1)
    assert left.creates() == 0


def test_conflicts_with_other_tasks_are_as_they_were_and_can_be_adopted(left: Left):
    again = left.bring("taken.jsonl", "--job", "taken", "--rescan")
    assert (again.code, again.json["conflicts"], again.json["created"]) == (1, 3, 3)
    adopted = left.bring("taken.jsonl", "--job", "taken", "--on-conflict", "adopt")
    assert (adopted.code, adopted.json["adopted"]) == (0, 3)
    assert left.creates() == 0


def test_a_record_that_changed_after_creation_is_put_back(left: Left):
    path = left.root / "changed.jsonl"
    path.write_text(path.read_text().replace("Anew.", "Dear reader, this is changed-004."))
    ended = left.bring("changed.jsonl", "--job", "changed")
    assert (ended.code, ended.json["created"], ended.json["gone"]) == (0, 12, 2)


def test_standard_input_is_piped_again(left: Left, monkeypatch: pytest.MonkeyPatch):
    piped = "".join(
        json.dumps(
            {
                "unique_id": f"piped-{number:03d}",
                "attachment": f"Dear reader, this is piped-{number:03d}.",
                "attachment_type": "text",
                "categories": ["kind", "angry"],
            }
        )
        + "\n"
        for number in range(8)
    )
    (left.root / "piped.jsonl").write_text(piped)
    with open(left.root / "piped.jsonl") as pipe:
        monkeypatch.setattr("sys.stdin", pipe)
        ended = left.bring("-", "--job", "piped", "--yes")
    assert (ended.code, ended.json["created"]) == (0, 8)
    assert left.creates() == 0


def test_verify_finds_what_is_wrong_and_nothing_else(left: Left):
    assert left.run("verify", "--job", "hashed", "--out", "found.jsonl").json["findings"].keys() <= {"unexpected"}
    changed = left.run("verify", "--job", "changed", "--out", "found.jsonl").json["findings"]
    assert (changed["changed"], changed["gone"]) == (1, 2)


# --- exports ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("folder", ["full", "zipped"])
def test_a_finished_export_is_finished_and_can_be_made_again(left: Left, folder: str):
    ((name,),) = left.ask("SELECT name FROM jobs WHERE json_extract(identity, '$.out') LIKE '%/' || ?", folder)
    typed = ("export", "--out", folder, "--project", "letters", "--job", name)
    typed += ("--format", "jsonl.gz") if folder == "zipped" else ()
    before = exported(left.root / folder)
    idle = left.run(*typed)
    assert (idle.code, idle.json["requests"]) == (0, 0)
    assert exported(left.root / folder) == before
    assert left.run(*typed, "--again").code == 0
    assert exported(left.root / folder) == Counter(on_server(left))


def test_a_derived_export_is_found_by_its_folder(left: Left):
    assert left.run("export", "--out", "full", "--project", "letters").json["requests"] == 0


def test_an_interrupted_export_is_carried_on(left: Left):
    assert left.run("export", "--out", "cut", "--project", "letters").code == 0
    assert exported(left.root / "cut") == Counter(on_server(left))


def test_increments_add_up_to_what_is_on_the_server(left: Left):
    left.sandbox.annotate(20)
    left.clock.ahead_ms += 5000
    typed = ("--project", "letters", "--status", "completed", "--incremental", "--job", "nightly", "--overlap", "0s")
    ended = left.run("export", "--out", "nightly", *typed)
    assert (ended.code, ended.json["tasks"]) == (0, 20)
    assert left.run("compact", "--from", "nightly", "--to", "newer").code == 0
    assert exported(left.root / "newer") == Counter(on_server(left, status="completed"))


def test_a_compacted_folder_is_known_as_unchanged(left: Left):
    before = exported(left.root / "newest")
    ended = left.run("compact", "--from", "nightly", "--to", "newest")
    assert ended.code == 0
    assert exported(left.root / "newest") == before


def test_a_half_done_backfill_reads_the_windows_that_are_left(left: Left):
    ((begin,),) = left.ask("SELECT name FROM splits WHERE kind='window' ORDER BY number DESC LIMIT 1")
    ((end,),) = left.ask("SELECT max(json_extract(spec, '$.end')) FROM splits WHERE kind='window'")
    before = exported(left.root / "history")
    ended = left.run("backfill", "export", "--out", "history", "--from", begin, "--to", end, "--window", "1h",
                     "--order", "newest", "--project", "letters")  # fmt: skip
    assert ended.code == 0, ended.err
    assert left.ask("SELECT DISTINCT state FROM splits WHERE kind='window'") == [("done",)]
    assert exported(left.root / "history") == before


def test_a_folder_that_was_read_short_is_read_again(left: Left):
    """3cfd558 took one record of three files and called the job finished."""
    ended = left.bring("lines", "--job", "lines")
    assert (ended.code, ended.json["read"], ended.json["created"]) == (0, 3, 3), ended.json


def test_records_that_are_gone_and_were_never_created_no_longer_keep_a_job_open(left: Left):
    assert left.bring("mended.jsonl", "--job", "mended").json["gone"] == 1
    assert left.bring("mended.jsonl", "--job", "mended").code == 0
    ended = left.bring("withdrawn.jsonl", "--job", "withdrawn")
    assert (ended.code, ended.json.get("pending")) == (0, 0), ended.json
    ours = [task for task in left.sandbox.store.world("live").documents() if "withdrawn" in task["unique_id"]]
    assert ended.json["created"] == len(ours)


def test_jobs_of_one_source_are_found_however_it_is_typed(left: Left):
    jobs = left.ask("SELECT count(*) FROM jobs")
    for typed in (str(left.root / "letters.jsonl"), "../project/letters.jsonl", str(left.root / "hashed.jsonl")):
        again = left.bring(typed)
        assert (again.code, again.json["requests"]) == (0, 0), again.json
    assert left.ask("SELECT count(*) FROM jobs") == jobs


def test_a_file_that_went_since_is_noticed(left: Left):
    (left.root / "parts" / "a.jsonl").unlink()
    ended = left.bring("parts/*.jsonl", "--job", "parts")
    assert (ended.code, ended.json["created"], ended.json["gone"]) == (0, 20, 10), ended.json


def test_a_named_job_takes_tomorrows_file(left: Left):
    record = json.loads((left.root / "hashed.jsonl").read_text().splitlines()[0])
    (left.root / "later.jsonl").write_text(json.dumps({**record, "attachment": "Dear reader, this is later."}) + "\n")
    ended = left.bring("later.jsonl", "--job", "hashed")
    assert (ended.code, ended.json["read"], ended.json["created"]) == (0, 21, 21), ended.json
    assert left.bring("hashed.jsonl", "--job", "hashed").json["requests"] == 0
