"""Version 2's part of the control plane: GenAI projects, deliveries, datasets."""

from __future__ import annotations

from typing import Any

from scalesync.sandbox.core.control import body_of
from scalesync.sandbox.core.wire.errors import ApiError
from scalesync.sandbox.core.wire.messages import Call, Reply, ok
from scalesync.sandbox.core.wire.rawjson import loads
from scalesync.sandbox.scale.store import Store
from scalesync.sandbox.scale.v2.documents import render_dataset, render_delivery, render_project, render_published
from scalesync.sandbox.scale.v2.hosted import HostedGenAI


def answer(store: Store, call: Call) -> Reply | None:
    """Answer a control request; None for a path of another module. Raises ApiError 400, 404, 409.

    Each body may have `world`: "live" (the default) or "test".
    """
    path = call.path[1:]
    if call.method != "POST" or not path or path[0] not in ("projects", "deliver", "datasets"):
        return None
    body = body_of(call)
    genai = store.genai("test" if body.get("world") == "test" else "live")
    if path == ("projects",):
        return _project(genai, body)
    if path == ("deliver",):
        made = genai.deliver(_text(body, "project"), tasks=_texts(body, "tasks"), name=_text(body, "name"))
        return ok({"deliveries": [loads(render_delivery(genai, delivery)) for delivery in made]})
    if path == ("datasets",):
        return Reply(body=render_dataset(genai.add_dataset(_text(body, "name") or "dataset")))
    if len(path) == 3 and path[2] == "deliver":
        delivery = genai.publish(path[1], _text(body, "project"), tasks=_texts(body, "tasks"), name=_text(body, "name"))
        return Reply(body=render_published(genai, delivery))
    return None


def _project(genai: HostedGenAI, body: dict[str, Any]) -> Reply:
    types, models = _texts(body, "types") or [], _texts(body, "models") or []
    return Reply(body=render_project(genai.add_project(_text(body, "name") or "", *types, models=models)))


def _text(body: dict[str, Any], name: str) -> str | None:
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise ApiError(400, f"{name} must be a string")
    return value


def _texts(body: dict[str, Any], name: str) -> list[str] | None:
    value = body.get(name)
    if value is not None and not (isinstance(value, list) and all(isinstance(one, str) for one in value)):
        raise ApiError(400, f"{name} must be a list of strings")
    return value


def counts(genai: HostedGenAI) -> dict[str, int]:
    """For GET stats."""
    return {"deliveries": len(genai.delivered.deliveries), "datasets": len(genai.datasets)}
