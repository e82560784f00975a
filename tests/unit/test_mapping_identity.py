"""Canonical form, signatures of URLs, hashes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalesync.mapping.identity import canonical, content_hash, derived_unique_id
from scalesync.signatures import strip_signatures
from tests.draws import draws

NUMBERS = (
    st.integers()
    | st.integers(-3, 3).map(float)
    | st.sampled_from([2**53, float(2**53), 10**16, 1e16, 10**22, 1e22, 2**64, float(2**64), 0, -0.0, 1e-7])
    | st.floats(allow_nan=False, allow_infinity=False)
)
TEXTS = st.text(max_size=3) | st.sampled_from(["1.0", "1e+16", ".0,", "\u00e9", "e\u0301"])
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)


def same(a: Any, b: Any) -> bool:
    """Equality of JSON values: numbers by value, true is no number, order of keys means nothing."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(a == b)


@given(JSON, JSON)
@settings(max_examples=draws(400), deadline=None)
def test_equal_bytes_exactly_for_equal_values(a: Any, b: Any) -> None:
    assert (canonical(a) == canonical(b)) is same(a, b)


@given(JSON)
@settings(max_examples=draws(200), deadline=None)
def test_order_and_spelling_of_numbers_mean_nothing(value: Any) -> None:
    def other(inner: Any) -> Any:
        if isinstance(inner, dict):
            return {key: other(inner[key]) for key in reversed(list(inner))}
        if isinstance(inner, list):
            return [other(entry) for entry in inner]
        if type(inner) is int and abs(inner) < 2**53:
            return float(inner)
        return int(inner) if type(inner) is float and inner.is_integer() else inner

    assert canonical(value) == canonical(other(value))


def test_canonical_by_hand() -> None:
    assert canonical({"b": 1.0, "a": [True, None, "\u00e9"]}) == '{"a":[true,null,"\u00e9"],"b":1}'.encode()
    assert canonical({"a": "\u00e9"}) != canonical({"a": "e\u0301"})
    assert canonical(10) == canonical(10.0) == b"10"
    assert canonical({"n": 2**70}) == canonical({"n": float(2**70)})
    assert canonical(1e300) == canonical(int(1e300))
    assert canonical(2**53 + 1) != canonical(float(2**53))


@pytest.mark.parametrize("leaf", [1, 1.0, 2**70])
def test_deep_values_work_or_are_an_error_with_words(leaf: Any) -> None:
    value: Any = leaf
    for _ in range(250):
        value = [value]
    assert canonical(value).count(b"[") == 250
    for _ in range(5):
        value = {"a": value}
    with pytest.raises(ValueError, match="nested too deep"):
        canonical(value)


BASE = "https://bucket.s3.amazonaws.com/a/b%20c.png"


@pytest.mark.parametrize(
    "query",
    [
        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=K%2F20240101&X-Amz-Date=20240101T000000Z"
        "&X-Amz-Expires=900&X-Amz-SignedHeaders=host&X-Amz-Signature=abc&X-Amz-Security-Token=t",
        "AWSAccessKeyId=K&Signature=s%3D&Expires=1",
        "X-Goog-Algorithm=G&X-Goog-Credential=c&X-Goog-Date=d&X-Goog-Expires=1&X-Goog-SignedHeaders=h"
        "&X-Goog-Signature=s",
        "GoogleAccessId=a&Expires=1&Signature=s",
        "Expires=1&Signature=s&Key-Pair-Id=K",
        "Policy=p&Signature=s&Key-Pair-Id=K",
        "sv=2020-08-04&st=1&se=2&sr=b&sp=r&sig=abc%3D",
        "OSSAccessKeyId=K&Expires=1&Signature=s",
    ],
)
def test_signatures_go_and_the_rest_stays(query: str) -> None:
    assert strip_signatures(f"{BASE}?{query}") == BASE
    assert strip_signatures(f"{BASE}?versionId=7&{query}&x=#part") == f"{BASE}?versionId=7&x=#part"
    record = {"l": [{"u": f"{BASE}?v=1&{query}"}], "t": f"see {BASE}?{query}, or not"}
    other = {"l": [{"u": f"{BASE}?v=1"}], "t": f"see {BASE} or not"}
    assert content_hash("p", "t", record) == content_hash("p", "t", other)


@pytest.mark.parametrize(
    "url",
    [
        BASE,
        f"{BASE}?",
        f"{BASE}?versionId=1&a=b&a=c",
        f"{BASE}?Expires=5",
        f"{BASE}?Signature=abc",
        f"{BASE}?se=1&sp=2&sv=3",
        f"{BASE}?sig=1",
        f"{BASE}?X-Amz-Date=1",
        "no url at all? Signature=1&AWSAccessKeyId=2",
    ],
)
def test_unsigned_urls_stay(url: str) -> None:
    assert strip_signatures(url) == url


def test_a_signed_url_in_a_json_cell_of_a_table() -> None:
    one, two = (f'["{BASE}?AWSAccessKeyId=K&Signature={n}&Expires={n}", "{BASE}?n=1"]' for n in (1, 2))
    assert content_hash(None, "t", {"urls": one}) == content_hash(None, "t", {"urls": two})


def test_the_hash_knows_project_type_and_record() -> None:
    record = {"a": 1, "b": "x?"}
    hashes = {
        content_hash("p", "t", record),
        content_hash("q", "t", record),
        content_hash("p", "u", record),
        content_hash(None, "t", record),
        content_hash("", "t", record),
        content_hash("p", "t", {"a": 2, "b": "x?"}),
    }
    assert len(hashes) == 6
    assert content_hash("p", "t", {"b": "x?", "a": 1.0}) in hashes
    assert all(len(found) == 16 for found in hashes)


def test_hashes_never_change_between_versions() -> None:
    """Rows in ledgers carry them: a change here would pay for every derived task again."""
    content = content_hash("cats", "categorization", {"text": "h\u00e9llo?", "n": 10.0, "u": f"{BASE}?v=1"})
    assert derived_unique_id(content) == "ef953d3de710344f8a2f10f12189a342"


def test_the_hash_of_a_record_for_scale_is_that_of_ledgers_from_before_there_were_other_platforms() -> None:
    record = {"attachment": "https://a.example/1.jpg", "n": 1}
    assert content_hash("p", "categorization", record).hex() == "66e716687c64070a94d79648c14e22e5"
    assert content_hash("p", "categorization", record, "toy") != content_hash("p", "categorization", record)
    assert content_hash("p", "t", record, "toy") != content_hash("p", "t", record, "other")
