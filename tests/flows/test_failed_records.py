"""Failing records written back out: the right ones, whole, into files that are nobody else's; standard input."""

from __future__ import annotations

import io
import json
import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from scalesync.errors import ConfigError, SourceError
from scalesync.flows.jobs.failures import write_failures
from scalesync.flows.jobs.retry import run_retry
from scalesync.flows.jobs.status import job_status, list_failures
from scalesync.flows.jobs.write_failures import WrittenOut
from scalesync.flows.runtime.options import RetryOptions
from scalesync.flows.verify.run import run_verify
from scalesync.sandbox import FaultRule
from tests.conftest import FAST, letter
from tests.flows.conftest import adds_up, creates

OTHER = {"unique_id": "other", "attachment": "x"}


def wrong(number: int, **more: Any) -> dict[str, Any]:
    return letter(number, attachment_type="nonsense", **more)


@pytest.fixture
def write_out(settings_for, tmp_path):
    """write_out(sandbox, job=None, name="out.jsonl", key="live_k"): what came of it, records, reasons."""

    async def run(sandbox, job=None, name="out.jsonl", key="live_k"):
        out = tmp_path / name
        settings = settings_for(sandbox, key=key) if key else replace(settings_for(sandbox), api_key="")
        done = await write_failures(settings, job, None, out)
        # Where nothing can be written as a record, neither file is made.
        reasons = [json.loads(line) for line in lines_of(Path(f"{out}.reasons.jsonl"))]
        lines = lines_of(out)
        assert len(lines) == len(reasons) == done.written
        assert all(type(json.loads(line)) is dict for line in lines)
        assert len(bad_lines(out)) == done.bad
        return done, lines, reasons

    return run


def lines_of(path: Path) -> list[str]:
    return path.read_text("utf-8").splitlines() if path.exists() else []


def bad_lines(out: Path) -> list[str]:
    """What is no record, as it was written beside the records."""
    bad = Path(f"{out}.bad.txt")
    lines = bad.read_text("utf-8").splitlines() if bad.exists() else []
    reasons = Path(f"{bad}.reasons.jsonl")
    told = reasons.read_text("utf-8").splitlines() if reasons.exists() else []
    assert len(lines) == len(told)
    assert bad.exists() == reasons.exists() == bool(lines)
    return lines


def forget_digests(reasons: Path) -> None:
    """Leave the reasons as earlier versions wrote them."""
    told = [json.loads(line) for line in reasons.read_text().splitlines()]
    assert all(len(reason.pop("digest")) == 32 for reason in told)
    reasons.write_text("".join(json.dumps(reason) + "\n" for reason in told))


def ids(lines: list[str]) -> list[str]:
    return [json.loads(line)["unique_id"] for line in lines]


def why(done: WrittenOut) -> str:
    return "; ".join(item.reason for item in done.left)


# --- sources that changed since --------------------------------------------------------------------


async def test_a_record_that_moved_is_found_by_its_unique_id(make_sandbox, bring, write_records, write_out, tmp_path):
    sandbox = await make_sandbox()
    rows: list[Any] = [letter(0), wrong(1), "not JSON\n", letter(3), wrong(4)]
    await bring(sandbox, write_records(rows))
    write_records([letter(8), letter(9), *rows])
    done, lines, reasons = await write_out(sandbox)
    assert (done.written, done.bad, done.exit_code) == (2, 1, 0)
    assert bad_lines(tmp_path / "out.jsonl") == ["not JSON"]
    assert ids(lines) == ["letter-00001", "letter-00004"]
    assert [reason["unique_id"] for reason in reasons] == ids(lines)


async def test_a_record_that_went_into_another_source_is_found(make_sandbox, bring, write_records, write_out):
    sandbox = await make_sandbox()
    sources = [write_records([letter(0), wrong(1)], "a.jsonl"), write_records([letter(2)], "b.jsonl")]
    await bring(sandbox, sources)
    write_records([letter(0), OTHER], "a.jsonl")
    write_records([letter(2), wrong(1)], "b.jsonl")
    done, lines, _ = await write_out(sandbox)
    assert (done.exit_code, ids(lines)) == (0, ["letter-00001"])


