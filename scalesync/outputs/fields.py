"""Cut task documents down to named fields without reading their values: `--fields`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from json.decoder import WHITESPACE  # type: ignore[attr-defined]  # not in typeshed, in the stdlib since 2.6

import msgspec

from scalesync.errors import ConfigError, RecordError

_Tree = dict[str, "_Tree | None"]
_members = msgspec.json.Decoder(dict[str, msgspec.Raw])
_scanner = json.JSONDecoder(strict=False)
_skip = WHITESPACE.match


class FieldPicker:
    """Selects fields such as `task_id,status,params.attachment`; a dot steps into an object.

    Raises ConfigError for an empty name.
    """

    __slots__ = ("_tree", "names")

    def __init__(self, text: str) -> None:
        self.names = tuple(name.strip() for name in text.split(","))
        self._tree: _Tree = {}
        for name in self.names:
            steps = name.split(".")
            if not all(steps):
                raise ConfigError(f'--fields: "{name}" is not a field name; write task_id,status,params.attachment')
            _plant(self._tree, steps)

    def pick(self, document: bytes) -> bytes:
        """The document with only the named fields, in the order of their names, as compact JSON.

        Values keep their bytes, including white space inside them. Missing fields are left out. Raises RecordError if
        the document is not a JSON object.
        """
        return _cut(document, self._tree) or b"{}"


def _plant(tree: _Tree, steps: list[str]) -> None:
    *way, last = steps
    for step in way:
        branch = tree.setdefault(step, {})
        if branch is None:
            return  # an earlier name wants the whole object
        tree = branch
    tree[last] = None


def _cut(document: bytes, tree: _Tree) -> bytes | None:
    """The wanted part of a document; None if it holds no wanted field."""
    members = members_of(document)
    parts = []
    for name, branch in tree.items():
        value = members.get(name)
        if value is None:
            continue
        kept: bytes | None = bytes(value)
        if branch is not None:
            kept = _cut(bytes(value), branch) if bytes(value).lstrip()[:1] == b"{" else None
        if kept is not None:
            parts.append(msgspec.json.encode(name) + b":" + kept)
    return b"{" + b",".join(parts) + b"}" if parts else None


def members_of(document: bytes) -> Mapping[str, bytes | msgspec.Raw]:
    """Names and raw values of a JSON object. Of a repeated name, the last value counts.

    Raises RecordError if it is not a JSON object.
    """
    try:
        return _members.decode(document)
    except msgspec.ValidationError as error:
        raise RecordError("the document is not a JSON object") from error
    except msgspec.DecodeError:
        return _members_slowly(document)


def _members_slowly(document: bytes) -> dict[str, bytes]:
    """Like `members_of`, with the standard library, which accepts lone surrogates as JSON does."""
    text = document.decode("utf-8", "surrogateescape")
    members: dict[str, bytes] = {}
    try:
        at = _skip(text, 0).end()
        if text[at] != "{":
            raise RecordError("the document is not a JSON object")
        at = _skip(text, at + 1).end()
        while text[at] != "}":
            name, at = _scanner.raw_decode(text, at)
            at = _skip(text, at).end()
            start = _skip(text, at + 1).end()
            if text[at] != ":" or not isinstance(name, str):
                raise RecordError("the document is not valid JSON")
            _, at = _scanner.raw_decode(text, start)
            members[name] = text[start:at].encode("utf-8", "surrogateescape")
            at = _skip(text, at).end()
            if text[at] == ",":
                at = _skip(text, at + 1).end()
    except (ValueError, IndexError, RecursionError) as error:
        raise RecordError("the document is not valid JSON") from error
    return members
