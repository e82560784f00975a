"""The tasks of a batch or project, listed once for all who ask at the same time.

Version 2 finds a task by nothing but a list, so a look-up reads a batch to its end, in pages of a hundred. What a list
says about a key counts from the moment at which the list began. So a caller never joins a list that is under way; it
waits for the next one, and everybody who comes meanwhile shares that.

A key is promised once within its project, and a run with another ledger may have put its task into another batch. So
the first look-up of a run lists the whole project, and later ones also list the batches in which it showed the keys.
"""

from __future__ import annotations

import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import anyio
from anyio.lowlevel import checkpoint

from scalesync.errors import OutcomeUnknown, RemoteError, Throttled, Unavailable
from scalesync.model.outcomes import LookupResult, Presence
from scalesync.platforms.scale.jsonbytes import loads
from scalesync.platforms.scale.v2 import wire
from scalesync.platforms.scale.v2.documents import Chat, read_chat
from scalesync.platforms.scale.v2.lists import ChatLists
from scalesync.ports.platform import ListPage

PAGE = 100
MAX_IDLE_PAGES = 10  # pages in a row without a new task; such a list is empty for ever or runs in a circle
PAGE_WAITS_S = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2)  # between two attempts at one page
LONGEST_WAIT_S = 30.0  # that a server may ask for in the middle of a list
OP = "look up tasks"
ANSWER = ("threads", "sensitive_content_reports")  # no comparison reads them, and they may be large


@dataclass(frozen=True, slots=True)
class Place:
    """What is listed: one batch of a project, or all of the project."""

    project: str
    batch: str | None = None

    def query(self) -> list[tuple[str, str]]:
        """As on the wire."""
        names = [("project_name", self.project), *([("batch_name", self.batch)] if self.batch is not None else [])]
        return [*names, ("limit", str(PAGE))]

    def excludes(self, chat: Chat) -> bool:
        """Whether a task belongs elsewhere. One that does shows that the server did not apply the filter."""
        return chat.is_elsewhere("project", self.project) or (
            self.batch is not None and chat.is_elsewhere("batch", self.batch)
        )


class Found:
    """The tasks of wanted keys in one list."""

    def __init__(self, wanted: set[str]) -> None:
        self.wanted = wanted
        self.results: dict[str, LookupResult] = {}
        self.trusted = True

    def take(self, chat: Chat, document: bytes) -> None:
        """Keep a task if its key is wanted. Of several, the one that was made first is shown."""
        key = chat.key
        if key is None or key not in self.wanted:
            return
        before = self.results.get(key)
        task = loads(document)
        for name in ANSWER:
            task.pop(name, None)
        now = wire.found(task)
        if before is None or before.view is None:
            self.results[key] = now
            return
        assert now.view is not None
        first, later = sorted((before, now), key=_age)
        assert later.view is not None
        self.results[key] = replace(first, others=(*before.others, later.view.ref))

    def of(self, keys: Sequence[str]) -> Mapping[str, LookupResult]:
        """One result for each key."""
        missing = LookupResult(Presence.ABSENT if self.trusted else Presence.UNKNOWN)
        return {key: self.results.get(key, missing) for key in keys}


def _age(result: LookupResult) -> tuple[int, str]:
    assert result.view is not None
    return result.view.created_ms(), result.view.ref


@dataclass
class _Turn:
    """One list that has not begun, or is under way. wanted: the keys of all who wait for it."""

    wanted: set[str] = field(default_factory=set)
    done: anyio.Event = field(default_factory=anyio.Event)
    found: Found | None = None
    error: RemoteError | None = None


