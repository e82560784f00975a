"""Where rows belong, and the classes of requests."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Mode(StrEnum):
    """Which of the account's two worlds a key opens."""

    LIVE = "live"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Target:
    """Where rows belong: API root, mode and account label. Rotating a key keeps the target."""

    base_url: str
    mode: Mode
    account: str = "default"

    def __str__(self) -> str:
        return f"{self.base_url} ({self.mode}, account {self.account})"


class RequestClass(StrEnum):
    """Kinds of requests that have a rate and a width of their own."""

    CREATE = "create"
    LIST = "list"
    MUTATE = "mutate"
    FILES = "files"
