"""The description of a record's file in a folder: kept apart from the record, under a name for templates.

`_file` in a template or expression names it, unless the record has its own field `_file`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from scalesync.model.records import JsonObject
from scalesync.sources.registry import is_packed

FILE_KEY = "_file"
_FIELDS = ("name", "stem", "path", "size")


def describe(inside: str, size: int) -> JsonObject:
    """The description of a file.

    inside: its path in the folder, with slashes.
    size: bytes.

    The stem is the name without its last extension and compression.
    """
    name = inside[inside.rfind("/") + 1 :]
    bare = name[: name.rfind(".")] if is_packed(name) else name
    dot = bare.rfind(".")
    return {"name": name, "stem": bare[:dot] if 0 < dot < len(bare) - 1 else bare, "path": inside, "size": size}


def written_out(value: JsonObject, about: JsonObject | None) -> JsonObject:
    """A record as one object, for a file of records: `taken_in` reads it apart again."""
    return value if about is None or FILE_KEY in value else {**value, FILE_KEY: about}


def taken_in(value: JsonObject) -> tuple[JsonObject, JsonObject | None]:
    """A record and the description of its file, if `_file` is just that; else the record as it is and None.

    `failures --out` writes the records of a folder like this, and a template that names `_file` needs it again.
    """
    about = value.get(FILE_KEY)
    if not _is_description(about):
        return value, None
    return {key: inner for key, inner in value.items() if key != FILE_KEY}, about


def _is_description(about: Any) -> bool:
    if type(about) is not dict or about.keys() != set(_FIELDS):
        return False
    path, size = about["path"], about["size"]
    return type(path) is str and type(size) is int and about == describe(path, size)


def picked(about: JsonObject, names: Collection[str]) -> JsonObject:
    """The parts of a description that expressions name: `_file.stem` is one of them, `_file` is all."""
    if FILE_KEY in names:
        return about
    return {part: about[part] for part in _FIELDS if f"{FILE_KEY}.{part}" in names}


def shown_place(file: str, line: int, inside: Sequence[Any] | None) -> tuple[str, int]:
    """File and line for people.

    inside: of a record in a folder, the file in it and the line there.
    """
    return (file, line) if not inside else (f"{file}/{inside[0]}", int(inside[1]))


def of_file(names: Collection[str]) -> frozenset[str]:
    """The names that mean the file."""
    return frozenset(name for name in names if name == FILE_KEY or name.startswith(f"{FILE_KEY}."))
