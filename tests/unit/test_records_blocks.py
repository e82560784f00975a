"""Blocks: in order, each record once, however they are taken; what a slow source has given is not kept back."""

from __future__ import annotations

import json
import os
import threading
from contextlib import aclosing
from itertools import pairwise

import anyio
import pytest

from scalesync.errors import SourceError
from scalesync.flows.prepare import read_blocks
from scalesync.model import Block, Mark, SourceRecord
from scalesync.records.blocks import Blocks
from scalesync.records.bytestream import Progress
from scalesync.records.readers import ReadOptions
from scalesync.records.sources import open_sources


def lines(block: Block) -> list[int]:
    return [record.line for record in block.records]


def test_two_threads_that_take_share_the_records_in_order_and_no_mark_is_ahead_of_them():
    count = 60_000
    progress = Progress()

    def items():
        for line in range(1, count + 1):
            yield SourceRecord(line, {})
            if line % 10 == 0:
                progress.mark = Mark(line, "")

    blocks = Blocks(items(), progress, 64, "x")
    plain: list[Block] = []
    early: list[Block] = []
    done = threading.Event()

    def read() -> None:
        plain.extend(blocks)
        done.set()

    thread = threading.Thread(target=read)
    thread.start()
    while not done.is_set():
        if (block := blocks.early()) is not None:
            early.append(block)
    thread.join()
    assert early
    given = sorted((block for block in plain + early if block.records), key=lambda block: block.records[0].line)
    assert [line for block in given for line in lines(block)] == list(range(1, count + 1))
    assert all(lines(block) == list(range(lines(block)[0], lines(block)[-1] + 1)) for block in given)
    assert all(block.mark is None or block.mark.line <= lines(block)[-1] for block in given)
    for taken in (plain, early):
        assert all(one.records[0].line < two.records[0].line for one, two in pairwise(b for b in taken if b.records))


def test_what_cannot_be_read_on_is_told_with_the_name():
    def items():
        yield SourceRecord(1, {})
        raise OSError(5, "Input/output error")

    blocks = Blocks(items(), Progress(), 1, "cards.jsonl")
    assert lines(next(blocks)) == [1]
    with pytest.raises(SourceError, match=r"cards\.jsonl.*Input/output error"):
        next(blocks)


async def test_records_of_a_pipe_that_falls_silent_are_given_out(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    end = os.open(path, os.O_RDWR)

    def write(numbers: range) -> None:
        for number in numbers:
            os.write(end, json.dumps({"n": number}).encode() + b"\n")

    write(range(3))
    (source,) = open_sources([str(path)], ReadOptions())
    found: list[Block] = []
    with anyio.fail_after(20):
        async with aclosing(read_blocks(source.blocks(5))) as blocks:
            async for block in blocks:
                found.append(block)
                seen = [record.value["n"] for block in found for record in block.records]
                if len(seen) == 3:
                    write(range(3, 12))
                if len(seen) == 12:
                    break
    assert seen == list(range(12))
    assert lines(found[0]) == [1, 2, 3]
    os.close(end)
