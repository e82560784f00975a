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
