"""Stopping early: what ends a run, what stays pending, and that the same command resumes."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
import signal
import socket
import sqlite3
import time
from contextlib import suppress
from dataclasses import replace

import anyio
import pytest

from scalesync.engine import queue
from scalesync.engine.dispatcher import Dispatcher
from scalesync.errors import BudgetUsed, ConfigError, Interrupted, JobRunning, KeyRefused, LeaseLost, SourceError
from scalesync.flows.exports.backfill.plan import BackfillOptions, BackfillSummary
from scalesync.flows.exports.backfill.run import run_backfill
from scalesync.flows.exports.run import run_export
from scalesync.flows.imports import plan
from scalesync.flows.imports.reading import feeder
from scalesync.flows.imports.reading.read_progress import Reading
from scalesync.flows.imports.run import run_import
from scalesync.flows.runtime.options import ExportOptions, ImportOptions
from scalesync.flows.runtime.run import DESK, SignalDesk
from scalesync.flows.runtime.setup.services import resolve_settings
from scalesync.ledger.sqlite.store import SqliteLedger
from scalesync.model.jobs import JobSpec
from scalesync.model.summaries import ExportSummary
from scalesync.sandbox import FaultRule
from scalesync.times import iso
from tests.conftest import FAST, KIND, PROJECT, letter
from tests.flows.conftest import HASTY, creates, requests
from tests.flows.test_increments import MINUTE, START_MS, World

SLOW = FaultRule(kind="latency", on="create", seconds=0.02)


def jobs(ask_ledger):
    return ask_ledger("SELECT count(*) FROM jobs")[0][0]


# --- the key ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [401, 403])
async def test_a_wrong_key_is_found_out_before_anything_is_sent(status, make_sandbox, bring, write_records, ask_ledger):
    sandbox = await make_sandbox(refuse={"live_k": status})
    with pytest.raises(KeyRefused, match="API key") as refusal:
        await bring(sandbox, write_records(5))
    assert refusal.value.exit_code == 3
    assert (creates(sandbox), requests(sandbox)) == (0, 2)
    assert jobs(ask_ledger) == 0


async def test_a_key_revoked_in_the_middle_stops_the_run_at_once_and_fails_nothing(make_sandbox, bring, write_records):
    sandbox = await make_sandbox([SLOW])
    source = write_records(1000)
    revoked_at = 0.0

    async def revoke() -> None:
        nonlocal revoked_at
        while sandbox.store.world("live").count() < 200:
            await anyio.sleep(0.005)
        sandbox.revoke("live_k")
        revoked_at = time.monotonic()

    async with anyio.create_task_group() as group:
        group.start_soon(revoke)
        summary = await bring(sandbox, source)
    assert time.monotonic() - revoked_at < 1
    assert (summary.exit_code, summary.failed) == (3, 0)
    assert "API key" in summary.message
    assert summary.created == sandbox.store.world("live").count()
    assert summary.created + summary.pending == summary.read
    sandbox.restore("live_k")
    resumed = await bring(sandbox, source)
    assert (resumed.exit_code, resumed.created) == (0, 1000)
    assert sandbox.journal.count("create", 409) == 0


async def test_one_stray_401_is_no_reason_to_stop(make_sandbox, bring, write_records):
    sandbox = await make_sandbox([FaultRule(kind="error", on="create", at=(4,), status=401)])
    summary = await bring(sandbox, write_records(20), settings={"concurrency": 1})
    assert (summary.exit_code, summary.created) == (0, 20)


async def test_a_task_type_that_is_not_paid_for_stops_the_run(make_sandbox, bring, write_records):
    sandbox = await make_sandbox(refuse={"live_k": 402})
    summary = await bring(sandbox, write_records(50))
    assert (summary.exit_code, summary.pending, summary.failed) == (3, 50, 0)
    assert "sales@" in summary.message


# --- an unreachable or silent platform -------------------------------------------------------------


def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.mark.parametrize(("records", "unread"), [(1200, False), (2200, True)])
async def test_a_stop_speaks_of_a_rest_only_where_some_of_the_input_is_not_in(
    records, unread, make_sandbox, bring, write_records, ask_ledger, tmp_path
):
    """Of 1,200 records all are in the ledger while the last block waits for room in the engine."""
    sandbox = await make_sandbox([replace(SLOW, seconds=0.1)])

    async def revoke() -> None:
        while not (tmp_path / "ledger.db").exists() or ask_ledger("SELECT count(*) FROM rows") < [(1200,)]:
            await anyio.sleep(0.02)
        sandbox.revoke("live_k")

    async with anyio.create_task_group() as group:
        group.start_soon(revoke)
        summary = await bring(sandbox, write_records(records), yes=True)
    assert summary.exit_code == 3
    assert (summary.read < records) == unread
    assert ("the rest of the input is not read yet" in summary.message) == unread


async def test_a_host_that_cannot_be_reached_ends_in_a_sentence(write_records, tmp_path, notebook):
    settings = resolve_settings(
        base_url=f"http://127.0.0.1:{closed_port()}/v1", ledger=tmp_path / "l.db", environ={"SCALE_API_KEY": "live_k"}
    )
    options = ImportOptions(sources=(str(write_records(3)),), type=KIND)
    with anyio.fail_after(5), pytest.raises(BudgetUsed, match=r"cannot reach 127\.0\.0\.1") as gave_up:
        await run_import(options, settings, notebook, limits=HASTY, signals=False)
    assert "same command" in str(gave_up.value)


async def test_a_platform_that_goes_away_in_the_middle_stops_the_run_in_bounded_time(
    make_sandbox, bring, write_records
):
    sandbox = await make_sandbox([FaultRule(kind="outage", on="create|list|get", status=0, between=(0.1, 60))])
    source = write_records(2000)
    with anyio.fail_after(6):
        summary = await bring(sandbox, source, limits=HASTY, yes=True, settings={"rate": "500"})
    assert (summary.exit_code, summary.failed) == (3, 0)
    assert "nothing got through" in summary.message
    sandbox.faults.replace([])
    assert (await bring(sandbox, source, yes=True)).created == 2000
    assert sandbox.store.world("live").count() == 2000


async def test_a_record_without_a_clear_answer_is_left_for_the_next_run(make_sandbox, bring, write_records):
    sandbox = await make_sandbox([FaultRule(kind="error", on="create", at=tuple(range(10, 60)), status=500)])
    source = write_records(11)
    few = replace(FAST, retry=replace(FAST.retry, max_attempts=3))
    summary = await bring(sandbox, source, limits=few, settings={"concurrency": 1})
    assert (summary.exit_code, summary.created, summary.pending) == (3, 10, 1)
    assert "no clear answer" in summary.message
    sandbox.faults.replace([])
    assert (await bring(sandbox, source)).exit_code == 0


async def test_look_ups_that_are_refused_leave_the_record_in_doubt(make_sandbox, bring, write_records):
    sandbox = await make_sandbox(
        [
            FaultRule(kind="error", on="create", at=(2,), status=500, after_write=True),
            FaultRule(kind="error", on="list", status=400),
        ]
    )
    few = replace(FAST, retry=replace(FAST.retry, max_attempts=3))
    summary = await bring(sandbox, write_records(5), limits=few)
    assert (summary.exit_code, summary.created, summary.pending) == (3, 4, 1)
    assert "refused to look the unique_id up" in summary.message
    sandbox.faults.replace([])
    assert (await bring(sandbox, write_records(5))).created == 5


# --- wrong settings --------------------------------------------------------------------------------


async def test_wrong_names_are_found_out_before_a_job_is_bound(make_sandbox, bring, write_records, ask_ledger):
    sandbox = await make_sandbox()
    world = sandbox.store.world("live")
    world.add_project("others", KIND)
    world.add_batch("others", "theirs")
    source = write_records(3)
    for wrong, words in (
        ({"project": "nowhere"}, "no project 'nowhere'"),
        ({"type": "imageannotation"}, "takes tasks of type"),
        ({"batch": "theirs"}, "belongs to project 'others'"),
    ):
        with pytest.raises(ConfigError, match=words) as refusal:
            await bring(sandbox, source, **wrong)
        assert refusal.value.exit_code == 2
    assert (creates(sandbox), jobs(ask_ledger)) == (0, 0)


async def test_an_address_that_is_no_api_is_reported_as_a_setting(make_sandbox, write_records, tmp_path, notebook):
    sandbox = await make_sandbox()
    settings = resolve_settings(
        base_url=f"{sandbox.origin}/nowhere", ledger=tmp_path / "l.db", environ={"SCALE_API_KEY": "live_k"}
    )
    options = ImportOptions(sources=(str(write_records(3)),), type=KIND)
    with pytest.raises(ConfigError, match="API address"):
        await run_import(options, settings, notebook, limits=FAST, signals=False)


async def test_a_missing_source_among_others_is_found_out_before_anything_is_sent(make_sandbox, bring, write_records):
    sandbox = await make_sandbox()
    with pytest.raises(SourceError, match="missing"):
        await bring(sandbox, [write_records(3), "missing.jsonl"])
    assert requests(sandbox) == 0


async def test_many_new_live_tasks_without_a_terminal_want_yes(make_sandbox, bring, write_records, ask_ledger):
    sandbox = await make_sandbox()
    thousand, more = write_records(1000, "thousand.jsonl"), write_records(1001, "more.jsonl")
    with pytest.raises(ConfigError, match="--yes"):
        await bring(sandbox, more)
    assert (creates(sandbox), jobs(ask_ledger)) == (0, 0)
    assert (await bring(sandbox, more, key="test_k", dry_run=True)).pending == 1001
    assert (await bring(sandbox, [thousand, thousand])).created == 1000
    assert (await bring(sandbox, more)).created == 1001
    assert (
        await bring(sandbox, write_records([letter(n) for n in range(5000, 6001)], "y.jsonl"), yes=True)
    ).created == 1001


@pytest.mark.parametrize("end", ["", "/v2", "/api"])
@pytest.mark.parametrize("project", [PROJECT, None])
async def test_an_address_without_the_v1_root_is_reported_as_such(
    project, end, make_sandbox, settings_for, notebook, write_records, tmp_path
):
    sandbox = await make_sandbox()
    options = ImportOptions(sources=(str(write_records(1)),), type=KIND, project=project)
    root = sandbox.base_url.removesuffix("/v1")
    settings = replace(settings_for(sandbox), base_url=root + end)
    meant = f"{root}{'' if end == '/v2' else end}/v1"
    with pytest.raises(ConfigError, match=rf"the API address is the v1 root: did you mean {re.escape(meant)}\?"):
        await run_import(options, settings, notebook, limits=FAST, signals=False)
    if project is None:
        with pytest.raises(ConfigError, match=rf"did you mean {re.escape(meant)}\?"):
            await run_export(ExportOptions(out=tmp_path / "out"), settings, notebook, signals=False)


# --- the dry run -----------------------------------------------------------------------------------


async def test_a_dry_run_writes_neither_server_nor_ledger(make_sandbox, bring, write_records, tmp_path):
    sandbox = await make_sandbox()
    source = write_records([letter(0), "broken\n", letter(0), letter(1)])
    first = await bring(sandbox, source, dry_run=True)
    assert (first.read, first.pending, first.invalid, first.duplicates) == (4, 2, 1, 1)
    assert not (tmp_path / "ledger.db").exists()
    await bring(sandbox, source)
    before = digests(tmp_path)
    tasks = sandbox.store.world("live").count()
    second = await bring(sandbox, write_records(5, "other.jsonl"), dry_run=True)
    assert (second.created, second.pending) == (2, 3)
    after = digests(tmp_path)
    assert {name: after[name] for name in before} == before
    assert sandbox.store.world("live").count() == tasks
    assert {seen.method for seen in sandbox.journal if seen.kind != "create"} == {"GET"}


def digests(folder):
    """Contents of the ledger's files."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("ledger.db*")}


