"""Runs that are killed at a durable step, in the test's own process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from scalesync.ledger.sqlite.exports.export_store import ExportStore

STEPS_APART = 6  # by which two runs of one thing may differ


class Killed(BaseException):
    """The process is gone."""


class Fate:
    """Kills a run at its n-th durable step; from then on none is done. Each counts twice: right before, right after."""

    def __init__(self, strike: int = 0) -> None:
        self.strike = strike
        self.steps = 0

    @property
    def dead(self) -> bool:
        """Whether it has struck."""
        return 0 < self.strike <= self.steps

    def nearly(self, other: Fate) -> bool:
        """Whether a run that it did not strike came close to it: pages that come together are one step, or several."""
        return self.strike > other.steps - STEPS_APART

    def step(self) -> None:
        """One more. Raises Killed when it is the last one, or comes behind it."""
        self.steps += 1
        if self.dead:
            raise Killed

    @contextmanager
    def over(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        """While it hangs over a run."""
        with monkeypatch.context() as patch:
            for name in ("begin_run", "commit", "end_run"):
                patch.setattr(ExportStore, name, self._awaited(getattr(ExportStore, name)))
            for name in ("replace", "rename"):
                patch.setattr(os, name, self._called(getattr(os, name)))
            yield

    def _awaited(self, plain: Any) -> Any:
        async def stepped(*args: Any) -> None:
            self.step()
            await plain(*args)
            self.step()

        return stepped

    def _called(self, plain: Any) -> Any:
        def stepped(*args: Any) -> None:
            self.step()
            plain(*args)
            self.step()

        return stepped
