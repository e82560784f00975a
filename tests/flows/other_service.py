"""A labelling service in memory that has little in common with Scale: ids that grow, lists without totals.

What its store holds is the oracle. It tells lies when asked to: lists that repeat, end early, go in circles or lead
nowhere, and a store that moves on while it is read.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast
from zlib import crc32

import pytest

from scalesync.config.settings import Way
from scalesync.engine.calls import Caller
from scalesync.engine.waits import Waits
from scalesync.errors import OutcomeUnknown
from scalesync.events import Observer
from scalesync.flows.exports import run as export_run
from scalesync.flows.runtime.options import ExportOptions
from scalesync.flows.runtime.setup.services import resolve_settings
from scalesync.flows.runtime.watch import Watch
from scalesync.flows.runtime.wiring import Connection, make_gate
from scalesync.http.transport import Counters, Transport
from scalesync.model.outcomes import LookupResult, Presence
from scalesync.model.records import JsonObject
from scalesync.model.selection import Selection
from scalesync.model.summaries import ExportSummary
from scalesync.model.targets import RequestClass
from scalesync.outputs.reader import lines_of
from scalesync.platforms.scale.spec import SPEC
from scalesync.ports.platform import Axis, Changes, ListPage, Span, mirrored
from scalesync.times import iso, milliseconds
from tests.conftest import FAST
from tests.flows.fates import Fate

Export = Callable[..., Any]
START_MS = 1_750_000_000_000


@dataclass(frozen=True)
class Item:
    """One task as it stands in a line."""

    ref: str
    key: str | None
    status: str | None
    updated_at: str | None
    document: Mapping[str, Any]

    @classmethod
    def of(cls, raw: bytes) -> Item:
        """Read a line. Raises OutcomeUnknown for what is no task."""
        try:
            found = json.loads(raw)
            return cls(str(found["id"]), None, found["state"], found["changed"], found)
        except (ValueError, KeyError, TypeError) as error:
            raise OutcomeUnknown("not an item", op="list") from error

    def get(self, name: str) -> Any:
        """A member by its neutral name."""
        return self.document.get({"status": "state"}.get(name, name))

    def created_ms(self) -> int:
        """The service does not say."""
        return 0

    def updated_ms(self) -> int:
        """When it was changed."""
        return milliseconds(self.updated_at)

    def times(self) -> dict[str, int]:
        """What the service says of times."""
        return {"created": 0, "updated": self.updated_ms(), "completed": 0}

    def urls(self) -> Iterator[tuple[str, str]]:
        """None."""
        return iter(())


@dataclass
class Service:
    """Its store by id, and how it behaves.

    before_page: called with the number of each page that is asked for.
    hidden: items that no list shows yet.
    """

    axis: Axis = Axis.NUMBER
    changes: Changes = Changes.TIME
    tells_last: bool = True
    filters: frozenset[str] = frozenset({"updated_after", "updated_before"})
    cap: int | None = None
    repeats: Callable[[int], int] = lambda page: 0
    ends: Callable[[int], bool] = lambda page: False
    cursor_of: Callable[[int, str | None], str | None] = lambda page, cursor: cursor
    before_page: Callable[[int], None] = lambda page: None
    store: dict[int, bytes] = field(default_factory=dict)
    items: dict[int, Item] = field(default_factory=dict)
    versions: dict[int, int] = field(default_factory=dict)
    hidden: set[int] = field(default_factory=set)
    version: int = 0
    now_ms: int = START_MS
    pages: int = 0
    probes: int = 0

    def put(self, number: int, **members: Any) -> None:
        """Make an item, or change it."""
        self.now_ms += 1_000
        self.version += 1
        changed = iso(self.now_ms) if self.changes is Changes.TIME else None
        found = {"id": number, "state": "open", "text": f"number {number}", **members, "changed": changed}
        if self.changes is Changes.VERSION:
            found["version"] = self.version
        self.versions[number] = self.version
        # no encoder of the program's writes like this, so a line that was decoded and encoded again shows
        self.store[number] = json.dumps(found, separators=(" ,", " : ")).encode()
        self.items[number] = Item.of(self.store[number])

    def fill(self, count: int, *, step: Callable[[], int] = lambda: 1) -> Service:
        """Make items."""
        number = 0
        for _ in range(count):
            number += step()
            self.put(number)
        return self

    def matching(self, selection: Selection) -> list[int]:
        """Ids of the items that a query with this selection lists, ascending."""
        carried = selection.only(self.filters)
        items = ((number, item) for number, item in sorted(self.items.items()) if number not in self.hidden)
        since = (selection.since or {}).get("version", 0)
        return [
            number for number, item in items if self.versions[number] > since and carried.matches(item, item.times())
        ]


class Lists:
    """Its lists: the lister that the export uses."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.axis = service.axis
        self.changes = service.changes
        self.filters = service.filters

    def query(self, selection: Selection, page_size: int, within: tuple[int, int] | None = None) -> JsonObject:
        """Ids from the one of the highest place on; it cannot be asked to stop."""
        first = mirrored(within[1]) + 1 if within is not None and self.axis is Axis.NUMBER else 0
        return {"selection": selection, "size": page_size, "first": first}

    async def page(self, query: Mapping[str, Any], cursor: str | None) -> ListPage:
        """One page."""
        service = self.service
        number = service.pages
        service.pages += 1
        service.before_page(number)
        ids = [one for one in service.matching(query["selection"]) if one >= query["first"]]
        if self.axis is Axis.NONE:
            ids.sort(key=lambda one: one * 7919 % 10_007)
        ids = ids[: service.cap]
        behind = int(cursor) if cursor is not None else None
        place = 0 if behind is None else ids.index(behind) + 1 if behind in ids else len(ids)
        shown = ids[place : place + query["size"]]
        more = place + query["size"] < len(ids) and not service.ends(number)
        again = [*ids[max(0, place - service.repeats(number)) : place], *shown]
        following = service.cursor_of(number, str(shown[-1]) if more else None)
        return ListPage([service.store[one] for one in again], following, None)

    async def span(self, selection: Selection, now_ms: int) -> Span:
        """All ids, and the last one where the service tells it."""
        if self.axis is Axis.NONE:
            return Span(0, 1)
        self.service.probes += 1
        ids = self.service.matching(selection)
        return Span(0, mirrored(0) + 1, mirrored(ids[-1]) if ids and self.service.tells_last else None)

    def place_of(self, task: Any) -> int:
        """By its id."""
        return mirrored(int(task.ref)) if self.axis is Axis.NUMBER else 0

    def version_of(self, task: Item, document: bytes) -> int:
        """By its time, by the service's own number, or by its bytes."""
        if self.changes is Changes.TIME:
            return task.updated_ms()
        return int(task.get("version")) if self.changes is Changes.VERSION else crc32(document)

    async def cursor(self) -> JsonObject | None:
        """The number of the newest version."""
        return {"version": self.service.version} if self.changes is Changes.VERSION else None

    async def probe(self) -> None:
        """Nothing to see."""

    async def read(self, ref: str) -> LookupResult:
        """One item."""
        return LookupResult(Presence.ABSENT)


