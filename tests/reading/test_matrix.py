"""Every record of every source becomes one task, read by Python's own readers beside the program's.

`make soak` draws thousands of points; here are the few that hold every value and the most pairs. A failure prints its
point: `python -m tests.reading --only "..."` runs it again.
"""

from __future__ import annotations

import pytest

from tests.reading import oracle
from tests.reading.campaign import run_points
from tests.reading.points import DIMENSIONS, Point, all_pairs, apart, drawn, pairs_of, pairwise, size
from tests.reading.trial import run_point

SEED = 44
POINTS = pairwise(SEED)
SHORT = POINTS[:20]


@pytest.mark.parametrize("point", SHORT, ids=lambda point: f"{point.format}-{point.container}-{point.mode}")
async def test_every_record_of_a_source_becomes_one_task_and_every_bad_place_is_reported(point: Point, tmp_path):
    trial = await run_point(point, tmp_path)
    assert not trial.wrong, "\n".join(trial.wrong)


async def test_a_file_that_has_two_names_in_a_folder_is_read_once(tmp_path):
    """A layout of links has a second link to one of its files."""
    point = next(drawn(1, container="links", format="jsonl", mode="fresh", records="3"))
    assert not (await run_point(point, tmp_path)).wrong


@pytest.mark.soak
@pytest.mark.timeout(1200)
def test_every_pair_of_values_is_read_without_loss():
    campaign = run_points(POINTS)
    assert not campaign.wrong, "\n".join(campaign.wrong)


def test_the_points_of_a_seed_hold_every_pair_of_values_that_goes_together():
    held = {pair for point in POINTS for pair in pairs_of(point)}
    assert held == all_pairs()
    assert len(POINTS) < 400


def test_the_short_draw_has_every_value_of_every_dimension():
    for name, values in DIMENSIONS.items():
        assert {getattr(point, name) for point in SHORT} == set(values), name


def test_drawn_points_go_together_and_are_the_same_for_a_seed():
    first = [point for point, _ in zip(drawn(3), range(300), strict=False)]
    assert first == [point for point, _ in zip(drawn(3), range(300), strict=False)]
    assert not any(apart({name: getattr(point, name) for name in DIMENSIONS}) for point in first)
    assert size() > 10_000_000


@pytest.mark.parametrize(
    ("data", "format", "lines"),
    [
        (b'{"a":1}\n\nnonsense\n{"a":"\xe2\x80\xa8"}', "jsonl", [(1, True), (3, False), (4, True)]),
        (b'[{"a":1},\n\n2,{"a":1e999}]', "array", [(1, True), (2, False), (3, False)]),
        (b'{"a":\n1}{"a":2} [3]', "objects", [(1, True), (2, True), (3, False)]),
        (b' \na,b\n"x\ny",2\n1\n\n3,4', "csv", [(3, True), (5, False), (7, True)]),
    ],
    ids=["jsonl", "array", "objects", "csv"],
)
def test_the_oracle_counts_places_as_the_pages_say(data: bytes, format: str, lines: list[tuple[int, bool]]):
    found = oracle.read(data, format, "plain")
    assert [(place.line, place.value is not oracle.BAD) for place in found] == lines


def test_a_lost_record_a_changed_cell_and_a_wrong_place_are_noticed(monkeypatch):
    """The comparison itself: where the oracle is led astray, each kind of difference is told."""
    read = oracle.read
    point = next(
        point
        for point in drawn(1, container="file", mode="fresh", records="3", bad="some", format="jsonl", ids="own")
        if (point.repeats, point.values, point.refused) == ("none", "plain", "none")
    )

    def led_astray(how: str):
        def reading(*arguments: object) -> list[oracle.Read]:
            places = read(*arguments)  # type: ignore[arg-type]
            at = next(n for n, place in enumerate(places) if place.value is not oracle.BAD)
            bad = next(n for n, place in enumerate(places) if place.value is oracle.BAD)
            if how == "lost":
                return [*places, oracle.Read(99, {**places[at].value, "unique_id": "new"})]
            if how == "changed":
                places[at] = oracle.Read(places[at].line, {**places[at].value, "text": "other"})
            else:
                places[bad] = oracle.Read(places[bad].line + 50, oracle.BAD)
            return places

        return reading

    for how, words in (("lost", "no task for 'new'"), ("changed", "['text'] is"), ("moved", "where no record is")):
        monkeypatch.setattr(oracle, "read", led_astray(how))
        assert any(words in sentence for sentence in run_points([point]).wrong), how
