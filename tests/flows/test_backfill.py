"""Backfills: each window of a past period is read once, whatever stops the run in between."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from scalesync.errors import ConfigError, DiskFull
from scalesync.flows.exports.backfill import run as flow
from scalesync.flows.exports.backfill.plan import BackfillOptions, BackfillSummary
from scalesync.flows.exports.backfill.run import run_backfill
from scalesync.flows.exports.backfill.windows import Width, Window, cut, missing
from scalesync.flows.exports.folder.export_folder import Folder
from scalesync.flows.exports.run import run_export
from scalesync.flows.jobs.status import job_status
from scalesync.flows.runtime.options import ExportOptions
from scalesync.ledger.sqlite.exports.export_store import ExportStore
from scalesync.outputs.manifest import Manifest, load
from scalesync.sandbox import FaultRule
from scalesync.times import iso, milliseconds
from tests.flows.test_export import lines_of
from tests.flows.test_increments import World

DAY = 86_400_000
FIRST = milliseconds("2025-01-30T00:00:00Z")


def ms(text: str) -> int:
    return milliseconds(f"{text}T00:00:00Z" if len(text) == 10 else text)


# --- windows -----------------------------------------------------------------------------------


def bounds(lo: str, hi: str, width: str) -> list[str]:
    windows = list(cut(ms(lo), ms(hi), Width.parse(width)))
    assert all(left.hi == right.lo for left, right in pairwise(windows))
    return [iso(window.lo)[:16] for window in windows] + [iso(windows[-1].hi)[:16]]


def test_windows_are_hours_days_weeks_and_calendar_months():
    assert bounds("2025-01-01", "2025-01-02", "12h") == ["2025-01-01T00:00", "2025-01-01T12:00", "2025-01-02T00:00"]
    assert bounds("2025-01-01", "2025-01-09", "1w") == ["2025-01-01T00:00", "2025-01-08T00:00", "2025-01-09T00:00"]
    assert bounds("2023-11-01", "2024-03-10", "1mo") == [
        f"{day}T00:00" for day in ("2023-11-01", "2023-12-01", "2024-01-01", "2024-02-01", "2024-03-01", "2024-03-10")
    ]
    assert bounds("2025-01-31", "2025-05-01", "1mo") == [
        f"{day}T00:00" for day in ("2025-01-31", "2025-02-28", "2025-03-31", "2025-04-30", "2025-05-01")
    ]
    assert bounds("2024-01-31", "2025-01-31", "6mo") == [
        f"{day}T00:00" for day in ("2024-01-31", "2024-07-31", "2025-01-31")
    ]


@pytest.mark.parametrize("text", ["", "1", "1m", "0d", "1y", "-1d", "1.5d", "d"])
def test_other_widths_are_refused(text):
    with pytest.raises(ConfigError, match="--window"):
        Width.parse(text)


def test_a_window_wider_than_the_calendar_ends_with_its_period():
    assert list(cut(FIRST, FIRST + DAY, Width.parse("99999mo"))) == [Window(FIRST, FIRST + DAY)]


def test_too_many_windows_are_refused():
    with pytest.raises(ConfigError, match="10,000 windows"):
        list(cut(0, ms("2025-01-01"), Width.parse("1h")))


def test_ages_begin_with_their_hour_day_or_month():
    at = ms("2025-03-19T15:44:03.123Z")
    floors = [iso(Width.parse(text).floor(at))[:16] for text in ("6h", "1d", "1w", "1mo")]
    assert floors == ["2025-03-19T15:00", "2025-03-19T00:00", "2025-03-19T00:00", "2025-03-01T00:00"]


def test_what_is_missing_is_what_no_done_window_covers():
    wanted = [Window(0, 10), Window(10, 20), Window(20, 30)]
    assert missing(wanted, []) == wanted
    assert missing(wanted, [Window(10, 20)]) == [Window(0, 10), Window(20, 30)]
    assert missing(wanted, [Window(5, 12), Window(14, 15), Window(25, 99)]) == [
        *(Window(0, 5), Window(12, 14), Window(15, 20), Window(20, 25))
    ]
    assert missing(wanted, [Window(-5, 99)]) == []


# --- runs --------------------------------------------------------------------------------------


@pytest.fixture
async def world(make_sandbox) -> World:
    """Three tasks a day from January 30, 2025 on, ten days long; then the clock stands two days later."""
    now = [FIRST]
    world = World(await make_sandbox(clock=lambda: now[0], journal_size=100_000), now)
    for _ in range(10):
        for hour in (0, 9, 21):
            now[0] += hour * 3_600_000
            world.create()
            now[0] -= hour * 3_600_000
        now[0] += DAY
    now[0] += 2 * DAY
    return world


@pytest.fixture
def backfill(settings_for, notebook, tmp_path):
    async def run(world: World, name: str = "out", **options: Any) -> BackfillSummary:
        own = {key: options.pop(key) for key in ("first", "last", "window", "by", "order") if key in options}
        asked = BackfillOptions(ExportOptions(out=tmp_path / name, **options), **{"first": "2025-01-30", **own})
        return await run_backfill(asked, settings_for(world.sandbox), notebook, signals=False)

    return run


def numbers(out: Path) -> list[int]:
    return sorted(json.loads(line)["metadata"]["number"] for line in lines_of(out))


def windows_of(out: Path) -> list[tuple[str, int]]:
    manifest = load(out)
    return [(entry["start"][:10], entry["tasks"]) for entry in manifest.extra["windows"]]


async def table(settings: Any) -> list[tuple[str, str]]:
    (job,) = await job_status(settings.ledger, None)
    return [(row["start"][:10], row["state"]) for row in job.windows]


async def test_every_window_is_read_once_and_a_later_end_adds_the_new_ones(world, backfill, settings_for, tmp_path):
    first = await backfill(world, last="2025-02-03")
    assert (first.exit_code, first.tasks, first.windows, first.windows_read) == (0, 12, 4, 4)
    assert numbers(tmp_path / "out") == list(range(12))
    manifest = load(tmp_path / "out")
    assert manifest.watermark is None
    assert [entry.route for entry in manifest.files] == [f"2025-{day}T00:00:00.000Z" for day, _ in days(4)]
    before = {entry.path: entry.sha256 for entry in manifest.files}
    world.sandbox.journal.clear()
    again = await backfill(world, last="2025-02-03")
    assert (again.tasks, again.requests, world.sandbox.journal.count()) == (12, 0, 0)
    assert "every window of this period was read" in again.message
    more = await backfill(world, last="2025-02-05")
    assert (more.windows, more.windows_read, more.tasks) == (6, 2, 18)
    assert world.sandbox.journal.count() <= 1 + 2 * 2
    assert before.items() <= {entry.path: entry.sha256 for entry in load(tmp_path / "out").files}.items()
    assert numbers(tmp_path / "out") == list(range(18))
    assert windows_of(tmp_path / "out") == [(f"2025-{day}", 3) for day, _ in days(6)]
    (job,) = await job_status(settings_for(world.sandbox).ledger, None)
    assert (job.command, job.state, job.counts["tasks"]) == ("backfill", "finished", 18)
    assert {row["state"] for row in job.windows} == {"done"}


def days(count: int) -> list[tuple[str, int]]:
    return [(iso(FIRST + number * DAY)[5:10], number) for number in range(count)]


async def test_a_window_cut_short_is_completed_by_the_next_run(world, backfill, tmp_path):
    await backfill(world, last="2025-01-31T12:00")
    assert numbers(tmp_path / "out") == [0, 1, 2, 3, 4]
    await backfill(world, last="2025-02-02")
    assert numbers(tmp_path / "out") == list(range(9))
    assert [start for start, _ in windows_of(tmp_path / "out")] == ["2025-01-30", *["2025-01-31"] * 2, "2025-02-01"]
    early = await backfill(world, first="2025-01-29", last="2025-02-02")
    assert early.windows_read == 1


async def test_the_end_never_lies_in_the_future(world, backfill, notebook, tmp_path):
    world.now[0] = FIRST + 2 * DAY + 3_600_000
    summary = await backfill(world, last="2025-03-01")
    assert summary.exit_code == 0
    assert any("future" in note for note in notebook.notes)
    assert numbers(tmp_path / "out") == [0, 1, 2, 3, 4, 5, 6]
    # Not midnight itself: between two replies the server's time goes on with our clock, and a task begins there.
    world.now[0] = FIRST + 3 * DAY - 60_000
    await backfill(world)
    assert numbers(tmp_path / "out") == list(range(9))


async def test_a_period_that_has_not_begun_is_refused(world, backfill, ask_ledger):
    for last in (None, "2030-12-01"):
        with pytest.raises(ConfigError, match="--from is in the future"):
            await backfill(world, first="2030-11-01", last=last)
    assert ask_ledger("SELECT name FROM jobs") == []


@pytest.mark.parametrize("by", ["completed", "updated"])
async def test_windows_by_another_time(by, world, backfill, tmp_path):
    world.now[0] = FIRST + 12 * DAY
    for number, day in ((3, 13), (5, 13), (8, 14), (9, 16)):
        world.now[0] = FIRST + day * DAY
        await world.act(number, "complete")
    world.now[0] = FIRST + 17 * DAY
    summary = await backfill(world, first="2025-02-12", last="2025-02-15", by=by, window="1d")
    assert (summary.tasks, summary.windows) == (3, 3)
    assert numbers(tmp_path / "out") == [3, 5, 8]
    assert windows_of(tmp_path / "out") == [("2025-02-12", 2), ("2025-02-13", 1), ("2025-02-14", 0)]


async def test_filters_form_and_time_belong_to_the_folder(world, backfill, tmp_path):
    await backfill(world, last="2025-01-31", status=("completed",))
    with pytest.raises(
        ConfigError, match=r"other filters: it has --status completed, this command has none; choose another --out$"
    ):
        await backfill(world, last="2025-02-01")
    with pytest.raises(ConfigError, match="by created time"):
        await backfill(world, last="2025-02-01", status=("completed",), by="updated")
    with pytest.raises(ConfigError, match="another form"):
        await backfill(world, last="2025-02-01", status=("completed",), format="jsonl.gz")
    with pytest.raises(ConfigError, match="leave --created-after out"):
        await backfill(world, "x", created_after="3d")
    with pytest.raises(ConfigError, match="--from must be before"):
        await backfill(world, "x", last="2025-01-30")
    with pytest.raises(ConfigError, match="leave --incremental"):
        await backfill(world, "x", incremental=True)


async def test_an_incremental_folder_is_refused_and_keeps_its_watermark(
    world, backfill, settings_for, notebook, tmp_path
):
    async def export(**options: Any) -> Any:
        asked = ExportOptions(out=tmp_path / "inc", incremental=True, **options)
        return await run_export(asked, settings_for(world.sandbox), notebook, signals=False)

    await export()
    watermark = load(tmp_path / "inc").watermark
    with pytest.raises(ConfigError, match="choose another --out"):
        await backfill(world, "inc")
    # the same name, and nobody remembers whose it was
    (tmp_path / "ledger.db").unlink()
    manifest = load(tmp_path / "inc")
    manifest.job = "same"
    manifest.commit(tmp_path / "inc")
    with pytest.raises(ConfigError, match="not a backfill"):
        await backfill(world, "inc", job="same")
    await backfill(world, "other")
    assert load(tmp_path / "inc").watermark >= watermark
    assert load(tmp_path / "other").watermark is None


@pytest.mark.parametrize("order", ["oldest", "newest"])
async def test_stopped_in_the_middle_the_done_windows_are_not_read_again(
    order, world, backfill, settings_for, tmp_path, monkeypatch
):
    commit, done = Folder.commit, []

    def dies(self: Folder, manifest: Manifest) -> None:
        if len(done) == 3:
            raise DiskFull("no space left")
        done.append(manifest)
        commit(self, manifest)

    monkeypatch.setattr(flow.Folder, "commit", dies)
    stopped = await backfill(world, last="2025-02-05", order=order)
    assert (stopped.exit_code, stopped.windows, stopped.windows_read, stopped.tasks) == (3, 3, 3, 9)
    monkeypatch.setattr(flow.Folder, "commit", commit)
    names = [f"2025-{day}" for day, _ in days(6)]
    read = names[:3] if order == "oldest" else names[3:]
    assert [start for start, _ in windows_of(tmp_path / "out")] == read
    states = dict(await table(settings_for(world.sandbox)))
    assert {name for name, state in states.items() if state == "done"} == set(read)
    assert sorted(states.values()) == ["done"] * 3 + ["open"] + ["pending"] * 2
    world.sandbox.journal.clear()
    rest = await backfill(world, last="2025-02-05", order=order)
    assert (rest.exit_code, rest.windows_read, rest.tasks) == (0, 3, 18)
    # one for the time, and one page for each window but the open one, which had been read to its end
    assert world.sandbox.journal.count() == 1 + 2
    assert numbers(tmp_path / "out") == list(range(18))


async def test_stopped_between_the_rename_and_its_record_the_window_is_done(world, backfill, tmp_path, monkeypatch):
    end, ends = ExportStore.end_run, []

    async def dies(self: ExportStore) -> None:
        ends.append(1)
        if len(ends) == 2:
            raise DiskFull("no space left")
        await end(self)

    monkeypatch.setattr(ExportStore, "end_run", dies)
    stopped = await backfill(world, last="2025-02-02")
    assert (stopped.exit_code, stopped.windows, stopped.tasks) == (3, 2, 6)
    rest = await backfill(world, last="2025-02-02")
    assert (rest.exit_code, rest.windows_read, rest.tasks) == (0, 1, 9)
    assert numbers(tmp_path / "out") == list(range(9))


async def test_the_open_window_continues_behind_its_last_page(world, backfill, tmp_path):
    world.sandbox.faults.replace([FaultRule(kind="error", on="list", at=(2, 3), status=401)])
    stopped = await backfill(world, window="10d", last="2025-02-09", page_size=10)
    assert (stopped.exit_code, stopped.windows_read) == (3, 0)
    assert "API key" in stopped.message
    world.sandbox.faults.replace([])
    world.sandbox.journal.clear()
    summary = await backfill(world, window="10d", last="2025-02-09", page_size=10)
    assert (summary.exit_code, summary.tasks) == (0, 30)
    assert world.sandbox.journal.count() < 4
    assert numbers(tmp_path / "out") == list(range(30))


async def test_a_lost_ledger_continues_from_the_manifest(world, backfill, tmp_path):
    await backfill(world, last="2025-02-03")
    (tmp_path / "ledger.db").unlink()
    more = await backfill(world, last="2025-02-05")
    assert (more.windows, more.windows_read, more.tasks) == (6, 2, 18)


async def test_a_window_that_lost_a_file_is_read_again(world, backfill, tmp_path):
    await backfill(world, last="2025-02-03")
    (tmp_path / "out" / "tasks" / "tasks-00002.jsonl").unlink()
    outside = await backfill(world, first="2025-02-01", last="2025-02-03")
    assert (outside.exit_code, outside.windows_read) == (1, 0)
    assert "tasks-00002.jsonl: is missing" in outside.message
    again = await backfill(world, last="2025-02-03")
    assert (again.exit_code, again.windows_read, again.tasks) == (0, 1, 12)
    assert numbers(tmp_path / "out") == list(range(12))


async def test_an_unsettled_window_is_reported_and_read_again(
    tmp_path, notebook, make_sandbox, world, backfill, monkeypatch
):
    adds_up = flow.ExportRun._read
    lies = [True]

    async def read(self: Any, *args: Any) -> None:
        await adds_up(self, *args)
        if lies and self._plan.selection.bounds["created_after"] == FIRST + DAY:
            self._reader.figures.unsettled = lies.pop()

    monkeypatch.setattr(flow.BackfillRun, "_read", read)
    first = await backfill(world, last="2025-02-02")
    assert (first.exit_code, first.unsettled) == (1, 1)
    second = await backfill(world, last="2025-02-02")
    assert (second.exit_code, second.unsettled, second.windows_read, second.tasks) == (0, 0, 1, 9)
    assert numbers(tmp_path / "out") == list(range(9))
