"""Scale, live: its roles over one transport."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scalesync.http.credentials import basic
from scalesync.http.transport import Transport
from scalesync.platforms.scale.changes.changer import ScaleChanger
from scalesync.platforms.scale.containers import ScaleContainers
from scalesync.platforms.scale.lists import ScaleLists
from scalesync.platforms.scale.multistage.rails import ScaleBlueprints
from scalesync.platforms.scale.spec import LANDING_S, SPEC
from scalesync.platforms.scale.tasks import ScaleTasks
from scalesync.ports.changes import Changer
from scalesync.ports.credential import Credential
from scalesync.ports.platform import Blueprints, Commands, Containers, Creator, ExportJobs, Lister


class ScalePlatform:
    """Tasks of one type for one account."""

    def __init__(
        self, transport: Transport, task_type: str = "", namespace: str = "", extras: Mapping[str, Any] | None = None
    ) -> None:
        """Scale has no namespace; of the extras, `audit_landing_s` concerns the changer."""
        self._transport = transport
        lists = ScaleLists(transport)
        containers = ScaleContainers(transport, task_type)
        self.spec = SPEC
        self.lister: Lister = lists
        self.containers: Containers | None = containers
        self.creator: Creator = ScaleTasks(transport, lists, containers, task_type)
        self.commands: Commands | None = None
        self.blueprints: Blueprints | None = ScaleBlueprints(transport, containers)
        self.export_jobs: ExportJobs | None = None
        landing_s = float((extras or {}).get("audit_landing_s", LANDING_S))
        self.changer: Changer | None = ScaleChanger(transport, lists, containers, landing_s)

    @staticmethod
    def credential(api_key: str) -> Credential:
        """HTTP Basic with the key as user and an empty password (Scale docs: Authentication)."""
        return basic(api_key)

    @property
    def server_now_ms(self) -> int:
        """The service's clock in ms, from its Date headers."""
        return self._transport.server_now_ms
