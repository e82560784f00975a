"""The one place that builds concrete objects: ledger, pace, transport, platform."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field

from scalesync.config.settings import Way
from scalesync.engine.calls import Caller
from scalesync.engine.limits import EngineLimits
from scalesync.engine.waits import Waits
from scalesync.errors import ConfigError
from scalesync.events import Observer
from scalesync.flows.runtime.gate import RequestGate
from scalesync.flows.runtime.ledgers import open_quota
from scalesync.flows.runtime.watch import Watch
from scalesync.http.network import connections_allowed
from scalesync.http.renewing import RenewingTransport
from scalesync.http.transport import Transport
from scalesync.model.jobs import JobSpec, StoredJob
from scalesync.model.records import JsonObject
from scalesync.model.targets import RequestClass
from scalesync.pacing.controller import MAX_WIDTH, Widths
from scalesync.pacing.handover import Handovers
from scalesync.pacing.limiter import Rate, parse_rate
from scalesync.pacing.pace import Pace
from scalesync.pacing.shared_slots import SharedSlots, client_of
from scalesync.pacing.slot_pool import QuotaPool
from scalesync.platforms import registry
from scalesync.ports.platform import Containers, Platform
from scalesync.ports.spec import PlatformSpec, Vocabulary

LISTED = (
    "records without a batch are looked up by listing their whole project, page by page; put them into a batch, such as"
    " with --batch, and only that is listed"
)

SEARCHED = (
    "records are looked up in lists: all tasks of their project are listed once first, page by page, because another"
    " ledger may have sent them"
)


@dataclass(frozen=True, slots=True)
class Connection:
    """One run's connection to the platform."""

    way: Way
    platform: Platform
    transport: Transport
    gate: RequestGate
    pace: Pace
    call: Caller
    waits: Waits
    watch: Watch
    note: Callable[[str], None]
    _told: set[str] = field(default_factory=set)

    def looks_up(self, batches: Iterable[str | None]) -> None:
        """Report once what look-ups cost where they are lists.

        batches: of the records.
        """
        if self.platform.spec.key.listed:
            self._tell_once(SEARCHED)
            if None in batches:
                self._tell_once(LISTED)

    def _tell_once(self, sentence: str) -> None:
        if sentence not in self._told:
            self._told.add(sentence)
            self.note(sentence)

    @property
    def words(self) -> Vocabulary:
        """The names of things on the platform."""
        return self.platform.spec.vocabulary

    @property
    def containers(self) -> Containers:
        """Projects and batches. Raises ConfigError if the platform has none."""
        found = self.platform.containers
        if found is None:
            raise ConfigError(
                f"{self.platform.spec.title} has no projects and batches; leave --project and --batch out"
            )
        return found

    def file_headers(self, url: str) -> Mapping[str, str]:
        """The credential for a result file that the API itself serves to those who have a key; empty for all others."""
        pattern, root = self.platform.spec.keyed_files, f"{self.transport.base_url}/"
        if not pattern or not url.startswith(root) or re.fullmatch(pattern, url.removeprefix(root)) is None:
            return {}
        return self.transport.credential_headers()

    def traffic(self) -> JsonObject:
        """How the calls of this run went: counts, and seconds of silence.

        throttled: answers of 429. server_errors: of 500 and above. retry_after_seconds: that the server asked to wait.
        waited_seconds: in which nothing got through, and the run said so. limit_per_second: as it was found, None
        before a limit was met.
        """
        counters = self.transport.counters
        return {
            "requests": counters.requests,
            "throttled": counters.throttled,
            "server_errors": counters.server_errors,
            "retry_after_seconds": round(self.pace.held_s, 1),
            "waited_seconds": round(self.watch.waited_s, 1),
            "limit_per_second": self.gate.learned(),
        }


def make_gate(
    way: Way,
    paced: RequestClass,
    note: Callable[[str], None] = lambda text: None,
    memory: Mapping[RequestClass, JsonObject] | None = None,
) -> tuple[Pace, RequestGate]:
    """The pace of a run. --rate limits the class of the job, --rate-all everything together.

    Otherwise the run keeps the platform's published rates at its own address, and everything else follows the server,
    beginning with what earlier runs learned (memory). Set rates are shared with all runs on this ledger and target;
    `note` is called when that is not possible. Call `end` on the gate.
    """
    spec = registry.spec_of(way.target.platform)
    rates = published_rates(spec, way.target.base_url)
    if way.rate is not None:
        rates[spec.heads.get(paced, paced)] = parse_rate(way.rate)
    rate_all = parse_rate(way.rate_all) if way.rate_all else None
    widths = Widths(
        fixed=way.concurrency and connections_allowed(way.concurrency),
        most=connections_allowed(MAX_WIDTH),
        by_class={cls: limit.width for cls, limit in spec.limits.items() if limit.width is not None},
    )
    pace = Pace(rates, rate_all, heads=spec.heads, widths=widths, memory=memory)
    handovers = Handovers(rates, rate_all, heads=spec.heads)
    quota = None
    if handovers and way.ledger.exists():  # a dry run without a ledger makes no file
        client = client_of(rates, rate_all)
        source = SharedSlots(open_quota(way.ledger), str(way.target), client)
        quota = QuotaPool(
            source,
            client,
            lambda reason: note(f"other runs do not share this run's rate: {reason}"),
            heads=spec.heads,
        )
    # Where the server refuses a second task, a request of a run that was frozen and replaced does no harm.
    return pace, RequestGate(pace, handovers, paced, quota=quota, fenced=not spec.key.resend_is_safe)


def published_rates(spec: PlatformSpec, base_url: str) -> dict[RequestClass, Rate | None]:
    """The published rates of a platform by class, used if none was set; none at another address than its own."""
    if not spec.is_at(base_url):
        return {}
    heads = spec.heads
    return {heads.get(cls, cls): parse_rate(limit.rate) for cls, limit in spec.limits.items() if limit.rate is not None}


@asynccontextmanager
async def connect(
    way: Way,
    observer: Observer,
    *,
    task_type: str = "",
    namespace: str = "",
    paced: RequestClass = RequestClass.CREATE,
    limits: EngineLimits | None = None,
    memory: Mapping[RequestClass, JsonObject] | None = None,
) -> AsyncIterator[Connection]:
    """Connect to the platform; nothing is sent yet.

    limits: patience and back-off of single calls.
    memory: what earlier runs learned of the platform's limits.
    """
    bounds = limits or EngineLimits()
    pace, gate = make_gate(way, paced, observer.note, memory)
    adapter = registry.adapter_of(registry.spec_of(way.target.platform))
    credential = adapter.credential(way.api_key)
    kind = RenewingTransport if credential.renews else Transport
    transport = kind(way.target.base_url, credential, gate, mask=way.mask)
    waits = Waits()
    watch = Watch(waits, observer, transport.counters, gate, where=way.target.base_url)
    try:
        async with transport:
            platform = adapter(transport, task_type, namespace, way.extras)
            caller = Caller(bounds.retry, waits, patience_s=bounds.patience_s)
            watch.start()
            yield Connection(way, platform, transport, gate, pace, caller, waits, watch, observer.note)
    finally:
        watch.stop()
        gate.end()


def connect_for_lookups(
    job: JobSpec | StoredJob, way: Way, observer: Observer, *, limits: EngineLimits | None = None
) -> AbstractAsyncContextManager[Connection]:
    """Connect to look up the tasks of an import job; `limits` as in `connect`."""
    return connect(
        way,
        observer,
        task_type=str(job.settings.get("type", "")),
        namespace=job.target.namespace,
        paced=RequestClass.LIST,
        limits=limits,
    )
