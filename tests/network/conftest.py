"""Imports and exports with deadlines that a test can wait for."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from scalesync.engine.backoff import RetryPolicy
from scalesync.engine.limits import EngineLimits
from scalesync.flows.exports import run as export
from scalesync.flows.exports.run import run_export
from scalesync.flows.imports.run import run_import
from scalesync.flows.runtime import wiring
from scalesync.flows.runtime.options import ExportOptions, ImportOptions
from scalesync.flows.runtime.setup.services import resolve_settings
from scalesync.http.exchange import Deadlines
from scalesync.http.transport import Transport
from scalesync.model.summaries import ExportSummary, ImportSummary
from tests.conftest import KIND, PROJECT, Notebook

KEY = "live_k"
SHORT = Deadlines(connect=0.5, first_byte=0.25, attempt=0.6)
QUICK = EngineLimits(retry=RetryPolicy(base_s=0.01, cap_s=0.1), stall_s=1.0, grace_s=0.7, patience_s=0.6)
PROXY_NAMES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@pytest.fixture(autouse=True)
def _no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*PROXY_NAMES, "ssl_cert_file", "ssl_cert_dir"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """hurried(deadlines, ssl_context=...) sets what the flows connect with."""

    def use(deadlines: Deadlines = SHORT, ssl_context: ssl.SSLContext | None = None) -> None:
        monkeypatch.setattr(wiring, "Transport", partial(Transport, deadlines=deadlines, ssl_context=ssl_context))
        monkeypatch.setattr(export, "connect", partial(wiring.connect, limits=QUICK))

    return use


@pytest.fixture
def load(tmp_path: Path, notebook: Notebook) -> Callable[..., Any]:
    """load(base_url, source, **settings) imports a file."""

    async def run(base_url: str, source: Path, *, limits: EngineLimits = QUICK, **switches: Any) -> ImportSummary:
        settings = resolve_settings(
            base_url=base_url,
            ledger=switches.pop("ledger", tmp_path / "ledger.db"),
            environ={"SCALE_API_KEY": KEY},
            **switches,
        )
        options = ImportOptions(sources=(str(source),), type=KIND, project=PROJECT, job="letters", yes=True)
        return await run_import(options, settings, notebook, limits=limits, signals=False)

    return run


@pytest.fixture
def save(tmp_path: Path, notebook: Notebook) -> Callable[..., Any]:
    """save(base_url, name="out", **options) exports into a folder."""

    async def run(base_url: str, name: str = "out", *, key: str = KEY, **options: Any) -> ExportSummary:
        settings = resolve_settings(
            base_url=base_url, ledger=tmp_path / "ledger.db", environ={"SCALE_API_KEY": key}, allow_http=True
        )
        asked = ExportOptions(out=tmp_path / name, **options)
        return await run_export(asked, settings, notebook, signals=False)

    return run
