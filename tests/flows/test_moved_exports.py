"""Exports continued after their folder moved: together with the ledger, or without it."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from scalesync.errors import ConfigError
from scalesync.flows.exports.run import run_export
from scalesync.flows.runtime.options import ExportOptions
from tests.conftest import PROJECT


@pytest.fixture
def export(settings_for, notebook, monkeypatch):
    """export(sandbox, root, out, job=None): an increment, with the ledger in the folder `root`."""

    async def run(sandbox: Any, root: Path, out: str, job: str | None = None) -> Any:
        monkeypatch.chdir(root)
        settings = settings_for(sandbox, ledger=Path("scalesync.db"))
        asked = ExportOptions(out=Path(out), job=job, project=PROJECT, incremental=True)
        return await run_export(asked, settings, notebook, signals=False)

    return run


@pytest.mark.parametrize("move", [shutil.copytree, shutil.move], ids=["copied", "moved"])
@pytest.mark.parametrize("job", [None, "j"])
async def test_a_folder_that_moved_with_its_ledger_is_carried_on(
    job, move, make_sandbox, export, bring, write_records, tmp_path
):
    ahead_s: list[int] = []
    sandbox = await make_sandbox(clock=lambda: time.time_ns() // 1_000_000 + 1000 * sum(ahead_s))
    await bring(sandbox, write_records(3))
    ahead_s.append(2)  # a run reads what was there before its first second
    (tmp_path / "then").mkdir()
    first = await export(sandbox, tmp_path / "then", "all/ann", job)
    assert first.tasks == 3
    move(tmp_path / "then", tmp_path / "now")
    await bring(sandbox, write_records(5))
    ahead_s.append(2)
    again = await export(sandbox, tmp_path / "now", "all/ann", job)
    assert (again.job, again.exit_code) == (first.job, 0)
    manifest = json.loads((tmp_path / "now/all/ann/manifest.json").read_text())
    assert sum(entry["rows"] for entry in manifest["files"]) == 5


async def test_a_copy_beside_the_folder_is_another_one(make_sandbox, export, bring, write_records, tmp_path):
    sandbox = await make_sandbox()
    await bring(sandbox, write_records(3))
    await export(sandbox, tmp_path, "sub/ann")
    for copy in ("ann", "copy"):
        shutil.copytree(tmp_path / "sub/ann", tmp_path / copy)
        with pytest.raises(ConfigError, match=f"^{copy}: holds the export of job"):
            await export(sandbox, tmp_path, copy)


@pytest.mark.parametrize("job", [None, "j"])
async def test_a_folder_that_moved_alone_is_carried_on(job, make_sandbox, export, bring, write_records, tmp_path):
    sandbox = await make_sandbox()
    await bring(sandbox, write_records(3))
    first = await export(sandbox, tmp_path, "ann", job)
    (tmp_path / "ann").rename(tmp_path / "now")
    again = await export(sandbox, tmp_path, "now", job)
    assert (again.job, again.exit_code) == (first.job, 0)
    # Another export begins at the old place, and may be unfinished: the name is its own from then on.
    (tmp_path / "ann").mkdir()
    with pytest.raises(ConfigError, match=r"^now: holds the export of job|is an export into"):
        await export(sandbox, tmp_path, "now", job)


async def test_a_folder_that_moved_and_lost_its_ledger_continues_by_name(
    make_sandbox, export, bring, write_records, tmp_path
):
    sandbox = await make_sandbox()
    await bring(sandbox, write_records(3), settings={"ledger": tmp_path / "other.db"})
    first = await export(sandbox, tmp_path, "ann")
    (tmp_path / "ann").rename(tmp_path / "now")
    (tmp_path / "scalesync.db").unlink()
    with pytest.raises(ConfigError, match=f"does not know; --job {first.job} continues it, or choose another --out$"):
        await export(sandbox, tmp_path, "now")
    again = await export(sandbox, tmp_path, "now", first.job)
    assert (again.job, again.exit_code) == (first.job, 0)


@pytest.mark.parametrize(
    ("extra", "words"), [({"windows": [], "by": "created"}, "a backfill"), ({"source": {}}, "what compact wrote")]
)
async def test_an_export_of_a_known_name_does_not_take_the_folder_of_another_command(
    extra, words, make_sandbox, export, bring, write_records, tmp_path
):
    sandbox = await make_sandbox()
    await bring(sandbox, write_records(3))
    await export(sandbox, tmp_path, "ann", "j")
    manifest = tmp_path / "ann/manifest.json"
    kept = json.dumps(json.loads(manifest.read_text()) | extra)
    manifest.write_text(kept)
    with pytest.raises(ConfigError, match=f"^ann holds {words}, not an export; choose another --out$"):
        await export(sandbox, tmp_path, "ann", "j")
    assert manifest.read_text() == kept
