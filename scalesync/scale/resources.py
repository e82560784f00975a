"""The rows of the table as commands: `scalesync scale NOUN VERB`. Cheap to import; a command imports the rest."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scalesync.errors import ConfigError
from scalesync.platforms.scale.api.endpoint import request_of
from scalesync.platforms.scale.api.table import ENDPOINTS, ROWS
from scalesync.ports.resources import ResourceCall

if TYPE_CHECKING:
    from scalesync.flows.runtime.wiring import Connection
    from scalesync.scale.calls import Calls

PAGE_MOST = 100


class ScaleCaller:
    """Makes calls at the terminal."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def call(self, row: ResourceCall, arguments: Mapping[str, Any], file: Path | None = None) -> Any:
        """Make a call, with a file to upload. See `ResourceCaller`."""
        endpoint = ENDPOINTS[row.name]
        if file is None:
            return (await self._calls.make(endpoint, arguments)).value
        from scalesync.http.form import opened  # noqa: PLC0415  help needs no connection

        with opened(file) as stream:
            return (await self._calls.make(endpoint, arguments, file=(stream, file.name))).value

    async def pages(
        self, row: ResourceCall, arguments: Mapping[str, Any], limit: int | None
    ) -> AsyncIterator[tuple[list[Any], bool]]:
        """The pages of a list. See `ResourceCaller`."""
        endpoint = ENDPOINTS[row.name]
        given = dict(arguments)
        if limit is not None and 0 < limit < PAGE_MOST and any(param.name == "page_size" for param in endpoint.params):
            given.setdefault("page_size", limit)
        async for items, cursor in self._calls.pages(endpoint, given):
            yield items, cursor is not None


class ScaleResources:
    """All calls of version 1 and version 2."""

    rows = ROWS
    examples = (
        "tasks list --project reviews --status pending --limit 20",
        "tasks get 5774cc78b01249ab09f089dd --json",
        "tasks create categorization --fields @task.json --unique-id letter-17",
        "tasks cancel 5774cc78b01249ab09f089dd",
        "batches create march --project reviews",
        "blueprints push street drive-v1.toml",
        "files upload kitten.jpg",
        "team invite ada@example.com --role labeler",
    )

    def check(self, row: ResourceCall, arguments: Mapping[str, Any], shown: Callable[[str], str]) -> None:
        """Make the request of a call, without sending it. Raises ConfigError, with the names that `shown` gives.

        In Python the id and the name may both be given, as with the official SDK. A line with both is a slip.
        """
        endpoint = ENDPOINTS[row.name]
        for by_id, by_name in endpoint.twins:
            if by_id in arguments and by_name in arguments:
                both = f"{shown(by_id)} and {shown(by_name)}"
                raise ConfigError(f"{row.op}: {both} are two names for one thing; give one of them")
        request_of(endpoint, arguments, shown)

    def over(self, connection: Connection, base_url: str) -> ScaleCaller:
        """What makes the calls over a connection."""
        from scalesync.scale.calls import Calls  # noqa: PLC0415  help needs no connection

        return ScaleCaller(Calls(connection, base_url.removesuffix("/v1")))


RESOURCES = ScaleResources()
