"""GET /tasks: newest first, keyset pages on (created_at, id), with the total of the filter."""

from __future__ import annotations

import base64
import binascii
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence

import orjson

from scalesync.sandbox.core.lists.lies import Page, lie
from scalesync.sandbox.core.wire.errors import ApiError
from scalesync.sandbox.core.wire.messages import Call, Reply, integer
from scalesync.sandbox.core.wire.rawjson import dumps, loads, text
from scalesync.sandbox.core.wire.times import iso, parse_us
from scalesync.sandbox.scale.answers.links import signature
from scalesync.sandbox.scale.state.model import Task
from scalesync.sandbox.scale.state.world import World
from scalesync.sandbox.scale.tasks.attachments import SCHEME, stored
from scalesync.sandbox.scale.tasks.documents import limited, render
from scalesync.sandbox.scale.tasks.filters import Listing, candidates, parse
from scalesync.sandbox.scale.tasks.tasktypes import STRINGS

TOP = {"id": "f" * 24, "created_at": "2999-01-01T00:00:00.000Z"}
PAGE = 100  # official SDK: 1..100, default 100


def list_tasks(world: World, call: Call) -> Reply:
    """One page: `docs, total, limit, offset, has_more`, and `next_token` except on the last page.

    Source: official SDK (keys); a recorded reply of 2024 (token); Node SDK (order).
    """
    config = world.config
    listing = parse(world, call)
    limit = integer(call, "limit", PAGE, 1, PAGE, clamp=config.limit_out_of_range == "clamp")
    limit = min(limit, config.page_most or limit)
    offset = integer(call, "offset", 0, 0, None)
    limited_docs = bool(call.flag("limited_response"))
    with_url = bool(call.flag("include_attachment_url"))
    seqs = _matching(world, listing)
    low = bisect_left(seqs, listing.created[0], key=lambda seq: _created(world, seq))
    high = bisect_right(seqs, listing.created[1], key=lambda seq: _created(world, seq))
    high = max(low, high)
    token = call.first("next_token")
    end = high
    if token is not None:
        end = min(high, max(low, _after_token(world, seqs, token, high)))
    end = max(low, end - offset)
    begin = max(low, end - limit)
    tasks = [task for seq in reversed(seqs[begin:end]) if (task := world.by_seq[seq]) is not None]
    after = tasks[-1] if tasks else None
    total = high - low if config.total_most is None else min(high - low, config.total_most)
    page = Page(world.by_seq, seqs, low, high, begin, end, limit, tasks, total, more=begin > low, after=after)
    if call.lies:
        lie(call, page)
    docs = [limited(world, task) if limited_docs else _document(world, task, with_url) for task in page.shown]
    head = {"total": page.total, "limit": limit, "offset": offset, "has_more": page.more}
    body = b'{"docs":[' + b",".join(docs) + b"]," + orjson.dumps(head)[1:-1]
    return Reply(body=body + _next(world, page) + b"}")


def _matching(world: World, listing: Listing) -> Sequence[int]:
    if listing.nothing:
        return array("I")
    if listing.unique_ids is None:
        return candidates(world, listing.filter).seqs
    seqs = sorted({seq for name in listing.unique_ids if (seq := world.unique.get(name)) is not None})
    all_tags = world.config.tags_match == "all"
    tasks = [task for seq in seqs if (task := world.by_seq[seq]) is not None and task.listed]
    return [task.seq for task in tasks if listing.filter.matches(task, all_tags=all_tags)]


def _created(world: World, seq: int) -> int:
    task = world.by_seq[seq]
    return 0 if task is None else task.created_ms


def _document(world: World, task: Task, with_url: bool) -> bytes:
    document = render(world, task)
    if not with_url:
        return document
    params = loads(b"{" + task.body + b"}")["params"]
    attachment = params.get("attachment")
    if not isinstance(attachment, str) or params.get("attachment_type") == "text" or "attachment" not in STRINGS:
        return document
    if attachment.startswith(SCHEME):
        file = stored(world, attachment)
        signed = None if file is None else f"{world.base_url}/files/{file.id}{signature(world, file.id)}"
    else:
        joint = "&" if "?" in attachment else "?"
        sealed = signature(world, world.task_id(task)).replace("?", joint, 1)
        signed = attachment + (sealed or f"{joint}X-Signed=sandbox")
    return document[:-1] + b"," + text(world.config.attachment_url_field) + b":" + dumps(signed) + b"}"


def _next(world: World, page: Page[Task]) -> bytes:
    if page.more:
        return b',"next_token":' + text(make_token(world, page.after, page.nonce))
    last = world.config.last_cursor
    if last == "omit":
        return b""
    return b',"next_token":null' if last == "null" else b',"next_token":""'


def make_token(world: World, task: Task | None, nonce: float | None = None) -> str:
    """The id and time of the last document in base64; the setting `opaque` hides them.

    task: None makes the token of the beginning of the list.
    nonce: set by a list fault; makes the token differ from others of the same place.
    """
    place = {"id": world.task_id(task), "created_at": iso(task.created_ms)} if task is not None else dict(TOP)
    plain = orjson.dumps(place if nonce is None else place | {"nonce": nonce})
    if world.config.cursor_form == "opaque":
        plain = plain[::-1]
    return base64.b64encode(plain).decode()


def _after_token(world: World, seqs: Sequence[int], token: str, high: int) -> int:
    """How many of `seqs` follow the token's task. The token of a task that left the list keeps its place."""
    try:
        plain = base64.b64decode(token, validate=True)
        if world.config.cursor_form == "opaque":
            plain = plain[::-1]
        cursor = orjson.loads(plain)
        created_ms = parse_us(cursor["created_at"]) // 1000
        seq = world.seq_of(cursor["id"])
    except (binascii.Error, ValueError, KeyError, TypeError):
        if world.config.invalid_cursor == "ignore":
            return high
        raise ApiError(400, "Invalid next_token") from None
    if seq >= 0:
        return bisect_left(seqs, seq)
    return bisect_left(seqs, created_ms, key=lambda number: _created(world, number))
