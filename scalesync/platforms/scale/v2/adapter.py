"""Version 2 of Scale's API, live: its roles over one transport."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scalesync.http.transport import Transport
from scalesync.platforms.scale.adapter import ScalePlatform
from scalesync.platforms.scale.spec import LANDING_S
from scalesync.platforms.scale.v2.chats import Chats
from scalesync.platforms.scale.v2.containers import ChatContainers
from scalesync.platforms.scale.v2.deliveries import DeliveredLists
from scalesync.platforms.scale.v2.lists import ChatLists
from scalesync.platforms.scale.v2.reading import CHATS, chosen
from scalesync.platforms.scale.v2.spec import SPEC
from scalesync.ports.changes import Changer
from scalesync.ports.platform import Commands, Containers, Creator, ExportJobs, Lister


class ScaleChatPlatform:
    """Chats of one account."""

    credential = staticmethod(ScalePlatform.credential)  # both versions take HTTP Basic

    def __init__(
        self, transport: Transport, task_type: str = "", namespace: str = "", extras: Mapping[str, Any] | None = None
    ) -> None:
        """task_type: not sent to the service; the project decides about the type of its chats."""
        self._transport = transport
        lists = ChatLists(transport)
        choice = chosen(extras or {})
        self.spec = SPEC
        self.lister: Lister = lists if choice.list == CHATS else DeliveredLists(transport, choice.dataset)
        self.containers: Containers | None = ChatContainers(transport)
        landing_s = float((extras or {}).get("landing_s", LANDING_S))
        self.creator: Creator = Chats(transport, lists, namespace, landing_s, SPEC.vocabulary.dead)
        self.commands: Commands | None = None
        self.export_jobs: ExportJobs | None = None
        self.changer: Changer | None = None

    @property
    def server_now_ms(self) -> int:
        """The service's clock in ms, from its Date headers."""
        return self._transport.server_now_ms
