"""Single calls to a service's own things, as a person makes them at the terminal. Cheap to import."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from scalesync.engine.limits import EngineLimits
from scalesync.flows.runtime.setup.services import resources_at
from scalesync.model.targets import RequestClass

if TYPE_CHECKING:
    from scalesync.config.settings import Settings
    from scalesync.events import Observer
    from scalesync.flows.runtime.wiring import Connection
    from scalesync.ports.resources import ResourceCall

PATIENCE_S = 60.0  # from the first failure of a call to its error: a person waits for it


class ResourceCaller(Protocol):
    """Makes calls over one connection. Its methods raise ConfigError and RemoteError."""

    async def call(self, row: ResourceCall, arguments: Mapping[str, Any], file: Path | None = None) -> Any:
        """Make a call. Returns the JSON of the answer, None if it says nothing.

        file: to upload.
        """

    def pages(
        self, row: ResourceCall, arguments: Mapping[str, Any], limit: int | None
    ) -> AsyncIterator[tuple[list[Any], bool]]:
        """The pages of a list: items, and whether there are more.

        limit: items that are wanted in all; a page may hold more.
        """


class Resources(Protocol):
    """What a platform's `PlatformSpec.resources` names.

    rows: one for each command.
    examples: command lines behind `scalesync PLATFORM`.
    """

    @property
    def rows(self) -> Sequence[ResourceCall]: ...

    @property
    def examples(self) -> Sequence[str]: ...

    def check(self, row: ResourceCall, arguments: Mapping[str, Any], shown: Callable[[str], str]) -> None:
        """Check the arguments of a call. Raises ConfigError, before a question or a request.

        shown: the name of an argument in messages.
        """

    def over(self, connection: Connection, base_url: str) -> ResourceCaller:
        """What makes the calls."""


def resources_of(platform: str) -> Resources:
    """The commands of a platform. Raises ConfigError if it has none."""
    return cast(Resources, resources_at(platform))


@asynccontextmanager
async def open_resources(settings: Settings, observer: Observer) -> AsyncIterator[ResourceCaller]:
    """Connect to the platform of the settings, for calls to its own things. Nothing is sent yet."""
    from scalesync.flows.runtime.wiring import connect  # noqa: PLC0415  help needs no connection

    resources = resources_of(settings.platform)
    limits = EngineLimits(patience_s=PATIENCE_S)
    async with connect(settings.way, observer, paced=RequestClass.CREATE, limits=limits) as connection:
        yield resources.over(connection, settings.base_url)
