"""Synthetic answers for each task type, in the shapes of Scale's docs and of recorded replies.

An answer is a function of (seed, task id, revision). So nothing is stored, and a task has the same
answer each time it is read. Test tasks get the fixed values recorded in 2016 and 2019 ("test response",
boxes at 0,0,100,100); the values of live tasks are drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from scalesync.sandbox.core.wire.rawjson import dumps, loads
from scalesync.sandbox.scale.answers.draws import Draws
from scalesync.sandbox.scale.answers.links import link
from scalesync.sandbox.scale.answers.shapes import Maker
from scalesync.sandbox.scale.state.model import Task
from scalesync.sandbox.scale.state.world import World

Params = dict[str, Any]


def answer(world: World, task: Task, *, attempt: int = 0) -> bytes | None:
    """The `response` of a completed task as JSON; None if test tasks of the type have none (points, recorded 2019).

    attempt: from 1, the answer of one of several people; 0 is the final one.
    """
    if world.is_test and task.type == "pointannotation":
        return None
    known = LINKED.get(task.type)
    if known is not None:
        return dumps(_linked(world, task, known))
    inner = b"{" + task.body + b"}"
    params: Params = loads(inner)["params"]
    layer = f":attempt {attempt}" if attempt else ""
    draws = Draws(f"{world.config.seed}:{world.task_id(task)}:{task.revision}{layer}")
    maker = Maker(draws, world.is_test, lambda number: link(world, task, number))
    try:
        found = INLINE.get(task.type, _free)(params, maker)
    except (TypeError, ValueError, KeyError, IndexError, AttributeError, RecursionError):
        found = _free({}, maker)  # a create takes params of any inner shape, so each must have an answer
    return dumps(found)


# Members of the response that link to a result file, by type. Some types have no documented shape
# (lidartopdown, sensorfusion, multistage, the newer videos); they follow the other 3D types, which is a guess.
LINKED: dict[str, tuple[str, ...]] = {
    "videoannotation": ("annotations",),
    "videoplaybackannotation": ("annotations", "events"),
    "videoboxannotation": ("annotations",),
    "videocuboidannotation": ("annotations",),
    "federal2dvideoannotation": ("annotations",),
    "lidarannotation": ("annotations",),
    "lidarlinking": ("annotations",),
    "lidarsegmentation": ("point_segmentations", "annotations"),
    "lidartopdown": ("annotations",),
    "sensorfusion": ("annotations",),
    "multistage": ("annotations",),
}
STAGES = ("first", "second")


def _linked(world: World, task: Task, names: tuple[str, ...]) -> dict[str, Any]:
    found: dict[str, Any] = {name: {"url": link(world, task, n)} for n, name in enumerate(names)}
    if task.type == "multistage" and world.config.multistage_stages:
        found["stages"] = {stage: {"annotations": {"url": link(world, task, n)}} for n, stage in enumerate(STAGES, 1)}
    return found


def _categorization(params: Params, maker: Maker) -> Any:
    categories = params.get("categories") or ["category"]
    chosen = maker.draws.one(categories)
    ids = params.get("category_ids")
    number = None
    if isinstance(ids, dict):
        number = next((key for key, value in ids.items() if value == chosen), None)
    if params.get("allow_multiple") is True:
        return {"category": [chosen], "category_id": [number]}
    return {"category": chosen, "category_id": number}


def _comparison(params: Params, maker: Maker) -> Any:
    found: dict[str, Any] = {}
    if params.get("choices"):
        found["choice"] = maker.draws.one(params["choices"])
    if params.get("fields"):
        found["fields"] = maker.fields(params["fields"])
    return found


def _transcription(params: Params, maker: Maker) -> Any:
    found: dict[str, Any] = {"fields": maker.fields(params.get("fields") or {})}
    repeated = params.get("repeatable_fields") or params.get("row_fields")
    if maker.canned:
        found["repeatable_fields"] = [None, None]  # recorded 2019, also if the task did not ask for it
    elif repeated:
        found["repeatable_fields"] = [maker.fields(repeated) for _ in range(2)]
    return found


def _datacollection(params: Params, maker: Maker) -> Any:
    return {
        "fields": maker.fields(params.get("fields") or {}),
        "time_spent_in_seconds": 15 if maker.canned else maker.draws.between(5, 300),
    }


def _audio(_: Params, maker: Maker) -> Any:
    words = maker.text().split()
    alignment = [
        {"word": word, "start": n * 0.5, "end": n * 0.5 + 0.4, "confidence": 1} for n, word in enumerate(words)
    ]
    return {"transcript": " ".join(words), "duration": len(words) * 0.5, "alignment": alignment}


def _phonecall(params: Params, maker: Maker) -> Any:
    return {"outcome": "answered", **_comparison(params, maker)}


def _ner(params: Params, maker: Maker) -> Any:
    words = str(params.get("text", "")).split() or ["text"]
    start = 0
    found = []
    for word in words[:3]:
        label = maker.draws.one(maker.labels(params))
        found.append({"text": word, "start": start, "end": start + len(word), "label": label})
        start += len(word) + 1
    return {"annotations": found}


def _documents(params: Params, maker: Maker) -> Any:
    features = params.get("features") or []
    return {"annotations": [{**maker.box(), "label": label, "text": maker.text()} for label in _names(features)]}


def _names(features: Iterable[Any]) -> list[str]:
    return [str(item.get("label", "block")) for item in features if isinstance(item, dict)] or ["block"]


def _textcollection(params: Params, maker: Maker) -> Any:
    found = {}
    for field in params.get("fields") or []:
        if not isinstance(field, dict) or "field_id" not in field:
            continue
        choices = [c.get("value", c.get("label", c)) if isinstance(c, dict) else c for c in field.get("choices") or []]
        value = maker.draws.one(choices) if choices else maker.text()
        kind = field.get("type", "text")
        found[str(field["field_id"])] = {"type": kind, "field_id": field["field_id"], "response": [[value]]}
    return {"annotations": found}


def _chat(_: Params, maker: Maker) -> Any:
    return {
        "responses": [
            {"type": "Instructions", "output": ""},
            {"type": "PromptInput", "output": maker.text()},
        ]
    }


def _free(_: Params, maker: Maker) -> Any:
    return {"annotations": [], "text": maker.text()}


INLINE: dict[str, Callable[[Params, Maker], Any]] = {
    "categorization": _categorization,
    "comparison": _comparison,
    "transcription": _transcription,
    "datacollection": _datacollection,
    "audiotranscription": _audio,
    "phonecall": _phonecall,
    "namedentityrecognition": _ner,
    "documenttranscription": _documents,
    "textcollection": _textcollection,
    **dict.fromkeys(("chat", "chatlite", "chatexperimental", "multichat"), _chat),
    "annotation": lambda params, maker: {"annotations": maker.each(params, maker.box)},
    "polygonannotation": lambda params, maker: {"annotations": maker.each(params, maker.polygon)},
    "lineannotation": lambda params, maker: {"annotations": maker.each(params, maker.line)},
    "pointannotation": lambda params, maker: {"annotations": maker.each(params, maker.point)},
    "cuboidannotation": lambda params, maker: {"annotations": maker.each(params, maker.cuboid)},
    "laneannotation": lambda params, maker: {"annotations": maker.each(params, maker.line)},
    "imageannotation": lambda params, maker: maker.image(params),
    "segmentannotation": lambda params, maker: maker.segments(params),
}
