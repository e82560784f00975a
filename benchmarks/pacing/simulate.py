"""A discrete-event simulation: clients with endless supply, a network, a server; virtual time, one seed."""

from __future__ import annotations

import heapq
import random
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from benchmarks.pacing.servers import Answer, Draw, Server

BIN_S = 0.25
TIMEOUT_S = 10.0  # an attempt without an answer is given up after this long
CREDIT_S = 0.03  # the limiter catches up for a timer that fired this late, and by one grant at least
_SEND, _ARRIVE, _REPLY, _FREE = range(4)


class Client(Protocol):
    """What decides how fast. All times in seconds of the simulation's clock."""

    def allowed(self, now: float) -> tuple[float | None, int, float]:
        """(requests per second or None for no limit, requests in flight, hold until)."""

    def sent(self, now: float, in_flight: int) -> None:
        """A request left; in_flight counts it."""

    def answered(self, now: float, sent: float, answer: Answer) -> None:
        """Its reply came, or its time was up (status 0)."""

    def busy_s(self, answer: Answer, attempt: int, rng: random.Random) -> float:
        """How long the place stays taken after attempt number `attempt` (from 1): the back-off of a retry."""


@dataclass
class Series:
    """Counts per bin of BIN_S, by arrival at the server; rate and width in force at the bin's start."""

    seconds: float
    accepted: list[int] = field(default_factory=list)
    throttled: list[int] = field(default_factory=list)
    strays: list[int] = field(default_factory=list)  # part of `throttled`
    troubled: list[int] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    widths: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        bins = int(self.seconds / BIN_S) + 1
        self.accepted, self.throttled, self.strays, self.troubled = ([0] * bins for _ in range(4))

    def note(self, now: float, answer: Answer) -> None:
        """Count one arrival."""
        place = int(now / BIN_S)
        if place >= len(self.accepted):
            return
        if answer.status == 429:
            self.throttled[place] += 1
            self.strays[place] += answer.stray
        elif answer.status == 200:
            self.accepted[place] += 1
        else:
            self.troubled[place] += 1


@dataclass
class _Seat:
    """One client in the simulation: the model of its limiter and of its connections."""

    client: Client
    start_s: float
    in_flight: int = 0
    granted: float = float("-inf")  # the last grant, on the limiter's own schedule
    due: float = float("inf")  # the wake-up that is pending
    again: deque[int] = field(default_factory=deque)  # retries whose back-off is over, by number of the attempt


class Simulation:
    """Runs `clients` [(client, seconds at which it starts)] against `server`.

    leg: one way through the network. back: the way back, where it is another.
    """

    def __init__(
        self, server: Server, clients: Sequence[tuple[Client, float]], leg: Draw, seed: int, back: Draw | None = None
    ) -> None:
        self._server = server
        self._seats = [_Seat(client, start) for client, start in clients]
        self._leg = leg
        self._back = back or leg
        self._rng = random.Random(seed)
        self._events: list[tuple[float, int, int, int, float, Answer | None, int]] = []
        self._order = 0

    def run(self, seconds: float) -> Series:
        """Simulate and count."""
        series = Series(seconds)
        for number, seat in enumerate(self._seats):
            self._wake(number, seat.start_s)
        while self._events:
            now, _, kind, number, sent, answer, attempt = heapq.heappop(self._events)
            if now >= seconds:
                break
            self._sample(series, now)
            seat = self._seats[number]
            if kind == _ARRIVE:
                answer = self._server.arrive(now, self._rng)
                series.note(now, answer)
                back = now + answer.after_s + self._back(self._rng) if answer.status else sent + TIMEOUT_S
                self._push(back, _REPLY, number, sent, answer, attempt)
                continue
            if kind == _REPLY and answer is not None:
                seat.client.answered(now, sent, answer)
                if (busy_s := seat.client.busy_s(answer, attempt, self._rng)) > 0:
                    self._push(now + busy_s, _FREE, number, sent, answer, attempt + 1)
                    continue
            if kind == _SEND:
                if now != seat.due:
                    continue  # an earlier wake-up took its place
                seat.due = float("inf")
            elif kind == _FREE:
                seat.again.append(attempt)
            else:
                seat.in_flight -= 1
            self._pump(seat, number, now)
        return series

    def _push(self, when: float, kind: int, number: int, sent: float, answer: Answer | None, attempt: int) -> None:
        self._order += 1
        heapq.heappush(self._events, (when, self._order, kind, number, sent, answer, attempt))

    def _wake(self, number: int, when: float) -> None:
        seat = self._seats[number]
        if when < seat.due - 1e-9:
            seat.due = when
            self._push(when, _SEND, number, 0.0, None, 0)

    def _pump(self, seat: _Seat, number: int, now: float) -> None:
        """Send whatever the decision allows now, and be woken for the next one."""
        while True:
            rate, width, hold_until = seat.client.allowed(now)
            if now < seat.start_s or (seat.in_flight >= width and not seat.again):
                return
            when = max(self._grant(seat, now, rate), hold_until)
            if when > now + 1e-9:
                self._wake(number, when)
                return
            seat.granted = self._grant(seat, now, rate)
            if seat.again:
                self._send(seat, number, now, seat.again.popleft())  # its place was kept
                continue
            seat.in_flight += 1
            self._send(seat, number, now, 1)

    def _send(self, seat: _Seat, number: int, when: float, attempt: int) -> None:
        seat.client.sent(when, seat.in_flight)
        self._push(when + self._leg(self._rng), _ARRIVE, number, when, None, attempt)

    @staticmethod
    def _grant(seat: _Seat, now: float, rate: float | None) -> float:
        if rate is None:
            return now
        gap = 1 / rate
        return max(seat.granted, now - max(gap, CREDIT_S)) + gap

    def _sample(self, series: Series, now: float) -> None:
        while len(series.rates) * BIN_S <= now:
            decisions = [seat.client.allowed(now) for seat in self._seats if now >= seat.start_s]
            series.rates.append(sum(rate or 0.0 for rate, _, _ in decisions))
            series.widths.append(sum(width for _, width, _ in decisions))