# --- stopped from outside --------------------------------------------------------------------------


async def test_a_stop_returns_unsent_records_to_pending_and_waits_for_answers(
    make_sandbox, bring, write_records, ask_ledger, monkeypatch
):
    sandbox = await make_sandbox([FaultRule(kind="latency", on="create", seconds=0.1)])
    engines = []
    begin = Dispatcher.run

    async def run(self: Dispatcher) -> None:
        engines.append(self)
        await begin(self)

    monkeypatch.setattr(Dispatcher, "run", run)

    async def interrupt() -> None:
        while sandbox.store.world("live").count() < 20:
            await anyio.sleep(0.01)
        engines[0].stop(Interrupted("stopped by a test; the same command resumes"))

    source = write_records(700)
    async with anyio.create_task_group() as group:
        group.start_soon(interrupt)
        summary = await bring(sandbox, source, settings={"rate": "30", "concurrency": 40})
    assert summary.exit_code == 3
    assert "stopped by a test" in summary.message
    assert ask_ledger("SELECT count(*) FROM rows WHERE state='sending'") == [(0,)]
    assert summary.created == sandbox.store.world("live").count()
    resumed = await bring(sandbox, source, settings={"rate": "500"})
    assert (resumed.created, sandbox.journal.count("create", 409)) == (700, 0)


