"""Jobs of one name in two projects, on a platform whose keys are unique within one: `--project` says which is meant."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from anyio.from_thread import start_blocking_portal

from scalesync.cli.main import run as program
from tests.toy.plugin import installed
from tests.toy.server.app import Toy
from tests.toy.server.config import ToyConfig

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[Run]:
    """run(*args): a command on Toy, with a job `j` in each of two projects; one record of each is refused."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
    toy = Toy(ToyConfig(seed=7, journal_size=1000), (), ("cats", "dogs"))
    with (
        installed(tmp_path),
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(toy),
    ):
        monkeypatch.setenv("TOY_API_KEY", "toy_k")
        monkeypatch.setenv("TOY_API_URL", toy.base_url)

        def call(*args: str) -> tuple[int, str, str]:
            capsys.readouterr()
            code = program([*args, "--platform", "toy"])
            return code, *capsys.readouterr()

        for project in ("cats", "dogs"):
            rows = [{"text": project, "unique_id": "a"}, {"text": project, "bad": True, "unique_id": "b"}]
            (tmp_path / f"{project}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
            code, out, err = call("import", f"{project}.jsonl", "--job", "j", "--project", project)
            assert code == 1, err
            assert f"scalesync retry --job j --project {project} --platform toy" in out
        yield call


def told(out: str) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(out)
    return value


def test_a_command_that_finds_several_jobs_of_a_name_takes_the_project(run: Run, tmp_path: Path) -> None:
    for command in (("retry",), ("verify",), ("verify", "--fix", "--yes")):
        code, _, err = run(*command, "--job", "j")
        assert code == 2
        assert "there are several jobs j: in cats, dogs; name one of these with --project" in err
    code, out, _ = run("verify", "--job", "j", "--project", "cats")
    assert code == 1
    assert "scalesync retry --job j --project cats --platform toy" in out
    (line,) = map(json.loads, (tmp_path / "verify-j.jsonl").read_text().splitlines())
    assert (line["kind"], line["file"]) == ("failed", "cats.jsonl")

    (tmp_path / "dogs.jsonl").write_text('{"text": "d", "unique_id": "a"}\n{"text": "d", "unique_id": "b"}\n')
    code, out, _ = run("retry", "--job", "j", "--project", "dogs", "--json")
    assert (code, told(out)["created"], told(out)["failed"]) == (0, 2, 0)
    code, out, _ = run("retry", "--project", "cats", "--json")
    assert (code, told(out)["created"], told(out)["failed"]) == (1, 1, 1)
    code, _, err = run("retry", "--job", "j", "--project", "birds")
    assert (code, "there is no import job j of project birds for toy at" in err) == (2, True)


def test_failures_are_those_of_the_project(run: Run, tmp_path: Path) -> None:
    assert len(told(run("failures", "--json")[1])["failures"]) == 2
    code, out, _ = run("failures", "--job", "j", "--project", "dogs", "--out", "failed.jsonl", "--json")
    (group,) = told(out)["failures"]
    assert (code, group["count"], group["examples"][0]["file"]) == (0, 1, "dogs.jsonl")
    (record,) = map(json.loads, (tmp_path / "failed.jsonl").read_text().splitlines())
    assert record["text"] == "dogs"
    code, _, err = run("failures", "--project", "birds", "--out", "more.jsonl")
    assert (code, "has no import job of project birds" in err) == (2, True)


def test_a_repair_is_of_the_same_job(run: Run, tmp_path: Path) -> None:
    rows = '{"text": "cats", "unique_id": "a"}\n{"text": "new", "unique_id": "c"}\n'
    (tmp_path / "cats.jsonl").write_text(rows)
    code, out, err = run("verify", "--job", "j", "--project", "cats", "--fix", "--yes", "--json")
    assert (code, told(out)["repaired"]) == (1, {"create": 1}), err  # the refused one is as it was
    assert told(out)["import"]["created"] == 2
    code, out, _ = run("verify", "--job", "j", "--project", "dogs", "--json")
    assert (code, told(out)["findings"]) == (1, {"failed": 1})
