"""Answers of the real API, recorded in 2016 and 2019, through our client: it parses what was recorded, all of it.

Needs the recordings beside the repository (or under $SCALESYNC_SHARED); skipped without them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from scalesync.errors import OutcomeUnknown
from scalesync.platforms.scale.api.errors import BY_STATUS
from scalesync.scale import AsyncScaleClient, Envelope, ScaleError
from tests.scale.cassettes import FOLDER, Exchange, exchanges
from tests.scale.conftest import Scripted

FILES = sorted(FOLDER.glob("*/*.yml"))

if not FILES:
    pytest.skip("no recordings here", allow_module_level=True)

RECORDED = [
    pytest.param(exchange, id=f"{path.stem}-{number}")
    for path in FILES
    for number, exchange in enumerate(exchanges(path))
]


async def again(client: AsyncScaleClient, exchange: Exchange) -> Any:
    """Make the recorded call. What the old API took in queries of single tasks is left out."""
    parts = exchange.path.partition("?")[0].split("/")[1:]
    match exchange.method, *parts:
        case "POST", "task", kind:
            return await client.create_task(kind, **json.loads(exchange.sent))
        case "GET", "task", task_id:
            return await client.get_task(task_id)
        case "POST", "task", task_id, "cancel":
            return await client.cancel_task(task_id)
        case "GET", "tasks":
            limit = re.search(r"limit=(\d+)", exchange.path)
            return await client.tasks(limit=int(limit[1]) if limit else 100)
    raise AssertionError(f"nothing makes {exchange.method} {exchange.path}")


def serve(scripted: Scripted, exchange: Exchange) -> None:
    kept = {name: value for name, value in exchange.headers.items() if name in {"Content-Type", "Content-Encoding"}}
    scripted(*[(exchange.status, exchange.packed, kept)] * 2)  # a key is refused twice, to be sure


@pytest.mark.parametrize("exchange", RECORDED)
async def test_what_the_client_parses_is_what_was_recorded(
    scripted: Scripted, client_of: Callable[..., AsyncScaleClient], exchange: Exchange
) -> None:
    serve(scripted, exchange)
    client = client_of(scripted, 0.0)
    wanted = exchange.json
    if exchange.status != 200:
        with pytest.raises(BY_STATUS[exchange.status]) as raised:
            await again(client, exchange)
        assert isinstance(raised.value, ScaleError)
        assert raised.value.message == wanted["error"]
    else:
        found = await again(client, exchange)
        assert found.as_dict() == wanted
        items = [found, *found.docs] if isinstance(found, Envelope) else [found]
        for item, fields in zip(items, [wanted, *wanted.get("docs", [])], strict=True):
            assert {name: getattr(item, name) for name in fields if name != "docs"} == {
                name: value for name, value in fields.items() if name != "docs"
            }, "a field is not an attribute"
    heard = scripted.heard[0]
    assert heard.method == exchange.method
    assert heard.target.partition("?")[0] == "/v1" + exchange.path.partition("?")[0]
    if "/cancel" not in exchange.path and exchange.sent and exchange.method == "POST":
        assert heard.json == json.loads(exchange.sent)


async def test_an_old_list_that_continues_without_a_token_does_not_look_complete(
    scripted: Scripted, client_of: Callable[..., AsyncScaleClient]
) -> None:
    (exchange,) = exchanges(FOLDER / "scaleapi-ruby_2019" / "task_list_1.yml")
    assert exchange.json["has_more"]
    serve(scripted, exchange)
    with pytest.raises(OutcomeUnknown, match="without saying where"):
        _ = [task async for task in client_of(scripted).get_tasks(page_size=2)]


def test_all_exchanges_are_here() -> None:
    statuses = [param.values[0].status for param in RECORDED]
    assert (len(statuses), statuses.count(200), statuses.count(400), statuses.count(401)) == (59, 23, 12, 20)
