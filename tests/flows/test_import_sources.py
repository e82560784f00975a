"""The sources of a job over several runs: files that go, copies that are left, names for what a source is."""

from __future__ import annotations

import gzip
import io
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from scalesync.flows.imports.reading import checkpoints
from scalesync.flows.jobs.failures import write_failures
from scalesync.flows.jobs.retry import run_retry
from scalesync.flows.jobs.status import job_status
from scalesync.flows.runtime.options import RetryOptions
from scalesync.flows.verify.run import run_verify
from scalesync.model.summaries import ImportSummary
from scalesync.sandbox import FaultRule
from scalesync.sources import bytestream
from scalesync.sources import open as sources
from tests.conftest import FAST, letter
from tests.flows.conftest import HASTY, creates

JOB = "j"
BAD = {"attachment_type": "nonsense"}


@pytest.fixture(autouse=True)
def _near_marks(monkeypatch):
    """A checkpoint after every few lines, so sources are left unread up to one wherever that is possible."""
    monkeypatch.setattr(bytestream, "CHUNK", 300)
    monkeypatch.setattr(checkpoints, "NEAREST_BYTES", 1)
    monkeypatch.setattr(checkpoints, "LEAST_BYTES", 0)
    monkeypatch.setattr(checkpoints, "SHARE", 10_000)


@pytest.fixture
def write(tmp_path):
    """write(name, records) in the folder `d`."""

    def make(name: str, records: Any) -> Path:
        path = tmp_path / "d" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(one if isinstance(one, str) else json.dumps(one) + "\n" for one in records))
        return path

    return make


def letters(start: int, stop: int, **more: Any) -> list[dict[str, Any]]:
    return [letter(number, **more) for number in range(start, stop)]


def told(summary: ImportSummary) -> dict[str, int]:
    names = ("read", "created", "conflicts", "failed", "invalid", "pending", "duplicates", "gone", "exit_code")
    return {name: value for name in names if (value := getattr(summary, name))}


# --- a file that goes ------------------------------------------------------------------------------


@pytest.mark.parametrize("named", ["d", "d/*.jsonl", "d/*"])
async def test_a_file_that_went_from_a_folder_or_a_glob_is_a_change(named, make_sandbox, bring, write, tmp_path):
    sandbox = await make_sandbox()
    gone = write("a.jsonl", [*letters(0, 3), "no json\n", letter(1), letter(2, categories=["x"])])
    write("b.jsonl", letters(3, 6))
    first = await bring(sandbox, tmp_path / named, job=JOB)
    assert told(first) == {"read": 9, "created": 6, "conflicts": 1, "invalid": 1, "duplicates": 1, "exit_code": 1}
    gone.unlink()
    assert told(await bring(sandbox, tmp_path / named, job=JOB)) == {"read": 6, "created": 6, "gone": 3}
    again = await bring(sandbox, tmp_path / named, job=JOB)
    assert told(again) == {"read": 6, "created": 6, "gone": 3}
    assert "nothing to send" in again.message
    write("a.jsonl", letters(0, 3))
    assert told(await bring(sandbox, tmp_path / named, job=JOB)) == {"read": 6, "created": 6}
    assert creates(sandbox) == 6


@pytest.mark.parametrize("way", ["hidden", "emptied", "down", "a folder now"])
async def test_a_file_that_is_there_and_no_source_any_more_is_a_change(way, make_sandbox, bring, write, tmp_path):
    sandbox = await make_sandbox()
    gone = write("a.jsonl", [*letters(0, 3), "no json\n", letter(1), letter(4, categories=["x"])])
    write("b.jsonl", letters(3, 6))
    named = tmp_path / "d" / "*.jsonl"
    first = await bring(sandbox, named, job=JOB)
    assert told(first) == {"read": 9, "created": 6, "conflicts": 1, "invalid": 1, "duplicates": 1, "exit_code": 1}
    match way:
        case "hidden":
            gone.rename(gone.with_name("_a.jsonl"))
        case "emptied":
            gone.write_text("")
        case "down":
            (tmp_path / "d" / "deep").mkdir()
            gone.rename(tmp_path / "d" / "deep" / "a.jsonl")
        case _:
            gone.unlink()
            gone.mkdir()
    last = {"read": 6, "created": 5, "conflicts": 1, "gone": 3, "exit_code": 1}
    assert told(await bring(sandbox, named, job=JOB)) == last
    assert told(await bring(sandbox, named, job=JOB)) == last
    assert creates(sandbox) == 6