def revoked(sandbox, desk):
    sandbox.faults.replace([FaultRule(kind="error", on="create", status=401)])


STOPS = {
    "Ctrl-C": lambda sandbox, desk: desk.ring(signal.SIGINT),
    "SIGTERM": lambda sandbox, desk: desk.ring(signal.SIGTERM),
    "SIGHUP": lambda sandbox, desk: desk.ring(signal.SIGHUP),
    "a key that is refused": revoked,
}
REST = "; the rest of the input is not read yet"


@pytest.mark.parametrize(
    ("files", "at", "read", "stop"),
    [
        ((600,), 20, False, "Ctrl-C"),
        ((20, 600), 14, False, "SIGTERM"),  # in a load of both files
        ((40,), 33, True, "SIGHUP"),
        ((9, 2, 8), 13, True, "Ctrl-C"),
        ((32,), 24, True, "a key that is refused"),
    ],
)
async def test_a_stopped_run_says_whether_pending_is_all_that_is_left(
    files, at, read, stop, make_sandbox, settings_for, notebook, write_records, monkeypatch
):
    """It is stopped while the engine has yet to take the rest of a load in, which the ledger holds."""
    monkeypatch.setattr(plan, "LOAD_RECORDS", 16)
    monkeypatch.setattr(queue, "HIGH_WATER", 2)
    readings: list[Reading] = []
    monkeypatch.setattr(feeder, "Reading", lambda **given: readings.append(Reading(**given)) or readings[0])
    sandbox = await make_sandbox([SLOW])
    sources, first = [], 0
    for number, many in enumerate(files):
        sources.append(str(write_records([letter(n) for n in range(first, first + many)], f"{number}.jsonl")))
        first += many
    desk = SignalDesk()
    DESK.set(desk)

    async def when_some_are_there() -> None:
        while sandbox.store.world("live").count() < at or (read and readings[0].ends < readings[0].stretches):
            await anyio.sleep(0.002)
        STOPS[stop](sandbox, desk)

    options = ImportOptions(sources=tuple(sources), type=KIND, project=PROJECT)
    settings = settings_for(sandbox, concurrency=2)
    async with anyio.create_task_group() as group:
        group.start_soon(when_some_are_there)
        summary = await run_import(options, settings, notebook, limits=FAST, signals=True)
    assert (summary.exit_code, summary.pending > 0) == (3, True)
    assert summary.message.endswith(REST) == (not read), summary
    assert (summary.read == first) == read