async def test_what_is_gone_is_counted_and_reported(make_sandbox, bring, write_records, write_out):
    sandbox = await make_sandbox()
    source = write_records([wrong(0), letter(1), wrong(2), "broken\n"])
    await bring(sandbox, source, job="j")
    write_records([letter(7), letter(1), letter(8), "mended\n", wrong(2)])
    done, lines, _ = await write_out(sandbox)
    assert (done.exit_code, ids(lines)) == (1, ["letter-00002"])
    assert [(item.job, item.count) for item in done.left] == [("j", 2)]
    assert f"2 of 3 failing records of job j are no longer in {source}" in why(done)


async def test_the_clash_is_written_and_not_the_record_it_clashes_with(make_sandbox, bring, write_records, write_out):
    sandbox = await make_sandbox()
    rows = [letter(0), letter(0), letter(0, categories=["x"])]
    await bring(sandbox, write_records(rows))
    write_records([letter(5), *rows])
    done, lines, reasons = await write_out(sandbox)
    assert done.exit_code == 0
    assert [json.loads(line) for line in lines] == [letter(0, categories=["x"])]
    assert reasons[0]["earlier"].endswith(":1")


async def test_ids_that_come_from_a_template_are_built_as_the_import_does(
    make_sandbox, bring, write_records, write_out
):
    sandbox = await make_sandbox()
    rows = [{"who": f"r{n}", "attachment": "a", "attachment_type": "text" if n else "odd"} for n in range(3)]
    template = {"task": {"categories": ["a", "b"]}, "keep": ["attachment", "attachment_type"]}
    await bring(sandbox, write_records(rows), template=template, unique_id="id-{who}")
    write_records(list(reversed(rows)))
    _, lines, reasons = await write_out(sandbox)
    assert [json.loads(line)["who"] for line in lines] == ["r0"]
    assert reasons[0]["unique_id"] == "id-r0"


async def test_a_pattern_that_takes_in_what_was_written_before(
    make_sandbox, bring, write_records, write_out, tmp_path, monkeypatch
):
    sandbox = await make_sandbox()
    monkeypatch.chdir(tmp_path)
    write_records([letter(0), wrong(1)])
    await bring(sandbox, "*.jsonl")
    first = await write_out(sandbox, name="a.jsonl")
    (tmp_path / "a.jsonl").write_text(json.dumps(letter(1)) + "\n")  # mended there
    forget_digests(tmp_path / "a.jsonl.reasons.jsonl")
    assert await write_out(sandbox, name="a.jsonl") == first


# --- texts that are long ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["letters.jsonl", "letters.csv"])
async def test_long_texts_are_written_whole(name, make_sandbox, bring, write_out, tmp_path):
    sandbox = await make_sandbox()
    source = tmp_path / name
    bad = '{"unique_id": "a", "attachment": "' + "ä" * 9000 if name.endswith("l") else f"{'x' * 9000},b,c"
    head = json.dumps(letter(0)) if name.endswith("l") else "attachment,attachment_type"
    source.write_text(f"{head}\n{bad}\n", "utf-8")
    await bring(sandbox, source)
    done, _, _ = await write_out(sandbox)
    assert (done.exit_code, bad_lines(tmp_path / "out.jsonl")) == (0, [bad])


# --- what is no record -----------------------------------------------------------------------------


async def test_the_file_of_records_is_read_back_and_what_is_none_lies_beside_it(
    make_sandbox, bring, write_records, write_out, tmp_path
):
    sandbox = await make_sandbox()
    bad = ["not JSON", "42", '["a"]', '{"unique_id": "c", "attachment": NaN}', '{"unique_id": "d",']
    rows: list[Any] = [letter(0), wrong(1), *(f"{line}\n" for line in bad), {"unique_id": 7}, wrong(2)]
    await bring(sandbox, write_records(rows))
    done, *_ = await write_out(sandbox)
    out = tmp_path / "out.jsonl"
    assert (done.written, done.bad, done.bad_out) == (3, 5, Path(f"{out}.bad.txt"))
    assert bad_lines(out) == bad
    reasons = [json.loads(line) for line in Path(f"{out}.bad.txt.reasons.jsonl").read_text().splitlines()]
    assert [reason["line"] for reason in reasons] == [3, 4, 5, 6, 7]
    out.write_text(out.read_text().replace("nonsense", "text").replace("7", '"e"'))
    back = await bring(sandbox, out, job="mended")
    assert (back.read, back.created, back.failed, back.invalid) == (3, 2, 1, 0)


