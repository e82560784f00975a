"""The configured rate holds for what the server sees, retries and look-ups included."""

from __future__ import annotations

import pytest

from scalesync.sandbox import FaultRule

# Client and server share one loop here: a request may be seen so much later than it was handed over.
SEEN_LATER_S = 0.1


def most_in_a_second(moments: list[float]) -> int:
    """The largest number of moments that one window holds: a second, less what they may have been seen later."""
    ordered = sorted(moments)
    most = first = 0
    for last, moment in enumerate(ordered):
        while moment - ordered[first] >= 1 - SEEN_LATER_S:
            first += 1
        most = max(most, last - first + 1)
    return most


ROUGH = [
    FaultRule(kind="error", on="create", share=0.15, status=500),
    FaultRule(kind="error", on="create", share=0.15, status=500, after_write=True),
]


@pytest.mark.parametrize("faults", [[], ROUGH], ids=["smooth", "30 % of 500s"])
async def test_no_second_holds_more_creates_than_the_rate(faults, make_sandbox, bring, write_records):
    sandbox = await make_sandbox(faults)
    summary = await bring(sandbox, write_records(70), settings={"rate": "20"})
    assert (summary.exit_code, summary.created) == (0, 70)
    assert most_in_a_second([seen.at_s for seen in sandbox.journal.of("create")]) <= 20


async def test_no_second_holds_more_of_anything_than_the_total_rate(make_sandbox, bring, write_records):
    sandbox = await make_sandbox([FaultRule(kind="error", on="create", share=0.3, status=500, after_write=True)])
    summary = await bring(sandbox, write_records(40), settings={"rate_all": "20"})
    assert (summary.exit_code, summary.created) == (0, 40)
    assert most_in_a_second([seen.at_s for seen in sandbox.journal]) <= 20


async def test_a_rate_over_a_minute_is_kept_in_bursts_too(make_sandbox, bring, write_records):
    sandbox = await make_sandbox()
    summary = await bring(sandbox, write_records(25), settings={"rate": "1200/min"})
    assert summary.created == 25
    assert most_in_a_second([seen.at_s for seen in sandbox.journal.of("create")]) <= 60


async def test_an_unknown_limit_is_found_and_each_429_is_reported(make_sandbox, bring, write_records):
    sandbox = await make_sandbox(rate=100)
    summary = await bring(sandbox, write_records(250))
    assert (summary.exit_code, summary.created) == (0, 250)
    assert sandbox.store.world("live").count() == 250
    assert summary.throttled == sandbox.journal.count(status=429)