@pytest.mark.parametrize("way", ["plain", "incremental", "backfill"])
@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
async def test_exports_whose_terminal_is_closed_end_in_order(
    number, way, make_sandbox, settings_for, notebook, tmp_path
):
    now = [START_MS]
    sandbox = await make_sandbox(clock=lambda: now[0])
    World(sandbox, now).create(60)
    now[0] += MINUTE
    sandbox.faults.replace([FaultRule(kind="latency", on="list", seconds=0.02)])
    asked = ExportOptions(out=tmp_path / "out", incremental=way == "incremental", page_size=3)
    desk = SignalDesk()
    DESK.set(desk)

    async def run(*, signals: bool) -> ExportSummary | BackfillSummary:
        if way == "backfill":
            return await run_backfill(
                BackfillOptions(asked, iso(START_MS - 1000), window="1d"),
                settings_for(sandbox),
                notebook,
                signals=signals,
            )
        return await run_export(asked, settings_for(sandbox), notebook, signals=signals)

    async def when_some_are_listed() -> None:
        while sandbox.journal.count("list") < 4:
            await anyio.sleep(0.002)
        assert desk.ring(number)

    async with anyio.create_task_group() as group:
        group.start_soon(when_some_are_listed)
        stopped = await run(signals=True)
        group.cancel_scope.cancel()
    name = "SIGHUP (the terminal was closed)" if number == signal.SIGHUP else "SIGTERM"
    assert (stopped.exit_code, stopped.message.partition(";")[0]) == (3, f"stopped by {name}")
    sandbox.faults.replace([])
    done = await run(signals=False)
    assert (done.exit_code, done.tasks) == (0, 60)


