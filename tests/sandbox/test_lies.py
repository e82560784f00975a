"""Lists that say what is not so: each switch, read page by page."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest

from scalesync.sandbox import FaultRule
from scalesync.sandbox.core.faults import load_faults, rules_from

from .support import Api


class Reader:
    """Reads a list of 10 tasks, the newest first and 3 a page, while rules strike."""

    def __init__(self, *rules: FaultRule) -> None:
        self.api = Api()
        for number in range(10):
            self.api.create(unique_id=f"u{number}")
            self.api.clock.forward(1)
        self.faults = self.api.engine.faults
        self.faults.replace(rules)

    def page(self, token: str = "", query: str = "") -> dict[str, object]:
        decision = self.faults.decide("list")
        target = f"/tasks?limit=3{query}" + (f"&next_token={quote(token)}" if token else "")
        reply = self.api.reply("GET", target, lies=decision.lies, draw=decision.draw)
        assert reply.status == 200, reply.body
        found: dict[str, object] = json.loads(reply.body)
        return found

    def pages(self, most: int = 9, query: str = "") -> list[dict[str, object]]:
        found = [self.page(query=query)]
        while found[-1]["has_more"] and len(found) < most:
            found.append(self.page(str(found[-1]["next_token"]), query))
        return found


def numbers(page: dict[str, object]) -> list[int]:
    return [int(task["unique_id"][1:]) for task in page["docs"]]  # type: ignore[attr-defined]


def shown(*rules: FaultRule, most: int = 9) -> list[list[int]]:
    return [numbers(page) for page in Reader(*rules).pages(most)]


PLAIN = [[9, 8, 7], [6, 5, 4], [3, 2, 1], [0]]


@pytest.mark.parametrize(
    ("rules", "pages"),
    [
        ([], PLAIN),
        ([FaultRule(kind="repeat")], [[9, 8, 7], [7, 6, 5, 4], [4, 3, 2, 1], [1, 0]]),
        ([FaultRule(kind="repeat", pages=(2,), count=2)], [[9, 8, 7], [8, 7, 6, 5, 4], [3, 2, 1], [0]]),
        ([FaultRule(kind="repeat", back=2, pages=(3,))], [[9, 8, 7], [6, 5, 4], [7, 3, 2, 1], [0]]),
        ([FaultRule(kind="repeat", back=0, pages=(1,))], [[9, 8, 7, 9], [6, 5, 4], [3, 2, 1], [0]]),
        ([FaultRule(kind="gap", pages=(2,))], [[9, 8, 7], [6, 5], [3, 2, 1], [0]]),
        ([FaultRule(kind="gap", pages=(1,), count=2)], [[9], [6, 5, 4], [3, 2, 1], [0]]),
        (
            [FaultRule(kind="repeat", pages=(2,)), FaultRule(kind="gap", pages=(2,))],
            [[9, 8, 7], [7, 6, 5], [3, 2, 1], [0]],
        ),
        ([FaultRule(kind="empty", at=(1,))], [[9, 8, 7], [], *PLAIN[1:]]),
    ],
)
def test_repeats_gaps_and_empty_pages(rules: list[FaultRule], pages: list[list[int]]) -> None:
    assert shown(*rules) == pages


@pytest.mark.parametrize("fresh", [False, True])
def test_tokens_go_in_a_circle(fresh: bool) -> None:
    pages = Reader(FaultRule(kind="circle", pages=(3,), fresh=fresh)).pages(8)
    assert [numbers(page) for page in pages] == [PLAIN[0], *PLAIN[1:3], *PLAIN[1:3], *PLAIN[1:3], PLAIN[1]]
    assert len({page["next_token"] for page in pages}) == (5 if fresh else 2)


@pytest.mark.parametrize("pages", [None, (1,), (2,)])
def test_empty_pages_without_end(pages: tuple[int, ...] | None) -> None:
    found = Reader(FaultRule(kind="empty", pages=pages, fresh=True)).pages(20)
    assert len(found) == 20
    assert all(page["has_more"] and page["total"] == 10 for page in found)
    assert all(page["docs"] == [] for page in found[1:])


def test_totals_are_too_high_too_low_and_moving() -> None:
    assert {page["total"] for page in Reader(FaultRule(kind="total", by=3)).pages()} == {13}
    assert {page["total"] for page in Reader(FaultRule(kind="total", by=-30)).pages()} == {0}
    moving = [page["total"] for page in Reader(FaultRule(kind="total", by=6, moving=True)).pages()]
    assert len(set(moving)) > 1
    assert all(4 <= int(str(total)) <= 16 for total in moving)


def test_a_page_of_another_question() -> None:
    reader = Reader(FaultRule(kind="foreign", pages=(2,)))
    reader.api.create("imageannotation", unique_id="u77", attachment="https://x.test/a.png", geometries={})
    pages = reader.pages(query="&type=categorization")
    assert [numbers(page) for page in pages] == [PLAIN[0], [77], *PLAIN[2:]]


def test_the_same_seed_tells_the_same_lies() -> None:
    rules = [FaultRule(kind="repeat", share=0.5), FaultRule(kind="gap", share=0.5)]
    assert shown(*rules) == shown(*rules) != PLAIN


def test_they_are_set_by_file_and_by_the_control_plane(tmp_path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "lies.toml"
    path.write_text(
        '[[rule]]\nkind = "repeat"\nback = 2\ncount = 3\n\n[[rule]]\nkind = "total"\nby = -2\nmoving = true\n'
    )
    assert load_faults(path) == [FaultRule(kind="repeat", back=2, count=3), FaultRule(kind="total", by=-2, moving=True)]
    for wrong in ({"kind": "gap", "on": "create"}, {"kind": "gap", "count": 0}, {"kind": "repeat", "pages": [0]}):
        with pytest.raises(ValueError, match="rule 0"):
            rules_from([wrong])
