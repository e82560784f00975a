"""Is the item under our label the one that our record asks for? Pure."""

from __future__ import annotations

import json
from typing import Any

from scalesync.platforms.plugin import Comparison, JsonObject, Match

ABSENT = "(absent)"


def compare(body: bytes, task: JsonObject) -> Comparison:
    """Toy keeps data as it was sent, so each field must be equal."""
    ours: dict[str, Any] = json.loads(body)["data"]
    data = task.get("data")
    theirs: dict[str, Any] = data if isinstance(data, dict) else {}
    differences = {
        name: (ours.get(name, ABSENT), theirs.get(name, ABSENT))
        for name in sorted({*ours, *theirs})
        if name not in ours or name not in theirs or ours[name] != theirs[name]
    }
    status = str(task.get("state", ""))
    match = Match.DIFFERENT if differences else Match.EQUAL
    if status == "dropped":
        differences["state"] = ("todo, doing or done", status)
        match = Match.DEAD
    return Comparison(match, str(task.get("id", "")), int(task.get("made", 0)), status, differences)
