"""Several tasks under one key: which one stays."""

from __future__ import annotations

import pytest

from scalesync.flows.verify.duplicates import Choice, Twin, choose
from scalesync.model.outcomes import Match
from scalesync.ports.spec import Vocabulary

WORDS = Vocabulary(key="label", ref="id", new="todo", done="done", dead=frozenset({"dropped"}))
A, B, C = (Twin(ref, made, "todo", Match.EQUAL) for ref, made in (("a", 30), ("b", 10), ("c", 20)))


def begun(twin: Twin) -> Twin:
    return twin._replace(status="doing")


@pytest.mark.parametrize(
    ("twins", "known", "keep", "gone"),
    [
        ((A, B, C), None, "b", {"a", "c"}),
        ((A, B, C), "c", "c", {"a", "b"}),
        ((A, B, C), "elsewhere", "b", {"a", "c"}),
        ((A, B, begun(C)), "a", "c", {"a", "b"}),
        ((A, begun(B)._replace(match=Match.EQUAL)), None, "b", {"a"}),
    ],
)
def test_what_stays_is_worked_on_or_known_or_the_first(twins, known, keep, gone):
    choice = choose(twins, known, WORDS)
    assert (choice.keep, set(choice.remove)) == (keep, gone)


@pytest.mark.parametrize(
    ("twins", "why"),
    [
        ((), ""),
        ((begun(A), begun(B), C), "2 of them have been worked on"),
        ((A, B._replace(match=Match.DIFFERENT)), "not all of them equal the record"),
        ((A, B._replace(status="dropped", match=Match.DEAD)), "one of them is dead"),
    ],
)
def test_otherwise_a_person_decides(twins, why):
    assert choose(twins, "a", WORDS) == Choice(None, (), why)


def test_nothing_goes_where_nobody_says_which_tasks_are_new():
    assert choose((A, B), "a", Vocabulary(key="label", ref="id")).keep is None
