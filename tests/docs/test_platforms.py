"""docs/platforms.md says what the specs say."""

from __future__ import annotations

from tests.docs.platforms_page import PAGE, page


def test_the_page_of_platforms_is_what_is_made_from_the_specs() -> None:
    assert PAGE.read_text("utf-8") == page(), "run python -m tests.docs.platforms_page"