class Wire:
    """What a connection counts."""

    base_url = "http://127.0.0.1:1/v1"

    def __init__(self) -> None:
        self.counters = Counters()


def platform_of(service: Service, **roles: Any) -> Any:
    """The service as a platform with these roles beside its lists."""

    class Other:
        spec = replace(SPEC, view=Item.of, fields=frozenset(), page_most=1_000)
        lister = Lists(service)
        creator = containers = commands = export_jobs = None
        server_now_ms = property(lambda self: service.now_ms + 1_000)

    found = Other()
    for name, role in roles.items():
        setattr(found, name, role)
    return found


def connecting(platform: Any) -> Callable[..., Any]:
    """In place of `wiring.connect`: a connection to this platform, without a network."""

    @asynccontextmanager
    async def connect(way: Way, observer: Observer, **_: Any) -> AsyncIterator[Connection]:
        pace, gate = make_gate(way, RequestClass.LIST)
        wire, waits = cast(Transport, Wire()), Waits()
        watch = Watch(waits, observer, wire.counters, gate, where="memory")
        caller = Caller(FAST.retry, waits, patience_s=FAST.patience_s)
        try:
            yield Connection(way, platform, wire, gate, pace, caller, waits, watch, observer.note)
        finally:
            gate.end()

    return connect


def ids_of(lines: Sequence[bytes]) -> list[int]:
    """The ids of lines, in their order."""
    return [int(Item.of(line).ref) for line in lines]


def exported(folder: Path) -> list[bytes]:
    """The lines of the files that the manifest lists."""
    manifest = json.loads((folder / "manifest.json").read_bytes())
    return [line for entry in manifest["files"] for line in lines_of(folder / entry["path"])]


def newest(folder: Path) -> dict[int, bytes]:
    """The newest line of each item over all increments of a folder."""
    return {int(Item.of(line).ref): line for line in exported(folder)}


def exporting(folder: Path, observer: Observer, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """export(service, fate=None, out="out", roles={}, **options): one run, with its ledger beside its folder."""

    async def run(
        service: Service,
        fate: Fate | None = None,
        out: str = "out",
        *,
        roles: Mapping[str, Any] = MappingProxyType({}),
        concurrency: int = 4,
        **options: Any,
    ) -> ExportSummary | None:
        monkeypatch.setattr(export_run, "connect", connecting(platform_of(service, **roles)))
        settings = resolve_settings(
            base_url="http://127.0.0.1:1/v1",
            ledger=folder / f"{out}.db",
            environ={"SCALE_API_KEY": "k"},
            concurrency=concurrency,
        )
        typed = ExportOptions(**{"out": folder / out, "page_size": 10, **options})
        try:
            with (fate or Fate()).over(monkeypatch):
                return await export_run.run_export(typed, settings, observer, signals=False)
        except BaseException:
            if fate is None or not fate.dead:
                raise
            return None

    return run
