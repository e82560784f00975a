"""Replies of the real API, recorded in 2016 and 2019: the sandbox shows at least their keys.

Needs the recordings beside the repository (or under $SCALESYNC_SHARED); skipped without them.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from .support import Api

SHARED = Path(os.environ.get("SCALESYNC_SHARED", Path(__file__).parents[3] / "shared"))
CASSETTES = SHARED / "data" / "scale-api-recordings" / "scaleapi-ruby_2019"
CREATES = sorted(path.name for path in CASSETTES.glob("*.yml") if not path.name.startswith("task_"))
NOT_SENT = {"callback_succeeded"}  # callbacks are not imitated

if not CREATES:
    pytest.skip("no recordings here", allow_module_level=True)


def strings(name: str) -> list[str]:
    """The body strings of a cassette: single-quoted YAML, folded lines joined."""
    text = (CASSETTES / name).read_text(encoding="utf-8")
    found = re.findall(r"string: '((?:[^']|'')*)'", text)
    return [re.sub(r"\n\s+", " ", item).replace("''", "'") for item in found]


def uri(name: str) -> str:
    match = re.search(r"uri: https://api.scale.com/v1(\S+)", (CASSETTES / name).read_text(encoding="utf-8"))
    assert match is not None
    return match[1]


def missing(recorded: Any, shown: Any, where: str = "") -> list[str]:
    """Keys of the recorded reply that the sandbox's reply lacks; of lists the first items are compared."""
    if isinstance(recorded, dict) and isinstance(shown, dict):
        lost = [f"{where}.{key}" for key in recorded if key not in shown]
        for key in set(recorded) & set(shown):
            lost += missing(recorded[key], shown[key], f"{where}.{key}")
        return lost
    if isinstance(recorded, list) and isinstance(shown, list) and recorded and shown:
        return missing(recorded[0], shown[0], f"{where}[0]")
    return []


@pytest.mark.parametrize("name", CREATES)
def test_a_recorded_create_is_answered_with_the_same_keys(name: str) -> None:
    request, reply = (json.loads(text) for text in strings(name))
    shown = Api("test_key", test_completion="reply").post(uri(name), request)
    lost = [key for key in missing(reply, shown) if key.strip(".") not in NOT_SENT]
    assert lost == []
    assert shown["status"] == reply["status"] == "completed"
    assert shown["is_test"] is True
    assert {key: value for key, value in shown["params"].items() if key in reply["params"]} == reply["params"]


def test_the_recorded_404() -> None:
    assert Api().call("POST", uri("task_cancel_invalid.yml")) == (
        404,
        json.loads(strings("task_cancel_invalid.yml")[1]),
    )


def test_the_recorded_list() -> None:
    api = Api("test_key")
    for kind in ("categorization", "comparison", "transcription"):
        api.post(uri(f"{kind}.yml"), json.loads(strings(f"{kind}.yml")[0]))
    page = json.loads(strings("task_list_1.yml")[-1])
    shown = api.get(uri("task_list_1.yml"))
    assert set(page) <= set(shown)
    assert {key: shown[key] for key in page if key != "docs"} == {key: page[key] for key in page if key != "docs"}
