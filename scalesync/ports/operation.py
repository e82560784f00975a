"""What the engine does many times: an operation on items. Creating tasks is the first one."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from enum import Enum
from typing import Protocol

from scalesync.model.outcomes import Comparison, LookupResult, Outcome
from scalesync.model.records import JsonObject, Outgoing
from scalesync.model.targets import RequestClass


class Repeat(Enum):
    """How to send an item again if its outcome is unknown.

    IDEMPOTENT: at once; the server refuses or ignores the second.
    COMPARE_FIRST: after a look-up that says that nothing was done, and after the landing window.
    ONCE: never; it stays unclear and is reported.
    """

    IDEMPOTENT = "idempotent"
    COMPARE_FIRST = "compare first"
    ONCE = "once"


class Operation(Protocol):
    """One kind of work.

    request: the class that its requests count as.
    most, most_bytes: items, and bytes of their bodies, in one request (a chunk).
    look_up_most: keys in one look-up.
    landing_s: seconds in which a request that was given up may still take effect.
    one_fate: a chunk is carried out whole or not at all, so that a refused one may go again in halves.
    """

    request: RequestClass
    most: int
    most_bytes: int
    look_up_most: int
    repeat: Repeat
    landing_s: float
    one_fate: bool

    async def send(self, items: Sequence[Outgoing]) -> Sequence[Outcome]:
        """Send one chunk; returns one outcome each, in order. It never raises for an answer of the service.

        REFUSED for all, in the same words: the service refused the request. The engine finds out which items are bad.
        UNAVAILABLE: certainly not processed. Also for the others, where a refusal names the bad items and did nothing.
        UNKNOWN: for all of them when no answer came, and for those that an answer leaves out.
        ACCEPTED: the service works on it; poll the outcome's command, which items may share.
        """

    async def look_up(
        self, keys: Sequence[str], batches: Collection[str] | None = None, *, unsent: bool = False
    ) -> Mapping[str, LookupResult]:
        """Look up to `look_up_most` keys up; every key is in the answer. Raises RemoteError.

        batches: of the records, if all of them have one. A service that finds tasks only by listing reads these
            again, once it knows which keys its other batches hold.
        unsent: this run and earlier ones sent none of the keys, so what an earlier look-up of this run showed is
            enough.
        Where keys may repeat, `others` of a result names all tasks but the one that it shows.
        """

    async def read(self, ref: str) -> LookupResult:
        """Read one task by the platform's own id. Raises RemoteError."""

    def compare(self, item: Outgoing, task: JsonObject) -> Comparison:
        """Compare an item with the task found under its key."""
