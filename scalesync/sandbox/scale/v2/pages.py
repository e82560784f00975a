"""Pages of the lists of version 2: `next_token` until it is absent, never a total of the whole list.

Newest first. One list counts what was passed (`{"skip": 100}`, as its documentation shows), so a row that arrives in
between shifts it; the others name the last row, so nothing shifts.
"""

from __future__ import annotations

import base64
import binascii
from bisect import bisect_left
from collections.abc import Sequence
from typing import Any, TypeVar

import orjson

from scalesync.sandbox.core.lists.lies import Item, Page, lie
from scalesync.sandbox.core.wire.errors import ApiError
from scalesync.sandbox.core.wire.messages import Call, integer
from scalesync.sandbox.core.wire.rawjson import text
from scalesync.sandbox.scale.config import SandboxConfig

PAGE = 100
TOP = 1 << 62  # after nothing: the beginning of the list
T = TypeVar("T", bound=Item)


def page_of(
    config: SandboxConfig, call: Call, items: Sequence[T | None], seqs: Sequence[int], *, skips: bool = False
) -> Page[T]:
    """The page that the request asks for, with the faults of lists that strike it. Raises ApiError 400.

    seqs: the numbers of the rows that match, rising.
    """
    limit = integer(call, "limit", PAGE, 1, PAGE, clamp=config.limit_out_of_range == "clamp")
    limit = min(limit, config.page_most or limit)
    high = len(seqs)
    token = call.first("next_token")
    end = high if token is None else _end(config, token, seqs, skips=skips)
    begin = max(0, end - limit)
    rows = [row for seq in reversed(seqs[begin:end]) if (row := items[seq]) is not None]
    after = rows[-1] if rows else None
    page = Page(items, seqs, 0, high, begin, end, limit, rows, len(rows), more=begin > 0, after=after)
    if call.lies:
        lie(call, page)
    return page


def _end(config: SandboxConfig, token: str, seqs: Sequence[int], *, skips: bool) -> int:
    try:
        plain = base64.b64decode(token, validate=True)
        place = orjson.loads(plain[::-1] if config.cursor_form == "opaque" else plain)
        wanted = int(place["skip"]) if skips else int(place["after"])
    except (binascii.Error, ValueError, KeyError, TypeError):
        if config.invalid_cursor == "ignore":
            return len(seqs)
        raise ApiError(400, "Invalid next_token") from None
    return max(0, min(len(seqs), len(seqs) - wanted)) if skips else bisect_left(seqs, wanted)


def next_token(config: SandboxConfig, page: Page[Any], *, skips: bool = False) -> dict[str, bytes]:
    """The member `next_token`; empty on the last page, unless the settings say otherwise."""
    if not page.more:
        last = {"omit": None, "null": b"null", "empty": b'""'}[config.last_cursor]
        return {} if last is None else {"next_token": last}
    place: dict[str, Any] = {"after": TOP if page.after is None else page.after.seq}
    if skips:
        place = {"skip": 0 if page.after is None else page.high - bisect_left(page.seqs, page.after.seq)}
    plain = orjson.dumps(place if page.nonce is None else place | {"nonce": page.nonce})
    return {"next_token": text(base64.b64encode(plain[::-1] if config.cursor_form == "opaque" else plain).decode())}
