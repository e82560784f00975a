"""What an export keeps of a page, and what it says about tasks that cannot match."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scalesync.flows.exports.folder.commit_log import PageCommit
from scalesync.flows.exports.select import NOTHING, Beside, TakeMatching, Timeless
from scalesync.platforms.simple import SimpleView


@pytest.mark.parametrize(
    ("bounds", "made_ms", "kept", "words"),
    [
        ({"created_after": 5}, 0, 0, "no time of creation for"),
        ({"created_before": 9, "updated_after": 5}, 0, 0, "no time of creation and of change for"),
        ({"created_after": 5}, 7, 2, ""),
        ({"completed_after": 5}, 7, 0, ""),  # each service has tasks that are not completed
        ({}, 0, 2, ""),
    ],
)
async def test_tasks_without_the_time_of_a_filter_are_reported_once(bounds, made_ms, kept, words):
    notes: list[str] = []
    page = [(b"{}", SimpleView(ref=name, key=name, made_ms=made_ms)) for name in "ab"]
    timeless = Timeless(notes.append)
    for _ in range(2):  # pages, or windows
        entry = PageCommit()
        await TakeMatching(replace(NOTHING, bounds=bounds), Beside(), timeless)(page, entry)
        assert len(entry.lines["tasks"]) == kept
    assert len(notes) == bool(words)
    assert words in "".join(notes)
