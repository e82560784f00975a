"""Faults on the wire: whatever is lost, late or false, each record ends as exactly one task."""

from __future__ import annotations

import pytest

from scalesync.flows.imports.run import run_import
from scalesync.flows.runtime.options import ImportOptions
from scalesync.sandbox import FaultRule
from tests.conftest import FAST, KIND, PROJECT

FAULTS = {
    "false 500": [FaultRule(kind="error", on="create", share=0.3, status=500, after_write=True)],
    "500 before the write": [FaultRule(kind="error", on="create", share=0.3, status=500)],
    "503 and 504": [
        FaultRule(kind="error", on="create", share=0.2, status=503),
        FaultRule(kind="error", on="create", share=0.2, status=504, after_write=True),
    ],
    "reset after the write": [FaultRule(kind="reset", on="create", share=0.3, after_write=True)],
    "reset before the write": [FaultRule(kind="reset", on="create", share=0.3)],
    "cut bodies": [FaultRule(kind="cut", on="any", share=0.2)],
    "HTML from a proxy": [FaultRule(kind="html502", on="any", share=0.2)],
    "429 with Retry-After": [FaultRule(kind="error", on="create", share=0.1, status=429, retry_after=0, times=10)],
    "false 500 and a list that lags": [
        FaultRule(kind="error", on="create", share=0.3, status=500, after_write=True),
        FaultRule(kind="lag", on="create", share=1.0, seconds=0.5),
    ],
    "errors on look-ups too": [
        FaultRule(kind="error", on="create", share=0.3, status=500, after_write=True),
        FaultRule(kind="error", on="list", share=0.5, status=500),
        FaultRule(kind="reset", on="get", share=0.5),
    ],
    "an outage": [FaultRule(kind="outage", between=(0.15, 0.6))],
}


@pytest.mark.part(2)
@pytest.mark.parametrize("name", FAULTS)
async def test_every_record_is_one_task_under(name, make_sandbox, settings_for, write_records, notebook):
    sandbox = await make_sandbox(FAULTS[name])
    options = ImportOptions(sources=(str(write_records(300)),), type=KIND, project=PROJECT)
    for _ in range(5):
        summary = await run_import(options, settings_for(sandbox, rate="500"), notebook, limits=FAST, signals=False)
        if summary.exit_code == 0:
            break
    world = sandbox.store.world("live")
    assert summary.exit_code == 0, summary
    assert (summary.read, summary.created, summary.pending) == (300, 300, 0)
    assert world.count() == 300
    assert len({task["unique_id"] for task in world.documents()}) == 300
