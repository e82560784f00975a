"""The threads of a completed chat. As in version 1 they follow from (seed, task id, revision), so nothing is stored."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from scalesync.sandbox.core.wire.rawjson import loads
from scalesync.sandbox.core.wire.times import iso
from scalesync.sandbox.scale.answers.draws import Draws
from scalesync.sandbox.scale.answers.links import Target, result_id, signature
from scalesync.sandbox.scale.answers.shapes import Maker
from scalesync.sandbox.scale.state.model import Task
from scalesync.sandbox.scale.v2.answers.questions import Annotation, Asked, answers, asked_of
from scalesync.sandbox.scale.v2.query import Shown
from scalesync.sandbox.scale.v2.state import Delivered, GenAI

Thread = dict[str, Any]
KINDS = {bool: "boolean", int: "integer", str: "text", list: "category_multiple"}
MODELS = ("base_model", "candidate_model")


def threads(genai: GenAI, task: Task, item: Delivered | None = None) -> list[Thread] | None:
    """All of a completed chat, with every detail; None if a report of sensitive content takes its place.

    item: as it was when it was delivered, instead of now.
    """
    revision = task.revision if item is None else item.revision
    given = given_response(task, item)
    if "sensitive_content_reports" in given:
        return None
    found: list[Thread] = given["threads"] if isinstance(given.get("threads"), list) else _made(genai, task, revision)
    prefix = f"{genai.world.task_id(task)}-{revision}"
    for number, annotation in enumerate(annotations_in(found)):
        annotation["id"] = f"{prefix}-{number}"
        annotation.setdefault("type", KINDS.get(type(annotation.get("value")), "text"))
    return found


def given_response(task: Task, item: Delivered | None = None) -> dict[str, Any]:
    """The response that the control plane gave in place of a drawn one; empty without one."""
    raw = item.response if item is not None else task.extra.response if task.extra is not None else None
    value = None if raw is None else loads(raw)
    return value if isinstance(value, dict) else {}


def annotations_in(part: Any) -> Iterator[Annotation]:
    """Every annotation inside, in the order of the document."""
    inner = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, list) else ()
    for name, value in inner:
        if name == "annotations" and isinstance(value, list):
            yield from (annotation for annotation in value if isinstance(annotation, dict))
        else:
            yield from annotations_in(value)


def trimmed(genai: GenAI, found: list[Thread], shown: Shown) -> list[Thread]:
    """The threads without what `opts` did not ask for."""
    if "annotation_details" not in shown.opts:
        kept = ("key", "value") if genai.world.config.plain_annotations == "docs" else ("id", "key", "type", "value")
        for annotation in annotations_in(found):
            for name in annotation.keys() - set(kept):
                del annotation[name]
    for thread in found:
        if "submissions" not in shown.opts:
            thread.pop("submissions", None)
        for message in _messages(thread):
            if "model_parameters" not in shown.opts:
                message.pop("model_parameters", None)
            if "attachment_details" not in shown.opts:
                _plain_attachments(message)
    return found


def _messages(thread: Thread) -> Iterator[dict[str, Any]]:
    for turn in thread.get("turns") or ():
        yield from turn.get("messages") or ()


def _plain_attachments(message: dict[str, Any]) -> None:
    content = message.get("content") or {}
    if content.get("attachments"):
        content["attachments"] = [{"url": file.get("url")} for file in content["attachments"]]


def attachments(genai: GenAI, task: Task, revision: int, first: int, count: int) -> list[dict[str, Any]]:
    """Files of an answer, which the server has under /results without a key."""
    world, found = genai.world, []
    for number in range(first, first + count):
        uuid = result_id(world, Target(task.seq, revision, number))
        url = f"{world.base_url}/results/{uuid}{signature(world, uuid)}"
        file = {"id": uuid, "name": f"attachment_{number}.json", "mime_type": "application/json", "url": url}
        found.append(file)
    return found


def _made(genai: GenAI, task: Task, revision: int) -> list[Thread]:
    world = genai.world
    project = world.projects[task.project]
    draws = Draws(f"{world.config.seed}:{world.task_id(task)}:{revision}")
    maker = Maker(draws, world.is_test, lambda number: attachments(genai, task, revision, number, 1)[0]["url"])
    asked = asked_of(project.types)
    sources = project.models or MODELS
    chat = _Chat(maker, asked, [sources[n % len(sources)] for n in range(asked.assistants)])
    variables = loads(b"{" + task.body + b"}").get("params", {}).get("template_variables")
    chat.prompts = [value for value in (variables or {}).values() if isinstance(value, str)]
    if world.config.chat_attachments:
        chat.files = [
            {name: value for name, value in file.items() if name != "id"}
            for file in attachments(genai, task, revision, 0, 1)
        ]
    thread = chat.thread()
    thread["submissions"] = [{"submitted_at": iso(task.completed_ms), "contributor_id": f"c{draws.below(1000):04}"}]
    return [thread]


class _Chat:
    """Draws one thread."""

    def __init__(self, maker: Maker, asked: Asked, sources: list[str]) -> None:
        self.maker = maker
        self.asked = asked
        self.sources = sources
        self.prompts: list[str] = []
        self.files: list[dict[str, Any]] = []

    def thread(self) -> Thread:
        """One to three turns; one in canned answers."""
        count = 1 if self.maker.canned else self.maker.draws.between(1, 3)
        turns = [self._turn(number) for number in range(count)]
        return {"id": "thread_0", "turns": turns, "annotations": self._answers(self.asked.thread)}

    def _answers(self, keys: tuple[str, ...]) -> list[Annotation]:
        return answers(keys, self.maker, self.asked.assistants)

    def _turn(self, number: int) -> dict[str, Any]:
        prompt = self.prompts[number] if number < len(self.prompts) else self.maker.text()
        user: dict[str, Any] = {"role": "user", "source_id": "user", "content": {"text": prompt}, "annotations": []}
        messages = [user, *(self._assistant(source) for source in self.sources)]
        turn = {"id": f"turn_{number}", "messages": messages, "annotations": self._answers(self.asked.turn)}
        if self.asked.rubric:
            turn["rubrics"] = [self._rubric(f"criterion_{number}")]
            for message in messages[1:]:
                message["rubric_evaluations"] = [self._evaluation(f"criterion_{number}")]
        return turn

    def _assistant(self, source: str) -> dict[str, Any]:
        content: dict[str, Any] = {"text": self.maker.text()}
        if self.asked.chunks:
            content["chunks"] = [
                {"type": "text", "text": word, "annotations": self._answers(("truthfulness",))}
                for word in content["text"].split()
            ]
            content["reasoning"] = [{"content": self.maker.text()}]
        if self.files:
            content["attachments"] = self.files
        return {
            "role": "assistant",
            "source_id": source,
            "content": content,
            "model_parameters": {"model": source, "temperature": 0.7, "max_completion_tokens": 1024, "top_p": 1},
            "annotations": self._answers(self.asked.message),
        }

    def _rubric(self, criterion: str) -> dict[str, Any]:
        text = self.maker.text()
        defined = {"id": criterion, "criterion": text, "weight": 1, "annotations": self._answers(("weight",))}
        return {"criteria_definitions": [defined], "max_total_score": 4}

    def _evaluation(self, criterion: str) -> dict[str, Any]:
        rating = self._answers(("rating",))
        score = rating[0]["value"]["score"]
        evaluated = {"criterion_definition_id": criterion, "score": score, "annotations": rating}
        return {
            "criteria_evaluations": [evaluated],
            "annotations": [],
            "total_score": score,
            "percentage": score * 25,
        }
