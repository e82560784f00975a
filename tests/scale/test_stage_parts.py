"""Stages cut out of the bytes of a task: what counts as delivered, and bytes that a strict decoder refuses."""

from __future__ import annotations

import json
from typing import Any

import pytest

from scalesync.model.task_view import Part
from scalesync.platforms.scale.documents import read_document
from scalesync.platforms.scale.multistage.parts import parts_of


def parts(document: bytes) -> list[Part]:
    return list(parts_of(read_document(document), document))


def task(**more: Any) -> bytes:
    boxes = {"name": "boxes", "status": "completed", "delivered_at": "2026-01-01T00:00:00Z", "response": {"a": 1.50}}
    stages = [boxes, {"name": "lanes", "status": "pending"}]
    whole = {"task_id": "t", "type": "multistage", "project": "street", "blueprint": "drive", "delivery": "stage"}
    return json.dumps({**whole, "stages": stages, **more}).encode()


def test_a_stage_is_cut_out_with_its_white_space():
    document = task().replace(b'"a": 1.5', b'"a" :\t1.50')
    (part,) = parts(document)
    assert (part.name, part.at) == ("boxes", "2026-01-01T00:00:00Z")
    assert part.of == {"blueprint": "drive", "project": "street"}
    assert part.document in document
    assert b'"a" :\t1.50' in part.document


@pytest.mark.parametrize(
    "more",
    [
        {"type": "categorization"},
        {"delivery": "task"},
        {"delivery": None},
        {"stages": None},
        {"stages": {"name": "boxes", "delivered_at": "x"}},
        {"stages": [None, "boxes", {"name": "boxes"}, {"name": True, "delivered_at": "x"}, {"delivered_at": "x"}]},
    ],
)
def test_what_is_no_delivery_is_none(more: dict[str, Any]):
    assert parts(task(**more)) == []


def test_every_delivery_of_a_stage_that_a_task_lists_is_one_in_the_order_of_time():
    first, second = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"
    for times in ((first, second), (second, first), (second, first, second)):
        found = parts(task(stages=[{"name": "boxes", "delivered_at": at} for at in times]))
        assert [(part.name, part.at) for part in found] == [("boxes", first), ("boxes", second)]


def test_numbers_are_names_and_times_too():
    stages = [{"name": 7, "delivered_at": 1_764_556_800_000}, {"name": "x", "delivered_at": False}]
    assert [(part.name, part.at) for part in parts(task(stages=stages))] == [("7", "1764556800000")]


def test_lone_surrogates_are_cut_out_as_they_came():
    document = task().replace(b'"boxes"', b'"b\\ud800"')
    (part,) = parts(document)
    assert part.name == "b\\ud800"
    assert part.document in document
    assert b'"b\\ud800"' in part.document
    elsewhere = task(metadata={"x": "y"}).replace(b'"y"', b'"\\ud800"')
    assert [part.document for part in parts(elsewhere)] == [part.document for part in parts(task())]


def test_links_of_stages_are_found_where_stages_are_delivered_apart():
    stage = {"name": "boxes", "response": {"annotations": {"url": "https://x.test/1"}}}
    assert list(read_document(task(stages=[stage])).urls()) == [("stages.boxes.annotations.url", "https://x.test/1")]
    assert list(read_document(task(stages=[stage], type="other")).urls()) == []
    assert list(read_document(task(stages=["url", {"response": "url"}])).urls()) == []