async def test_a_stop_does_not_wait_for_a_source_that_is_silent(make_sandbox, settings_for, notebook, tmp_path):
    sandbox = await make_sandbox()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    end = os.open(pipe, os.O_RDWR)
    try:
        os.write(end, json.dumps(letter(0)).encode() + b"\n")
        options = ImportOptions(sources=(str(pipe),), type=KIND, project=PROJECT, job="p")
        with anyio.fail_after(5):
            with anyio.move_on_after(0.5):
                await run_import(options, settings_for(sandbox), notebook, limits=FAST, signals=False)
    finally:
        os.close(end)


async def test_a_second_run_of_a_job_is_refused_with_the_first_ones_process(
    make_sandbox, bring, write_records, settings_for
):
    sandbox = await make_sandbox()
    source = write_records(10)
    await bring(sandbox, source, job="j", limit=1)
    settings = settings_for(sandbox)
    ledger = SqliteLedger.open(settings.ledger, note=print)
    found = await ledger.find_job(settings.target, "j")
    assert found is not None
    held = await ledger.open_import(JobSpec("j", found.command, found.target, found.identity, found.settings))
    with pytest.raises(JobRunning, match=r"process \d+") as refusal:
        await bring(sandbox, source, job="j")
    assert refusal.value.exit_code == 3
    await held.finish(complete=False, exit_code=0, figures={})
    ledger.close()
    assert (await bring(sandbox, source, job="j")).created == 10


def lapse(path):
    """Let the lease of every job run out."""
    connection = sqlite3.connect(path)
    connection.execute("UPDATE jobs SET lease_until_ms=1")
    connection.commit()
    connection.close()


async def test_a_run_whose_job_was_taken_over_stops_and_leaves_the_ledger_to_the_other(
    make_sandbox, bring, write_records, settings_for, tmp_path
):
    sandbox = await make_sandbox([SLOW])
    source = write_records(600)
    settings = settings_for(sandbox)

    async def take_over() -> None:
        while sandbox.store.world("live").count() < 100:
            await anyio.sleep(0.01)
        other = SqliteLedger.open(settings.ledger, note=print)
        found = await other.find_job(settings.target, "j")
        assert found is not None
        spec = JobSpec("j", found.command, found.target, found.identity, found.settings)
        held = None
        while held is None:  # each write of the first run renews its lease
            lapse(settings.ledger)
            with suppress(JobRunning):
                held = await other.open_import(spec)
        await anyio.sleep(0.2)
        await held.finish(complete=False, exit_code=0, figures={})
        other.close()

    async with anyio.create_task_group() as group:
        group.start_soon(take_over)
        with pytest.raises(LeaseLost, match="took over"):
            await bring(sandbox, source, job="j", settings={"rate": "300"})
    assert (await bring(sandbox, source, job="j")).created == 600
    assert sandbox.store.world("live").count() == 600


async def test_a_source_that_breaks_off_in_the_middle_is_resumable_once_it_is_fixed(
    make_sandbox, bring, write_records, tmp_path
):
    sandbox = await make_sandbox()
    whole = gzip.compress(write_records(900, "plain.jsonl").read_bytes(), 1)
    source = tmp_path / "letters.jsonl.gz"
    source.write_bytes(whole[: len(whole) * 3 // 4])
    broken = await bring(sandbox, source)
    assert broken.exit_code in {1, 3}
    assert 0 < broken.created < 900
    source.write_bytes(whole)
    mended = await bring(sandbox, source)
    assert (mended.exit_code, mended.created, mended.invalid) == (0, 900, 0)
