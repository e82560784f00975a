"""Attachments: the server fetches them after the 200, and a task whose fetch fails gets the status `error`."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator

from scalesync.sandbox.core.wire.rawjson import dumps, loads
from scalesync.sandbox.scale.config import SandboxConfig


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


def broken(config: SandboxConfig, params: dict[str, bytes]) -> list[str]:
    """The attachments that cannot be fetched, according to `bad_attachments`."""
    wanted = config.bad_attachments
    if wanted is None:
        return []
    if isinstance(wanted, str):
        return [url for url in urls(params) if re.search(wanted, url)]
    return [url for url in urls(params) if _draw(config.seed, url) < wanted]


def _draw(seed: int, url: str) -> float:
    digest = hashlib.blake2b(f"{seed}:attachment:{url}".encode("utf-8", "surrogatepass"), digest_size=8)
    return int.from_bytes(digest.digest(), "big") / 2**64


def failure(config: SandboxConfig, params: dict[str, bytes]) -> bytes:
    """The `response` of a task whose attachments failed. Source: Scale docs: Errors."""
    status = config.attachment_status
    listed = [{"statusCode": status, "url": url} for url in broken(config, params)]
    return dumps({"error": "One or more attachments could not be downloaded.", "attachments": listed})
