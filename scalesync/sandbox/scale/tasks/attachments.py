"""Attachments: the server fetches them after the 200, and a task whose fetch fails gets the status `error`.

A `scaledata://` address names an uploaded file of the account. The sandbox looks it up instead of fetching it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator

from scalesync.sandbox.core.wire.rawjson import dumps, loads
from scalesync.sandbox.scale.config import SandboxConfig
from scalesync.sandbox.scale.state.account import File
from scalesync.sandbox.scale.state.world import World

SCHEME = "scaledata://"


def urls(params: dict[str, bytes]) -> Iterator[str]:
    """The URLs of `attachment`, `attachments` and `context_attachments`; text is not fetched."""
    if params.get("attachment_type") != b'"text"' and "attachment" in params:
        yield from _strings([loads(params["attachment"])])
    for name in ("attachments", "context_attachments"):
        if name in params and params.get("attachment_type") != b'"text"':
            yield from _strings(loads(params[name]))


def _strings(values: object) -> Iterator[str]:
    for value in values if isinstance(values, list) else ():
        found = value.get("attachment") or value.get("content") if isinstance(value, dict) else value
        if isinstance(found, str):
            yield found


def address(world: World, file: File) -> str:
    """The address of a file for tasks."""
    return f"{SCHEME}{world.account.id}/{file.id}"


def stored(world: World, url: str) -> File | None:
    """The file of a `scaledata://` address; None if the account has none."""
    owner, _, name = url.removeprefix(SCHEME).partition("/")
    return world.account.files.get(name) if owner == world.account.id else None


def use(world: World, params: dict[str, bytes]) -> None:
    """Note that a task names its files, and keep them for it."""
    for url in urls(params):
        file = stored(world, url) if url.startswith(SCHEME) else None
        if file is not None and not file.used:
            file.used = True
            world.account.put_file(file)


def broken(world: World, params: dict[str, bytes]) -> list[tuple[str, int]]:
    """The attachments that cannot be fetched, each with the status of the fetch."""
    config = world.config
    found = []
    for url in urls(params):
        if url.startswith(SCHEME):
            if stored(world, url) is None:
                found.append((url, 404))
        elif unreachable(config, url):
            found.append((url, config.attachment_status))
    return found


def unreachable(config: SandboxConfig, url: str) -> bool:
    """Whether `bad_attachments` selects the URL."""
    wanted = config.bad_attachments
    if wanted is None:
        return False
    return bool(re.search(wanted, url)) if isinstance(wanted, str) else _draw(config.seed, url) < wanted


def _draw(seed: int, url: str) -> float:
    digest = hashlib.blake2b(f"{seed}:attachment:{url}".encode("utf-8", "surrogatepass"), digest_size=8)
    return int.from_bytes(digest.digest(), "big") / 2**64


def failure(world: World, params: dict[str, bytes]) -> bytes:
    """The `response` of a task whose attachments failed. Source: Scale docs: Errors."""
    listed = [{"statusCode": status, "url": url} for url, status in broken(world, params)]
    return dumps({"error": "One or more attachments could not be downloaded.", "attachments": listed})