async def test_a_file_that_was_renamed_and_packed_holds_the_same_records(make_sandbox, bring, write, tmp_path):
    sandbox = await make_sandbox()
    path = write("a.jsonl", [*letters(0, 3), "no json\n", letter(4)])
    write("b.jsonl", letters(3, 6))
    first = await bring(sandbox, tmp_path / "d", job=JOB)
    (tmp_path / "d" / "z.jsonl.gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    assert told(await bring(sandbox, tmp_path / "d", job=JOB)) == told(first)
    assert creates(sandbox) == 6


@pytest.mark.skipif(sys.platform in {"win32", "darwin"}, reason="names of files are texts there")
async def test_names_that_are_written_out_alike_are_files_of_their_own(make_sandbox, bring, write, tmp_path):
    sandbox = await make_sandbox()
    names = ["b\udcff", "b\\xff", "b\udcfe"]
    paths = [write(f"{name}.jsonl", letters(3 * n, 3 * n + 3)) for n, name in enumerate(names)]
    assert told(await bring(sandbox, tmp_path / "d", job=JOB)) == {"read": 9, "created": 9}
    assert "nothing to send" in (await bring(sandbox, tmp_path / "d", job=JOB)).message
    paths[1].unlink()
    for _ in range(2):
        assert told(await bring(sandbox, tmp_path / "d", job=JOB)) == {"read": 9, "created": 9, "gone": 3}
    write("b\\xff.jsonl", letters(3, 5))
    assert told(await bring(sandbox, tmp_path / "d", job=JOB)) == {"read": 9, "created": 9, "gone": 1}
    paths[0].unlink()
    assert told(await bring(sandbox, tmp_path / "d", job=JOB)) == {"read": 9, "created": 9, "gone": 4}


async def test_a_file_that_is_named_no_more_stays_as_it_is(make_sandbox, bring, write):
    sandbox = await make_sandbox()
    a, b = write("a.jsonl", [*letters(0, 3), "no json\n"]), write("b.jsonl", letters(3, 6))
    await bring(sandbox, [a, b], job=JOB)
    a.unlink()
    summary = await bring(sandbox, b, job=JOB)
    assert told(summary) == {"read": 7, "created": 6, "invalid": 1, "exit_code": 1}
    assert "nothing to send" in summary.message


# --- a copy that is left ---------------------------------------------------------------------------


@pytest.mark.parametrize("more", [{}, {"categories": ["x"]}], ids=["the same", "other content"])
async def test_the_copy_that_is_left_is_the_record_and_is_sent(more, make_sandbox, bring, write, tmp_path):
    sandbox = await make_sandbox([FaultRule(kind="outage", on="create")])
    a = write("a.jsonl", letters(0, 10))
    write("b.jsonl", letters(0, 10, **more))
    first = await bring(sandbox, tmp_path / "d", job=JOB, limits=HASTY)
    assert (first.exit_code, first.pending, first.duplicates + first.conflicts) == (3, 10, 10)
    sandbox.faults.replace([])
    a.unlink()
    assert told(await bring(sandbox, tmp_path / "d", job=JOB)) == {"read": 10, "created": 10}
    told_tasks = [task["params"]["categories"] for task in sandbox.store.world("live").documents()]
    assert told_tasks == [more.get("categories", ["kind", "angry"])] * 10


async def test_a_copy_whose_first_record_changed_is_compared_again(make_sandbox, bring, write, tmp_path):
    sandbox = await make_sandbox()
    write("a.jsonl", letters(0, 6))
    write("b.jsonl", [*letters(10, 14), letter(2), *letters(14, 30)])
    folder = tmp_path / "d"
    assert told(await bring(sandbox, folder, job=JOB)) == {"read": 27, "created": 26, "duplicates": 1}
    write("a.jsonl", [letter(n, categories=["x"]) if n == 2 else letter(n) for n in range(6)])
    changed = await bring(sandbox, folder, job=JOB)
    assert told(changed) == {"read": 27, "created": 25, "conflicts": 2, "exit_code": 1}
    write("a.jsonl", letters(0, 6))
    assert told(await bring(sandbox, folder, job=JOB)) == {"read": 27, "created": 26, "duplicates": 1}


async def test_a_clash_whose_first_record_went_is_the_record(make_sandbox, bring, write, tmp_path):
    sandbox = await make_sandbox()
    write("a.jsonl", [letter(0), letter(1, **BAD)])
    write("b.jsonl", [*letters(10, 20), letter(1), *letters(20, 30)])
    folder = tmp_path / "d"
    first = await bring(sandbox, folder, job=JOB)
    assert told(first) == {"read": 23, "created": 21, "conflicts": 1, "failed": 1, "exit_code": 1}
    write("a.jsonl", [letter(0)])
    assert told(await bring(sandbox, folder, job=JOB)) == {"read": 22, "created": 22}


async def test_a_copy_in_the_same_file_and_one_in_a_third_continue_as_they_should(make_sandbox, bring, write, tmp_path):
    sandbox = await make_sandbox()
    a = write("a.jsonl", letters(0, 4))
    write("b.jsonl", [*letters(10, 14), letter(1), letter(1)])
    write("c.jsonl", [letter(1), *letters(20, 24)])
    folder = tmp_path / "d"
    assert told(await bring(sandbox, folder, job=JOB)) == {"read": 15, "created": 12, "duplicates": 3}
    a.unlink()
    left = await bring(sandbox, folder, job=JOB)
    assert told(left) == {"read": 14, "created": 12, "duplicates": 2, "gone": 3}


# --- what a source is ------------------------------------------------------------------------------


async def test_a_file_is_one_job_however_it_is_typed(make_sandbox, bring, write, tmp_path, monkeypatch):
    sandbox = await make_sandbox()
    path = write("a.jsonl", letters(0, 3))
    monkeypatch.chdir(tmp_path / "d")
    jobs = {
        (await bring(sandbox, typed)).job
        for typed in ("a.jsonl", "./a.jsonl", str(path), "../d/a.jsonl", f"file://{path}")
    }
    assert len(jobs) == 1
    monkeypatch.chdir(tmp_path)
    assert (await bring(sandbox, "d/a.jsonl")).job in jobs
    assert (await bring(sandbox, "d")).job not in jobs
    assert creates(sandbox) == 3


async def test_a_folder_that_was_moved_with_its_ledger_continues(make_sandbox, bring, write, tmp_path, monkeypatch):
    sandbox = await make_sandbox()
    write("a.jsonl", [*letters(0, 3), letter(1), "no json\n"])
    before = await bring(sandbox, tmp_path / "d" / "a.jsonl", settings={"ledger": tmp_path / "d" / "l.db"})
    shutil.move(tmp_path / "d", tmp_path / "e")
    after = await bring(sandbox, tmp_path / "e" / "a.jsonl", settings={"ledger": tmp_path / "e" / "l.db"})
    assert after.job == before.job
    assert told(after) == told(before) == {"read": 5, "created": 3, "invalid": 1, "duplicates": 1, "exit_code": 1}
    assert creates(sandbox) == 3


@pytest.fixture
def served(monkeypatch) -> dict[str, list[dict[str, Any]]]:
    """Records by what stands behind `dump`."""
    pytest.importorskip("fsspec")
    held: dict[str, list[dict[str, Any]]] = {}

    def open_url(url: str) -> io.BytesIO:
        ending = url.partition("dump")[2].partition("&X-Amz")[0]
        return io.BytesIO("".join(json.dumps(one) + "\n" for one in held[ending]).encode())

    monkeypatch.setattr(sources, "open_url", open_url)
    return held


async def test_addresses_that_differ_by_their_query_are_two_sources(make_sandbox, bring, served):
    sandbox = await make_sandbox()
    served |= {"?day=1": letters(0, 2), "?day=2": letters(2, 4), "": letters(4, 6)}
    one, two, plain = [await bring(sandbox, f"http://h.test/dump{query}") for query in ("?day=1", "?day=2", "")]
    assert len({one.job, two.job, plain.job}) == 3
    assert [told(one), told(two), told(plain)] == [{"read": 2, "created": 2}] * 3
    both = await bring(sandbox, [f"http://h.test/dump?day={day}" for day in (1, 2)], job=JOB)
    assert told(both) == {"read": 4, "created": 4}
    served["?day=1"] = letters(0, 1)
    turned = await bring(sandbox, [f"http://h.test/dump?day={day}" for day in (2, 1)], job=JOB)
    assert told(turned) == {"read": 3, "created": 3}


@pytest.mark.parametrize(
    "queries",
    [
        ("?q=a&q=b", "?q=b&q=a", "?q=a", "?q=a%26q=b"),
        ("?next=a//b", "?next=a/b", "//?next=a/b"),
        ("?id=1&sig=x", "?id=2&sig=x", "?id=1"),
        ("?Signature=a", "?Signature=b"),
    ],
)
async def test_whatever_of_a_query_differs_is_another_source(queries, make_sandbox, bring, served):
    sandbox = await make_sandbox()
    for at, query in enumerate(queries):
        served[query] = letters(2 * at, 2 * at + 2)
    urls = [f"http://h.test/dump{query}" for query in queries]
    jobs = {(await bring(sandbox, url)).job for url in urls}
    assert len(jobs) == len(urls)
    both = await bring(sandbox, urls, job=JOB)
    assert told(both) == {"read": 2 * len(urls), "created": 2 * len(urls)}


async def test_an_address_that_is_signed_again_is_the_same_source(make_sandbox, bring, served, ask_ledger):
    sandbox = await make_sandbox()
    served["?day=1"] = letters(0, 2)
    signed = "http://h.test/dump?day=1&X-Amz-Signature={}&X-Amz-Date={}"
    first, second = await bring(sandbox, signed.format("aaaa", 1)), await bring(sandbox, signed.format("bbbb", 2))
    assert first.job == second.job
    assert ask_ledger("SELECT count(*) FROM splits") == [(1,)]
    named = str(ask_ledger("SELECT s.name, s.spec, j.identity FROM splits s, jobs j"))
    assert "day=1" not in named
    assert "aaaa" not in named


# --- a named job, given other sources ------------------------------------------------------------


async def test_tomorrows_file_is_another_source_of_the_job(
    make_sandbox, bring, write, settings_for, notebook, tmp_path
):
    sandbox = await make_sandbox()
    one = write("day-1.jsonl", [*letters(0, 3), letter(3, **BAD), "no json\n"])
    assert told(await bring(sandbox, one, job=JOB))["created"] == 3
    two = write("day-2.jsonl", [*letters(10, 12), letter(12, **BAD)])
    summary = await bring(sandbox, two, job=JOB)
    assert told(summary) == {"read": 8, "created": 5, "failed": 2, "invalid": 1, "exit_code": 1}
    assert told(await bring(sandbox, two, job=JOB)) == told(summary)
    (status,) = await job_status(settings_for(sandbox).ledger, JOB)
    assert status.sources == (str(one), str(two))
    written = await write_failures(settings_for(sandbox), JOB, None, tmp_path / "failed.jsonl")
    assert (written.written, written.bad, written.exit_code) == (2, 1, 0)

    write("day-1.jsonl", letters(0, 4))
    mended = await run_retry(RetryOptions(job=JOB), settings_for(sandbox), notebook, limits=FAST, signals=False)
    assert (mended.created, mended.failed) == (6, 1)

    one.unlink()
    notebook.notes.clear()
    sandbox.journal.clear()
    retried = await run_retry(RetryOptions(job=JOB), settings_for(sandbox), notebook, limits=FAST, signals=False)
    assert (retried.created, retried.failed, creates(sandbox)) == (6, 1, 1)
    (note,) = [note for note in notebook.notes if "no longer there" in note]
    assert str(one) in note
    checked = await run_verify(settings_for(sandbox), JOB, tmp_path / "found.jsonl", notebook, limits=FAST)
    assert "no longer there" in checked.message
    assert "gone" not in checked.findings

    two.unlink()
    with pytest.raises(Exception, match="there is no such file") as refusal:
        await run_retry(RetryOptions(job=JOB), settings_for(sandbox), notebook, limits=FAST, signals=False)
    assert refusal.value.exit_code == 2


async def test_both_files_named_together_are_counted_as_in_two_runs(make_sandbox, bring, write, ask_ledger):
    sandbox = await make_sandbox()
    one, two = write("day-1.jsonl", letters(0, 4)), write("day-2.jsonl", letters(2, 8))
    await bring(sandbox, one, job=JOB)
    apart = await bring(sandbox, two, job=JOB)
    assert (apart.created, apart.exit_code, creates(sandbox)) == (8, 0, 8)
    together = await bring(sandbox, [one, two], job=JOB)
    assert told(together) == {"read": 10, "created": 8, "duplicates": 2}
    assert ask_ledger("SELECT state, count(*) FROM splits GROUP BY 1") == [("read", 2)]


async def test_a_record_that_went_from_one_file_still_stands_in_the_other(make_sandbox, bring, write, ask_ledger):
    sandbox = await make_sandbox()
    one, two = write("day-1.jsonl", [letter(0), letter(1, **BAD)]), write("day-2.jsonl", [letter(1, **BAD), letter(2)])
    await bring(sandbox, one, job=JOB)
    both = {"read": 4, "created": 2, "failed": 1, "duplicates": 1, "exit_code": 1}
    assert told(await bring(sandbox, two, job=JOB)) == both
    write("day-2.jsonl", [letter(2)])
    assert told(await bring(sandbox, two, job=JOB)) == {"read": 3, "created": 2, "failed": 1, "exit_code": 1}
    assert ask_ledger("SELECT source, line, gone FROM rows WHERE state='failed'") == [(1, 2, None)]
    write("day-1.jsonl", [letter(0)])
    assert told(await bring(sandbox, one, job=JOB)) == {"read": 2, "created": 2, "gone": 1}


async def test_a_record_that_was_corrected_in_a_later_file_is_sent_and_counts_once(make_sandbox, bring, write):
    sandbox = await make_sandbox()
    await bring(sandbox, write("day-1.jsonl", [letter(0), letter(1, **BAD)]), job=JOB)
    two = write("day-2.jsonl", [letter(1), letter(2)])
    assert told(await bring(sandbox, two, job=JOB)) == {"read": 3, "created": 3}


async def test_a_dry_run_of_other_sources_predicts_what_the_run_counts(make_sandbox, bring, write):
    sandbox = await make_sandbox()
    one, two = write("day-1.jsonl", [letter(0), letter(1, **BAD)]), write("day-2.jsonl", letters(10, 12))
    await bring(sandbox, one, job=JOB)
    dry = told(await bring(sandbox, two, job=JOB, dry_run=True))
    dry["created"] += dry.pop("pending")
    assert told(await bring(sandbox, two, job=JOB)) == dry
    write("day-2.jsonl", letters(10, 11))
    dry = told(await bring(sandbox, two, job=JOB, dry_run=True))
    assert told(await bring(sandbox, two, job=JOB)) == dry


async def test_what_is_pending_in_a_file_that_is_not_named_keeps_the_job_open(make_sandbox, bring, write):
    sandbox = await make_sandbox([FaultRule(kind="outage", on="create")])
    one, two = write("day-1.jsonl", letters(0, 4)), write("day-2.jsonl", letters(10, 12))
    assert (await bring(sandbox, one, job=JOB, limits=HASTY)).exit_code == 3
    sandbox.faults.replace([])
    open_ = await bring(sandbox, two, job=JOB)
    assert told(open_) == {"read": 6, "created": 2, "pending": 4, "exit_code": 1}
    assert "other sources of the job" in open_.message
    assert told(await bring(sandbox, one, job=JOB)) == {"read": 6, "created": 6}


async def test_another_template_is_not_taken_for_the_one_that_a_file_was_read_with(make_sandbox, bring, write):
    sandbox = await make_sandbox()
    one, two = write("day-1.jsonl", [letter(0), letter(1, **BAD)]), write("day-2.jsonl", letters(10, 12))
    await bring(sandbox, one, job=JOB)
    await bring(sandbox, two, job=JOB, sets=("priority=10",))
    again = await bring(sandbox, one, job=JOB, sets=("priority=10",))
    assert "nothing to send" not in again.message


async def test_a_pipe_needs_a_name_for_the_job(make_sandbox, bring, write, tmp_path):
    sandbox = await make_sandbox()
    for source in ("-", "/dev/stdin", "/dev/fd/0"):
        with pytest.raises(Exception, match="add --job NAME"):
            await bring(sandbox, source)


@pytest.mark.parametrize("name", ["/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"])
async def test_every_name_of_standard_input_means_it(
    name, make_sandbox, bring, settings_for, notebook, tmp_path, monkeypatch, write
):
    sandbox = await make_sandbox()
    with open(write("letters.jsonl", letters(0, 3))) as piped, monkeypatch.context() as patch:
        patch.setattr("sys.stdin", piped)
        assert told(await bring(sandbox, name, job=JOB)) == {"read": 3, "created": 3}
    # Nobody can read it again: what is there now are the letters of another program.
    checked = await run_verify(settings_for(sandbox), JOB, tmp_path / "findings.jsonl", notebook, limits=FAST)
    assert (checked.exit_code, checked.without) == (0, {})
    assert "the source was standard input: only ledger and server were compared" in checked.message


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="no files in memory here")
async def test_a_file_in_memory_is_a_file(make_sandbox, bring):
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        source = Path(folder) / "letters.jsonl"
        source.write_text("".join(json.dumps(letter(n)) + "\n" for n in range(3)))
        assert (await bring(await make_sandbox(), source)).created == 3
