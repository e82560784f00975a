"""Back-off and Retry-After."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalesync.engine.backoff import RetryPolicy, backoff_s
from scalesync.times import parse_retry_after


@given(st.integers(1, 2000), st.integers())
def test_back_off_is_drawn_from_zero_to_a_doubling_bound(attempt: int, seed: int) -> None:
    bound = min(30.0, 0.5 * 2.0 ** min(attempt - 1, 60))
    assert 0 <= backoff_s(attempt, rng=random.Random(seed)) <= bound


def test_back_off_uses_the_whole_range() -> None:
    rng = random.Random(1)
    drawn = [backoff_s(3, rng=rng) for _ in range(500)]
    assert min(drawn) < 0.1
    assert max(drawn) > 1.9


def test_a_policy_ends_after_its_attempts() -> None:
    policy = RetryPolicy(max_attempts=3, base_s=1, cap_s=2)
    assert [policy.may_retry(attempt) for attempt in (1, 2, 3)] == [True, True, False]
    assert policy.wait_s(9, random.Random(0)) <= 2


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        (" 1.5 ", 1.5),
        ("0", 0.0),
        ("-5", 0.0),
        ("Fri, 20 Nov 2026 12:00:30 GMT", 30.0),
        ("Friday, 20-Nov-26 12:00:30 GMT", 30.0),
        ("Fri Nov 20 12:00:30 2026", 30.0),
        ("Fri, 20 Nov 2026 11:00:00 GMT", 0.0),
        ("Fri, 20 Nov 2026 14:00:30 +0200", 30.0),
        (None, None),
        ("", None),
        ("soon", None),
        ("nan", None),
        ("inf", None),
        ("99 Foo 2026 99:99:99", None),
    ],
)
def test_retry_after_is_read(value: str | None, seconds: float | None) -> None:
    assert parse_retry_after(value, 1795176000.0) == seconds


@given(st.text(max_size=60))
def test_retry_after_never_raises(value: str) -> None:
    seconds = parse_retry_after(value, 0.0)
    assert seconds is None or seconds >= 0
