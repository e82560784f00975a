"""An engine without a socket, and a clock that stands still until told."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import pytest
import requests

from scalesync.sandbox import SandboxConfig
from scalesync.sandbox.core.engine import Engine
from scalesync.sandbox.core.faults import FaultPlan
from scalesync.sandbox.core.wire.messages import Reply
from scalesync.sandbox.scale.app import ScaleApp

START_MS = 1_700_000_000_000
CREATE = {"attachment": "hello", "attachment_type": "text", "categories": ["a", "b"]}


def basic(key: str) -> str:
    return "Basic " + base64.b64encode(f"{key}:".encode()).decode()


@contextmanager
def sessions_closed(patch: pytest.MonkeyPatch) -> Iterator[None]:
    """Close the sessions that are opened in it at its end: the official SDK opens one for each call of version 1."""
    opened: list[requests.Session] = []
    plain = requests.Session.__init__

    def remember(self: requests.Session) -> None:
        plain(self)
        opened.append(self)

    patch.setattr(requests.Session, "__init__", remember)
    yield
    for session in opened:
        session.close()


class Clock:
    """Milliseconds for `clock`, seconds for `monotonic`."""

    def __init__(self) -> None:
        self.ms = START_MS

    def __call__(self) -> int:
        return self.ms

    def seconds(self) -> float:
        return self.ms / 1000

    def forward(self, seconds: float) -> None:
        self.ms += int(seconds * 1000)


class Api:
    """Calls the engine as the server would."""

    def __init__(self, key: str = "live_key", **settings: Any) -> None:
        self.clock = Clock()
        settings.setdefault("clock", self.clock)
        settings.setdefault("monotonic", self.clock.seconds)
        self.config = SandboxConfig(**settings)
        self.app = ScaleApp(self.config)
        self.app.listening("http://sandbox")
        self.store = self.app.store
        self.engine = Engine(self.config, FaultPlan((), 0, self.config.monotonic), self.app)
        self.key = key

    @property
    def world(self) -> Any:
        return self.store.world("test" if self.key.startswith("test_") else "live")

    def reply(self, method: str, target: str, body: bytes = b"", **rest: Any) -> Reply:
        key = rest.pop("key", self.key)
        whole = target if target.startswith("/v2/") else f"{self.app.root}{target}"
        kind, call = self.app.classify(method, whole)
        return self.engine.api(replace(call, body=body, **rest), kind, basic(key))

    def call(self, method: str, target: str, body: Any = None, **rest: Any) -> tuple[int, Any]:
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        reply = self.reply(method, target, raw, **rest)
        return reply.status, json.loads(reply.body) if reply.kind.startswith("application/json") else reply.body

    def get(self, target: str, **rest: Any) -> Any:
        status, body = self.call("GET", target, **rest)
        assert status == 200, body
        return body

    def post(self, target: str, body: Any = None, **rest: Any) -> Any:
        status, reply = self.call("POST", target, body, **rest)
        assert status == 200, reply
        return reply

    def create(self, kind: str = "categorization", **fields: Any) -> Any:
        return self.post(f"/task/{kind}", {**(CREATE if kind == "categorization" else {}), **fields})

    def refused(self, method: str, target: str, body: Any = None, **rest: Any) -> tuple[int, str]:
        status, reply = self.call(method, target, body, **rest)
        assert reply["status_code"] == status
        return status, reply["error"]

    def walk(self, query: str = "", limit: int = 7) -> list[Any]:
        """All documents of a listing, by next_token."""
        docs, token = [], ""
        while True:
            page = self.get(f"/tasks?limit={limit}{query}" + (f"&next_token={quote(token)}" if token else ""))
            docs += page["docs"]
            if not page["has_more"]:
                assert "next_token" not in page
                return docs
            token = page["next_token"]
