"""The few members of a raw chat, now or as it was delivered, that the program reads; everything else stays bytes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Annotated, Any

import msgspec

from scalesync.errors import OutcomeUnknown
from scalesync.platforms.scale.documents import NOTHING, is_text
from scalesync.platforms.scale.v2.files import files
from scalesync.platforms.scale.v2.shaper import KEY, REMOVED
from scalesync.times import milliseconds

CANCELED = "canceled"


class _Named(msgspec.Struct):
    """A project or batch as `expand` shows it; without it stands its id."""

    name: str


class _Metadata(msgspec.Struct, rename={"key": KEY, "removed": REMOVED}):
    key: str | None = None
    removed: bool = False


class _Handed(msgspec.Struct):
    """The delivery of a dataset's task as `expand` shows it."""

    id: str
    delivered_at: str | None = None


class _Head(msgspec.Struct, rename={"ref": "task_id"}):
    ref: Annotated[str, msgspec.Meta(min_length=1)]
    project: str | _Named | None = None
    batch: str | _Named | None = None
    status: str | None = None
    created_at: str | None = None
    completed_at: str | None = None
    metadata: _Metadata | None = None
    delivery_id: str | None = None
    delivered_at: str | None = None
    delivery: str | _Handed | None = None
    threads: msgspec.Raw = NOTHING
    response: msgspec.Raw = NOTHING


class Chat:
    """One chat, as it is now or as it was delivered. It has no type.

    removed: it was a second task under its key, and was canceled for that. Its key counts no longer.
    updated_at: when it was delivered; a chat as it is now has no time of its last change.
    delivery: the id of its delivery, to a project or to a dataset.
    """

    def __init__(self, head: _Head) -> None:
        metadata = head.metadata or _Metadata()
        self.ref = head.ref
        self.status = head.status
        self.removed = metadata.removed and head.status == CANCELED
        self.key = None if self.removed else metadata.key
        handed = head.delivery
        self.updated_at = handed.delivered_at if isinstance(handed, _Handed) else head.delivered_at
        self.delivery = handed.id if isinstance(handed, _Handed) else handed or head.delivery_id
        self._head = head

    def get(self, name: str) -> Any:
        """A member by its neutral name; of project and batch the name where the reply holds it, else the id."""
        value = getattr(self._head, name, None) if name in {"project", "batch"} else getattr(self, name, None)
        return value.name if isinstance(value, _Named) else value

    def name_of(self, what: str) -> str | None:
        """The name of its `project` or `batch`; None if it has none, or only the id is shown."""
        value = getattr(self._head, what)
        return value.name if isinstance(value, _Named) else None

    def is_elsewhere(self, what: str, name: str) -> bool:
        """Whether its `project` or `batch` has another name. Neither an id nor nothing says that."""
        return self.name_of(what) not in {None, name}

    def created_ms(self) -> int:
        """Creation, ms since the epoch."""
        return milliseconds(self._head.created_at)

    def updated_ms(self) -> int:
        """When it was delivered, else its creation: so of two lines of a chat the later one is the newer."""
        return milliseconds(self.updated_at) or self.created_ms()

    def times(self) -> dict[str, int]:
        """created, updated and completed in ms since the epoch; 0 for a missing time."""
        return {
            "created": self.created_ms(),
            "updated": milliseconds(self.updated_at),
            "completed": milliseconds(self._head.completed_at),
        }

    def urls(self) -> Iterator[tuple[str, str]]:
        """(path, URL) of each file of the answer. A chat and what was delivered of it have the same paths."""
        for raw, path in ((bytes(self._head.threads), "threads"), (bytes(self._head.response), "")):
            if b"url" in raw:
                with suppress(ValueError, RecursionError):  # files of an unreadable answer cannot be found
                    yield from files(json.loads(raw.decode("utf-8", "surrogatepass")), path)


_decode = msgspec.json.Decoder(_Head).decode
_TEXTS = ("status", "created_at", "completed_at", "delivery_id", "delivered_at")
_ANSWERS = ("threads", "response")


def read_chat(raw: bytes) -> Chat:
    """Decode the head of a chat. Raises OutcomeUnknown if the bytes are not one."""
    with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return Chat(_decode(raw))
    try:
        value = json.loads(raw.decode("utf-8", "surrogateescape"))
    except (ValueError, RecursionError) as error:
        raise OutcomeUnknown("the list holds an entry that is not a task", op="list tasks") from error
    return chat_of(value)


def chat_of(task: Any) -> Chat:
    """The head of a decoded chat, without its odd members. Raises OutcomeUnknown if it has no id."""
    ref = task.get("task_id") if isinstance(task, dict) else None
    if not ref or not isinstance(ref, str) or not is_text(ref):
        raise OutcomeUnknown("the list holds an entry that is not a task", op="list tasks")
    texts: dict[str, Any] = {name: found for name in _TEXTS if is_text(found := task.get(name))}
    metadata = task.get("metadata")
    kept = metadata if isinstance(metadata, dict) else {}
    key, removed = kept.get(KEY), kept.get(REMOVED) is True
    head = _Head(
        ref,
        project=_named(task.get("project")),
        batch=_named(task.get("batch")),
        metadata=_Metadata(key if is_text(key) else None, removed),
        delivery=_handed(task.get("delivery")),
        **texts,
    )
    head.threads, head.response = (msgspec.Raw(json.dumps(task.get(name)).encode()) for name in _ANSWERS)
    return Chat(head)


def _named(value: Any) -> str | _Named | None:
    if isinstance(value, dict) and is_text(value.get("name")):
        return _Named(value["name"])
    return value if is_text(value) else None


def _handed(value: Any) -> str | _Handed | None:
    if isinstance(value, dict) and is_text(value.get("id")):
        at = value.get("delivered_at")
        return _Handed(value["id"], at if is_text(at) else None)
    return value if is_text(value) else None
