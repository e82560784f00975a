"""A small imitation of the API on raw sockets, which shares nothing with the program nor with the sandbox.

It keeps what was created and when each request came, and answers by a `script`: a function of the request that
returns raw bytes, or None for the imitation's own answer.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.network.relay import length_of, listening


@dataclass(frozen=True, slots=True)
class Asked:
    """One request. at: seconds of the monotonic clock. number: of its method and path's first word, from 1."""

    method: str
    path: str
    body: Any
    at: float
    number: int

    @property
    def is_create(self) -> bool:
        return self.method == "POST" and self.path.startswith("/v1/task/")

    @property
    def is_list(self) -> bool:
        return self.path == "/v1/tasks"


Script = Callable[[Asked], bytes | None]


def answer(status: int, body: object = b"", headers: Mapping[str, str] | None = None) -> bytes:
    """A whole reply."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status} X", *(f"{name}: {value}" for name, value in (headers or {}).items())]
    lines.append(f"Content-Length: {len(data)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + data


def one_task(number: int, body: Mapping[str, Any]) -> dict[str, Any]:
    """A task as the API shows it."""
    return {
        "task_id": f"{number:024x}",
        "created_at": f"2026-01-01T00:{number // 60 % 60:02}:{number % 60:02}.000Z",
        "updated_at": f"2026-01-01T00:{number // 60 % 60:02}:{number % 60:02}.000Z",
        "status": "pending",
        "type": "categorization",
        "unique_id": body.get("unique_id"),
        "project": body.get("project"),
        "metadata": body.get("metadata", {}),
        "params": {name: value for name, value in body.items() if name not in {"unique_id", "project", "metadata"}},
    }


@dataclass
class RawApi:
    """made: tasks by unique_id. asked: all requests in order. always: headers of each answer of its own."""

    script: Script = lambda asked: None
    made: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    always: dict[str, str] = field(default_factory=dict)
    base_url: str = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
            body = await reader.readexactly(length_of(head))
            parts = urlsplit(target)
            kind = parts.path.split("/")[2]
            number = 1 + sum(one.method == method and one.path.split("/")[2] == kind for one in self.asked)
            asked = Asked(method, parts.path, json.loads(body) if body else None, time.monotonic(), number)
            self.asked.append(asked)
            told = self.script(asked)
            writer.write(self._own(asked, parse_qs(parts.query)) if told is None else told)
            await writer.drain()

    def _own(self, asked: Asked, query: Mapping[str, list[str]]) -> bytes:
        if asked.is_create:
            key = asked.body["unique_id"]
            if key in self.made:
                taken = {"error": f"unique_id in use ({self.made[key]['task_id']})"}
                return answer(409, taken, self.always)
            self.made[key] = one_task(len(self.made) + 1, asked.body)
            return answer(200, self.made[key], self.always)
        if asked.is_list:
            wanted = query.get("unique_id")
            docs = [task for key, task in self.made.items() if wanted is None or key in wanted]
            return answer(200, {"docs": docs, "total": len(docs), "has_more": False}, self.always)
        if asked.path.startswith("/v1/projects/"):
            name = asked.path.rsplit("/", 1)[1]
            return answer(200, {"name": name, "type": "categorization", "param_history": []}, self.always)
        return answer(404, {"error": "no such thing"}, self.always)

    def creates(self) -> list[Asked]:
        """Create calls so far."""
        return [one for one in self.asked if one.is_create]

    def lists(self) -> list[Asked]:
        """List calls so far."""
        return [one for one in self.asked if one.is_list]


@asynccontextmanager
async def raw_api(script: Script = lambda asked: None, **more: Any) -> AsyncIterator[RawApi]:
    """The imitation on a free port of this machine."""
    api = RawApi(script, **more)
    async with listening(api.serve) as port:
        api.base_url = f"http://127.0.0.1:{port}/v1"
        yield api
