"""Compact: the newest version of each task, as of any moment, byte for byte and the same bytes each time."""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest

from scalesync.errors import ConfigError, DiskFull, JobRunning
from scalesync.flows.exports.compact.run import CompactOptions, CompactSummary, run_compact
from scalesync.flows.exports.run import run_export
from scalesync.flows.runtime.options import ExportOptions
from scalesync.ledger.sqlite.exports.versions_index import VersionsIndex
from scalesync.model.exports import Seen
from scalesync.outputs import writer as segments
from scalesync.outputs.encoders.registry import FORMATS
from scalesync.outputs.manifest import Manifest, load
from scalesync.outputs.reader import lines_of
from scalesync.outputs.writer import SegmentWriter
from scalesync.times import iso
from tests.flows.test_increments import MINUTE, START_MS, World

Line = tuple[str, int, bytes | None]  # task_id, updated_ms, None when it left


@pytest.fixture
def compact(notebook, tmp_path):
    async def run(source: str = "inc", to: str = "now", **options: Any) -> CompactSummary:
        return await run_compact(CompactOptions(tmp_path / source, tmp_path / to, **options), notebook)

    return run


def task(number: int, updated_ms: int, text: str = "") -> Line:
    """A version of a task; unusual members must come through as they are."""
    key = f"{number:024x}"
    raw = (
        f'{{"task_id":"{key}","n":18446744073709551617,"x":1.0,"t":"{text}ü\\ud83d","updated_at":"{iso(updated_ms)}"}}'
    )
    return key, updated_ms, raw.encode()


def left(number: int, updated_ms: int) -> Line:
    return f"{number:024x}", updated_ms, None


def write_folder(folder: Path, runs: Sequence[Sequence[Line]], format: Any = "jsonl", **more: Any) -> Manifest:
    """A folder as increments leave it: for each run its tasks, then what left."""
    folder.mkdir()
    files = []
    for run in runs:
        tasks, gone = SegmentWriter(folder, "tasks", format), SegmentWriter(folder, "left")
        tasks.write([raw for _, _, raw in run if raw is not None])
        gone.write(
            [
                json.dumps({"task_id": key, "updated_at": iso(ms), "reason": "status is pending"}).encode()
                for key, ms, raw in run
                if raw is None
            ]
        )
        files += [replace(entry, kind=kind) for kind, w in ((None, tasks), ("left", gone)) if (entry := w.finish())]
    newest = max((ms for run in runs for _, ms, _ in run), default=START_MS)
    manifest = Manifest("export-x", "http://127.0.0.1:1/v1", "live", watermark=iso(newest + 1), files=files, **more)
    manifest.commit(folder)
    return manifest


@pytest.mark.parametrize("harm", ["removed", "cut short", "renamed", "emptied", "grown"])
async def test_a_file_of_the_result_that_is_lost_is_made_again_and_reported(harm, compact, tmp_path):
    write_folder(tmp_path / "inc", [[task(number, START_MS + number) for number in range(20)]])
    first = await compact()
    (path,) = (tmp_path / "now").rglob("tasks-*")
    whole = path.read_bytes()
    if harm == "removed":
        path.unlink()
    elif harm in ("cut short", "emptied"):
        path.write_bytes(whole[:-10] if harm == "cut short" else b"")
    elif harm == "grown":
        path.write_bytes(whole + whole[:100])
    else:
        path.rename(path.with_name("tasks-00007.jsonl"))
    again = await compact()
    assert (again.exit_code, again.tasks) == (0, first.tasks)
    assert f"{path}: " in again.message
    assert again.message.endswith("made again from --from")
    assert b"".join(line + b"\n" for line in lines_in(tmp_path / "now")) == whole
    assert (await compact()).message.startswith("nothing to do")


def lines_in(folder: Path) -> list[bytes]:
    """Lines of the files that the manifest lists, each file checked."""
    manifest = load(folder)
    assert manifest is not None
    found = []
    for entry in manifest.files:
        data = (folder / entry.path).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (entry.bytes, entry.sha256)
        lines = list(lines_of(folder / entry.path))
        assert len(lines) == entry.rows
        found += lines
    return found


