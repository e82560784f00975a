"""GET /v2/schema: the JSON Schema of delivered answers. Each project has its own id for the one that there is."""

from __future__ import annotations

import json
from typing import Any

from scalesync.sandbox.core.wire.errors import ApiError
from scalesync.sandbox.core.wire.messages import Call, Reply, ok
from scalesync.sandbox.scale.v2.query import needed
from scalesync.sandbox.scale.v2.state import GenAI


def _list(of: str) -> dict[str, Any]:
    return {"type": "array", "items": {"$ref": f"#/$defs/{of}"}}


def _object(required: tuple[str, ...], **properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "required": list(required), "properties": properties}


TEXT = {"type": "string"}
SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    **_object(("threads",), threads=_list("thread"), sensitive_content_reports={"type": "array"}),
    "$defs": {
        "thread": _object(
            ("id", "turns", "annotations"), id=TEXT, turns=_list("turn"), annotations=_list("annotation")
        ),
        "turn": _object(
            ("id", "messages", "annotations"), id=TEXT, messages=_list("message"), annotations=_list("annotation")
        ),
        "message": _object(
            ("role", "content", "source_id", "annotations"),
            role={"enum": ["system", "user", "assistant", "function"]},
            content={"type": "object"},
            source_id=TEXT,
            annotations=_list("annotation"),
        ),
        "annotation": _object(("id", "key", "type"), id=TEXT, key=TEXT, type=TEXT),
    },
}


def get_schema(genai: GenAI, call: Call) -> Reply:
    """The schema as a string. Raises ApiError 400, 404."""
    schema_id = needed(call, "schema_id")
    if not any(genai.schema_id(project) == schema_id for project in genai.world.projects):
        raise ApiError(404, "Schema not found.")
    return ok({"schema": {"id": schema_id, "json": json.dumps(SCHEMA)}})
