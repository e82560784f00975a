"""The few members of a raw task that an export reads: for its filters, and for the URLs of result files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import msgspec

from scalesync.errors import OutcomeUnknown
from scalesync.platforms.scale.multistage import wire as multistage
from scalesync.times import milliseconds

MAX_DEPTH = 6
NOTHING = msgspec.Raw(b"")


_WIRE = {
    "stages": multistage.STAGES_OF_TASK,
    "ref": "task_id",
    "key": "unique_id",
    "review_status": "customer_review_status",
}


class Document(msgspec.Struct, rename=_WIRE):
    """The members of a task that the program reads; everything else stays raw bytes."""

    ref: str
    key: str | None = None
    project: str | None = None
    batch: str | None = None
    type: str | None = None
    status: str | None = None
    tags: list[str] | None = None
    created_at: str | None = None
    updated_at: str | None = None
    completed_at: str | None = None
    review_status: str | None = None
    stages: msgspec.Raw = NOTHING
    response: msgspec.Raw = NOTHING  # not `Raw | None`: msgspec reads that type as null and refuses everything else

    def get(self, name: str) -> Any:
        """A member by its neutral name."""
        return getattr(self, name)

    def created_ms(self) -> int:
        """Creation, ms since the epoch."""
        return milliseconds(self.created_at)

    def updated_ms(self) -> int:
        """Last change, ms since the epoch; old replies lack `updated_at`."""
        return milliseconds(self.updated_at) or self.created_ms()

    def times(self) -> dict[str, int]:
        """created, updated and completed in ms since the epoch; 0 for a missing time."""
        return {
            "created": milliseconds(self.created_at),
            "updated": milliseconds(self.updated_at),
            "completed": milliseconds(self.completed_at),
        }

    def urls(self) -> Iterator[tuple[str, str]]:
        """(path, URL) of each member named `url` under `response`, such as ("annotations.url", "https://...").

        Where stages are delivered apart, each has a response of its own: ("stages.boxes.annotations.url", ...).
        """
        if b"url" in bytes(self.response):
            with suppress(ValueError, RecursionError):  # links in an unreadable response cannot be followed
                yield from _urls(_loads(self.response), "", 0)
        if self.type == multistage.TYPE and b"url" in bytes(self.stages):
            with suppress(ValueError, RecursionError):
                for name, response in _responses(_loads(self.stages)):
                    yield from _urls(response, f"{multistage.STAGES_OF_TASK}.{name}", 1)


def _loads(raw: msgspec.Raw) -> Any:
    return json.loads(bytes(raw).decode("utf-8", "surrogatepass"))


def _responses(stages: Any) -> Iterator[tuple[str, Any]]:
    """(name, response) of each stage."""
    for stage in stages if isinstance(stages, list) else ():
        if isinstance(stage, dict) and is_text(name := stage.get(multistage.STAGE_NAME)):
            yield str(name), stage.get(multistage.STAGE_RESPONSE)


_RAW = ("response", "stages")
_TEXTS = tuple(name for name in Document.__struct_fields__ if name not in {"tags", *_RAW})
_decode = msgspec.json.Decoder(Document).decode


def read_document(raw: bytes) -> Document:
    """Decode the head of a task. Raises OutcomeUnknown if the bytes are not a task."""
    try:
        return _decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    try:
        value = json.loads(raw.decode("utf-8", "surrogateescape"))
    except (ValueError, RecursionError) as error:
        raise OutcomeUnknown("the list holds an entry that is not a task", op="list tasks") from error
    return view_of(value)


def view_of(task: Any) -> Document:
    """The head of a decoded task. It leaves out an odd member; the export writes the task byte for byte anyway."""
    if not isinstance(task, dict) or not task.get("task_id") or not is_text(task["task_id"]):
        raise OutcomeUnknown("the list holds an entry that is not a task", op="list tasks")
    texts: dict[str, Any] = {name: found for name in _TEXTS if is_text(found := task.get(_WIRE.get(name, name)))}
    tags = task.get("tags")
    kept = [tag for tag in tags if is_text(tag)] if isinstance(tags, list) else None
    document = Document(**texts, tags=kept)
    for name in _RAW:
        if (member := task.get(_WIRE.get(name, name))) is not None:
            setattr(document, name, msgspec.Raw(json.dumps(member).encode()))
    return document


def is_text(value: Any) -> bool:
    """Whether the value is a string without lone surrogates. Neither a file nor the ledger can hold those."""
    try:
        return isinstance(value, str) and value.encode() is not None
    except UnicodeEncodeError:
        return False


def _urls(value: Any, path: str, depth: int) -> Iterator[tuple[str, str]]:
    if not isinstance(value, dict) or depth > MAX_DEPTH:
        return
    for name, member in value.items():
        shown = name.encode("utf-8", "replace").decode()
        here = f"{path}.{shown}" if path else shown
        if name == "url" and isinstance(member, str) and member.startswith(("http://", "https://")):
            yield here, member
        else:
            yield from _urls(member, here, depth + 1)
