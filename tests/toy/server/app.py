"""Toy as the server sees it, and Toy on a port."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

from scalesync.sandbox.core.access import Access
from scalesync.sandbox.core.app import Caller
from scalesync.sandbox.core.control import body_of
from scalesync.sandbox.core.engine import Engine
from scalesync.sandbox.core.faults import FaultPlan, FaultRule
from scalesync.sandbox.core.host import Host, serve_until_signal
from scalesync.sandbox.core.wire.errors import ApiError
from scalesync.sandbox.core.wire.messages import Call, Reply, ok
from scalesync.sandbox.core.wire.rawjson import dumps, loads
from tests.toy.server import routes
from tests.toy.server.commands import FATES, Commands
from tests.toy.server.config import ToyConfig
from tests.toy.server.routes import World
from tests.toy.server.store import TODO, Store

WORDS = {
    401: "The token is unknown or expired.",
    403: "The token may not do this.",
    413: "The body is too large.",
    500: "Something broke.",
    503: "The service is away.",
    504: "The service did not answer in time.",
}


class ToyApp:
    """The v2 API over one world. Raises ValueError for a data file: Toy's state lives in memory."""

    root = "/v2"
    key_header = "Authorization"

    def __init__(self, config: ToyConfig) -> None:
        if config.data is not None:
            raise ValueError("Toy keeps no data file")
        self.config = config
        self.access = Access(config, WORDS)
        self.world = World(Store(config), Commands(config))

    def classify(self, method: str, target: str) -> tuple[str, Call]:
        """The class of a request under /v2, `other` elsewhere."""
        if not target.startswith("/v2/"):
            return "other", Call(method, target, outside=True)
        call = Call(method, target[3:])
        return routes.kind_of(method, call.path), call

    def challenge(self, call: Call, kind: str, authorization: str | None) -> Caller[World]:
        """Who asks, by a token that still lives. Raises ApiError 401 or 403."""
        if call.outside or kind == "token":
            return Caller("", self.world)
        token = self.access.key(authorization)
        key, until_s = self.world.store.tokens.get(token, ("", 0.0))
        if self.config.monotonic() >= until_s:
            raise ApiError(401, WORDS[401])
        self.access.check(key, kind)
        return Caller(key, self.world)

    def advance(self, world: World) -> None:
        """Carry out the commands that are due."""
        world.commands.advance()

    def answer(self, world: World, call: Call) -> Reply:
        """Carry out a request under /v2."""
        if call.outside:
            raise ApiError(404, f"There is nothing at {call.target}.")
        if call.path == ("token",) and call.method == "POST":
            return self._token(call)
        return routes.answer(world, call)

    def _token(self, call: Call) -> Reply:
        """POST token `{"key"}`: a new token for a good key. Raises ApiError 401 or 403."""
        try:
            key = str(loads(call.body)["key"])
        except (ValueError, KeyError, TypeError):
            raise ApiError(400, "The body must be an object with key.") from None
        if not key.startswith("toy_"):
            raise ApiError(401, f"The key {key} is unknown.")
        self.access.check(key, "token")
        token = "tok_" + secrets.token_hex(12)
        self.world.store.tokens[token] = key, self.config.monotonic() + self.config.token_s
        return ok({"token": token, "expires_s": self.config.token_s})

    def refusal(self, status: int, text: str | None = None) -> Reply:
        """An error in Toy's envelope."""
        return Reply(status, dumps({"problem": WORDS.get(status, WORDS[500]) if text is None else text}))

    def control(self, call: Call) -> Reply | None:
        """POST projects, finish, commands, tokens and items/{id}; GET items."""
        match call.method, *call.path[1:]:
            case "POST", "projects":
                self.world.store.add_project(body_of(call)["name"])
                return ok({})
            case "POST", "finish":
                return ok({"finished": self.finish(body_of(call).get("count"))})
            case "POST", "commands":
                self.fates(body_of(call)["fates"])
                return ok({})
            case "POST", "tokens":
                return ok({"expired": self.expire()})
            case "POST", "items", name:
                return self._change(name, body_of(call))
            case "GET", "items":
                return ok([loads(entry.document()) for entry in self.world.store.items.values()])
        return None

    def finish(self, count: int | None = None) -> int:
        """Have items done that wait, oldest first; returns how many."""
        waiting = (entry for entry in self.world.store.items.values() if entry.state == TODO)
        return self.world.store.finish(list(islice(waiting, count)))

    def fates(self, fates: Sequence[str]) -> None:
        """What becomes of the next commands, see commands.FATES."""
        if unknown := set(fates) - {*FATES, ""}:
            raise ApiError(400, f"no fate {sorted(unknown)[0]}")
        self.world.commands.fates.extend(fates)

    def expire(self) -> int:
        """Let every token end now; returns how many."""
        tokens = self.world.store.tokens
        number = len(tokens)
        tokens.clear()
        return number

    def _change(self, name: str, changed: dict[str, Any]) -> Reply:
        store = self.world.store
        entry = store.find(name)
        if changed.get("remove"):
            del store.items[entry.id]
            return ok({})
        entry.state = changed.get("state", entry.state)
        if "answer" in changed:
            entry.answer = dumps(changed["answer"])
        store.touch(entry)
        return Reply(body=entry.document())

    def stats(self) -> dict[str, object]:
        """Items of each project."""
        store = self.world.store
        return {"projects": {name: sum(store.labels(name).values()) for name in store.projects}}

    def listening(self, origin: str) -> None:
        """Toy makes no links."""

    def flush(self) -> None:
        """There is no file."""

    def close(self) -> None:
        """There is no file."""


class Toy(Host):
    """Toy on a port of this machine, for `async with`. projects: that exist."""

    def __init__(
        self, config: ToyConfig | None = None, faults: Iterable[FaultRule] = (), projects: Iterable[str] = ()
    ) -> None:
        self.config = config or ToyConfig()
        self.app = ToyApp(self.config)
        self.store = self.app.world.store
        for project in projects:
            self.store.add_project(project)
        plan = FaultPlan(faults, self.config.seed, self.config.monotonic)
        super().__init__(Engine(self.config, plan, self.app), "127.0.0.1", 0, None)


def serve(config: ToyConfig, projects: Iterable[str], announce: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM; `announce` gets the v2 root as soon as it listens. Blocks."""
    settings = config if config.journal_size is not None else replace(config, journal_size=0)
    serve_until_signal(lambda: Toy(settings, projects=projects), announce)
