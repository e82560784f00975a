"""Running imports against a sandbox, with the checks that hold for each of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from scalesync.engine.limits import EngineLimits
from scalesync.flows.imports.run import run_import
from scalesync.flows.runtime.options import ImportOptions
from scalesync.flows.verify.fix import Repaired, run_repair
from scalesync.flows.verify.run import run_verify
from scalesync.flows.verify.summary import VerifySummary
from scalesync.model.summaries import ImportSummary
from scalesync.sandbox import Sandbox
from tests.conftest import FAST, KIND, PROJECT

Bring = Callable[..., Any]

COUNTED = ("created", "adopted", "conflicts", "failed", "invalid", "pending", "duplicates")

# For servers that never answer: patience of a test.
HASTY: EngineLimits = replace(FAST, stall_s=1.0, patience_s=0.5, grace_s=0.5)


def adds_up(summary: ImportSummary) -> bool:
    """`read` is the sum of the counted states, always."""
    return summary.read == sum(getattr(summary, name) for name in COUNTED)


@pytest.fixture
def bring(settings_for, notebook) -> Bring:
    """bring(sandbox, source or sources, **options): run one import."""

    async def run(
        sandbox: Sandbox,
        sources: Path | str | Sequence[Path | str],
        *,
        key: str = "live_k",
        limits: EngineLimits = FAST,
        settings: dict[str, Any] | None = None,
        **options: Any,
    ) -> ImportSummary:
        listed = [sources] if isinstance(sources, Path | str) else sources
        typed = {"type": KIND, "project": PROJECT, **options}
        asked = ImportOptions(sources=tuple(str(source) for source in listed), **typed)
        surroundings = settings_for(sandbox, key=key, **(settings or {}))
        summary = await run_import(asked, surroundings, notebook, limits=limits, signals=False)
        assert adds_up(summary), summary
        return summary

    return run


@pytest.fixture
def ask_ledger(tmp_path) -> Callable[..., list[tuple[Any, ...]]]:
    """ask_ledger(sql, *values): what the ledger of the test holds, read with a connection of its own."""

    def ask(sql: str, *values: Any) -> list[tuple[Any, ...]]:
        connection = sqlite3.connect(tmp_path / "ledger.db")
        try:
            return connection.execute(sql, values).fetchall()
        finally:
            connection.close()

    return ask


@pytest.fixture
def verify(settings_for, notebook, tmp_path, monkeypatch) -> Callable[..., Any]:
    """verify(sandbox, job=None, out=None, **switches), with tmp_path as the working folder."""
    monkeypatch.chdir(tmp_path)

    async def run(sandbox: Sandbox, job: str | None = None, out: Path | None = None, **switches: Any) -> VerifySummary:
        summary = await run_verify(settings_for(sandbox), job, out, notebook, limits=FAST, **switches)
        assert summary.read == summary.with_task + summary.duplicates + sum(summary.without.values())
        assert summary.exit_code == (1 if summary.findings else 0)
        return summary

    return run


@pytest.fixture
def repair(settings_for, notebook) -> Callable[..., Any]:
    """repair(sandbox, summary, *statuses to reclaim)."""

    async def run(sandbox: Sandbox, summary: VerifySummary, *reclaim: str) -> Repaired:
        assert summary.file is not None
        settings = settings_for(sandbox)
        return await run_repair(
            settings, summary.job, summary.file, notebook, reclaim=frozenset(reclaim), limits=FAST, signals=False
        )

    return run


def creates(sandbox: Sandbox) -> int:
    """Create calls that the sandbox has seen."""
    return sandbox.journal.count("create")


def requests(sandbox: Sandbox) -> int:
    """All calls that the sandbox has seen."""
    return sandbox.journal.count()
