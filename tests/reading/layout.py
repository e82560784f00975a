"""Files where a source finds them, what a person types for them, and what happens to them between two runs."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

import fsspec

from tests.reading import oracle
from tests.reading.points import FOLDERS, SEVERAL, Point
from tests.reading.rendering import File, Place, delimiter, name_of, places_of, rendered
from tests.reading.values import NUMBER, Record, changed, records

NAMES = ("b", "a", "c 1", "ü-2")
INNER = {"nested": ("d1/", "", "d2/e/", "d1/"), "glob": ("", "", "d1/", "d1/d2/")}
CARRIERS = ("jsonl", "csv", "tsv", "parquet")  # in a folder these are read first, the others as one more source
ADDED = 3
Spot = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Found:
    """One place of the input. spots: file and line by which it may be named; inside: the file that a person opens."""

    value: Any
    spots: tuple[Spot, ...]
    inside: str


@dataclass(slots=True)
class Layout:
    """The files of one point, by their paths below the folder `in`, in the order in which arguments name them."""

    point: Point
    folder: Path
    rng: random.Random
    files: dict[str, File] = field(default_factory=dict)
    next_number: int = 1
    origin: str = ""  # of the web server, where there is one
    written: dict[str, bytes] = field(default_factory=dict)

    @property
    def root(self) -> Path:
        return self.folder / "in"

    @property
    def describes(self) -> bool:
        """Whether the import asks for a record of each file that holds none; else it skips them by name."""
        return self.point.container == "mixed" and self.point.seed % 2 == 1

    # --- what there is ----------------------------------------------------------------------------

    def fill(self) -> None:
        """Draw the files."""
        point, rng = self.point, self.rng
        counts = [int(point.records)]
        if point.container in SEVERAL:
            counts += [2, 3] if rng.randrange(2) else [1, 1, 2]
            rng.shuffle(counts)
        lists = [self._new(count) for count in counts]
        self._repeat(lists)
        inner = INNER.get(point.container, ("",) * 4)
        for name, where, made in zip(NAMES, inner, lists, strict=False):
            self.files[self._path(where, name)] = self._file(point.format, made)
        if point.container == "mixed":
            for format in ("jsonl", "csv", "array", "parquet"):
                path = name_of(point, f"m-{format}", format)
                self.files[path] = self._file(format, self._new(2, format))
            self.files["pic.png"] = File("", (), 0, described=True)
            for hidden in (".hidden.jsonl", "d1/.hidden.csv"):
                self.files[hidden] = self._file("jsonl", self._new(1, "jsonl"))

    def _path(self, where: str, name: str) -> str:
        plain = name if self.point.container not in ("url", "store") else "".join(c for c in name if c.isascii())
        return where + name_of(self.point, plain.replace(" ", "_") if plain != name else name, self.point.format)

    def _new(self, count: int, format: str | None = None) -> list[Record]:
        point = self.point if format is None else Point(**{**_as_dict(self.point), "format": format})
        made = records(point, count, self.next_number, self.rng)
        self.next_number += count
        return made

    def _file(self, format: str, made: list[Record]) -> File:
        point = self.point
        if format == "parquet" and point.format != "parquet":
            return File(format, tuple(Place("record", record) for record in made), self.rng.randrange(1 << 30))
        places = places_of(point, format, made, self.rng)
        if (
            all(place.kind == "blank" for place in places)
            and format in ("lines", "objects")
            and point.container in FOLDERS
        ):
            format, places = (
                "array",
                (),
            )  # a .json of no bytes is a record that is told as missing, as a file cut off would be
        return File(format, places, self.rng.randrange(1 << 30))

    def _repeat(self, lists: list[list[Record]]) -> None:
        """Let some records stand twice, in their own file or another, equal or with other content."""
        every = [record for made in lists for record in made if not _refused(record)]
        if self.point.repeats == "none" or not every:
            return
        for record in self.rng.sample(every, k=min(3, len(every))):
            again = record if self.point.repeats == "duplicates" else record | {"text": "a rival"}
            made = self.rng.choice(lists)
            made.insert(self.rng.randrange(len(made) + 1), dict(again))

    # --- what happens to it -----------------------------------------------------------------------

    def happen(self, mode: str) -> None:
        """What happens between two runs."""
        names = [name for name, file in self.files.items() if file.format == self.point.format and "/." not in name]
        names = [name for name in names if not name.startswith((".", "m-"))]
        largest = max(names, key=lambda name: len(self.files[name].places))
        match mode:
            case "appended":
                more = tuple(Place("record", record) for record in self._new(ADDED))
                self._replace(largest, self.files[largest].places + more)
            case "changed":
                self._change(largest)
            case "swapped":
                one, other = self.rng.sample(names, 2)
                self._move({one: other, other: one})
            case "renamed":
                one = self.rng.choice(names)
                self._move({one: self._path("", self.rng.choice(("0first", "b2", "zz")))})
            case "added":
                name = self._path("", self.rng.choice(("0first", "b2", "zz")))
                self.files[name] = self._file(self.point.format, self._new(ADDED))
            case "removed":
                del self.files[self.rng.choice(names)]

    def _replace(self, name: str, places: tuple[Place, ...]) -> None:
        file = self.files[name]
        self.files[name] = File(file.format, places, file.seed)

    def _change(self, name: str) -> None:
        """Another content for one record that stands nowhere else."""
        every = [place.record for file in self.files.values() for place in file.places if place.record]
        numbers = [str(record.get(NUMBER)) for record in every]
        places = list(self.files[name].places)
        once = [
            at
            for at, place in enumerate(places)
            if place.kind == "record" and place.record and numbers.count(str(place.record[NUMBER])) == 1
        ]
        if once:
            at = self.rng.choice(once)
            places[at] = Place("record", changed(places[at].record or {}))
            self._replace(name, tuple(places))

    def _move(self, moves: dict[str, str]) -> None:
        moved = {moves.get(name, name): file for name, file in self.files.items()}
        order = list(self.files)
        self.files = {name: moved[name] for name in order if name in moved} | moved
        for old in moves:
            if self.on_disk(old).exists():
                os.rename(self.on_disk(old), self.folder / f"moving {order.index(old)}")
        for old, new in moves.items():
            spare = self.folder / f"moving {order.index(old)}"
            if spare.exists():
                os.rename(spare, self.on_disk(new))
        before = dict(self.written)
        for old, new in moves.items():
            self.written[new] = before[old]
            if old not in moves.values():
                del self.written[old]
                self._unlink(old)

    # --- on disk ----------------------------------------------------------------------------------

    def on_disk(self, name: str) -> Path:
        """Where a file's bytes are; links point there."""
        return (self.folder / "behind" if self.point.container == "links" else self.root) / name

    def write(self) -> None:
        """Bring the disk up to date; a file that stays as it is keeps its time."""
        wanted = {name: rendered(self.point, file) for name, file in self.files.items()}
        for name in set(self.written) - set(wanted):
            self.on_disk(name).unlink()
            self._unlink(name)
        for name, data in wanted.items():
            if self.written.get(name) != data:
                path = self.on_disk(name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
        self.written = wanted
        if self.point.container == "links":
            self._link()
        elif self.point.container == "store":
            self._store()
        elif self.point.container == "pipe":
            (name,) = self.files
            fifo = self.folder / f"pipe{Path(name).name[1:]}"
            if not fifo.exists():
                os.mkfifo(fifo)

    def _link(self) -> None:
        """A link to each file, a second one to one of them, and one to a folder, which is passed over."""
        for name in self.files:
            link = self.root / name
            link.parent.mkdir(parents=True, exist_ok=True)
            if not link.is_symlink():
                link.symlink_to(self.on_disk(name))
        again = self.root / name_of(self.point, "zz again", self.point.format)
        again.unlink(missing_ok=True)
        again.symlink_to(self.on_disk(min(self.files)))
        folder = self.root / "whole"
        if not folder.is_symlink():
            folder.symlink_to(self.folder / "behind")

    def _unlink(self, name: str) -> None:
        if self.point.container == "links":
            (self.root / name).unlink(missing_ok=True)

    def _store(self) -> None:
        system, top = fsspec.filesystem("memory"), self._bucket
        if system.exists(top):
            system.rm(top, recursive=True)
        for name, data in self.written.items():
            system.pipe_file(f"{top}/{name}", data)

    @property
    def _bucket(self) -> str:
        return f"/{self.folder.name}"

    # --- what is typed, and what is there -----------------------------------------------------------

    def arguments(self) -> tuple[str, ...]:
        """What a person types for this container."""
        suffix = name_of(self.point, "*", self.point.format)
        match self.point.container:
            case "stdin":
                return ("-",)
            case "pipe":
                return tuple(map(str, self.folder.glob("pipe.*")))
            case "file" | "files":
                return tuple(str(self.root / name) for name in self.files)
            case "glob":
                return (f"{self.root}/**/{suffix}",)
            case "url":
                return tuple(f"{self.origin}/{quote(name)}" for name in self.files)
            case "store":
                return (f"memory:/{self._bucket}/{suffix}",)
        return (str(self.root),)

    def bytes(self) -> bytes:
        """What comes through a pipe."""
        (data,) = self.written.values()
        return data

    def found(self) -> list[Found]:
        """Every place of the input in the order of reading, by the readers of the oracle."""
        if self.point.container in FOLDERS:
            return self._in_folder()
        names = list(self.files)
        if self.point.container in ("glob", "store"):
            names = sorted(names)
        return [
            Found(place.value, ((self._shown(name), place.line),), name) for name in names for place in self._read(name)
        ]

    def _in_folder(self) -> list[Found]:
        found, order = [], [name for name in _walked(list(self.files)) if not _hidden(name)]
        for name in order:
            if self.files[name].format in CARRIERS:
                spot = self._shown(name)
                found += [Found(place.value, ((spot, place.line),), name) for place in self._read(name)]
        ordinal = 0
        for name in order:
            if self.files[name].format not in CARRIERS:
                for place in self._read(name):
                    ordinal += 1
                    spots = ((str(self.root), ordinal), (self._shown(name), place.line))
                    found.append(Found(place.value, spots, name))
        return found

    def _read(self, name: str) -> list[oracle.Read]:
        file = self.files[name]
        if file.described:
            return [oracle.Read(1, {})] if self.describes else []
        return oracle.read(self.written[name], file.format, self.point.packing, delimiter(file))

    def _shown(self, name: str) -> str:
        match self.point.container:
            case "stdin":
                return "-"
            case "url":
                return f"{self.origin}/{quote(name)}"
            case "store":
                return f"memory://{self._bucket}/{name}"
            case "pipe":
                return os.path.realpath(self.arguments()[0])
        return os.path.realpath(self.on_disk(name))


def _as_dict(point: Point) -> dict[str, Any]:
    return {name: getattr(point, name) for name in Point.__slots__}


def _refused(record: Record) -> bool:
    return str(record["attachment_type"]).startswith("nonsense")


def _hidden(name: str) -> bool:
    return any(part.startswith((".", "_")) for part in name.split("/"))


def _walked(names: list[str]) -> list[str]:
    """As a walk with sorted entries meets them."""
    return sorted(names, key=lambda name: name.split("/"))


@contextmanager
def serving(layout: Layout) -> Iterator[None]:
    """The files behind a web server, where the point wants one."""
    if layout.point.container != "url":
        yield
        return
    handler = partial(_Quiet, directory=str(layout.root))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        layout.origin = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: Any) -> None:
        """Nothing to standard error."""
