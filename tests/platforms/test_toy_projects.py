"""Toy knows a label within a project only: imports, exports and backfills of one name belong to the project typed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from scalesync.errors import ConfigError
from scalesync.flows.exports.backfill.plan import BackfillOptions
from scalesync.flows.exports.backfill.run import run_backfill
from scalesync.flows.exports.run import run_export
from scalesync.flows.runtime.options import ExportOptions
from scalesync.sandbox.core.wire.rawjson import dumps
from scalesync.testing.trial import Trial, key_of, listed, on_trial
from tests.platforms.toy import ToyHarness
from tests.toy.plugin import installed
from tests.toy.server.app import Toy

OTHER = "other"
SETTLED_MS = 3_000  # the Date header is cut to the second, and an export ends at the server's time


@pytest.fixture(autouse=True)
def _toy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with installed(tmp_path_factory.mktemp("site-packages")):
        yield


def fill_both(trial: Trial) -> dict[str, list[bytes]]:
    """Items of both projects, some under the same labels."""
    assert isinstance(trial.host, Toy)
    trial.host.store.add_project(OTHER)
    trial.fill(5)
    for number in range(3, 6):
        trial.host.store.make(OTHER, dumps({"data": trial.harness.record(number), "label": key_of(number)}))
    trial.clock.ahead_ms += SETTLED_MS
    documents = [task.document for task in trial.held()]
    return {
        project: sorted(one for one in documents if f'"project":"{project}"'.encode() in one)
        for project in (trial.harness.project, OTHER)
    }


def jobs_in(ledger: Path) -> set[tuple[str, str]]:
    """Command and namespace of each job."""
    query = "SELECT j.command, t.namespace FROM jobs j JOIN targets t ON t.id = j.target"
    with closing(sqlite3.connect(ledger)) as opened:
        return set(opened.execute(query))


def test_an_export_belongs_to_the_project_that_was_typed(tmp_path: Path) -> None:
    async def play(trial: Trial) -> None:
        held = fill_both(trial)
        for project, documents in held.items():
            for job in ("nightly", None):
                out = tmp_path / f"{project}-{job}"
                options = ExportOptions(out=out, project=project, job=job, incremental=True)
                summary = await run_export(options, trial.settings(), trial.listener, signals=False)
                assert (summary.exit_code, sorted(listed(out))) == (0, documents), summary
        assert jobs_in(tmp_path / "ledger.db") == {("export", project) for project in held}
        options = ExportOptions(out=tmp_path / "suite-None", project=OTHER, incremental=True)
        with pytest.raises(ConfigError, match="holds"):
            await run_export(options, trial.settings(), trial.listener, signals=False)

    on_trial(ToyHarness(), tmp_path, play)


def test_a_backfill_belongs_to_the_project_that_was_typed(tmp_path: Path) -> None:
    async def play(trial: Trial) -> None:
        held = fill_both(trial)
        asked = BackfillOptions(ExportOptions(out=tmp_path, job="past"), "2d", window="1d")
        for project, documents in held.items():
            export = replace(asked.export, out=tmp_path / project, project=project)
            summary = await run_backfill(replace(asked, export=export), trial.settings(), trial.listener, signals=False)
            assert (summary.exit_code, sorted(listed(export.out))) == (0, documents), summary
        assert jobs_in(tmp_path / "ledger.db") == {("backfill", project) for project in held}

    on_trial(ToyHarness(), tmp_path, play)
