"""Deliveries of parts: which are new, and the line of each."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from scalesync.flows.exports.folder.commit_log import PageCommit
from scalesync.flows.exports.parts import Deliveries
from scalesync.model.task_view import Part
from scalesync.platforms.simple import SimpleView


class Log:
    """What is known, as a commit log says it."""

    def __init__(self, **parts: dict[str, str]) -> None:
        self.known = parts

    async def parts(self, refs: Sequence[str]) -> dict[str, dict[str, str]]:
        return {ref: dict(self.known.get(ref, {})) for ref in refs}


def task(ref: str) -> SimpleView:
    return SimpleView(ref=ref, key=ref)


async def taken(log: Any, *parts: Part) -> tuple[list[Any], dict[str, dict[str, str]]]:
    entry = PageCommit()
    await Deliveries(lambda view, raw: parts, log).take([(b"{}", task("t"))], entry)
    return [json.loads(line) for line in entry.lines.get("stages", ())], entry.parts


@pytest.mark.parametrize(
    ("before", "at", "new"),
    [
        (None, "2026-01-01T00:00:00Z", True),
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z", False),
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00.001Z", True),
        ("2026-01-01T00:00:00.001Z", "2026-01-01T00:00:00Z", False),
        ("2026-01-01T00:00:00.000001Z", "2026-01-01T00:00:00.000002Z", True),
        ("2026-01-01T00:00:00.000002Z", "2026-01-01T00:00:00.000001Z", False),
        ("the first time", "the second time", True),
        ("the second time", "the first time", True),
        ("the first time", "the first time", False),
    ],
)
async def test_a_delivery_is_new_if_its_time_is(before: str | None, at: str, new: bool) -> None:
    log = Log(**({} if before is None else {"t": {"boxes": before}}))
    lines, parts = await taken(log, Part("boxes", at, b'{"a": 1}'))
    assert [line["delivered_at"] for line in lines] == [at] * new
    assert parts == ({"t": {"boxes": at}} if new else {})


async def test_a_line_names_the_delivery_and_holds_its_bytes() -> None:
    part = Part('a "b"', "2026-01-01T00:00:00Z", b'{"x" :\t1.50}', {"project": "grün"})
    lines, _ = await taken(Log(), part, part)
    assert lines == [
        {"task_id": "t", "stage": 'a "b"', "delivered_at": part.at, "project": "grün", "delivery": {"x": 1.5}}
    ]


async def test_a_page_without_deliveries_asks_nothing_and_writes_nothing() -> None:
    assert await taken(None) == ([], {})
