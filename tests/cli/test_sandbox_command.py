"""`scalesync sandbox` as a process."""

from __future__ import annotations

import signal
import socket
from pathlib import Path

import pytest

from .conftest import LIVE_KEY, Run, sandbox


def test_projects_are_made_in_both_worlds_and_kept(tmp_path: Path) -> None:
    args = ("--data", "state.db", "--project", "a=categorization", "--project", "b=imageannotation")
    for _ in range(2):  # the second time the data file holds them already
        with sandbox(tmp_path, *args) as served:
            for key in ("test_x", LIVE_KEY):
                found = served.ask("/v1/projects", key=key)
                assert [(item["name"], item["type"]) for item in found] == [
                    ("a", "categorization"),
                    ("b", "imageannotation"),
                ]


def test_sigterm_ends_it_too(tmp_path: Path) -> None:
    with sandbox(tmp_path) as served:
        served.process.send_signal(signal.SIGTERM)
        assert served.process.wait(10) == 0


def test_switches_and_faults_reach_the_server(tmp_path: Path) -> None:
    (tmp_path / "faults.toml").write_text('[[rule]]\nkind = "error"\non = "list"\nstatus = 503\n', "utf-8")
    args = ("--rate", "1", "--retry-after", "3", "--faults", "faults.toml", "--set", "journal_size=5", "--seed", "7")
    with sandbox(tmp_path, *args) as served:
        assert served.ask("/_sandbox/faults")["rule"][0]["status"] == 503


def test_a_taken_port_is_one_sentence(run: Run) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run("sandbox", "--port", port)
    assert (ended.code, ended.out) == (2, "")
    assert f"cannot listen on 127.0.0.1:{port}" in ended.err
    assert ended.err.count("\n") == 1


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("--project", "a=nonsense"), "nonsense"),
        (("--set", "rate_period_s=0"), "rate_period_s"),
        (("--data", "."), "is a directory"),
        (("--data", "other.db"), "not a data file"),
    ],
)
def test_wrong_settings_are_one_sentence(run: Run, tmp_path: Path, args: tuple[str, ...], says: str) -> None:
    (tmp_path / "other.db").write_bytes(b"something else entirely" * 10)
    ended = run("sandbox", "--port", "0", *args)
    assert ended.code == 2
    assert says in ended.err
    assert (tmp_path / "other.db").stat().st_size == 230
    assert ended.err.count("\n") == 1
