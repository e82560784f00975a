"""`backfill export`, `compact` and the windows in `status`, as typed."""

from __future__ import annotations

import json
from pathlib import Path

from scalesync.flows.exports.backfill.plan import BackfillSummary

from .conftest import Run, sandbox

TASKS = 12


def ids(folder: Path) -> set[str]:
    manifest = json.loads((folder / "manifest.json").read_bytes())
    lines = [line for entry in manifest["files"] for line in (folder / entry["path"]).read_bytes().splitlines()]
    found = {json.loads(line)["task_id"] for line in lines}
    assert len(found) == len(lines)
    return found


def test_a_past_day_by_the_hour_then_its_newest_versions(tmp_path: Path, run: Run) -> None:
    with sandbox(tmp_path, "--project", "p=categorization") as server:
        made = set()
        for number in range(TASKS):
            body = {"unique_id": f"u{number}", "attachment": "x", "attachment_type": "text", "categories": ["a"]}
            made.add(server.ask("/v1/task/categorization", body | {"project": "p"})["task_id"])
        period = ("--out", "history", "--from", "1d", "--window", "6h", "--project", "p")
        command = ("backfill", "export", *period, "--base-url", server.base_url)
        ended = run(*command, "--json")
        while len(ids(tmp_path / "history")) < TASKS:  # tasks of this very second belong to the next run
            ended = run(*command, "--json")
        assert (ended.code, ended.json["tasks"]) == (0, TASKS)
        assert set(ended.json) == set(BackfillSummary.__dataclass_fields__) - {"message", "exit_code"}
        assert ended.json["watermark"] is None
        assert "read by this run" in run(*command).out
        assert "with other filters" in run(*command[:-4], "--base-url", server.base_url).err
    assert ids(tmp_path / "history") == made
    (job,) = run("status", "--json", "--base-url", server.base_url).json["jobs"]
    assert job["command"] == "backfill"
    assert sum(window["tasks"] for window in job["windows"]) == TASKS
    text = run("status", "--job", job["job"], "--base-url", server.base_url).out
    assert "window from" in text
    assert text.count(" done ") == len(job["windows"])
    ended = run("compact", "--from", "history", "--to", "now", "--json", key=None)
    assert (ended.code, ended.json["tasks"], ended.json["from"]) == (0, TASKS, "history")
    assert ids(tmp_path / "now") == made
    assert "nothing to do" in run("compact", "--from", "history", "--to", "now", key=None).out
    ended = run("compact", "--from", "history", "--to", "before", "--as-of", "2020-01-01", key=None)
    assert ended.code == 0
    assert ids(tmp_path / "before") == set()
