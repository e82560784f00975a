"""From a request to its reply: key, limit, time, route. No HTTP library, no waiting."""

from __future__ import annotations

from scalesync.sandbox.core.access import Access
from scalesync.sandbox.core.faults import FaultPlan
from scalesync.sandbox.core.journal import Journal
from scalesync.sandbox.core.ratelimit import RateLimit, too_many
from scalesync.sandbox.core.wire.messages import Call, Reply
from scalesync.sandbox.scale import control, routes
from scalesync.sandbox.scale.answers import results
from scalesync.sandbox.scale.config import SandboxConfig
from scalesync.sandbox.scale.errors import ApiError, error_body
from scalesync.sandbox.scale.state.world import World
from scalesync.sandbox.scale.store import Store
from scalesync.sandbox.scale.tasks.lifecycle import sweep


class Engine:
    """All parts of one sandbox but the server."""

    def __init__(self, config: SandboxConfig, faults: FaultPlan, store: Store) -> None:
        self.config = config
        self.faults = faults
        self.store = store
        self.access = Access(config)
        self.limit = RateLimit(config)
        self.journal = Journal(config.journal_size)

    def api(self, call: Call, kind: str, authorization: str | None) -> Reply:
        """Answer a request under /v1."""
        try:
            key = self.access.key(authorization)
            world = self._world(self.access.world(key, kind))
            if not self.limit.admit(key, kind == "create"):
                return too_many(self.config)
            sweep(world)
            return routes.answer(world, call)
        except ApiError as error:
            return Reply(error.status, error.body)

    def _world(self, name: str) -> World:
        return self.store.world("test" if name == "test" else "live")

    def result(self, call: Call) -> Reply:
        """Answer GET /results/{uuid}."""
        if call.method not in ("GET", "HEAD") or len(call.path) != 2:
            return not_found(call)
        return results.fetch(self.store, call)

    def control(self, call: Call) -> Reply:
        """Answer a request under /_sandbox."""
        try:
            return control.answer(self, call)
        except ApiError as error:
            return Reply(error.status, error.body)


def not_found(call: Call) -> Reply:
    """The 404 of a path nobody knows."""
    path = call.target.partition("?")[0]
    return Reply(404, error_body(404, f"Cannot {call.method} {path}"))
