"""What an API answers, as lines for people."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from scalesync.cli.output import facts, table

LONGEST = 48  # characters of a cell
LONGEST_VALUE = 100  # where a line has one value
MOST_COLUMNS = 6  # of a list for which nobody chose columns


def lines_of_list(items: Sequence[Any], columns: Sequence[str]) -> list[str]:
    """A table. Columns in which nothing stands are left out.

    columns: chosen for the list; empty for the first members of its first item.
    """
    rows = [item if isinstance(item, Mapping) else {"value": item} for item in items]
    names = [name for name in columns or list(rows[0])[:MOST_COLUMNS] if any(cell(row.get(name)) for row in rows)]
    if not names:
        return [cell(item, LONGEST_VALUE) for item in items]
    return table(names, [[cell(row.get(name)) for name in names] for row in rows])


def lines_of_object(value: Any, columns: Sequence[str]) -> list[str]:
    """One member a line: those that were chosen first, then the others. One that nobody chose members of is JSON."""
    if not isinstance(value, Mapping) or (not columns and any(map(_is_nested, value.values()))):
        return json.dumps(value, indent=2, ensure_ascii=False, default=str).splitlines()
    names = [*(name for name in columns if name in value), *(name for name in value if name not in columns)]
    shown = {name: text for name in names if (text := cell(value[name], LONGEST_VALUE))}
    return facts(shown).splitlines() or ["nothing"]


def _is_nested(value: Any) -> bool:
    items = value if isinstance(value, list) else [value]
    return any(isinstance(item, Mapping) for item in items)


def cell(value: Any, longest: int = LONGEST) -> str:
    """A value on one line, cut if it is long. An object that has a name is shown by that."""
    if value is None or (isinstance(value, Mapping | list) and not value):
        return ""
    match value:
        case bool():
            text = "yes" if value else "no"
        case str():
            text = value
        case {"name": str(text)} | {"email": str(text)}:
            pass
        case [*items] if all(isinstance(item, str) for item in items):
            text = ", ".join(items)
        case [*items] if all(isinstance(item, Mapping) and isinstance(item.get("name"), str) for item in items):
            text = ", ".join(item["name"] for item in items)
        case _:
            text = json.dumps(value, ensure_ascii=False, default=str)
    text = " ".join(text.split())
    return text if len(text) <= longest else f"{text[: longest - 3]}..."
