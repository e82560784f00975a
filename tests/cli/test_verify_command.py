"""verify, ledger rebuild, status --refresh and retry --errored as the real program against the real sandbox."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .conftest import LIVE_KEY, Ended, Run, Served, sandbox

PROJECT = "reviews"
RECORDS = 40
SOURCE = ("records.jsonl", "--type", "categorization", "--project", PROJECT, "--job", "first")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    lines = (
        {
            "unique_id": f"r{number}",
            "attachment": f"https://{'gone' if number == 5 else 'img'}.test/{number}.png?sig=hidden",
            "attachment_type": "image",
            "categories": ["good", "bad"],
        }
        for number in range(RECORDS)
    )
    (tmp_path / "records.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    project = f"{PROJECT}=categorization"
    switches = ("--set", r"bad_attachments=gone\.test", "--set", "attachment_check_s=0.2")
    with sandbox(tmp_path, "--project", project, *switches) as running:
        yield running


def tasks(served: Served) -> dict[str, dict[str, Any]]:
    """The tasks of the project by unique_id."""
    page = served.ask(f"/v1/tasks?project={PROJECT}&limit=100", key=LIVE_KEY)
    return {task.get("unique_id"): task for task in page["docs"]}


def remove(served: Served, unique_id: str) -> None:
    served.ask(f"/_sandbox/tasks/{tasks(served)[unique_id]['task_id']}", {"action": "remove"})


@pytest.fixture
def go(run: Run, served: Served) -> Run:
    """go(*args): with the live key, at the sandbox."""

    def ask(*args: str) -> Ended:
        ended = run(*args, "--base-url", served.base_url, key=LIVE_KEY)
        assert "hidden" not in ended.out + ended.err
        return ended

    return ask


def import_all(go: Run, served: Served) -> None:
    assert go("import", *SOURCE).code == 0
    while tasks(served)["r5"]["status"] != "error":  # its attachment is looked at 0.2 s after the 200
        pass


def test_an_error_after_the_200_is_found_reported_and_sent_again(go: Run, served: Served, tmp_path: Path) -> None:
    import_all(go, served)
    status = go("status", "--job", "first", "--refresh", "--json")
    assert status.code == 0
    assert status.json["jobs"][0]["tasks"] == {"error": 1, "pending": RECORDS - 1}
    assert "1 error" in go("status", "--refresh").out
    failures = go("failures", "--job", "first").out
    assert "the task turned to error: One or more attachments could not be downloaded. (gone.test answered" in failures
    source = tmp_path / "records.jsonl"
    source.write_text(source.read_text("utf-8").replace("gone.test", "img.test"), "utf-8")
    again = go("retry", "--job", "first", "--errored", "--json")
    assert (again.code, again.json["created"]) == (0, RECORDS)
    assert go("verify").code == 0


def test_a_verification_shows_repairs_and_is_clean_afterwards(go: Run, served: Served, tmp_path: Path) -> None:
    import_all(go, served)
    remove(served, "r7")
    found = go("verify", "--json")
    assert found.code == 1
    assert found.json["findings"] == {"error": 1, "missing": 1}
    assert found.json["file"] == "verify-first.jsonl"
    kinds = [json.loads(line)["kind"] for line in (tmp_path / "verify-first.jsonl").read_text().splitlines()]
    assert sorted(kinds) == ["error", "missing"]
    told = go("verify")
    assert "verify --job first --fix" in told.out
    assert "--reclaim" in told.out

    refused = go("verify", "--fix")
    assert refused.code == 2
    assert "2 findings, each with its place, in verify-first.jsonl" in refused.out
    assert "repaired: " not in refused.out
    assert "1  send what has no task" in refused.err
    assert "add --yes" in refused.err

    served.ask("/_sandbox/faults", {"rule": [{"kind": "error", "on": "create", "status": 403}]})
    stopped = go("verify", "--fix", "--yes")
    assert stopped.code == 3
    assert "repairing now:\n  1  send what has no task\n" in stopped.err
    assert "1 finding started; the import above says what is left" in stopped.out
    assert "finding repaired" not in stopped.out
    served.ask("/_sandbox/faults", {"rule": []})

    fixed = go("verify", "--fix", "--yes", "--json")
    assert fixed.code == 1  # the dead task was not to be reclaimed
    assert (fixed.json["repaired"], fixed.json["left"]) == ({"send": 1}, 1)
    assert fixed.json["import"]["created"] == RECORDS - 1
    source = tmp_path / "records.jsonl"
    source.write_text(source.read_text("utf-8").replace("gone.test", "img.test"), "utf-8")
    reclaimed = go("verify", "--fix", "--reclaim", "error", "--yes")
    assert reclaimed.code == 0, reclaimed.out
    assert "1 finding repaired: 1 freed from dead tasks and sent again\n" in reclaimed.out
    assert reclaimed.out.index("with task") < reclaimed.out.index("created") < reclaimed.out.index("repaired")
    clean = go("verify", "--fix")
    assert clean.code == 0
    assert "source, ledger and server agree" in clean.out
    assert not (tmp_path / "verify-first.jsonl").exists()


def test_a_lost_ledger_is_rebuilt_and_nothing_is_made_twice(go: Run, served: Served, tmp_path: Path) -> None:
    assert go("import", *SOURCE, "--max-new", "24").code == 3
    for path in tmp_path.glob("scalesync.db*"):
        path.unlink()
    rebuilt = go("ledger", "rebuild", *SOURCE, "--json")
    assert rebuilt.code in {0, 1}  # by now the attachment of r5 may have failed
    assert rebuilt.json["created"] + rebuilt.json["conflicts"] == 24
    assert rebuilt.json["pending"] == RECORDS - 24
    again = go("ledger", "rebuild", *SOURCE)
    assert again.code == 2
    assert "verify --fix" in again.err
    go("import", *SOURCE)
    answers = served.ask("/_sandbox/stats")["requests"]
    created = {line["status"]: line["count"] for line in answers if line["kind"] == "create"}
    assert created == {200: RECORDS}
    assert served.tasks("live") == RECORDS


def test_a_canary_stops_before_the_rest(go: Run, served: Served) -> None:
    stopped = go("import", *SOURCE, "--canary", "10", "--canary-wait", "20")
    assert stopped.code == 3
    assert "stopped by --canary: 1 of the first tasks died" in stopped.out + stopped.err
    assert served.tasks("live") == 10


@pytest.mark.parametrize(
    "args",
    [
        ("verify", "--reclaim", "error"),
        ("verify", "--fix", "--reclaim", "pending"),
        ("ledger",),
        ("ledger", "mend", "a.jsonl", "--type", "t"),
        ("ledger", "rebuild", "a.jsonl"),
        ("retry", "--job", "j", "--errored", "--group", "g"),
        ("import", "a.jsonl", "--type", "t", "--canary-wait", "-1"),
    ],
)
def test_wrong_usage_exits_2_with_one_sentence(run_here: Run, args: tuple[str, ...]) -> None:
    ended = run_here(*args)
    assert ended.code == 2, ended.err
    assert ended.err.startswith("scalesync: ")
    assert ended.err.count("\n") == 1


def test_without_a_ledger_there_is_nothing_to_verify(run_here: Run) -> None:
    ended = run_here("verify")
    assert ended.code == 2
    assert "no ledger" in ended.err