def state_at(runs: Sequence[Sequence[Line]], ms: int) -> set[bytes]:
    """The model: replay every line up to a moment."""
    state: dict[str, bytes] = {}
    for key, updated_ms, raw in sorted((line for run in runs for line in run), key=lambda line: line[1]):
        if updated_ms <= ms:
            state.pop(key, None)
            if raw is not None:
                state[key] = raw
    return set(state.values())


def drawn_log(rng: random.Random) -> list[list[Line]]:
    """Edits of thirty tasks at moments that never repeat for one task, cut into runs; lines of a run in any order."""
    ms = START_MS
    runs: list[list[Line]] = []
    here: set[int] = set()
    for _ in range(rng.randrange(3, 9)):
        run: dict[int, Line] = {}
        for _ in range(rng.randrange(40)):
            ms += rng.choice([0, 0, 1, 1_000, MINUTE])
            number = rng.randrange(30)
            if number in run:
                continue
            if number in here and rng.random() < 0.3:
                here.discard(number)
                run[number] = left(number, ms)
            else:
                here.add(number)
                run[number] = task(number, ms, f"{ms}-{rng.random()}")
        lines = list(run.values())
        rng.shuffle(lines)
        runs.append(lines)
        ms += 1
    return runs


@pytest.mark.parametrize("seed", range(5))
async def test_every_moment_of_a_drawn_log_is_the_models_state(seed, compact, tmp_path):
    rng = random.Random(seed)
    runs = drawn_log(rng)
    write_folder(tmp_path / "inc", runs, rng.choice(["jsonl", "jsonl.gz", "jsonl.zst"]))
    moments = sorted({ms for run in runs for _, ms, _ in run})
    for place, ms in enumerate([moments[0] - 1, *rng.sample(moments, min(5, len(moments))), moments[-1]]):
        sums = set()
        for turn in range(2):
            summary = await compact(to=f"at-{place}-{turn}", as_of=iso(ms))
            lines = lines_in(tmp_path / f"at-{place}-{turn}")
            assert len(lines) == len(set(lines)) == summary.tasks
            assert set(lines) == state_at(runs, ms)
            sums.add(tuple(entry.sha256 for entry in load(tmp_path / f"at-{place}-{turn}").files))
        assert len(sums) == 1
    await compact()
    assert set(lines_in(tmp_path / "now")) == state_at(runs, moments[-1])


async def test_increments_of_an_export_as_of_each_run_are_what_the_server_held_then(
    make_sandbox, settings_for, notebook, compact, tmp_path
):
    now = [START_MS]
    world = World(await make_sandbox(clock=lambda: now[0]), now)
    rng = random.Random(4)
    world.create(12)
    held: list[tuple[str, dict[str, Any]]] = []
    for _ in range(6):
        now[0] += MINUTE  # the client's idea of the time runs on while the sandbox's stands
        for _ in range(rng.randrange(1, 10)):
            now[0] += rng.choice([1, 500, MINUTE])
            await world.act(rng.randrange(12), rng.choice(["complete", "complete", "recall", "touch"]))
        now[0] += MINUTE
        options = ExportOptions(out=tmp_path / "inc", incremental=True, status=("completed",))
        summary = await run_export(options, settings_for(world.sandbox), notebook, signals=False)
        held.append(
            (summary.watermark, {t["task_id"]: t for t in world.tasks.documents() if t["status"] == "completed"})
        )
    for place, (watermark, tasks) in enumerate(held):
        summary = await compact(to=f"at-{place}", as_of=watermark)
        assert {t["task_id"]: t for t in map(json.loads, lines_in(tmp_path / f"at-{place}"))} == tasks
        assert summary.watermark == watermark
    manifest = load(tmp_path / "at-0")
    assert manifest.filters == {"status": ["completed"]}
    assert manifest.job.startswith("compact-inc-")


