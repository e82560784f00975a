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
from scalesync.sandbox.scale.resources import files
from scalesync.sandbox.scale.state.world import World
from scalesync.sandbox.scale.store import Store
from scalesync.sandbox.scale.v2 import control as v2_control
from scalesync.sandbox.scale.v2 import due
from scalesync.sandbox.scale.v2 import routes as v2_routes

RESULTS = "/results/"
VERSION_2 = "/v2"
FILES = "/files/"  # what `scaledata://` addresses resolve to
NOBODY: Caller[World | None] = Caller("", None)  # for paths outside the API, which need no key


class ScaleApp:
    """The API, v1 and v2, over two worlds, and beside it result files and uploaded files.

    Raises ValueError if the data file cannot be used.
    """

    def __init__(self, config: SandboxConfig) -> None:
        self.root = "/v1"
        self.key_header = "Authorization"
        self.config = config
        self.store = Store(config)
        self.access = Access(config, TEXTS)

    def classify(self, method: str, target: str) -> tuple[str, Call]:
        """The class of a request under /v1 or /v2; `result` for a result file, `other` for everything else."""
        if target.startswith(f"{VERSION_2}/"):
            call = Call(method, target.removeprefix(VERSION_2), version=VERSION_2)
            return v2_routes.kind_of(call), call
        if target.startswith("/v1/"):
            call = Call(method, target[3:])
            return routes.kind_of(method, call.path), call
        return "result" if target.startswith((RESULTS, FILES)) else "other", Call(method, target, outside=True)

    def challenge(self, call: Call, kind: str, authorization: str | None) -> Caller[World | None]:
        """The world of the key. Raises ApiError 401, 402 (creates only) or 403."""
        if call.outside:
            return NOBODY
        key = self.access.key(authorization)
        self.access.check(key, kind)
        return Caller(key, self.store.world(world_of(key)))

    def advance(self, world: World | None) -> None:
        """Run what is due: timers of tasks, batches that turn, deliveries."""
        if world is not None:
            due.run(self.store.genai(world.name))

    def answer(self, world: World | None, call: Call) -> Reply:
        """Answer a request under /v1 or /v2, or return a result file."""
        if world is not None and call.version == VERSION_2:
            return v2_routes.answer(self.store.genai(world.name), call)
        if world is not None:
            return routes.answer(world, call)
        if call.target.startswith(RESULTS) and call.method in ("GET", "HEAD") and len(call.path) == 2:
            return results.fetch(self.store, call)
        if call.target.startswith(FILES) and call.method == "GET" and len(call.path) == 2:
            return files.fetch(self.store, call)
        return self.refusal(404, f"Cannot {call.method} {call.target.partition('?')[0]}")

    def refusal(self, status: int, text: str | None = None) -> Reply:
        """An error in Scale's envelope."""
        return Reply(status, error_body(status, OWN_ERRORS.get(status, INTERNAL) if text is None else text))

    def control(self, call: Call) -> Reply | None:
        """POST annotate, POST tasks/{id}; of v2: POST projects, POST deliver, POST datasets."""
        self._run_due()
        return control.answer(self.store, call) or v2_control.answer(self.store, call)

    def _run_due(self) -> None:
        for world in self.store:
            due.run(self.store.genai(world.name))

    def stats(self) -> dict[str, object]:
        """Tasks by world and status, batches, projects, deliveries, datasets."""
        self._run_due()
        told = control.worlds(self.store)
        return {"worlds": {name: world | v2_control.counts(self.store.genai(name)) for name, world in told.items()}}

    def listening(self, origin: str) -> None:
        """Let result links point to this server, unless `result_base_url` names another one."""
        self.store.set_base_url((self.config.result_base_url or origin).rstrip("/"))

    def flush(self) -> None:
        """Write what is buffered."""
        self.store.flush()

    def close(self) -> None:
        """Write everything and close the data file."""
        self.store.close()
