"""What the suite must know of Toy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from scalesync.sandbox import FaultRule
from scalesync.sandbox.core.wire.rawjson import dumps
from scalesync.testing.platform_suite import Held
from tests.platforms.forking import ForkingHarness
from tests.plugins import install
from tests.toy.plugin import PYPROJECT
from tests.toy.server.app import Toy
from tests.toy.server.config import ToyConfig


class ToyHarness(ForkingHarness):
    """Items in one project. switches: of Toy, such as one_fate and commands."""

    platform = "toy"
    key = "toy_k"

    def run(
        self, arguments: Sequence[str], folder: Path, environ: Mapping[str, str], started: Callable[[int], None]
    ) -> tuple[int, str, str]:
        if not any(folder.glob("*.dist-info")):
            install(folder, PYPROJECT, {})  # what runs there finds it
        return super().run(arguments, folder, environ, started)

    def __init__(self, **switches: Any) -> None:
        self._switches = switches

    def emulator(self, faults: Sequence[FaultRule] = (), **switches: Any) -> Toy:
        return Toy(ToyConfig(seed=7, **self._switches, **switches), faults, (self.project,))

    def record(self, number: int) -> dict[str, Any]:
        return {"text": f"letter {number}", "weight": 10.0, "marks": ["kind", "angry"]}

    def refused(self) -> dict[str, Any]:
        return {"text": "letter", "bad": True}

    def make(self, host: Toy, key: str, record: dict[str, Any]) -> str:
        return str(host.store.make(self.project, dumps({"data": record, "label": key})))

    def tasks(self, host: Toy) -> Sequence[Held]:
        return [Held(item.label, str(item.id), item.document()) for item in host.store.items.values()]

    def correction(self) -> dict[str, Any]:
        return {"bad": False}

    def begin(self, host: Toy, ref: str) -> None:
        self._become(host, ref, "doing")

    def die(self, host: Toy, ref: str) -> None:
        self._become(host, ref, "dropped")

    def _become(self, host: Toy, ref: str, state: str) -> None:
        entry = host.store.find(ref)
        entry.state = state
        host.store.touch(entry)

    def finish(self, host: Toy, count: int) -> None:
        assert host.app.finish(count) == count

    def correct(self, host: Toy, ref: str) -> None:
        entry = host.store.find(ref)
        entry.answer = dumps({"kind": "letter", "of": entry.id, "corrected": entry.touched})
        host.store.touch(entry)

    def remove(self, host: Toy, ref: str) -> None:
        del host.store.items[int(ref)]

    def expire(self, host: Toy) -> bool:
        return host.app.expire() >= 0