@pytest.mark.parametrize("into", FORMATS)
@pytest.mark.parametrize("format", FORMATS)
async def test_every_format_goes_into_every_other(format, into, compact, tmp_path):
    if "parquet" in {format, into}:
        pytest.importorskip("pyarrow")
    runs = [[task(1, START_MS), task(2, START_MS)], [task(1, START_MS + 5), left(2, START_MS + 9)]]
    write_folder(tmp_path / "inc", runs, format)
    summary = await compact(format=into)
    assert (summary.tasks, summary.left, summary.read) == (1, 1, 4)
    assert lines_in(tmp_path / "now") == [runs[1][0][2]]


async def test_the_source_is_checked_before_it_is_trusted(compact, tmp_path):
    manifest = write_folder(tmp_path / "inc", [[task(1, START_MS)], [task(1, START_MS + 1)]])
    path = tmp_path / "inc" / manifest.files[1].path
    path.write_bytes(path.read_bytes().replace(b"1.0", b"1.1"))
    with pytest.raises(ConfigError, match=rf"{path.name}.*sha256 differs"):
        await compact()
    assert not (tmp_path / "now").exists()
    path.unlink()
    with pytest.raises(ConfigError, match=f"{path.name}.*manifest lists it"):
        await compact()


async def test_folders_that_cannot_be_used_are_refused(compact, tmp_path):
    write_folder(tmp_path / "inc", [[task(1, START_MS)]])
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep me")
    with pytest.raises(ConfigError, match=r"notes\.txt.*another --to"):
        await compact(to="mine")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes.txt"]
    for inside in ("inc", "inc/now", "now/../inc/deep/er"):
        with pytest.raises(ConfigError, match="another folder"):
            await compact(to=inside)
    assert {path.name for path in (tmp_path / "inc").iterdir()} == {"manifest.json", "tasks-00001.jsonl"}
    with pytest.raises(ConfigError, match=r"no manifest\.json; --from"):
        await compact(source="mine")
    with pytest.raises(ConfigError, match="--as-of takes a time"):
        await compact(as_of="yesterday")
    await compact(to="now")
    with pytest.raises(ConfigError, match="another --to"):
        await compact(to="now", as_of="2020-01-01")


async def test_lines_without_a_time_have_no_as_of(compact, tmp_path):
    line = ("a" * 24, START_MS, b'{"task_id":"' + b"a" * 24 + b'"}')
    write_folder(tmp_path / "inc", [[line]])
    assert (await compact()).tasks == 1
    with pytest.raises(ConfigError, match="without updated_at"):
        await compact(to="then", as_of="1d")


async def test_a_second_run_writes_only_what_changed(compact, tmp_path):
    write_folder(tmp_path / "inc", [[task(1, START_MS)]], extra={"unsettled": 2})
    first = await compact()
    again = await compact()
    assert (first.tasks, again.tasks) == (1, 1)
    assert "2 unsettled" in first.message
    assert "nothing to do" in again.message
    gone = load(tmp_path / "inc")
    writer = SegmentWriter(tmp_path / "inc", "tasks")
    writer.write([task(2, START_MS + 7)[2]])
    gone.files.append(writer.finish())
    gone.commit(tmp_path / "inc")
    more = await compact()
    assert (more.tasks, more.message) == (2, first.message)
    assert [path.name for path in (tmp_path / "now" / "tasks").glob("tasks-*")] == ["tasks-00002.jsonl"]
    (tmp_path / "inc" / "manifest.json").write_text((tmp_path / "inc" / "manifest.json").read_text() + "\n")
    await compact()
    assert [path.name for path in (tmp_path / "now" / "tasks").glob("tasks-*")] == ["tasks-00003.jsonl"]


async def test_stopped_or_without_room_it_leaves_nothing(compact, tmp_path, monkeypatch):
    write_folder(tmp_path / "inc", [[task(number, START_MS) for number in range(9_000)]])
    monkeypatch.setattr(segments, "MAX_BYTES", 1)

    class Stop(Exception):
        pass

    class Watcher:
        def progress(self, snapshot):
            if snapshot.done:
                raise Stop

    with pytest.raises(Stop):
        await run_compact(CompactOptions(tmp_path / "inc", tmp_path / "now"), Watcher())
    assert not (tmp_path / "now").exists()

    def full(*_: object) -> None:
        raise DiskFull("no space left")

    monkeypatch.setattr(SegmentWriter, "finish", full)
    with pytest.raises(DiskFull):
        await compact()
    assert not (tmp_path / "now").exists()