async def test_bad_lines_of_an_earlier_run_do_not_stay_behind(make_sandbox, bring, write_records, write_out, tmp_path):
    sandbox = await make_sandbox()
    source = write_records([wrong(0), "not JSON\n"])
    await bring(sandbox, source, job="j")
    assert (await write_out(sandbox))[0].bad == 1
    write_records([wrong(0)])
    await bring(sandbox, source, job="j")
    done, lines, _ = await write_out(sandbox)
    assert (done.bad, done.bad_out, ids(lines)) == (0, None, ["letter-00000"])
    assert sorted(path.name for path in tmp_path.glob("out*")) == ["out.jsonl", "out.jsonl.reasons.jsonl"]


async def test_a_row_of_a_table_with_too_many_cells_is_no_record_of_the_json_file(
    make_sandbox, bring, write_out, tmp_path
):
    sandbox = await make_sandbox()
    (tmp_path / "letters.csv").write_text("unique_id,attachment\na,b,c,d\ne,\n")
    await bring(sandbox, tmp_path / "letters.csv")
    done, lines, _ = await write_out(sandbox)
    assert (ids(lines), bad_lines(tmp_path / "out.jsonl")) == (["e"], ["a,b,c,d"])
    assert done.exit_code == 0


# --- files that are somebody's ---------------------------------------------------------------------


async def test_earlier_output_stays_while_the_source_cannot_be_read(
    make_sandbox, bring, write_records, write_out, tmp_path
):
    sandbox = await make_sandbox()
    source = write_records([wrong(0)])
    await bring(sandbox, source)
    _, lines, _ = await write_out(sandbox)
    source.unlink()
    with pytest.raises(SourceError):
        await write_out(sandbox)
    assert (tmp_path / "out.jsonl").read_text().splitlines() == lines
    assert len(json.loads((tmp_path / "out.jsonl.reasons.jsonl").read_text())) >= 5
    assert not list(tmp_path.glob(".*.part"))


@pytest.mark.parametrize(
    "name",
    ["out.jsonl.reasons.jsonl", "out.jsonl", "out.jsonl.bad.txt", "out.jsonl.bad.txt.reasons.jsonl"],
)
@pytest.mark.parametrize("text", ["my own\n", '{"reason": "mine"}\n'])
async def test_files_of_others_are_refused(name, text, make_sandbox, bring, write_records, write_out, tmp_path):
    sandbox = await make_sandbox()
    await bring(sandbox, write_records([wrong(0)]))
    (tmp_path / name).write_text(text)
    with pytest.raises(ConfigError, match="choose another file"):
        await write_out(sandbox)
    assert (tmp_path / name).read_text() == text
    assert len(list(tmp_path.glob("out*"))) == 1


