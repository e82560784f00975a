"""What the official SDK was asked and what it gave, call by call, and the same calls made of another client.

The SDK is watched where it meets the API: at the methods of `ScaleClient` and of `V2Api`. A method of a task or batch
(`task.cancel()`) calls one of them, so it is seen as well.
"""

from __future__ import annotations

import asyncio
import inspect
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

import pytest
from pydantic import BaseModel
from scaleapi import Paginator, ScaleClient
from scaleapi.api_client.v2 import ApiClient, V2Api
from scaleapi.api_client.v2.exceptions import ApiException
from scaleapi.batches import Batch
from scaleapi.exceptions import ScaleException
from scaleapi.files import File
from scaleapi.projects import Project, TaskTemplate
from scaleapi.quality_tasks import QualityTask
from scaleapi.studio import StudioBatch, StudioLabelerAssignment, StudioProjectGroup, StudioWorker
from scaleapi.tasks import Task
from scaleapi.teams import Teammate

from scalesync.errors import ConfigError
from scalesync.platforms.scale.api.endpoint import Pages
from scalesync.platforms.scale.api.objects import Resource
from scalesync.platforms.scale.api.table import ROWS
from scalesync.sandbox import Sandbox
from scalesync.scale import AsyncScaleClient, BlockingListing, Client, Envelope, Listing, ScaleError

RESULTS = (
    *(Task, Batch, Project, TaskTemplate, File, QualityTask, Teammate),
    *(StudioLabelerAssignment, StudioProjectGroup, StudioWorker, StudioBatch),
)
TWINS = ("_with_http_info", "_without_preload_content")
BY_SDK = {row.sdk: row for row in ROWS if row.sdk}
# methods of the SDK that are a second way to a row
SECOND = frozenset({"tasks", "batches", "projects", "get_tasks_count", "v2_get_tasks"})


Asked = tuple[
    str, str, tuple[tuple[str, str], ...]
]  # method, path, query in a form that does not depend on who wrote it


def asked(sandbox: Sandbox) -> list[Asked]:
    """What a sandbox was asked since the last time, oldest first; its control plane is left out."""
    found = [
        (seen.method, seen.path, tuple(sorted((name, _settled(value)) for name, value in _query(seen.query))))
        for seen in sandbox.journal
        if seen.kind != "other"
    ]
    sandbox.journal.clear()
    return found


def _query(text: str) -> Iterator[tuple[str, str]]:
    """The names and values of a query; the SDK also says where a list begins."""
    yield from (pair for pair in parse_qsl(text) if pair != ("offset", "0"))


def _settled(value: str) -> str:
    """A value of a query without the ways of writing it: `True` and `true`, times in either spelling of UTC."""
    if value in {"True", "False"}:
        return value.lower()
    try:
        return datetime.fromisoformat(value).astimezone(UTC).isoformat() if "T" in value else value
    except ValueError:
        return value


@dataclass
class Said:
    """One call of the SDK.

    failed: (status, the server's words). via: the method of a result that made the call. wire: what it asked. typed:
    the arguments that the scenario gave.
    """

    name: str
    arguments: dict[str, Any]
    result: Any = None
    failed: tuple[int, str] | None = None
    via: str = ""
    wire: list[Asked] = field(default_factory=list)
    typed: frozenset[str] = frozenset()


@dataclass
class Record:
    """Calls of the SDK and of the control plane in their order. results: methods of results that were called."""

    steps: list[Said | Callable[[], None]] = field(default_factory=list)
    results: set[str] = field(default_factory=set)
    raw: list[Any] = field(default_factory=list)


def operations() -> dict[str, Any]:
    """Every public method of the SDK that meets the API, by its name: `get_task`, `v2.get_task`, ..."""
    found = dict(_public(ScaleClient))
    found |= {f"v2.{name}": method for name, method in _public(V2Api) if not name.endswith(TWINS)}
    return found


def methods_of_results() -> dict[str, tuple[type, Any]]:
    """Every public method of what the SDK returns: `Task.cancel`, ..."""
    return {f"{owner.__name__}.{name}": (owner, method) for owner in RESULTS for name, method in _public(owner)}


def _public(owner: type) -> list[tuple[str, Any]]:
    return [(name, each) for name, each in inspect.getmembers(owner, inspect.isfunction) if not name.startswith("_")]


