"""Partitions of an export, against a model of a server: complete, without repeats, and few requests wasted."""

from __future__ import annotations

from bisect import bisect_left

from hypothesis import given, settings
from hypothesis import strategies as st

from scalesync.engine.partitions import SPLIT_AT_LEAST, Partition, parts_for, split
from tests.draws import draws

PAGE = 100


class Server:
    """Tasks by creation time, listed newest first from a keyset cursor; inclusive or exclusive bounds."""

    def __init__(self, created: list[int], *, inclusive: bool) -> None:
        self.created = sorted(created)
        self.inclusive = inclusive
        self.requests = 0
        self.empty = 0

    def _range(self, lo: int, hi: int) -> tuple[int, int]:
        """Places of the tasks that answer a query from `lo` to `hi`, as the server reads the bounds."""
        if self.inclusive:
            return bisect_left(self.created, lo), bisect_left(self.created, hi + 1)
        return bisect_left(self.created, lo + 1), bisect_left(self.created, hi)

    def page(self, lo: int, hi: int, cursor: str | None) -> tuple[list[int], int, str | None]:
        first, last = self._range(lo, hi)
        end = last if cursor is None else int(cursor)
        start = max(first, end - PAGE)
        self.requests += 1
        self.empty += end <= start
        places = list(range(end - 1, start - 1, -1))
        return places, last - first, str(start) if start > first else None

    def count(self, lo: int, hi: int) -> int:
        first, last = self._range(lo, hi)
        return last - first


def read_all(server: Server, lo: int, hi: int, readers: int) -> tuple[list[int], list[Partition]]:
    """Round after round every reader gets one page, as concurrent readers of equal speed do."""
    running = {1: Partition.over(1, lo, hi)}
    queue: list[Partition] = []
    done: list[Partition] = []
    taken: list[int] = []
    number = 2
    while running:
        for partition in list(running.values()):
            places, total, cursor = server.page(partition.asked_lo - 1, partition.hi, partition.cursor)
            created = [server.created[place] for place in places]
            partition.took(created, total, cursor)
            taken += [place for place, ms in zip(places, created, strict=True) if partition.lo <= ms < partition.hi]
            idle = readers - len(running) - len(queue)
            parts = parts_for(partition, running.values(), idle, readers)
            given = split(partition, created, parts, range(number, number + parts))
            number += len(given)
            queue += given
            if partition.finished:
                done.append(running.pop(partition.number))
        while queue and len(running) < readers:
            following = queue.pop(0)
            running[following.number] = following
    return taken, done


HOUR = 3_600_000
times = st.one_of(
    st.lists(st.integers(0, 50 * HOUR), max_size=3_000),
    st.lists(st.integers(20 * HOUR, 20 * HOUR + 2_000), max_size=3_000),
    st.integers(0, 2_000).map(lambda count: [7 * HOUR] * count),
    st.tuples(
        st.lists(st.integers(0, 50 * HOUR), max_size=400),
        st.lists(st.integers(30 * HOUR, 31 * HOUR), max_size=2_000),
    ).map(lambda pair: pair[0] + pair[1]),
)


@settings(max_examples=draws(60), deadline=None)
@given(times, st.booleans(), st.integers(1, 64))
def test_every_task_is_taken_once_however_time_is_cut(created, inclusive, readers):
    server = Server(created, inclusive=inclusive)
    taken, done = read_all(server, 0, 50 * HOUR + 1, readers)
    assert sorted(taken) == list(range(len(created)))
    for partition in done:
        if partition.ended:
            assert partition.adds_up()
        else:
            assert partition.matches_count(server.count(partition.lo - 1, partition.hi))


@settings(max_examples=draws(30), deadline=None)
@given(st.lists(st.integers(0, 50 * HOUR), min_size=1, max_size=1_000), st.booleans(), st.data())
def test_bounds_are_half_open_whichever_way_the_server_reads_them(created, inclusive, data):
    lo = data.draw(st.sampled_from(created))
    hi = data.draw(st.integers(lo + 1, 50 * HOUR + 2))
    server = Server(created, inclusive=inclusive)
    taken, _ = read_all(server, lo, hi, 8)
    assert sorted(server.created[place] for place in taken) == sorted(ms for ms in created if lo <= ms < hi)


def test_few_requests_are_wasted_on_a_dense_hour_in_a_year():
    dense = [200 * 24 * HOUR + (i * HOUR) // 90_000 for i in range(90_000)]
    sparse = [i * 365 * 24 * HOUR // 10_000 for i in range(10_000)]
    server = Server(dense + sparse, inclusive=True)
    taken, done = read_all(server, 0, 366 * 24 * HOUR, 64)
    assert sorted(taken) == list(range(100_000))
    counted = sum(not partition.ended for partition in done)
    assert server.empty + counted <= 0.15 * 1_000
    assert server.requests <= 1.25 * 1_000


def test_a_missing_task_does_not_add_up():
    partition = Partition.over(1, 0, 100)
    partition.took([90, 80], 3, None)
    assert partition.finished
    assert not partition.adds_up()


def test_thousands_in_one_millisecond_are_left_to_one_chain():
    partition = Partition.over(1, 50, 60)
    partition.took([55] * PAGE, 5_000, "more")
    assert parts_for(partition, [partition], 63, 64) >= 2
    assert all(part.lo < part.hi for part in split(partition, [55] * PAGE, 64, range(2, 99)))
    assert partition.lo <= 55


def test_state_survives_the_ledger():
    partition = Partition.over(3, 10, 20)
    partition.took([19, 12], 7, "token")
    assert Partition.load(partition.state()) == partition
    assert SPLIT_AT_LEAST >= PAGE
