"""Toy's bytes: statuses as outcomes and errors, items cut out of a page, the members that the program reads."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import msgspec

from scalesync.platforms import plugin as answers
from scalesync.platforms.plugin import LookupResult, OutcomeUnknown, Presence, Reply

_WORDS_MOST = 500


class ToyItem(msgspec.Struct, rename={"ref": "id", "key": "label", "status": "state"}):
    """The members of an item that the program reads; all else stays bytes."""

    ref: int
    key: str | None = None
    project: str | None = None
    status: str | None = None
    made: int = 0
    touched: int = 0


class ToyView:
    """One item as the program reads it; its number is a text there."""

    def __init__(self, item: ToyItem) -> None:
        self.ref = str(item.ref)
        self.key = item.key
        self.project = item.project
        self.status = item.status
        self.updated_at = str(item.touched) if item.touched else None
        self._item = item

    def get(self, name: str) -> Any:
        """A member by its neutral name; Toy has no batches, types, tags and reviews."""
        return getattr(self, name, None)

    def created_ms(self) -> int:
        """When it was made."""
        return self._item.made

    def updated_ms(self) -> int:
        """When it was touched last."""
        return self._item.touched or self._item.made

    def times(self) -> dict[str, int]:
        """When it was made, touched, and done; an item that is done is not touched any more."""
        done = self._item.touched if self.status == "done" else 0
        return {"created": self._item.made, "updated": self.updated_ms(), "completed": done}

    def urls(self) -> Iterator[tuple[str, str]]:
        """Toy has no result files."""
        yield from ()


_decode_item = msgspec.json.Decoder(ToyItem).decode


def view(document: bytes) -> ToyView:
    """One raw item as the program reads it. Raises OutcomeUnknown when it is none."""
    try:
        return ToyView(_decode_item(document))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise OutcomeUnknown("the reply holds something that is not an item", op="read item") from error


def found(document: bytes) -> LookupResult:
    """An item that was read."""
    return LookupResult(Presence.FOUND, json.loads(document), view=view(document))


def check(reply: Reply, op: str) -> Reply:
    """Pass a success on, raise the error that the status stands for otherwise."""
    return answers.check(reply, op, problem)


def problem(reply: Reply) -> str:
    """Toy's own words, without our credentials."""
    try:
        words = json.loads(reply.body)["problem"]
    except (ValueError, KeyError, TypeError):
        return answers.plain_text(reply)[:_WORDS_MOST]
    return reply.hide(str(words))[:_WORDS_MOST]


def member(reply: Reply, name: str, op: str) -> Any:
    """One member of a reply that must be an object with it. Raises OutcomeUnknown otherwise."""
    try:
        return json.loads(reply.body)[name]
    except (ValueError, KeyError, TypeError) as error:
        raise answers.unanswered(reply, op, f"the reply holds no {name}") from error


class _Page(msgspec.Struct):
    items: list[msgspec.Raw]
    after: int | None


_decode_page = msgspec.json.Decoder(_Page).decode


def page(reply: Reply, op: str) -> tuple[list[bytes], int | None]:
    """The items of a page, byte for byte, and the id behind which the next one begins."""
    try:
        decoded = _decode_page(reply.body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise answers.unanswered(reply, op, "the reply is not a page of items") from error
    return [bytes(item) for item in decoded.items], decoded.after