CHANGES = {
    "a value": lambda text: text.replace("nonsense", "text").replace("no JSON", "{}"),
    "a line more": lambda text: text + "{}\n",
    "a line less": lambda text: text.split("\n", 1)[1],
    "no lines": lambda text: "",
    "another order": lambda text: "".join(reversed(text.splitlines(keepends=True))),
    "the last end": lambda text: text.removesuffix("\n"),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("name", ["out.jsonl", "out.jsonl.bad.txt"])
async def test_what_a_person_changed_is_refused(
    name, change, make_sandbox, bring, write_records, write_out, settings_for, tmp_path
):
    sandbox = await make_sandbox()
    await bring(sandbox, write_records([wrong(0), wrong(1), "no JSON 1\n", "no JSON 2\n"]))
    first = await write_out(sandbox)
    assert await write_out(sandbox) == first  # as it was left, it is replaced
    changed = CHANGES[change]((tmp_path / name).read_text())
    (tmp_path / name).write_text(changed)
    before = {path.name: path.read_bytes() for path in tmp_path.glob("out*")}
    assert len(before) == 4
    with pytest.raises(ConfigError) as refused:
        await write_failures(settings_for(sandbox), None, None, tmp_path / "out.jsonl")
    assert refused.value.exit_code == 2
    assert str(refused.value) == (
        f"{tmp_path / name} was changed since scalesync wrote it; import or move it, or choose another --out"
    )
    assert {path.name: path.read_bytes() for path in tmp_path.glob("out*")} == before
    for reasons in tmp_path.glob("out*.reasons.jsonl"):
        forget_digests(reasons)
    assert await write_out(sandbox) == first


async def test_a_corrected_output_that_is_a_source_now_is_refused(
    make_sandbox, bring, write_records, settings_for, tmp_path
):
    sandbox = await make_sandbox()
    await bring(sandbox, write_records([wrong(0)]), job="j")
    out, settings = tmp_path / "out.jsonl", settings_for(sandbox)
    await write_failures(settings, "j", None, out)
    out.write_text(json.dumps(letter(1)) + "\n")
    await bring(sandbox, out, job="corrected")
    with pytest.raises(ConfigError, match="was changed since scalesync wrote it"):
        await write_failures(settings, "j", None, out)
    assert json.loads(out.read_text()) == letter(1)


async def test_sources_and_ledger_are_refused_by_any_name(make_sandbox, bring, write_records, write_out, tmp_path):
    sandbox = await make_sandbox()
    source = write_records([wrong(0)])
    await bring(sandbox, source)
    (tmp_path / "link.jsonl").symlink_to(source)
    for name in (source.name, "link.jsonl", "../" + tmp_path.name + "/" + source.name, "ledger.db"):
        with pytest.raises(ConfigError, match="choose another --out"):
            await write_out(sandbox, name=name)
    assert json.loads(source.read_text()) == wrong(0)


async def test_a_folder_that_is_not_there_is_wrong_usage(make_sandbox, bring, write_records, write_out):
    sandbox = await make_sandbox()
    await bring(sandbox, write_records([wrong(0)]))
    with pytest.raises(ConfigError, match="no such folder"):
        await write_out(sandbox, name="nowhere/a.jsonl")


# --- one name in two targets -----------------------------------------------------------------------


async def test_failures_of_two_targets_are_distinguished(make_sandbox, bring, write_records, settings_for, write_out):
    sandbox = await make_sandbox()
    source = write_records([wrong(0), letter(1)])
    await bring(sandbox, source, job="j")
    write_records([wrong(0), wrong(1)])
    await bring(sandbox, source, job="j", key="test_k")
    groups = await list_failures(settings_for(sandbox).ledger, None, None)
    assert {(group.job, group.mode, group.count, group.target) for group in groups} == {
        ("j", "live", 1, sandbox.base_url),
        ("j", "test", 2, sandbox.base_url),
    }
    _, lines, _ = await write_out(sandbox)
    assert ids(lines) == ["letter-00000"]
    _, lines, _ = await write_out(sandbox, key="test_k")
    assert ids(lines) == ["letter-00000", "letter-00001"]
    for job in (None, "j"):
        with pytest.raises(ConfigError, match=r"\(live, account default\) and of .*\(test, account default\)"):
            await write_out(sandbox, job=job, key="")
    with pytest.raises(ConfigError, match="say which are meant"):
        await write_out(await make_sandbox())


# --- standard input --------------------------------------------------------------------------------


@pytest.fixture(params=["-", "/dev/fd"])
def pipe(bring, monkeypatch, request):
    """pipe(sandbox, rows, **options): import rows as job `piped`, from standard input or, as a shell does, `<(...)`."""
    if not Path(request.param).exists() and request.param != "-":
        pytest.skip("this system has no /dev/fd")

    async def run(sandbox, rows, **options):
        text = "".join(row if isinstance(row, str) else json.dumps(row) + "\n" for row in rows)
        if request.param == "-":
            monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(text.encode())))
            return await bring(sandbox, "-", job="piped", yes=True, **options)
        reads, writes = os.pipe()
        os.write(writes, text.encode())
        os.close(writes)
        try:
            return await bring(sandbox, f"/dev/fd/{reads}", job="piped", yes=True, **options)
        finally:
            os.close(reads)

    run.told = "standard input" if request.param == "-" else "/dev/fd/"
    return run


@pytest.fixture
def again(settings_for, notebook):
    async def retry(sandbox, group=None, *, errored=False):
        settings = settings_for(sandbox)
        summary = await run_retry(
            RetryOptions(job="piped", group=group, errored=errored), settings, notebook, limits=FAST, signals=False
        )
        assert adds_up(summary)
        return summary

    return retry


