"""Loads: in order, each record once, however they are taken; what a slow source has given is not kept back."""

from __future__ import annotations

import json
import os
import random
import threading
from collections.abc import Iterable
from contextlib import aclosing

import anyio
import pytest

from scalesync.errors import SourceError
from scalesync.flows.imports.reading.prepare import read_loads
from scalesync.model.records import Checkpoint, Load, SourceRecord
from scalesync.sources import blocks
from scalesync.sources.blocks import Loads, Opened
from scalesync.sources.bytestream import Progress
from scalesync.sources.open import open_sources
from scalesync.sources.options import ReadOptions


class Spoken:
    """Sources for `Loads`: `lengths` records each, with a mark behind every tenth and at the end."""

    def __init__(self, *lengths: int) -> None:
        self.opened = (self.source(number, length) for number, length in enumerate(lengths, start=1))

    def source(self, number: int, length: int) -> Opened:
        progress = Progress()

        def items():
            for line in range(1, length + 1):
                yield SourceRecord(line, {})
                if line % 10 == 0 or line == length:
                    progress.mark = Checkpoint(line, "")

        return Opened(number, f"s{number}", items(), progress)


def places(loads: Iterable[Load]) -> list[tuple[int, int]]:
    return [(block.source, record.line) for load in loads for block in load for record in block.records]


def whole(*lengths: int) -> list[tuple[int, int]]:
    return [(number, line) for number, length in enumerate(lengths, start=1) for line in range(1, length + 1)]


def check(loads: list[Load], *lengths: int) -> None:
    """Each record once and in order, each source ended once behind its last one, no mark ahead of its records."""
    assert places(loads) == whole(*lengths)
    blocks = [block for load in loads for block in load]
    assert [block.source for block in blocks if block.last] == list(range(1, len(lengths) + 1))
    met = dict.fromkeys(range(1, len(lengths) + 1), 0)
    for block in blocks:
        met[block.source] += len(block.records)
        assert block.mark is None or block.mark.line <= met[block.source]
        if block.last:
            length = lengths[block.source - 1]
            assert met[block.source] == length
            assert length == 0 or block.mark == Checkpoint(length, "")
    assert all(block.last for load in loads for block in load[:-1])


@pytest.mark.parametrize("lengths", [(), (0,), (3,), (4,), (0, 0), (1, 1, 1, 1, 1), (2, 0, 9, 0, 4, 4, 0), (25, 1, 1)])
@pytest.mark.parametrize("most", [1, 4, 100])
def test_loads_span_sources(lengths, most):
    loads = list(Loads(Spoken(*lengths).opened, most))
    check(loads, *lengths)
    assert all(sum(len(block.records) for block in load) <= most for load in loads)
    assert len([load for load in loads if any(block.records for block in load)]) == -(-sum(lengths) // most)


def test_a_load_of_many_sources_ends_at_its_weight(monkeypatch):
    monkeypatch.setattr(blocks, "LOAD_WEIGHT", 100)

    def heavy(number: int) -> Opened:
        progress = Progress()

        def items():
            progress.weight += 40
            yield SourceRecord(1, {})

        return Opened(number, "x", items(), progress)

    loads = list(Loads((heavy(number) for number in range(9)), 50))
    assert [len(places([load])) for load in loads] == [3, 3, 3, 0]  # the last: its source has ended


def test_two_threads_that_take_share_the_records_in_order_and_no_mark_is_ahead_of_them():
    lengths = (20_000, *(random.Random(1).randrange(4) for _ in range(10_000)), 20_000)
    loads = Loads(Spoken(*lengths).opened, 64)
    taken: list[Load] = []
    one_at_a_time = loads._block
    loads._block = lambda most: taken.append([block := one_at_a_time(most)]) or block  # in the order of taking
    early = 0
    done = threading.Event()

    def read() -> None:
        for _ in loads:
            pass
        done.set()

    thread = threading.Thread(target=read)
    thread.start()
    while not done.is_set():
        early += bool(loads.early())
    thread.join()
    assert early
    check(taken, *lengths)


def test_what_cannot_be_read_on_is_reported_with_the_name_once_all_before_it_is_given_out():
    def items():
        yield SourceRecord(1, {})
        raise OSError(5, "Input/output error")

    (good,) = Spoken(2).opened
    loads = Loads(iter([good, Opened(2, "cards.jsonl", items(), Progress()), good]), 10)
    assert places([next(loads)]) == [(1, 1), (1, 2), (2, 1)]
    for _ in range(2):
        with pytest.raises(SourceError, match=r"cards\.jsonl.*Input/output error"):
            next(loads)


async def test_records_of_a_pipe_that_falls_silent_are_given_out(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    end = os.open(path, os.O_RDWR)

    def write(numbers: range) -> None:
        for number in numbers:
            os.write(end, json.dumps({"n": number}).encode() + b"\n")

    write(range(3))
    (source,) = open_sources([str(path)], ReadOptions())
    before = tmp_path / "before.jsonl"
    before.write_text("{}\n" * 2)
    (first,) = open_sources([str(before)], ReadOptions())
    found: list[Load] = []
    with anyio.fail_after(20):
        async with aclosing(read_loads(Loads(iter([first.opened(1), source.opened(2)]), 5))) as loads:
            async for load in loads:
                found.append(load)
                seen = [record.value["n"] for load in found for block in load[-1:] for record in block.records]
                if len(seen) == 3:
                    write(range(3, 12))
                if len(seen) == 12:
                    break
    assert seen == list(range(12))
    assert places(found[:1]) == [(1, 1), (1, 2), (2, 1), (2, 2), (2, 3)]
    os.close(end)
