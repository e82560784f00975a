"""From a request to its reply: check the key, check the rate limit, run what is due, answer. No HTTP, no waiting."""

from __future__ import annotations

from typing import Any

from scalesync.sandbox.core.app import App, Caller
from scalesync.sandbox.core.config import EmulatorConfig
from scalesync.sandbox.core.faults import FaultPlan
from scalesync.sandbox.core.journal import Journal
from scalesync.sandbox.core.ratelimit import RateLimit, retry_after
from scalesync.sandbox.core.wire.errors import ApiError
from scalesync.sandbox.core.wire.messages import Call, Reply


class Engine:
    """All parts of one sandbox except the server."""

    def __init__(self, config: EmulatorConfig, faults: FaultPlan, app: App[Any]) -> None:
        self.config = config
        self.faults = faults
        self.app = app
        self.access = app.access
        self.limit = RateLimit(config)
        self.journal = Journal(config.journal_size)

    def api(self, call: Call, kind: str, authorization: str | None) -> Reply:
        """Answer a request of class `kind`."""
        caller = self.admit(call, kind, authorization)
        return caller if isinstance(caller, Reply) else self.carry_out(caller, call)

    def admit(self, call: Call, kind: str, authorization: str | None) -> Caller[Any] | Reply:
        """Return who asks, or the reply that refuses the key or the rate."""
        try:
            caller = self.app.challenge(call, kind, authorization)
        except ApiError as error:
            return self.app.refusal(error.status, error.text)
        if caller.key and not self.limit.admit(caller.key, kind == "create"):
            return self._too_many()
        return caller

    def carry_out(self, caller: Caller[Any], call: Call) -> Reply:
        """Answer the request of an admitted caller."""
        try:
            self.app.advance(caller.world)
            return self.app.answer(caller.world, call)
        except ApiError as error:
            return self.app.refusal(error.status, error.text)

    def _too_many(self) -> Reply:
        """The 429 reply, with Retry-After if the setting asks for it."""
        reply = self.app.refusal(429, self.config.rate_text)
        if self.config.retry_after is not None:
            reply.headers["Retry-After"] = retry_after(self.config, self.config.retry_after)
        return reply
