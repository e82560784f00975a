"""Sends callbacks while the server runs: POST with the header `scale-callback-auth`, tried again until a 2xx.

It also runs the timers that may bring a callback; without it they wait for the next request.
The body is the task or batch as it is when the try leaves (guess), so a late receiver never learns old news.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Self

import aiohttp

from scalesync.sandbox.core.wire.rawjson import text
from scalesync.sandbox.scale.batches import render_batch
from scalesync.sandbox.scale.multistage import documents as staged
from scalesync.sandbox.scale.state.model import Extra
from scalesync.sandbox.scale.state.outbox import Delivery
from scalesync.sandbox.scale.state.world import World
from scalesync.sandbox.scale.store import Store
from scalesync.sandbox.scale.tasks.documents import render, response
from scalesync.sandbox.scale.tasks.timers import SEQ_BITS
from scalesync.sandbox.scale.v2 import due

WIDTH = 16  # tries at the same time
LONGEST_S = 1.0  # a clock that a test sets is looked at again after this
HEADER = "scale-callback-auth"


class Courier:
    """For `async with`; callbacks leave while it is entered."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._config = store.config
        self._awake = asyncio.Event()
        self._sending: set[asyncio.Task[None]] = set()
        self._runner: asyncio.Task[None] | None = None
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        for world in self._store:
            world.outbox.wake = self._awake.set
        self._runner = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        tasks = [*self._sending, *([self._runner] if self._runner is not None else [])]
        for task in tasks:
            task.cancel()
        try:
            await asyncio.gather(*tasks, return_exceptions=True)
        finally:
            if self._session is not None:
                await self._session.close()

    async def _run(self) -> None:
        while True:
            self._awake.clear()
            for world in self._store:
                if world.outbox.expecting:
                    due.run(self._store.genai(world.name))
                self._send_due(world)
            try:
                async with asyncio.timeout(self._pause_s()):
                    await self._awake.wait()
            except TimeoutError:
                continue

    def _send_due(self, world: World) -> None:
        while len(self._sending) < WIDTH:
            delivery = world.outbox.take(world.now())
            if delivery is None:
                return
            task = asyncio.create_task(self._send(world, delivery))
            self._sending.add(task)
            task.add_done_callback(self._sent)

    def _sent(self, task: asyncio.Task[None]) -> None:
        self._sending.discard(task)
        self._awake.set()

    def _pause_s(self) -> float | None:
        """How long nothing is due; None until somebody wakes the courier."""
        if len(self._sending) >= WIDTH:
            return None
        waits = []
        for world in self._store:
            times = [world.outbox.next_ms]
            if world.outbox.expecting:
                times += [timer >> SEQ_BITS for timer in world.timers[:1]]
                times += [world.batches[number].turn_ms for number in self._store.genai(world.name).turning]
            waits += [max(0, ms - world.now()) / 1000 for ms in times if ms is not None]
        return min(*waits, LONGEST_S) if waits else None

    async def _send(self, world: World, delivery: Delivery) -> None:
        body = _body(world, delivery)
        if body is None:
            delivery.ended = True
            world.outbox.put(delivery)
            return
        status = await self._post(delivery.url, body)
        done = world.outbox.tried(delivery, status, world.now())
        task = world.by_seq[delivery.subject] if delivery.kind == "task" else None
        if task is not None and done is not None:
            task.extra = task.extra or Extra()
            task.extra.called = done
            world.save_new(task)  # `updated_at` stays, because the task did not change (guess)
        if self._config.data_sync:
            self._store.flush()

    async def _post(self, url: str, body: bytes) -> int:
        """The status of the answer; 0 if there was none."""
        if self._session is None:
            limit = aiohttp.ClientTimeout(total=self._config.callback_timeout_s)
            self._session = aiohttp.ClientSession(timeout=limit)
        headers = {"Content-Type": "application/json", HEADER: self._config.callback_auth}
        try:
            async with self._session.post(url, data=body, headers=headers, allow_redirects=False) as answer:
                return answer.status
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError):
            return 0


def _body(world: World, delivery: Delivery) -> bytes | None:
    """`task_id, status, response, task`, or `batch`, or a stage; None if the task or the delivery is gone."""
    if delivery.kind == "batch":
        return b'{"batch":' + render_batch(world, world.batches[delivery.subject], detailed=True) + b"}"
    task = world.by_seq[delivery.subject]
    if task is None:
        return None
    if delivery.kind == "stage":
        return staged.callback(world, task, delivery.part, render(world, task))
    answer = response(world, task, task.status)
    head = b'{"task_id":' + text(world.task_id(task)) + b',"status":' + text(task.status)
    middle = b"" if answer is None else b',"response":' + answer
    return head + middle + b',"task":' + render(world, task) + b"}"
