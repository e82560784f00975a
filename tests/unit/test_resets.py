"""Waits that the words of a refusal name: read where they leave no choice, left alone where they do."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from scalesync.http.resets import wait_in_words

NOW = datetime(2026, 11, 30, 21, 30, tzinfo=UTC).timestamp()


def wait(text: str, status: int = 429, now_s: float = NOW) -> float | None:
    return wait_in_words(status, text.encode(), now_s)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ('{"error": "Daily task quota exceeded. It resets at 00:00 UTC."}', 9_000),
        ("Quota exceeded, resets in 3 hours", 10_800),
        ("Quota exceeded, resets in 3 hours.", 10_800),
        ("Rate limit reached. Please try again in 20s.", 20),
        ("Please try again in 1.5 seconds", 1.5),
        ("Limit resets in 1h20m", 4_800),
        ("The quota resets in about 2 hours, 5 minutes and 10 seconds", 7_510),
        ("retry after 90 seconds", 90),
        ("Resets on 2026-12-01T06:00:00Z", 30_600),
        ("resets at 2026-11-30 21:45 GMT", 900),
        ("resets at 2026-11-30 21:00 UTC", 0),
        ("it resets at 21:29 UTC", 0),
        ("it resets at 21:00 UTC", 84_600),
        ("it resets at 9:00 UTC, and resets at 09:00 UTC", 41_400),
    ],
)
def test_words_that_leave_no_choice_are_a_wait(text: str, seconds: float) -> None:
    assert wait(text) == wait(text, 503) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Too many requests",
        "Your quota resets at midnight",
        "It resets at 00:00",
        "It resets at 12:00 AM UTC",
        "It resets at 00:00 UTC+2",
        "It resets at 25:00 UTC",
        "It resets at 00:00 PST",
        "resets in 3 months",
        "resets in 20 ms",
        "resets after 100 requests",
        "cannot retry after 3 attempts",
        "The minute limit resets in 20 seconds, the daily quota resets in 3 hours",
        "It resets at 00:00 UTC or, for trials, resets in 5 days",
    ],
)
def test_words_that_may_mean_two_things_are_left_to_people(text: str) -> None:
    assert wait(text) is None


@pytest.mark.parametrize("status", [400, 402, 403, 500, 502])
def test_only_what_may_be_about_a_quota_is_read(status: int) -> None:
    assert wait("resets in 3 hours", status) is None