KILLED = """
import os, sys
from pathlib import Path
import anyio
from scalesync.events import Silent
from scalesync.flows.exports.compact import run as compact
from scalesync.outputs.writer import SegmentWriter

class Small(SegmentWriter):
    full = property(lambda self: self.rows > 2000)

class Killer(Silent):
    left = int(sys.argv[3])
    def progress(self, snapshot):
        self.left -= 1
        if self.left == 0:
            os._exit(9)

compact.SegmentWriter = Small
anyio.run(compact.run_compact, compact.CompactOptions(Path(sys.argv[1]), Path(sys.argv[2])), Killer())
"""


def test_killed_anywhere_it_leaves_nothing_that_counts_and_runs_again(tmp_path):
    lines = [task(number % 9_000, START_MS + number) for number in range(18_000)]
    write_folder(tmp_path / "inc", [lines[:9_000], lines[9_000:]])

    def run(at: int) -> int:
        command = [sys.executable, "-c", KILLED, str(tmp_path / "inc"), str(tmp_path / "now"), str(at)]
        return subprocess.run(command, check=False, timeout=50).returncode

    codes = []
    for at in (1, 9, 19):
        codes.append(run(at))
        assert not (tmp_path / "now" / "manifest.json").exists()
    assert codes == [9] * 3
    assert list((tmp_path / "now" / "tasks").glob("tasks-*"))  # finished ones, which the next run takes away
    assert run(0) == 0
    assert lines_in(tmp_path / "now") == [raw for _, _, raw in lines[9_000:]]
    assert {path.name.split("-")[0] for path in (tmp_path / "now").iterdir()} == {"manifest.json", "tasks"}


def test_one_run_at_a_time_and_a_damaged_index_starts_over(tmp_path):
    path = tmp_path / "index.db"
    first = VersionsIndex.open(path)
    with pytest.raises(JobRunning, match="another run is writing there"):
        VersionsIndex.open(path)
    first.close(remove=False)
    path.write_bytes(b"SQLite format 3\0" + bytes(range(256)) * 40)
    second = VersionsIndex.open(path)
    second.add([Seen("b" * 24, 5, 0, left=False), Seen("odd", 1, 1, left=True), Seen("b" * 24, 5, 2, left=False)])
    second.add([Seen("b" * 24, 4, 3, left=True)])
    assert (list(second.positions()), second.gone()) == ([2], 1)
    second.close(remove=True)
    assert not path.exists()


async def test_two_readings_at_once_of_one_folder_are_fine(compact, tmp_path):
    write_folder(tmp_path / "inc", [[task(number, START_MS) for number in range(100)]])
    async with anyio.create_task_group() as group:
        for name in "ab":
            group.start_soon(compact, "inc", name)
    assert lines_in(tmp_path / "a") == lines_in(tmp_path / "b")


PEAK = """
import json, sys
from pathlib import Path
import anyio
from scalesync.events import Silent
from scalesync.flows.exports.compact.run import CompactOptions, run_compact
done = anyio.run(run_compact, CompactOptions(Path(sys.argv[1]), Path(sys.argv[2])), Silent())
(peak,) = [line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")]
print(json.dumps([done.tasks, done.seconds, int(peak) // 1024]))
"""


@pytest.mark.soak
@pytest.mark.timeout(600)
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the peak from /proc")
def test_a_million_tasks_stay_within_a_hundred_megabytes(tmp_path):
    rng = random.Random(1)
    numbers = list(range(1_000_000))
    rng.shuffle(numbers)
    folder = tmp_path / "inc"
    lines = [task(number, START_MS + place, "y" * 100) for place, number in enumerate(numbers)]
    write_folder(folder, [lines[:700_000], lines[500_000:]])
    command = [sys.executable, "-c", PEAK, str(folder), str(tmp_path / "now")]
    tasks, seconds, peak_mb = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    assert tasks == 1_000_000
    assert peak_mb < 100, f"{peak_mb} MB in {seconds} s"
