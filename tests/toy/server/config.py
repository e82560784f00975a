"""The switches of Toy."""

from __future__ import annotations

from dataclasses import dataclass

from scalesync.sandbox.core.config import EmulatorConfig


@dataclass(frozen=True, kw_only=True)
class ToyConfig(EmulatorConfig):
    """Durations in seconds.

    one_fate: one bad item refuses its whole chunk; else each item has an answer of its own.
    commands: imports are accepted with a command to poll. command_s: how long a command takes.
    token_s: how long a token lives.
    """

    one_fate: bool = False
    commands: bool = False
    command_s: float = 0.05
    token_s: float = 600.0
    chunk_most: int = 25
    page_most: int = 50
