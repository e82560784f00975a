"""docs/performance.md shows what its JSON says, missed goals first."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from benchmarks import page
from benchmarks.goals import GOALS, Goal, judge, verdicts
from benchmarks.tables import amount, duration

FIGURES = page.load()


def spread(median: float) -> dict[str, float]:
    return {"median": median, "min": median * 0.9, "max": median * 1.1}


def made_up(rate: float, bare: float) -> dict[str, Any]:
    """Figures of one import with two clients."""

    def peer(tasks_per_s: float) -> dict[str, Any]:
        names = ("wall_s", "cpu_s", "peak_mb", "written_mb", "cpu_us_per_task", "server_cpu_us_per_task")
        figures = {name: spread(10.0) for name in names}
        figures |= {"tasks_per_s": spread(tasks_per_s), "tasks": spread(12_345)}
        return {"figures": figures, "rounds": []}

    ratios = {"scalesync / bare": {"tasks_per_s": spread(rate / bare), "cpu_us_per_task": spread(0.5)}}
    return {"imports": {"sequential": {"peers": {"bare": peer(bare), "scalesync": peer(rate)}, "ratios": ratios}}}


def test_the_page_is_what_its_figures_say() -> None:
    text = page.PAGE.read_text("utf-8")
    assert page.render(text, FIGURES) == text, "run `python -m benchmarks.page`"


def test_the_page_has_every_section_once() -> None:
    assert sorted(re.findall(r"<!-- figures: ([a-z-]+) -->", page.PAGE.read_text("utf-8"))) == sorted(page.SECTIONS)


def test_the_published_figures_name_commit_and_machine() -> None:
    assert FIGURES["machine"]["commit"] not in {"", "unknown"}
    assert FIGURES["rounds"] >= 5
    assert all(len(peer["rounds"]) >= 5 for one in FIGURES["imports"].values() for peer in one["peers"].values())


def test_rendering_shows_new_figures_and_keeps_the_rest() -> None:
    text = "before\n<!-- figures: sequential -->\nold\n<!-- end of figures -->\nafter\n"
    once = page.render(text, made_up(8_765.4, 4_000.0))
    assert "8,770" in once
    assert "12,345" in once
    assert "2.19 times as fast" in once
    assert "old" not in once
    assert once.startswith("before\n")
    assert once.endswith("after\n")
    assert page.render(once, made_up(8_765.4, 4_000.0)) == once


def test_a_part_that_was_not_measured_says_so() -> None:
    text = "<!-- figures: tls -->\n<!-- end of figures -->\n"
    assert page.NOT_MEASURED in page.render(text, {})


def test_an_unknown_section_is_an_error() -> None:
    with pytest.raises(KeyError):
        page.render("<!-- figures: nothing -->\n<!-- end of figures -->\n", {})


def test_missed_goals_come_first_and_count() -> None:
    missed, met = (verdicts(made_up(rate, 1_000.0)) for rate in (1_100.0, 1_600.0))
    assert [verdict.met for verdict in missed] == [False, True]
    assert [verdict.met for verdict in met] == [True, True]
    assert page.goals(made_up(1_100.0, 1_000.0))[0] == "1 of 2 goals missed:"


def test_every_goal_is_found_where_figures_were_published() -> None:
    parts = {"imports", "exports"} | ({"million"} if "million" in FIGURES else set())
    for goal in GOALS:
        assert goal.path[0] not in parts or judge(FIGURES, goal) is not None, goal.title


def test_a_goal_on_a_single_figure() -> None:
    goal = Goal("memory", ("million", "peak_growth_mb"), "<=", 25, " MB")
    found = judge({"million": {"peak_growth_mb": 30.0}}, goal)
    assert found is not None
    assert (found.measured, found.met, found.low) == (30.0, False, None)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.6789, "0.679"), (1.5, "1.5"), (40, "40"), (99.96, "100"), (123.4, "123"), (12_345.6, "12,300")],
)
def test_amounts_have_three_digits(value: float, text: str) -> None:
    assert amount(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(61, "61 s"), (3_333, "56 min"), (33_333, "9 h 16 min"), (7_199.9, "2 h 0 min")]
)
def test_durations_are_readable(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_publishing_copies_figures_and_renders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "PAGE", tmp_path / "page.md")
    monkeypatch.setattr(page, "FOLDER", tmp_path / "figures")
    (tmp_path / "page.md").write_text("<!-- figures: sequential -->\n<!-- end of figures -->\n", "utf-8")
    (tmp_path / "new.json").write_text(json.dumps(made_up(5_000.0, 4_000.0)), "utf-8")
    page.publish(bench=tmp_path / "new.json")
    assert "1.25 times as fast" in (tmp_path / "page.md").read_text("utf-8")
    assert (tmp_path / "figures" / "bench.json").read_bytes() == (tmp_path / "new.json").read_bytes()


def test_every_plot_can_be_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from benchmarks import plots  # noqa: PLC0415  matplotlib is not among the dependencies of the tests

    assert set(plots.PLOTS) == set(plots.NEEDS)
    for name, draw in plots.PLOTS.items():
        draw(FIGURES).savefig(tmp_path / f"{name}.png")
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert (page.FOLDER / f"{name}.png").exists()
