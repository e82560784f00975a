"""The source of a walk: files of JSON lines that a person edits between commands, and what is in them."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

BAD = '{"unique_id": "cut off'


@dataclass(frozen=True, slots=True)
class Letter:
    """One line. number and version say what it is; poison: the server refuses it; bad: the line cannot be parsed."""

    number: int
    version: int = 0
    poison: bool = False
    bad: bool = False

    @property
    def identity(self) -> tuple[int, int]:
        """What its task tells of it in `metadata`."""
        return self.number, self.version


@dataclass(slots=True)
class Files:
    """The files of a walk, by name. own_ids: records bring their unique_id, else it is derived from the content."""

    folder: Path
    own_ids: bool
    lines: dict[str, list[Letter]] = field(default_factory=dict)
    made: int = 0
    files_made: int = 0

    def key(self, letter: Letter) -> Any:
        """What makes two lines the same record."""
        return letter.number if self.own_ids else letter.identity

    def record(self, letter: Letter) -> dict[str, Any]:
        """The line as an object."""
        record: dict[str, Any] = {
            "attachment_type": "text",
            "categories": ["a", "b"],
            "metadata": {"number": letter.number, "version": letter.version},
        }
        if not letter.poison:
            record["attachment"] = f"letter {letter.number}, version {letter.version}"
        if self.own_ids:
            record["unique_id"] = f"letter-{letter.number:04d}"
        return record

    def write(self) -> None:
        """Put the files on disk as they are now."""
        self.folder.mkdir(exist_ok=True)
        for old in self.folder.glob("*.jsonl"):
            if old.name not in self.lines:
                old.unlink()
        for name, letters in self.lines.items():
            text = "".join(f"{BAD if letter.bad else json.dumps(self.record(letter))}\n" for letter in letters)
            path = self.folder / name
            if not path.exists() or path.read_text("utf-8") != text:
                path.write_text(text, "utf-8")

    def __iter__(self) -> Iterator[Letter]:
        """Every line, in the order in which an import reads them."""
        return self.of("")

    def named(self, start: str) -> list[str]:
        """The files whose names begin so."""
        return [name for name in sorted(self.lines) if name.startswith(start)]

    def of(self, start: str) -> Iterator[Letter]:
        """The lines of the files whose names begin so."""
        for name in self.named(start):
            yield from self.lines[name]

    # --- what a person does ----------------------------------------------------------------------

    def edit(self, what: str, rng: random.Random) -> str:
        """One drawn change of the files; returns what was done."""
        done = getattr(self, f"_{what}")(rng)
        self.write()
        return f"{what}: {done}"

    def put_right(self, living: dict[int, tuple[int, int]]) -> None:
        """Each record once, as its task is where it has one, without poison and without lines that cannot be parsed."""
        seen: set[Any] = set()
        for name, letters in self.lines.items():
            kept = []
            for letter in letters:
                version = letter.version + letter.poison
                if self.own_ids and letter.number in living:
                    version = living[letter.number][1]
                right = replace(letter, version=version, poison=False)
                if not letter.bad and self.key(right) not in seen:
                    seen.add(self.key(right))
                    kept.append(right)
            self.lines[name] = kept
        self.write()

    def _new(self, rng: random.Random) -> Letter:
        self.made += 1
        return Letter(self.made, poison=rng.random() < 0.15)

    def _place(self, rng: random.Random) -> tuple[str, int] | None:
        places = [(name, at) for name, letters in self.lines.items() for at in range(len(letters))]
        return rng.choice(places) if places else None

    def _add_file(self, rng: random.Random) -> str:
        self.files_made += 1
        name = f"{rng.choice('abc')}{self.files_made}.jsonl"
        self.lines[name] = [self._new(rng) for _ in range(rng.choice((0, 1, 3, 12)))]
        return f"{name} with {len(self.lines[name])}"

    def _remove_file(self, rng: random.Random) -> str:
        if len(self.lines) < 2:
            return "nothing"
        name = rng.choice(sorted(self.lines))
        del self.lines[name]
        return name

    def _append(self, rng: random.Random) -> str:
        name = rng.choice(sorted(self.lines))
        more = [self._new(rng) for _ in range(rng.choice((1, 2, 8)))]
        self.lines[name] += more
        return f"{len(more)} to {name}"

    def _insert(self, rng: random.Random) -> str:
        name = rng.choice(sorted(self.lines))
        at = rng.randint(0, len(self.lines[name]))
        self.lines[name].insert(at, self._new(rng))
        return f"{name}:{at + 1}"

    def _change(self, rng: random.Random) -> str:
        if (place := self._place(rng)) is None:
            return "nothing"
        name, at = place
        self.lines[name][at] = replace(self.lines[name][at], version=self.lines[name][at].version + 1)
        return f"{name}:{at + 1}"

    def _cure(self, rng: random.Random) -> str:
        sick = [(name, at) for name, letters in self.lines.items() for at, one in enumerate(letters) if one.poison]
        if not sick:
            return "nothing"
        name, at = rng.choice(sick)
        old = self.lines[name][at]
        self.lines[name][at] = replace(old, poison=False, version=old.version + 1)
        return f"{name}:{at + 1}"

    def _remove(self, rng: random.Random) -> str:
        if (place := self._place(rng)) is None:
            return "nothing"
        name, at = place
        del self.lines[name][at]
        return f"{name}:{at + 1}"

    def _repeat(self, rng: random.Random) -> str:
        """A copy of a line, in the same file or another, sometimes with other content under the same key."""
        if (place := self._place(rng)) is None:
            return "nothing"
        copy = self.lines[place[0]][place[1]]
        if self.own_ids and rng.random() < 0.3:
            copy = replace(copy, version=copy.version + 100)
        name = rng.choice(sorted(self.lines))
        self.lines[name].insert(rng.randint(0, len(self.lines[name])), copy)
        return f"{place[0]}:{place[1] + 1} in {name}"

    def _spoil(self, rng: random.Random) -> str:
        name = rng.choice(sorted(self.lines))
        self.made += 1
        self.lines[name].insert(rng.randint(0, len(self.lines[name])), Letter(self.made, bad=True))
        return name

    def _move(self, rng: random.Random) -> str:
        """A line moves to another place."""
        if (place := self._place(rng)) is None:
            return "nothing"
        letter = self.lines[place[0]].pop(place[1])
        name = rng.choice(sorted(self.lines))
        self.lines[name].insert(rng.randint(0, len(self.lines[name])), letter)
        return f"{place[0]}:{place[1] + 1} to {name}"

    def _rename_file(self, rng: random.Random) -> str:
        name = rng.choice(sorted(self.lines))
        self.files_made += 1
        new = f"{rng.choice('abc')}{self.files_made}.jsonl"
        self.lines[new] = self.lines.pop(name)
        return f"{name} to {new}"


EDITS = (
    *("append",) * 3,
    *("change", "cure", "remove", "repeat", "insert") * 2,
    *("add_file", "remove_file", "spoil", "move", "rename_file"),
)