def watch(patch: pytest.MonkeyPatch, record: Record, sandbox: Sandbox, before_call: Callable[[], None]) -> None:
    """Note every call of the SDK from now on. before_call: what a clock does, for one."""
    depth, via = [0], [""]

    def watched(name: str, plain: Any) -> Any:
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            if depth[0]:
                return plain(*args, **kwargs)
            before_call()
            record.raw.clear()
            typed = frozenset(inspect.signature(plain).bind(*args, **kwargs).arguments)
            said = Said(name, _arguments(plain, args, kwargs), via=via[0], typed=typed)
            record.steps.append(said)
            depth[0] = 1
            asked(sandbox)
            try:
                result = plain(*args, **kwargs)
                if inspect.isgenerator(result):
                    result = list(result)
                said.result = plain_of(result, record.raw)
                return iter(result) if inspect.isgeneratorfunction(plain) else result
            except (ScaleException, ApiException) as error:
                said.failed = _words(error)
                raise
            finally:
                depth[0] = 0
                said.wire = asked(sandbox)

        return wrapper

    def seen(name: str, plain: Any) -> Any:
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            via[0] = name
            try:
                found = plain(*args, **kwargs)
                record.results.add(name)
                return found
            finally:
                via[0] = ""

        return wrapper

    for name, (owner, method) in methods_of_results().items():
        patch.setattr(owner, method.__name__, seen(name, method))
    for name, method in operations().items():
        patch.setattr(V2Api if name.startswith("v2.") else ScaleClient, method.__name__, watched(name, method))
    read = ApiClient.response_deserialize

    def kept(self: Any, response_data: Any, **rest: Any) -> Any:
        if response_data.data:
            record.raw.append(json.loads(response_data.data))
        return read(self, response_data=response_data, **rest)

    patch.setattr(ApiClient, "response_deserialize", kept)


