"""Toy, live: its roles over one transport."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scalesync.platforms.plugin import (
    Changer,
    Commands,
    Containers,
    Creator,
    Credential,
    ExportJobs,
    Lister,
    MachineToken,
    Transport,
)
from tests.toy.platform.changes import ToyChanger
from tests.toy.platform.items import ToyItems
from tests.toy.platform.jobs import ToyCommands, ToyExports
from tests.toy.platform.lists import ToyLists
from tests.toy.platform.projects import ToyProjects
from tests.toy.platform.spec import SPEC


class ToyPlatform:
    """Items of one project."""

    def __init__(
        self, transport: Transport, task_type: str = "", namespace: str = "", extras: Mapping[str, Any] | None = None
    ) -> None:
        self._transport = transport
        lists = ToyLists(transport)
        self.spec = SPEC
        self.lister: Lister = lists
        self.containers: Containers | None = ToyProjects(transport)
        self.creator: Creator = ToyItems(transport, lists, namespace)
        self.commands: Commands | None = ToyCommands(transport)
        self.export_jobs: ExportJobs | None = ToyExports(transport)
        self.changer: Changer | None = ToyChanger(transport, lists, SPEC.key.landing_s)

    @staticmethod
    def credential(api_key: str) -> Credential:
        """A token that is got for the key, and again before it ends."""
        return MachineToken("/token", {"key": api_key}, api_key, token="token", life="expires_s")

    @property
    def server_now_ms(self) -> int:
        """Toy's clock by its Date headers."""
        return self._transport.server_now_ms
