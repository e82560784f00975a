"""The folder of an export as other programs read it, and folders that an older version began."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pyarrow as pa
import pyarrow.json as pj
import pyarrow.parquet as pq
import pytest

from scalesync.flows.exports.run import run_export
from scalesync.flows.runtime.options import ExportOptions
from scalesync.outputs.encoders.parquet import ParquetEncoder
from scalesync.sandbox import Sandbox
from tests.conftest import KIND, PROJECT, letter
from tests.flows.test_increments import MINUTE, START_MS, World, newest


@pytest.fixture
async def there(make_sandbox) -> World:
    now = [START_MS]
    found = World(await make_sandbox(clock=lambda: now[0]), now)
    found.create(20)
    now[0] += MINUTE
    return found


@pytest.fixture
def export(settings_for, notebook, tmp_path):
    async def run(sandbox: Sandbox, **options: Any):
        typed = ExportOptions(**{"out": tmp_path / "out", **options})
        return await run_export(typed, settings_for(sandbox), notebook, signals=False)

    return run


def files_of(out: Path) -> set[str]:
    return {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}


def made_flat(out: Path) -> None:
    """The folder as an older version would have left it."""
    manifest = json.loads((out / "manifest.json").read_bytes())
    for entry in manifest["files"]:
        if entry["path"].startswith("tasks/"):
            entry["path"] = entry["path"].removeprefix("tasks/")
            (out / "tasks" / entry["path"]).rename(out / entry["path"])
    (out / "tasks").rmdir()
    del manifest["layout"], manifest["run_id"]
    (out / "manifest.json").write_text(json.dumps(manifest))


def rows_as_arrow_reads_them(folder: Path) -> list[dict[str, Any]]:
    """Each file by its extension alone, as pandas, polars, DuckDB and datasets choose their readers."""
    rows = []
    for path in sorted(folder.rglob("*")):
        table = pq.read_table(path) if path.suffix == ".parquet" else pj.read_json(str(path))
        rows += table.select(["task_id", "status"]).to_pylist()
    return rows


@pytest.mark.parametrize("format", ["jsonl", "jsonl.gz", "jsonl.zst", "parquet"])
async def test_data_files_have_a_folder_of_their_own(format, there, export, tmp_path):
    await export(there.sandbox, incremental=True, status=("pending",), format=format)
    await there.act(0, "cancel")
    there.create(1)
    there.now[0] += MINUTE
    await export(there.sandbox, incremental=True, status=("pending",), format=format)
    out = tmp_path / "out"
    names = {f"tasks/tasks-0000{number}.{format}" for number in (1, 2)}
    assert files_of(out) == {"manifest.json", *names, "left-00001.jsonl"}
    rows = rows_as_arrow_reads_them(out / "tasks")
    assert ({row["status"] for row in rows}, len({row["task_id"] for row in rows}), len(rows)) == ({"pending"}, 21, 21)


@pytest.mark.parametrize("again", [False, True])
async def test_a_folder_that_an_older_version_began_stays_flat(again, there, export, tmp_path):
    out = tmp_path / "out"
    await export(there.sandbox, incremental=True)
    made_flat(out)
    there.create(5)
    there.now[0] += MINUTE
    summary = await export(there.sandbox, **({"again": True} if again else {"incremental": True}))
    assert summary.tasks == (25 if again else 5)
    names = {"tasks-00002.jsonl"} if again else {"tasks-00001.jsonl", "tasks-00002.jsonl"}
    assert files_of(out) == {"manifest.json", *names}
    assert len(newest(out)) == 25


async def test_an_older_parquet_folder_keeps_its_columns(there, export, tmp_path):
    out = tmp_path / "out"
    await export(there.sandbox, incremental=True, format="parquet")
    made_flat(out)
    there.create(5)
    there.now[0] += MINUTE
    await export(there.sandbox, incremental=True, format="parquet")
    schema = pq.read_schema(out / "tasks-00002.parquet")
    assert schema.field("created_at").type == pa.string()
    assert "tags" not in schema.names


async def test_parquet_columns_have_their_types(there, export, tmp_path):
    headers = {"Authorization": "Bearer live_k"}
    async with aiohttp.ClientSession(headers=headers) as session:
        body = letter(99, project=PROJECT, tags=["gold", "ünïcode"])
        async with session.post(f"{there.sandbox.base_url}/task/{KIND}", json=body) as response:
            assert response.status == 200
    there.now[0] += MINUTE
    await export(there.sandbox, format="parquet")
    table = pq.read_table(tmp_path / "out" / "tasks")
    assert table.schema.field("updated_at").type == pa.timestamp("us", tz="UTC")
    assert table.schema.field("tags").type == pa.list_(pa.string())
    assert table.schema.field("is_test").type == pa.bool_()
    rows = {row["unique_id"]: row for row in table.to_pylist()}
    assert rows[letter(99)["unique_id"]]["tags"] == ["gold", "ünïcode"]
    for row in rows.values():
        task = json.loads(row["task"])
        assert row["created_at"] == datetime.fromisoformat(task["created_at"])
        assert row["completed_at"] is None
        assert json.loads(row["params"]) == task["params"]


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ('"2026-11-20T10:00:00.123Z"', datetime(2026, 11, 20, 10, 0, 0, 123_000, UTC)),
        ('"2026-11-20T10:00:00+02:00"', datetime(2026, 11, 20, 8, tzinfo=UTC)),
        ('"2026-11-20T10:00:00"', datetime(2026, 11, 20, 10, tzinfo=UTC)),
        ('"0001-01-01T00:00:00+14:00"', None),
        ('"soon"', None),
        ("null", None),
        ("17", None),
    ],
)
def test_a_time_that_is_none_stays_in_the_document(text: str, at: datetime | None, tmp_path: Path) -> None:
    line = f'{{"task_id":"a","created_at":{text},"tags":{{"no":"list"}},"is_test":"yes"}}'.encode()
    with open(tmp_path / "x.parquet", "wb") as file:
        encoder = ParquetEncoder(file)
        encoder.add([line])
        encoder.close()
    (row,) = pq.read_table(tmp_path / "x.parquet").to_pylist()
    assert (row["created_at"], row["tags"], row["is_test"]) == (at, None, None)
    assert row["task"].encode() == line
