"""The page's figures come from the JSON, and every scenario has its picture and its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.pacing.page import END, START, put
from benchmarks.pacing.runs import summary
from benchmarks.pacing.scenarios import SCENARIOS
from benchmarks.pacing.score import Score

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_figures_replace_what_stood_between_the_marks(tmp_path: Path) -> None:
    page = tmp_path / "pacing.md"
    page.write_text(f"before\n{START}\nold\n{END}\nafter\n")
    row = summary([Score(0.97, 0.004, 7, 0.2, 0), Score(0.91, 0.02, 9, 0.3, 0)], 15)
    put(page, {"scenarios": {"one": {"about": "1/s", "controllers": {"scalesync": row, "AIMD": row}}}})
    text = page.read_text()
    assert "| one | 1/s | 94.0% / 91.0% | 1.20% / 2.00% | 8.0 / 9.0 | 0.25 / 0.30 | 1 of 2 |" in text
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    page.write_text("no marks")
    with pytest.raises(ValueError, match="marks"):
        put(page, {})


def test_every_scenario_stands_on_the_page_with_its_picture() -> None:
    text = (DOCS / "pacing.md").read_text("utf-8")
    for scenario in SCENARIOS:
        assert f"\n| {scenario.name} | {scenario.about} |" in text
        assert f"(pacing/{scenario.name}.png)" in text
        assert (DOCS / "pacing" / f"{scenario.name}.png").stat().st_size > 5_000
    assert sum(picture.stat().st_size for picture in (DOCS / "pacing").iterdir()) < 1_500_000
