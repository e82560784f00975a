"""A changer whose calls go to the sandbox without a network."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar, cast
from urllib.parse import urlencode

from multidict import CIMultiDict, CIMultiDictProxy

from scalesync.http.transport import Reply, Transport
from scalesync.model.outcomes import Outcome, OutcomeKind
from scalesync.model.records import JsonObject
from scalesync.model.targets import RequestClass
from scalesync.platforms.scale.adapter import ScalePlatform
from scalesync.platforms.scale.changes.table import CHANGES
from scalesync.ports.changes import Changer, ChangeSpec, Planned
from tests.sandbox.support import Api

T = TypeVar("T")


def at_once(coroutine: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that waits for nothing, so that it needs no loop."""
    try:
        coroutine.send(None)
    except StopIteration as ended:
        return cast(T, ended.value)
    raise AssertionError("it waits for something")


class Direct:
    """Carries calls to an engine. heard: class and line of each."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self.heard: list[tuple[RequestClass, str]] = []

    async def call(
        self,
        cls: RequestClass,
        method: str,
        path: str,
        *,
        query: Sequence[tuple[str, str]] = (),
        body: bytes | None = None,
    ) -> Reply:
        target = f"{path}?{urlencode(query)}" if query else path
        self.heard.append((cls, f"{method} {target}"))
        reply = self._api.reply(method, target, body or b"")
        return Reply(reply.status, CIMultiDictProxy(CIMultiDict({"Content-Type": reply.kind})), reply.body)


def changer_of(transport: object, **extras: Any) -> Changer:
    """The changer of version 1 over a transport."""
    changer = ScalePlatform(cast(Transport, transport), extras=extras).changer
    assert changer is not None
    return changer


class Changing:
    """One changer at a sandbox that stands still."""

    def __init__(self, **settings: Any) -> None:
        self.api = Api(**settings)
        self.way = Direct(self.api)
        self.changer = changer_of(self.way)

    def read(self, spec: ChangeSpec, ref: str) -> JsonObject:
        """The document of a task or batch that exists."""
        found = at_once(self.changer.read(spec, ref)).task
        assert found is not None
        return found

    def change(self, name: str, ref: str, **arguments: Any) -> tuple[Planned, Outcome, Planned]:
        """Make a change: what was planned, what came of it, and what a plan says after it."""
        spec = CHANGES[name]
        spec.check(arguments)
        before = self.read(spec, ref)
        planned = spec.plan(before, arguments)
        outcome = at_once(self.changer.change(spec, ref, arguments, before if spec.reads else None))
        return planned, outcome, spec.plan(self.read(spec, ref), arguments)

    def applied(self, name: str, ref: str, **arguments: Any) -> Planned:
        """A change that has to be carried out as planned; returns the plan."""
        planned, outcome, then = self.change(name, ref, **arguments)
        assert (outcome.kind, outcome.ref) == (OutcomeKind.CREATED, ref), outcome
        assert then.before == planned.after
        return planned
