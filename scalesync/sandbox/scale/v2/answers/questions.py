"""What contributors are asked about a chat, and their drawn answers: one question for each type of annotation.

The types and the shapes of their values are those of the official SDK's models; the questions are ours.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from scalesync.sandbox.scale.answers.shapes import Maker

Annotation = dict[str, Any]


@dataclass(frozen=True)
class Question:
    """One question. value: from a maker and the number of assistants that answered; choices: shown as details."""

    type: str
    title: str
    value: Callable[[Maker, int], Any]
    choices: Sequence[Any] = ()
    labels: Sequence[str] = ()


def _one(choices: Sequence[Any]) -> Callable[[Maker, int], Any]:
    return lambda maker, _: choices[0] if maker.canned else maker.draws.one(choices)


def _ranked(maker: Maker, responses: int) -> list[str]:
    order = [str(number) for number in range(1, responses + 1)]
    return order if maker.canned or maker.draws.below(2) else order[::-1]


def _several(maker: Maker, _: int) -> list[str]:
    return [topic for topic in TOPICS if maker.canned or maker.draws.below(2)] or [TOPICS[0]]


def _rating(maker: Maker, _: int) -> dict[str, Any]:
    score = 1 if maker.canned else maker.draws.below(5)
    return {"score": score, "color": "green" if score else "red", "justification": maker.text()}


def _labeled(maker: Maker, responses: int) -> list[dict[str, str]]:
    return [{"label": f"rewrite {number}", "text": maker.text()} for number in range(1, responses + 1)]


def _workspace(maker: Maker, _: int) -> dict[str, Any]:
    workspace = maker.draws.uuid()
    file = {"file_name": "main.py", "scale_url": f"scaledata://{workspace}/main.py", "file_language": "python"}
    return {"workspace_id": workspace, "output_files": [file], "stdout_output": {"content": maker.text()}}


TOPICS = ("facts", "style", "safety", "code")
LEVELS = ("very bad", "bad", "fair", "good", "very good")
VERDICTS = ("better", "same", "worse")
QUESTIONS = {
    "truthfulness": Question("integer", "How truthful is it?", _one((1, 2, 3, 4, 5)), (1, 2, 3, 4, 5), LEVELS),
    "is_harmful": Question("boolean", "Does it harm anybody?", _one((False, True)), (True, False), ("yes", "no")),
    "comment": Question("text", "What should be better?", lambda maker, _: maker.text()),
    "verdict": Question("category", "How does it compare?", _one(VERDICTS), VERDICTS, VERDICTS),
    "topics": Question("category_multiple", "What is it about?", _several, TOPICS, TOPICS),
    "evidence": Question(
        "file", "What shows it?", lambda maker, _: [{"url": maker.link(9), "mime_type": "application/json"}]
    ),
    "ranking": Question("ranked_choices", "Which answer is best?", _ranked),
    "groups": Question("ranked_groups", "Which answers are equal?", lambda maker, n: [[x] for x in _ranked(maker, n)]),
    "weight": Question("rubric_criteria", "How much does it count?", lambda _, __: {"weight": 1}),
    "rating": Question("rubric_rating", "Is the criterion met?", _rating),
    "rewrites": Question("labeled_text", "How would you say it?", _labeled),
    "workspace": Question("workspace_container", "Run it.", _workspace),
}


@dataclass(frozen=True)
class Asked:
    """What a project of one type asks. assistants: how many answer in each turn."""

    message: tuple[str, ...] = ("truthfulness",)
    turn: tuple[str, ...] = ()
    thread: tuple[str, ...] = ("comment",)
    assistants: int = 1
    rubric: bool = False
    chunks: bool = False


ASKED = {
    "SFT": Asked(),
    "RLHF: Pref Ranking": Asked(("truthfulness", "verdict"), ("ranking",), assistants=2),
    "RLHF: Pref Ranking with Rewrites": Asked(("truthfulness",), ("ranking", "rewrites"), assistants=2),
    "RLVR: Reinforcement Learning with Verifiable Rewards": Asked(("rating",), ("workspace",)),
    "Rubrics": Asked(("truthfulness",), rubric=True),
    "Process Supervision": Asked(chunks=True),
    "Evals": Asked(("is_harmful",), ("groups",), assistants=2),
    "Prompt Generation": Asked((), ("topics",)),
    "Content Understanding": Asked(("comment",), thread=("evidence",)),
}
PLAIN = Asked()  # a project of another type, or of none


def asked_of(types: Sequence[str]) -> Asked:
    """What a project asks, by the first of its types that asks something of its own."""
    return next((ASKED[name] for name in types if name in ASKED), PLAIN)


def answers(keys: Sequence[str], maker: Maker, responses: int) -> list[Annotation]:
    """The annotations for some questions, with all details but the id."""
    return [_answer(key, QUESTIONS[key], maker, responses) for key in keys]


def _answer(key: str, question: Question, maker: Maker, responses: int) -> Annotation:
    found: Annotation = {
        "key": key,
        "type": question.type,
        "title": question.title,
        "description": f"{question.title} Answer for the whole of it.",
        "value": question.value(maker, responses),
    }
    if question.choices:
        found["possible_values"] = list(question.choices)
    if question.labels:
        found["labels"] = list(question.labels)
    return found
