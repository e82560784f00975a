"""SIGKILL at a dozen seeded moments: the same command resumes, nothing is lost, nothing is there twice."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.faults.kill_increments import killed_increments
from tests.faults.kills import Verdict, Way, killed_exports, killed_imports

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL"),
]


def told(verdict: Verdict, kills: int) -> None:
    assert not verdict.wrong, verdict
    assert (verdict.kills, verdict.losses, verdict.duplicates) == (kills, 0, 0)


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.soak)])
def test_a_killed_import_ends_with_one_task_per_record(seed: int, tmp_path: Path) -> None:
    told(killed_imports(tmp_path, seed, kills=3, records=900), 3)


@pytest.mark.parametrize("seed", [3, pytest.param(4, marks=pytest.mark.soak)])
def test_a_killed_import_of_many_files_ends_with_one_task_per_record(seed: int, tmp_path: Path) -> None:
    told(killed_imports(tmp_path, seed, kills=3, records=900, apart=True), 3)


def test_an_export_killed_at_a_request_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    told(killed_exports(tmp_path, 1, kills=3, tasks=450, way="requests"), 3)


@pytest.mark.parametrize("responses", [pytest.param(False, marks=pytest.mark.soak), True])
def test_an_export_killed_at_a_file_operation_ends_as_if_it_had_not_been(responses: bool, tmp_path: Path) -> None:
    kills = 3 if responses else 6
    told(killed_exports(tmp_path, 1, kills=kills, tasks=450, way="files", responses=responses), kills)


@pytest.mark.parametrize(
    ("each_transport", "way", "seed"),
    [  # lists go the same way on both
        pytest.param("lean", "requests", 8, marks=pytest.mark.soak),
        pytest.param("session", "files", 4, marks=pytest.mark.soak),
        ("lean", "files", 5),
    ],
    indirect=["each_transport"],
)
def test_killed_increments_add_up_to_what_the_server_holds(way: Way, seed: int, tmp_path: Path) -> None:
    told(killed_increments(tmp_path, seed, kills=5, tasks=300, way=way), 5)