class Listings:
    """The lists of one run. Memory holds each key of the project once."""

    def __init__(self, lists: ChatLists, project: str) -> None:
        self._lists = lists
        self._project = Place(project)
        self._next: dict[Place, _Turn] = {}
        self._busy: dict[Place, anyio.Lock] = {}
        self._first: anyio.Event | None = None
        self._batches: Mapping[str, str | None] | None = None

    async def look_up(
        self, keys: Sequence[str], batches: Collection[str] | None, *, unsent: bool
    ) -> Mapping[str, LookupResult]:
        """What the project holds under the keys. Raises RemoteError.

        batches: of the records; None if one has none. What was sent into them since the first list is looked up there.
        unsent: no run with this ledger sent any of the keys, so the first list knows all their tasks.
        """
        if batches is None and not unsent:
            return await self._fresh(self._project, keys)
        while self._batches is None:
            if self._first is None:
                return await self._list_first(keys)
            await self._first.wait()
        places = {self._in(self._batches[key]) for key in keys if key in self._batches}
        if not unsent:
            places.update(map(self._in, batches or ()))
        if self._project in places:
            places = {self._project}
        found = dict.fromkeys(keys, LookupResult(Presence.ABSENT))
        for place in sorted(places, key=lambda place: place.batch or ""):
            for key, result in (await self._fresh(place, keys)).items():
                found[key] = _both(found[key], result)
        return found

    async def _list_first(self, keys: Sequence[str]) -> Mapping[str, LookupResult]:
        """List the project for all who wait; after a failure one of them tries again."""
        self._first = anyio.Event()
        try:
            return await self._fresh(self._project, keys)
        finally:
            self._first.set()
            self._first = None

    def _in(self, batch: str | None) -> Place:
        return replace(self._project, batch=batch)

    async def _fresh(self, place: Place, keys: Sequence[str]) -> Mapping[str, LookupResult]:
        """What a list that begins after this call says about keys. Raises RemoteError."""
        turn = self._next.setdefault(place, _Turn())
        turn.wanted.update(keys)
        async with self._busy.setdefault(place, anyio.Lock()):
            if not turn.done.is_set():
                await checkpoint()  # all who ask at this moment share it
                await self._list(place, turn)
        if turn.error is not None:
            raise turn.error
        assert turn.found is not None
        return turn.found.of(keys)

    async def _list(self, place: Place, turn: _Turn) -> None:
        """Read a list to its end, for all who wait for this turn."""
        del self._next[place]  # who comes from here on waits for the next one
        try:
            turn.found = await self._read(place, turn.wanted)
        except RemoteError as error:
            turn.error = error
        except BaseException:
            turn.error = OutcomeUnknown(f"{OP}: it was broken off", op=OP)
            raise
        finally:
            turn.done.set()

    async def _read(self, place: Place, wanted: set[str]) -> Found:
        found, refs, batches = Found(wanted), set[str](), dict[str, str | None]()
        cursor: str | None = None
        idle = 0
        while True:
            page = await self._page(place, cursor)
            before = len(refs)
            for document in page.documents:
                chat = read_chat(document)
                if place.excludes(chat):
                    found.trusted = False
                    return found
                if chat.ref not in refs:
                    refs.add(chat.ref)
                    found.take(chat, document)
                    if chat.key is not None:
                        # A key in several batches needs the list that shows them all.
                        batch = chat.name_of("batch")
                        batches[chat.key] = batch if batches.get(chat.key, batch) == batch else None
            idle = 0 if len(refs) > before else idle + 1
            cursor = page.cursor
            if cursor is None:
                if place == self._project:
                    self._batches = batches
                return found
            if idle >= MAX_IDLE_PAGES:
                found.trusted = False
                return found

    async def _page(self, place: Place, cursor: str | None) -> ListPage:
        """One page. Behind the first it is asked for again here, because a long list that began again after each fault
        might never come to its end.
        """
        for wait_s in () if cursor is None else PAGE_WAITS_S:
            try:
                return await self._lists.list(place.query(), cursor, OP)
            except (Throttled, Unavailable, OutcomeUnknown) as error:
                asked_s = error.retry_after_s or 0.0
                if asked_s > LONGEST_WAIT_S:
                    raise
                await anyio.sleep(max(asked_s, random.uniform(wait_s / 2, wait_s)))
        return await self._lists.list(place.query(), cursor, OP)


def _both(one: LookupResult, other: LookupResult) -> LookupResult:
    """What two lists say about one key."""
    if one.presence is Presence.FOUND and other.presence is Presence.FOUND:
        assert other.view is not None
        return replace(one, others=(*one.others, other.view.ref, *other.others))
    order = (Presence.FOUND, Presence.UNKNOWN, Presence.ABSENT)
    return min(one, other, key=lambda result: order.index(result.presence))
