"""Callbacks that wait to be sent: what, to whom, and when the next try is due. The courier sends them."""

from __future__ import annotations

import heapq
import ipaddress
from collections import Counter, deque
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import msgspec

from scalesync.sandbox.scale.config import SandboxConfig

DAY_S = 86_400.0
GROWTH = 1.5  # each wait is this many times the one before
KEPT = 1000  # tries that GET callbacks shows


class Delivery(msgspec.Struct, omit_defaults=True):
    """One callback until it was answered with 2xx or all tries failed. subject: a task's seq or a batch's number."""

    number: int
    kind: str  # task, batch or stage
    subject: int
    url: str
    tries: int = 0
    due_ms: int = 0
    ended: bool = False
    part: str = ""  # the name of a stage of the task


class Outbox:
    """The callbacks of one world."""

    def __init__(self, config: SandboxConfig, save: Callable[[str, object], None]) -> None:
        self._config = config
        self._save = save
        self.waiting: dict[int, Delivery] = {}
        self.counts: Counter[str] = Counter()  # delivered, failed, retried; held: not to be sent from here
        self.recent: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self.expecting = False  # whether a timer may bring a callback
        self.wake: Callable[[], None] = _nobody
        self._heap: list[tuple[int, int]] = []
        self._made = 0

    def add(self, kind: str, subject: int, url: str, now_ms: int, *, part: str = "") -> None:
        """Queue a callback. One to an address that `callbacks` excludes is counted as held, and never sent."""
        if not self.reaches(url):
            self.counts["held"] += 1
            self.recent.append({"kind": kind, "url": url, "try": 0, "status": "held"})
            return
        self.put(Delivery(self._made, kind, subject, url, due_ms=now_ms, part=part))
        self.wake()

    def expect(self) -> None:
        """Let the courier run timers: a callback may follow one."""
        self.expecting = True
        self.wake()

    def reaches(self, url: str) -> bool:
        """Whether callbacks go to this address: http(s), and by default this machine only."""
        rule = self._config.callbacks
        try:
            parts = urlsplit(url)
            host = parts.hostname
        except ValueError:
            return False
        if rule == "off" or parts.scheme not in ("http", "https") or not host:
            return False
        return rule == "any" or _is_here(host)

    def take(self, now_ms: int) -> Delivery | None:
        """Take out one that is due, None if there is none; it has to come back by `put`."""
        if not self._heap or self._heap[0][0] > now_ms:
            return None
        return self.waiting[heapq.heappop(self._heap)[1]]

    @property
    def next_ms(self) -> int | None:
        """When the next try is due; None if nothing waits."""
        return self._heap[0][0] if self._heap else None

    def put(self, delivery: Delivery) -> None:
        """Queue a delivery for its due time, or forget it if it has ended; and save that."""
        self._made = max(self._made, delivery.number + 1)
        if delivery.ended:
            self.waiting.pop(delivery.number, None)
        else:
            self.waiting[delivery.number] = delivery
            heapq.heappush(self._heap, (delivery.due_ms, delivery.number))
        self._save("callback", delivery)

    def tried(self, delivery: Delivery, status: int, now_ms: int) -> bool | None:
        """Note the answer of a try, 0 for none. True: delivered; False: the last try failed; None: there is another."""
        delivery.tries += 1
        self.recent.append(
            {"kind": delivery.kind, "url": delivery.url, "try": delivery.tries, "status": status or "no answer"}
        )
        good = 200 <= status < 300
        delivery.ended = good or delivery.tries >= self._config.callback_tries
        if not delivery.ended:
            delivery.due_ms = now_ms + wait_ms(self._config, delivery.tries)
        self.counts["delivered" if good else "failed" if delivery.ended else "retried"] += 1
        self.put(delivery)
        return good if delivery.ended else None

    def apply(self, value: msgspec.Raw) -> None:
        """Take over a record of the data file; `ready` follows the last one."""
        delivery = _DELIVERY.decode(value)
        self._made = max(self._made, delivery.number + 1)
        if delivery.ended:
            self.waiting.pop(delivery.number, None)
        else:
            self.waiting[delivery.number] = delivery

    def ready(self) -> None:
        """Order what the data file held by its due times."""
        self._heap = [(delivery.due_ms, number) for number, delivery in self.waiting.items()]
        heapq.heapify(self._heap)


_DELIVERY = msgspec.msgpack.Decoder(Delivery)


def _nobody() -> None:
    """Nobody sends: the world has no server."""


def _is_here(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def wait_ms(config: SandboxConfig, tries: int) -> int:
    """The wait after this number of failed tries: it grows by half each time; all take a day, times the scale."""
    gaps = max(1, config.callback_tries - 1)
    first = DAY_S * (GROWTH - 1) / (GROWTH**gaps - 1)
    return int(first * GROWTH ** (tries - 1) * config.callback_scale * 1000)
