"""Numbers and Markdown tables as docs/performance.md shows them."""

from __future__ import annotations

from collections.abc import Sequence


def amount(value: float) -> str:
    """Three significant digits; thousands with commas."""
    if value == 0:
        return "0"
    if abs(value) >= 100:
        digits = 3 if abs(value) >= 1000 else 4
        return f"{float(f'{value:.{digits - 1}e}'):,.0f}" if abs(value) >= 1000 else f"{value:.0f}"
    text = f"{value:.3g}"
    return text if "e" not in text else f"{value:.5f}"


def between(low: float, high: float) -> str:
    """The spread of a figure."""
    return f"{amount(low)} to {amount(high)}"


def duration(seconds: float) -> str:
    """In the two largest units that say something."""
    minutes = round(seconds / 60)
    if seconds < 120:
        return f"{seconds:.0f} s"
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table; all columns but the first are aligned as they come."""
    return [_row(head), "|" + "---|" * len(head), *(_row(row) for row in rows)]


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |" if any(cells) else "|" + " |" * len(cells)