async def test_failed_records_of_standard_input_are_sent_when_it_is_piped_again(
    make_sandbox, pipe, again, settings_for
):
    sandbox = await make_sandbox([FaultRule(kind="error", on="create", at=(1, 3), status=422)])
    rows = [letter(n) for n in range(6)]
    assert (await pipe(sandbox, rows, settings={"concurrency": 1})).failed == 2
    seen = sandbox.journal.count()
    summary = await again(sandbox)
    assert sandbox.journal.count() == seen
    assert (summary.exit_code, summary.failed, summary.pending) == (1, 0, 2)
    assert "2 failed records are pending again; pipe the same input into the same import" in summary.message
    (row,) = await job_status(settings_for(sandbox).ledger, None)
    assert (row.state, row.last) == ("unfinished", "done, with findings")
    assert "the job has no failed records; pipe" in (await again(sandbox)).message
    done = await pipe(sandbox, rows)
    assert (done.exit_code, done.created, creates(sandbox)) == (0, 6, 8)
    assert (await again(sandbox)).message == "nothing to send: the job has no failed records"


async def test_a_record_that_may_have_a_task_is_looked_up_first(make_sandbox, pipe, again, ask_ledger, tmp_path):
    sandbox = await make_sandbox([FaultRule(kind="error", on="create", at=(1,), status=422)])
    rows = [letter(n) for n in range(4)]
    await pipe(sandbox, rows, settings={"concurrency": 1})
    from tests.flows.test_verify import change_ledger  # noqa: PLC0415

    change_ledger(tmp_path, "UPDATE rows SET state='sending', task_id=NULL WHERE unique_id='letter-00003'")
    assert (await again(sandbox)).pending == 2
    assert ask_ledger("SELECT state FROM rows WHERE unique_id='letter-00003'") == [("sending",)]
    done = await pipe(sandbox, rows)
    assert (done.created, creates(sandbox)) == (4, 5)


async def test_tasks_in_error_of_standard_input_want_another_switch(make_sandbox, pipe, again):
    sandbox = await make_sandbox()
    await pipe(sandbox, [letter(0)])
    with pytest.raises(
        ConfigError, match=f"read {pipe.told}.*, which is gone: pipe .* same import, with --reclaim err"
    ):
        await again(sandbox, errored=True)


async def test_of_a_pipe_only_ledger_and_server_are_compared(make_sandbox, pipe, settings_for, notebook, tmp_path):
    sandbox = await make_sandbox()
    await pipe(sandbox, [letter(0)])
    checked = await run_verify(settings_for(sandbox), "piped", tmp_path / "findings.jsonl", notebook, limits=FAST)
    assert (checked.exit_code, checked.without) == (0, {})
    assert f"the source was {pipe.told}" in checked.message


async def test_of_standard_input_what_was_not_kept_is_reported(make_sandbox, pipe, write_out, tmp_path):
    sandbox = await make_sandbox()
    await pipe(sandbox, [wrong(0), letter(1), "no JSON\n", '{"unique_id": "' + "x" * 9000 + "\n", "[" * 300 + "\n"])
    done, lines, _ = await write_out(sandbox)
    assert done.exit_code == 1
    assert (lines, bad_lines(tmp_path / "out.jsonl")) == ([], ["no JSON", "[" * 300])
    assert [item.count for item in done.left] == [1, 1]
    assert f"1 of 4 failing records of job piped came from {pipe.told}" in why(done)
    assert ", and its records are not kept" in why(done)
    assert "scalesync retry --job piped" in why(done)
    assert "1 of 4 failing records of job piped are too long: only their first 4,096 characters are left" in why(done)


async def test_standard_input_beside_a_file(make_sandbox, write_records, write_out, bring, monkeypatch, tmp_path):
    sandbox = await make_sandbox()
    source = write_records([wrong(0)])
    text = json.dumps(wrong(1)) + "\nno JSON\n"
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(text.encode())))
    await bring(sandbox, [str(source), "-"], job="both", yes=True)
    done, lines, _ = await write_out(sandbox)
    assert lines == [json.dumps(wrong(0), ensure_ascii=False, separators=(",", ":"))]
    assert bad_lines(tmp_path / "out.jsonl") == ["no JSON"]
    assert [item.count for item in done.left] == [1]
