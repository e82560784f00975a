"""What Toy's API does, path by path."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import msgspec

from scalesync.sandbox.core.lists.lies import Page, lie
from scalesync.sandbox.core.wire.errors import ApiError
from scalesync.sandbox.core.wire.messages import Call, Reply, integer, ok
from scalesync.sandbox.core.wire.rawjson import dumps, loads, members
from tests.toy.server.commands import Commands
from tests.toy.server.store import STATES, Entry, Store

LABELS_MOST = 50
LINES = 16  # of a file go out in one piece
TIMES = ("made_from", "made_until", "touched_from", "touched_until")


@dataclass(frozen=True, slots=True)
class World:
    """All of Toy that a caller sees."""

    store: Store
    commands: Commands


def kind_of(method: str, path: Sequence[str]) -> str:
    """The fault class of a request below /v2."""
    match method, *path:
        case "POST", "token":
            return "token"
        case "POST", "projects", _, "items:import":
            return "create"
        case "GET", "projects", _, "items":
            return "list"
        case "GET", "projects", *_:
            return "project"
        case "GET", "items", _:
            return "get"
        case _, "items", *_:
            return "mutate"
        case "GET", "commands", _:
            return "command"
        case "POST", "exports":
            return "export"
        case "GET", "exports", _, "file":
            return "result"
    return "other"


def answer(world: World, call: Call) -> Reply:
    """Carry a request out. Raises ApiError."""
    match call.method, *call.path:
        case "GET", "projects":
            return ok({"projects": [{"name": name, "made": made} for name, made in world.store.projects.items()]})
        case "GET", "projects", name:
            return ok({"name": world.store.project(name), "made": world.store.projects[name]})
        case "POST", "projects", name, "items:import":
            return _import(world, world.store.project(name), call)
        case "GET", "projects", name, "items":
            return _list(world.store, world.store.project(name), call)
        case "GET", "items", name:
            return Reply(body=world.store.find(name).document())
        case "DELETE", "items", name:
            del world.store.items[world.store.find(name).id]
            return Reply(204)
        case "DELETE", "items", name, "label":
            entry = world.store.find(name)
            entry.label = None
            world.store.touch(entry)
            return Reply(body=entry.document())
        case "POST", "items", name, "notes":
            return _note(world.store, world.store.alive(name), call)
        case "POST", "items", name, "reminders":
            world.store.alive(name).reminders += 1
            return ok({})
        case "GET", "commands", name:
            return ok(world.commands.find(name).told())
        case "POST", "exports":
            return _export(world, call)
        case "GET", "exports", name, "file":
            return _file(world.commands, name, call)
    raise ApiError(404, f"There is nothing at {call.method} {call.target}.")


def _note(store: Store, entry: Entry, call: Call) -> Reply:
    """Add a note behind the others, once more if the item has it."""
    note = loads(call.body).get("note")
    if not isinstance(note, str):
        raise ApiError(400, "note must be a text.")
    entry.notes = (*entry.notes, note)
    store.touch(entry)
    return Reply(body=entry.document())


def _import(world: World, project: str, call: Call) -> Reply:
    store = world.store
    items, raw = _items(call, store.config.chunk_most)
    problems = [store.check(item) for item in items]
    if store.config.one_fate and any(problems):
        listed = [{"place": place, "problem": text} for place, text in enumerate(problems) if text]
        return Reply(400, dumps({"problem": "Some items are bad; none was made.", "items": listed}))

    def work(most: int | None, ago_s: float) -> list[int]:
        good = [one for one, problem in zip(raw, problems, strict=True) if problem is None]
        return [store.make(project, one, call.visible_after_s, ago_s) for one in good[: call.only][:most]]

    if store.config.commands:
        if any(problems):
            raise ApiError(400, next(text for text in problems if text))
        return Reply(202, dumps({"command": world.commands.accept("import", len(raw), work).name}))
    ids = iter(work(None, 0.0))
    return ok({"items": [{"problem": text} if text else {"id": next(ids, None)} for text in problems]})


def _items(call: Call, most: int) -> tuple[list[Any], list[bytes]]:
    try:
        items = loads(call.body).get("items")
        raw = _elements(members(call.body)["items"])
    except (ValueError, AttributeError, KeyError):
        raise ApiError(400, "The body must be an object with items.") from None
    if not isinstance(items, list) or not 1 <= len(items) <= most:
        raise ApiError(400, f"items must hold 1 to {most} items.")
    return items, raw


def _elements(array: bytes) -> list[bytes]:
    """The elements of a JSON array as they came."""
    return [bytes(one) for one in msgspec.json.decode(array, type=list[msgspec.Raw])]


def _wanted(project: str | None, given: Callable[[str], Any]) -> dict[str, Any]:
    state = given("state")
    if state is not None and state not in STATES:
        raise ApiError(400, f"state must be one of {', '.join(STATES)}.")
    wanted: dict[str, Any] = {"project": project, "state": state}
    for name in TIMES:
        value = given(name)
        if value is not None:
            wanted[name] = int(value)
    return wanted


def _list(store: Store, project: str, call: Call) -> Reply:
    """One page by id, from behind `after`: items, and the id behind which the next page begins, null at the end."""
    limit = integer(call, "limit", store.config.page_most, 1, store.config.page_most)
    after = integer(call, "after", 0, 0, None)
    labels = call.query.get("label", [])
    if len(labels) > LABELS_MOST:
        raise ApiError(400, f"At most {LABELS_MOST} labels can be asked for.")
    wanted = _wanted(project, call.first) | {"labels": frozenset(labels)}
    matching = store.matching(wanted)
    if call.lies:
        shown, following = _lying(store, list(matching), after, limit, call)
    else:
        shown = list(islice((entry for entry in matching if entry.id > after), limit + 1))
        following = shown[limit - 1].id if len(shown) > limit else None
        shown = shown[:limit]
    documents = b",".join(entry.document() for entry in shown)
    return Reply(body=b'{"items":[' + documents + b'],"after":' + dumps(following) + b"}")


@dataclass(frozen=True, slots=True)
class _Mirrored:
    """An item in a list that is read from its end, as the lies expect it. seq: 0 is the newest."""

    seq: int
    entry: Entry
    listed: bool = True


def _lying(store: Store, matching: list[Entry], after: int, limit: int, call: Call) -> tuple[list[Entry], int | None]:
    every = [_Mirrored(seq, entry) for seq, entry in enumerate(reversed(store.items.values()))]
    seqs = sorted(one.seq for one in every if one.entry in matching)
    end = sum(entry.id > after for entry in matching)
    begin = max(0, end - limit)
    shown = [every[seq] for seq in reversed(seqs[begin:end])]
    last = shown[-1] if shown else None
    page = Page(every, seqs, 0, len(seqs), begin, end, limit, shown, 0, more=begin > 0, after=last)
    lie(call, page)
    following = (page.after.entry.id if page.after else 0) if page.more else None
    return [one.entry for one in page.shown], following


def _export(world: World, call: Call) -> Reply:
    body = loads(call.body) if call.body else {}
    project = body.get("project")
    wanted = _wanted(None if project is None else world.store.project(project), body.get)
    command = world.commands.accept("export", 0, lambda _, __: _fill())

    def _fill() -> list[int]:
        command.documents = [entry.document() for entry in world.store.matching(wanted)]
        return []

    return Reply(202, dumps({"command": command.name}))


_RANGE = re.compile(r"bytes=(\d+)-")


def _file(commands: Commands, name: str, call: Call) -> Reply:
    """The file of an export that is done, from a byte on where the request asks for that."""
    command = commands.find(name, "export")
    if command.state != "done":
        raise ApiError(409, f"The export is {command.state}.")
    data = command.file()
    asked = _RANGE.fullmatch(call.range or "")
    start = int(asked[1]) if asked else 0
    if start > len(data):
        return Reply(416, dumps({"problem": "The file is shorter."}), headers={"Content-Range": f"bytes */{len(data)}"})
    headers = {"ETag": f'"{name}"', "Accept-Ranges": "bytes"}
    if asked:
        headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
    stream = _pieces(data[start:])
    return Reply(206 if asked else 200, kind="application/x-ndjson", headers=headers, stream=stream)


def _pieces(data: bytes) -> Iterator[bytes]:
    lines = data.splitlines(keepends=True)
    for place in range(0, len(lines), LINES):
        yield b"".join(lines[place : place + LINES])
