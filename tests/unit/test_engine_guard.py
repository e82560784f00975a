"""The guard that stops a run whose first records are all refused alike."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalesync.engine.first_refusals import FirstRefusals, normalise_message


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ('Project "cats" not found', "Project <text> not found"),
        ("Project 'cats 2' isn't there, don't ask", "Project <text> isn't there, don't ask"),
        ("Task 5f1e0c9a3b2d4e6f7a8b9c0d not found", "Task <id> not found"),
        ("id 123e4567-e89b-12d3-a456-426614174000 taken", "id <id> taken"),
        ("cannot load https://x.test/a.png?sig=1 (403)", "cannot load <url> (<n>)"),
        ("s3://bucket/key: 12.5 MB  of\n10", "<url> <n> MB of <n>"),
        ("the defaced facade", "the defaced facade"),
        ("byte 0xff at byte 12; try cp1252", "byte 0xff at byte <n>; try cp1252"),
        ("'utf-16-le' codec: byte \\xe9 in position 7", "<text> codec: byte \\xe9 in position <n>"),
        ("UTF-8, iso-8859-1, latin-1, base64, ISO 8601", "UTF-8, iso-8859-1, latin-1, base64, ISO 8601"),
        ("img0012.png of base 12, int 7", "img<n>.png of base <n>, int <n>"),
        ("", ""),
    ],
)
def test_messages_lose_what_differs_from_record_to_record(text: str, kind: str) -> None:
    assert normalise_message(text) == kind


def test_the_records_own_key_is_taken_out() -> None:
    assert normalise_message("unique_id drive-a is in use", "drive-a") == "unique_id <id> is in use"
    assert normalise_message("b1: the website of b1, or b1", "b1") == "<id>: the website of <id>, or <id>"


@pytest.mark.parametrize("key", ["attachment", "an", "include", "Please", "video_website"])
def test_a_key_that_is_a_word_of_the_message_hides_nothing_of_it(key: str) -> None:
    text = "Please include an attachment or video_website"
    assert normalise_message(text, key) == text
    assert normalise_message(f"task {key} has no attachment", key) == "task <id> has no attachment"
    assert normalise_message(f"unique_id: {key} is in use", key) == "unique_id: <id> is in use"


@given(st.text(max_size=300))
def test_normalising_never_fails(text: str) -> None:
    assert len(normalise_message(text)) <= 10 * len(text) + 1


def test_a_hundred_refusals_of_one_kind_trip_and_stay_held() -> None:
    guard: FirstRefusals[int] = FirstRefusals()
    for number in range(100):
        assert not guard.tripped
        assert guard.refused(number, f"Project {number} missing") == []
    assert guard.tripped
    assert guard.refused(100, "another message from what was in flight") == []
    assert guard.succeeded() == []
    assert guard.flush() == []
    assert guard.held == tuple(range(101))


def test_a_success_releases_what_was_held_and_opens_for_good() -> None:
    guard: FirstRefusals[str] = FirstRefusals(3)
    assert guard.refused("a", "no 1") == []
    assert guard.refused("b", "no 2") == []
    assert guard.succeeded() == ["a", "b"]
    assert [guard.refused(item, "no 3") for item in "cdef"] == [["c"], ["d"], ["e"], ["f"]]
    assert not guard.tripped
    assert guard.held == ()


def test_another_message_releases_all() -> None:
    guard: FirstRefusals[str] = FirstRefusals(3)
    guard.refused("a", "")
    assert guard.refused("b", "missing field") == ["a", "b"]
    assert guard.refused("c", "") == ["c"]


def test_the_end_of_the_input_releases_what_is_held() -> None:
    guard: FirstRefusals[str] = FirstRefusals(3)
    guard.refused("a", "no")
    assert guard.flush() == ["a"]
    assert guard.flush() == []


@given(st.lists(st.one_of(st.none(), st.sampled_from(["no 1", "no 2", "other"])), max_size=40))
def test_nothing_is_lost_or_released_twice(events: list[str | None]) -> None:
    guard: FirstRefusals[int] = FirstRefusals(5)
    fed, released = [], []
    for number, message in enumerate(events):
        if message is None:
            released += guard.succeeded()
        else:
            fed.append(number)
            released += guard.refused(number, message)
    assert [*released, *guard.held] == fed
    assert guard.tripped == (len(guard.held) >= 5)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (
            'Parameter is invalid, reason: "attachments" is required',
            "Parameter is invalid, reason: attachments is required",
        ),
        ('"params.geometries" must be an object', "params.geometries must be an object"),
        ('"categories[3]" is not allowed', "categories[<n>] is not allowed"),
        ("missing 'instruction'", "missing instruction"),
        ('the value "hello" is not a URL', "the value <text> is not a URL"),
        ('"Dear editor, it is" is required', "<text> is required"),
    ],
)
def test_the_field_that_a_message_is_about_stays_readable(text: str, kind: str) -> None:
    assert normalise_message(text) == kind


def test_a_key_in_quotes_is_no_field() -> None:
    told = {normalise_message(f'"{key}" is unknown', key) for key in ("anna", "bert")}
    assert len(told) == 1
