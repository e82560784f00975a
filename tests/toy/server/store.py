"""What Toy holds: projects, their items in the order of their ids, and tokens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scalesync.sandbox.core.wire.errors import ApiError
from scalesync.sandbox.core.wire.rawjson import dumps, join, loads, members, text
from tests.toy.server.config import ToyConfig

TODO, DOING, DONE, DROPPED = STATES = ("todo", "doing", "done", "dropped")


@dataclass(slots=True)
class Entry:
    """One item. data: its JSON as it came. listed_ms: from when on lists show it. reminders: how many; never shown."""

    id: int
    project: str
    data: bytes
    label: str | None
    made: int
    touched: int
    listed_ms: int
    state: str = TODO
    answer: bytes = b"null"
    notes: tuple[str, ...] = ()
    reminders: int = 0

    def document(self) -> bytes:
        """The item on the wire."""
        return join(
            {
                "id": dumps(self.id),
                "project": text(self.project),
                "data": self.data,
                "label": b"null" if self.label is None else text(self.label),
                "state": text(self.state),
                "made": dumps(self.made),
                "touched": dumps(self.touched),
                "answer": self.answer,
                **({"notes": dumps(list(self.notes))} if self.notes else {}),
            }
        )


class Store:
    """All items by id; ids grow over all projects and none is given out twice."""

    def __init__(self, config: ToyConfig) -> None:
        self.config = config
        self.projects: dict[str, int] = {}
        self.items: dict[int, Entry] = {}
        self.tokens: dict[str, tuple[str, float]] = {}
        self._last = 0

    def add_project(self, name: str) -> None:
        """Make a project, or leave it as it is."""
        self.projects.setdefault(name, self.config.clock())

    def project(self, name: str) -> str:
        """The name of a project that exists. Raises ApiError 404."""
        if name not in self.projects:
            raise ApiError(404, f"There is no project {name}.")
        return name

    def check(self, item: Any) -> str | None:
        """Why an item cannot be made, None when it can."""
        if not isinstance(item, dict) or not isinstance(item.get("data"), dict):
            return "data must be an object"
        label = item.get("label")
        if label is not None and not (isinstance(label, str) and 0 < len(label) <= 200):
            return "label must be a text of 1 to 200 characters"
        if item["data"].get("bad"):
            return "data is bad"
        return None

    def make(self, project: str, raw: bytes, visible_after_s: float = 0.0, ago_s: float = 0.0) -> int:
        """Make an item of its JSON and return its id. ago_s: when it was made, before now."""
        parts = members(raw)
        label = loads(parts.get("label", b"null"))
        now = self.config.clock() - int(ago_s * 1000)
        self._last += 1
        entry = Entry(self._last, project, parts["data"], label, now, now, now + int(visible_after_s * 1000))
        self.items[entry.id] = entry
        return entry.id

    def find(self, name: str) -> Entry:
        """The item of an id as it stands in a path. Raises ApiError 404."""
        entry = self.items.get(int(name)) if name.isdecimal() else None
        if entry is None:
            raise ApiError(404, f"There is no item {name}.")
        return entry

    def matching(self, wanted: Mapping[str, Any]) -> Iterator[Entry]:
        """Items that lists show by now, by id. wanted: project, state, labels, made and touched from and until (ms)."""
        now = self.config.clock()
        for entry in self.items.values():
            if entry.listed_ms <= now and _matches(entry, wanted):
                yield entry

    def finish(self, entries: Sequence[Entry]) -> int:
        """Have items done, each with an answer; returns how many."""
        for entry in entries:
            entry.state, entry.answer = DONE, dumps({"kind": "letter", "of": entry.id})
            self.touch(entry)
        return len(entries)

    def alive(self, name: str) -> Entry:
        """The item of an id that somebody may still work on. Raises ApiError 400 or 404."""
        entry = self.find(name)
        if entry.state == DROPPED:
            raise ApiError(400, "The item is dropped.")
        return entry

    def touch(self, entry: Entry) -> None:
        """Note that an item changed."""
        entry.touched = max(self.config.clock(), entry.touched + 1)

    def labels(self, project: str | None = None) -> Counter[str | None]:
        """How many items there are under each label."""
        return Counter(entry.label for entry in self.items.values() if project in {None, entry.project})


def _matches(entry: Entry, wanted: Mapping[str, Any]) -> bool:
    labels = wanted.get("labels")
    return (
        wanted.get("project") in {None, entry.project}
        and wanted.get("state") in {None, entry.state}
        and (not labels or entry.label in labels)
        and wanted.get("made_from", 0) <= entry.made < wanted.get("made_until", 1 << 62)
        and wanted.get("touched_from", 0) <= entry.touched < wanted.get("touched_until", 1 << 62)
    )