def _arguments(method: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments with the SDK's own defaults, because another client has others; those that are None are left out.

    The members of a request object of version 2 are arguments.
    """
    bound = inspect.signature(method).bind(*args, **kwargs)
    bound.apply_defaults()
    found: dict[str, Any] = {}
    for name, value in list(bound.arguments.items())[1:]:
        if isinstance(value, BaseModel):
            found |= value.model_dump(exclude_unset=True)
        elif bound.signature.parameters[name].kind is inspect.Parameter.VAR_KEYWORD:
            found |= value
        elif not name.startswith("_"):
            found[name] = value
    for name, value in found.items():
        if isinstance(value, io.BytesIO):  # the call reads it to its end
            copy = io.BytesIO(value.getvalue())
            copy.name = getattr(value, "name", "")
            found[name] = copy
    return {name: value for name, value in found.items() if value is not None}


def plain_of(result: Any, raw: list[Any]) -> Any:
    """A result of the SDK as the JSON that came. raw: the answers of version 2, whose models drop what they ignore."""
    if isinstance(result, BaseModel):
        return raw[-1]
    if isinstance(result, Paginator):
        names = ("total", "limit", "offset", "has_more", "next_token")
        return {"docs": plain_of(result.docs, raw), **{name: getattr(result, name) for name in names}}
    if isinstance(result, list):
        if result and isinstance(result[0], BaseModel):
            return [item for page in raw for item in page["tasks"]]
        return [plain_of(item, raw) for item in result]
    if isinstance(result, dict):
        return {name: plain_of(value, raw) for name, value in result.items()}
    return result.as_dict() if hasattr(result, "as_dict") else result


def _words(error: Any) -> tuple[int, str]:
    if isinstance(error, ApiException):
        return int(error.status), json.loads(error.body)["error"]
    return int(error.code), str(error.message)


class Differs(AssertionError):
    """Our client did something else than the SDK."""


class Ours:
    """Our client, and the results that it gave: where the SDK called a method of a result, ours is called as well."""

    def __init__(self, client: AsyncScaleClient | Client) -> None:
        self.client = client
        self._results: dict[tuple[str, str], Any] = {}

    async def call(self, method: Callable[..., Any], *args: Any, **named: Any) -> Any:
        """What a method gives: awaited, or made in a thread where the client waits by itself."""
        if isinstance(self.client, Client):
            return await asyncio.to_thread(method, *args, **named)
        made = method(*args, **named)
        return await made if inspect.isawaitable(made) else made

    def keep(self, result: Any) -> None:
        """Keep a result, by its class and its name; a list by its items."""
        for item in result if isinstance(result, list | Envelope) else [result]:
            for row in ROWS:
                owner = row.bound.partition(".")[0]
                if owner and type(item).__name__ == owner:
                    self._results[owner, _name_of(item)] = item

    async def by_method(self, said: Said) -> Any:
        """Call the method of our result, with the arguments that the SDK's method sent besides its name."""
        owner, _, method = said.via.partition(".")
        row, arguments = BY_SDK[said.name], dict(said.arguments)
        if row.bound != said.via:
            raise Differs(f"{said.via} is {row.bound or 'no method'} here")
        about = arguments.pop(next(iter(arguments)))
        one = self._results[owner, about[0] if isinstance(about, list) else about]
        found = await self.call(getattr(one, method), **arguments)
        if row.returns == owner and not row.is_list and found is not one:
            raise Differs(f"{said.via} does not change the object")
        return ours_of(found)


def _name_of(item: Any) -> str:
    return next(str(item[name]) for name in ("task_id", "name", "email") if name in item)


async def replayed(ours: Ours, said: Said) -> Any:
    """The same call of our client: its result as the JSON that came."""
    if said.via:
        return await ours.by_method(said)
    if said.name not in BY_SDK and said.name not in SECOND:
        raise Differs(f"there is no row for the SDK's {said.name}")
    name = said.name if said.name in SECOND else BY_SDK[said.name].name
    came = await ours.call(getattr(ours.client, name), **_turned(said))
    if isinstance(came, Listing | BlockingListing):
        return await _listed(ours, said, came)
    ours.keep(came)
    found = ours_of(came)
    row = BY_SDK.get(said.name)
    if row is not None and row.redirects:  # the SDK follows the redirect, drops what comes, and returns None
        return None if str(found).endswith(said.arguments["attachment_id"]) else found
    if row is not None and row.is_list and row.docs:  # a list that comes whole is a list with us
        return {row.docs: found}
    return found


def _turned(said: Said) -> dict[str, Any]:
    """The arguments as ours are called: the SDK's `limit` is the size of a page, and its tokens are cursors."""
    given = dict(said.arguments)
    if said.name == "upload_file":
        given["file"].seek(0)
        given |= {"metadata": json.loads(given["metadata"])} if "metadata" in given else {}
    row = BY_SDK.get(said.name)
    if said.name == "v2_get_tasks" or (row is not None and row.pages is not Pages.NONE):
        given |= {
            new: given.pop(old) for old, new in (("limit", "page_size"), ("next_token", "cursor")) if old in given
        }
    return given


async def _listed(ours: Ours, said: Said, listing: Listing[Any] | BlockingListing[Any]) -> Any:
    """All items where the SDK gives them one by one; else one page, with what stands beside its items."""
    if not isinstance(said.result, dict):
        if isinstance(listing, BlockingListing):
            return ours_of(await asyncio.to_thread(list, listing))
        return [item.as_dict() async for item in listing]
    page = ours_of(await ours.call(listing.next_page))
    token = {} if listing.cursor is None else {"next_token": listing.cursor}
    return {BY_SDK[said.name].docs: page, **listing.beside, **token}


def ours_of(result: Any) -> Any:
    """A result of our client as the JSON that came."""
    if isinstance(result, Envelope):
        names = ("total", "limit", "offset", "has_more", "next_token")
        return {"docs": ours_of(result.docs), **{name: getattr(result, name) for name in names}}
    if isinstance(result, list):
        return [ours_of(item) for item in result]
    return result.as_dict() if isinstance(result, Resource) else result


def _same_wire(said: Said, wire: list[Asked]) -> None:
    """Ours asks what the SDK asks. It may read before; the SDK follows a redirect that ours gives back."""
    wanted = said.wire[:1] if said.name in BY_SDK and BY_SDK[said.name].redirects else said.wire
    before = wire[: len(wire) - len(wanted)]
    if wire[len(before) :] != wanted or any(method != "GET" for method, _, _ in before):
        raise Differs(f"{said.name}({said.arguments}):\nthe SDK asks: {wanted}\nours asks:    {wire}")


async def compared(ours: Ours, said: Said, sandbox: Sandbox, settle: Callable[[Any], Any]) -> str:
    """Make the call and compare. Returns "same", or "earlier" where ours refused what the server refused the SDK.

    sandbox: of ours; what it is asked is compared as well.
    settle: makes what both say alike where it must differ, such as the address of the server. Raises Differs.
    """
    asked(sandbox)
    try:
        found = await replayed(ours, said)
    except ScaleError as error:
        _same_wire(said, asked(sandbox))
        if (error.status, settle(error.message)) == (said.failed and (said.failed[0], settle(said.failed[1]))):
            return "same"
        raise Differs(f"{said.name}: the SDK got {said.failed or said.result}, ours {error!r}") from error
    except (ConfigError, TypeError) as error:
        if said.failed is not None and said.failed[0] == 400:
            return "earlier"
        raise Differs(f"{said.name}({said.arguments}): ours refuses what the SDK does: {error}") from error
    _same_wire(said, asked(sandbox))
    wanted = said.failed or said.result
    if settle(found) != settle(wanted):
        raise Differs(f"{said.name}({said.arguments}):\nthe SDK: {wanted}\nours:    {found}")
    return "same"
