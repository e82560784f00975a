"""Where rows belong, and the classes of requests."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum


class Mode(StrEnum):
    """Which of the account's two worlds a key opens."""

    LIVE = "live"
    TEST = "test"


DEFAULT_PLATFORM = "scale"
"""The platform where nothing says which, and that of every ledger and name from before there were several."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where rows belong: API root, mode, account label, platform. Rotating a key keeps the target.

    namespace: what a key is unique within, such as a project; empty where it is unique in the whole account.
    """

    base_url: str
    mode: Mode
    account: str = "default"
    platform: str = DEFAULT_PLATFORM
    namespace: str = ""

    @property
    def whole(self) -> Target:
        """The account with all its namespaces."""
        return replace(self, namespace="")

    def __str__(self) -> str:
        """As people read it; names of jobs and of quotas are made from it, so it never changes."""
        place = f"{self.base_url} ({self.mode}, account {self.account})"
        if self.platform != DEFAULT_PLATFORM:
            place = f"{self.platform} at {place}"
        return f"{place} in {self.namespace}" if self.namespace else place


class RequestClass(StrEnum):
    """Kinds of requests that have a rate and a width of their own."""

    CREATE = "create"
    LIST = "list"
    MUTATE = "mutate"
    FILES = "files"
    AUTH = "auth"
