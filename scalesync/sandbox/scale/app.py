"""Scale as an `App` of the server."""

from __future__ import annotations

from scalesync.sandbox.core.access import Access
from scalesync.sandbox.core.app import Caller
from scalesync.sandbox.core.wire.messages import Call, Reply
from scalesync.sandbox.scale import control, routes
from scalesync.sandbox.scale.answers import results
from scalesync.sandbox.scale.config import SandboxConfig
from scalesync.sandbox.scale.errors import INTERNAL, OWN_ERRORS, error_body
from scalesync.sandbox.scale.keys import TEXTS, world_of
from scalesync.sandbox.scale.state.world import World
from scalesync.sandbox.scale.store import Store
from scalesync.sandbox.scale.tasks.lifecycle import run_due_timers

RESULTS = "/results/"
NOBODY: Caller[World | None] = Caller("", None)  # for paths outside the API, which need no key


class ScaleApp:
    """The v1 API over two worlds, and the result files beside it.

    Raises ValueError if the data file cannot be used.
    """

    def __init__(self, config: SandboxConfig) -> None:
        self.root = "/v1"
        self.key_header = "Authorization"
        self.config = config
        self.store = Store(config)
        self.access = Access(config, TEXTS)

    def classify(self, method: str, target: str) -> tuple[str, Call]:
        """The class of a request under /v1; `result` for a result file, `other` for everything else."""
        if target.startswith("/v1/"):
            call = Call(method, target[3:])
            return routes.kind_of(method, call.path), call
        return "result" if target.startswith(RESULTS) else "other", Call(method, target, outside=True)

    def challenge(self, call: Call, kind: str, authorization: str | None) -> Caller[World | None]:
        """The world of the key. Raises ApiError 401, 402 (creates only) or 403."""
        if call.outside:
            return NOBODY
        key = self.access.key(authorization)
        self.access.check(key, kind)
        return Caller(key, self.store.world(world_of(key)))

    def advance(self, world: World | None) -> None:
        """Run the timers that are due."""
        if world is not None:
            run_due_timers(world)

    def answer(self, world: World | None, call: Call) -> Reply:
        """Answer a request under /v1, or return a result file."""
        if world is not None:
            return routes.answer(world, call)
        if call.target.startswith(RESULTS) and call.method in ("GET", "HEAD") and len(call.path) == 2:
            return results.fetch(self.store, call)
        return self.refusal(404, f"Cannot {call.method} {call.target.partition('?')[0]}")

    def refusal(self, status: int, text: str | None = None) -> Reply:
        """An error in Scale's envelope."""
        return Reply(status, error_body(status, OWN_ERRORS.get(status, INTERNAL) if text is None else text))

    def control(self, call: Call) -> Reply | None:
        """POST annotate, POST tasks/{id}."""
        return control.answer(self.store, call)

    def stats(self) -> dict[str, object]:
        """Tasks by world and status, batches, projects."""
        return {"worlds": control.worlds(self.store)}

    def listening(self, origin: str) -> None:
        """Let result links point to this server, unless `result_base_url` names another one."""
        self.store.set_base_url((self.config.result_base_url or origin).rstrip("/"))

    def flush(self) -> None:
        """Write what is buffered."""
        self.store.flush()

    def close(self) -> None:
        """Write everything and close the data file."""
        self.store.close()
