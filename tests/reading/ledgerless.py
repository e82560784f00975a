"""What must stand at the server and be told after each run, from the sources and the server alone.

The rules are those of docs/import.md: the first record with a key is sent; equal ones after it are duplicates, others
conflicts; what changed before it became a task is sent as it is now, afterwards it is a conflict; what is gone stays
counted where it became a task, and counts as gone alone where it never did.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.reading.layout import Found
from tests.reading.oracle import BAD
from tests.reading.values import NUMBER, Record, as_json

FIXED = {"attachment": "Dear reader", "categories": ["kind", "angry"]}
TEMPLATE = {"task": {"attachment_type": "text"}}
KNOWN = ("text", "image", "video", "audio", "website", "pdf")
EXPRESSION = "r-{k}"
COUNTS = ("created", "adopted", "conflicts", "failed", "invalid", "pending", "duplicates", "gone")


@dataclass(frozen=True, slots=True)
class Told:
    """What a run says. places: (state, number of the place) of each complaint."""

    counts: Counter[str]
    places: frozenset[tuple[str, int]]

    @property
    def exit_code(self) -> int:
        return 1 if self.counts["failed"] or self.counts["invalid"] or self.counts["conflicts"] else 0


@dataclass(slots=True)
class Row:
    """A key that was sent. alive: there is a task."""

    content: str
    alive: bool


@dataclass(slots=True)
class World:
    """The server as it must be. tasks: bodies by unique_id, None standing for each derived one."""

    ids: str
    rows: dict[str, Row] = field(default_factory=dict)
    tasks: dict[str, Record] = field(default_factory=dict)
    nameless: list[Record] = field(default_factory=list)

    def run(self, places: Sequence[Found], limit: int | None = None, others: frozenset[str] = frozenset()) -> Told:
        """One run over the whole input, or its first `limit` places. others: keys that belong to another job."""
        counts: Counter[str] = Counter()
        wrong: set[tuple[str, int]] = set()
        seen: dict[str, str] = {}
        for number, place in enumerate(places[:limit]):
            state = self._take(place, seen)
            counts[state] += 1
            if state in ("failed", "invalid", "conflicts"):
                wrong.add((state, number))
        if limit is None:
            for key in self.rows.keys() - seen.keys() - others:
                counts["gone"] += 1
                counts["created"] += self.rows[key].alive
        return Told(counts, frozenset(wrong))

    def _take(self, place: Found, seen: dict[str, str]) -> str:
        key = "" if place.value is BAD else self.key(place.value)
        if not key:
            return "invalid"
        content = as_json(place.value)
        if key in seen:
            return "duplicates" if seen[key] == content else "conflicts"
        seen[key] = content
        row = self.rows.get(key)
        if row is not None and row.content == content:
            return "created" if row.alive else "failed"
        if row is not None and row.alive:
            return "conflicts"
        body = body_of(place.value)
        self.rows[key] = Row(content, alive=body["attachment_type"] in KNOWN)
        if not self.rows[key].alive:
            return "failed"
        if key.startswith("="):
            self.nameless.append(body)
        else:
            self.tasks[key] = body
        return "created"

    def key(self, record: Record) -> str:
        """The unique_id, "" where there can be none; "=" and the content stands for a derived one."""
        if "unique_id" in record:
            own = record["unique_id"]
            return str(own) if own and isinstance(own, str | int) and not isinstance(own, bool) else ""
        if self.ids == "expression":
            return f"r-{record[NUMBER]}" if NUMBER in record else ""
        return f"={as_json(record)}"


def body_of(record: Record) -> Record:
    """The fields of the task that a record becomes, without id and project."""
    fields: dict[str, Any] = {**TEMPLATE["task"], **record, **FIXED}
    fields.pop("unique_id", None)
    return fields
