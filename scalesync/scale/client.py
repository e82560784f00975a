"""`AsyncScaleClient`: all of Scale's API as methods of one object."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from scalesync.events import Observer
from scalesync.scale.by_hand import ByHand
from scalesync.scale.calls import Calls
from scalesync.scale.connection import Door, settings_of
from scalesync.scale.methods.batches import Batches
from scalesync.scale.methods.blueprints import Blueprints
from scalesync.scale.methods.deliveries import Deliveries
from scalesync.scale.methods.files import Files
from scalesync.scale.methods.genai import GenAI
from scalesync.scale.methods.people import People
from scalesync.scale.methods.projects import Projects
from scalesync.scale.methods.tasks import Tasks

PATIENCE_S = 300.0


class AsyncScaleClient(Tasks, Batches, Projects, Blueprints, Files, People, GenAI, Deliveries, ByHand):
    """Scale's API, version 1 and version 2 (`v2_...`).

    The connection is opened by the first call, or by `async with`. Any number of calls may be under way at once; the
    pace of the server and its limits are kept for all of them. A failed call is repeated where that is safe.

    api_key: if left out, the key comes from the profile, SCALE_API_KEY or the keyring.
    base_url: the address of version 1; that of version 2 is the same without `/v1`.
    profile: of the profile file.
    patience_s: seconds from a call's first failure to its error.
    rate: creates per second at most, such as "30" or "100/min". Without it, 30 a second at Scale's own address.
    rate_all: of all requests together.
    concurrency: requests at once; without it, the client follows the server.
    allow_http: send the key unencrypted to another machine.
    observer: hears of waits, as in `scalesync.import_tasks`.
    Raises ConfigError for wrong settings, without the key in its words.

    Every method raises ConfigError for wrong arguments before anything is sent, an exception of
    `scalesync.platforms.scale.api.errors` for what the server answers, Unavailable if there is no connection, and
    OutcomeUnknown if there is no answer.
    """

    def __init__(
        self,
        api_key: str | None = None,
        *,
        base_url: str | None = None,
        profile: str | None = None,
        patience_s: float = PATIENCE_S,
        rate: str | None = None,
        rate_all: str | None = None,
        concurrency: int | None = None,
        allow_http: bool = False,
        observer: Observer | None = None,
    ) -> None:
        settings = settings_of(
            api_key,
            base_url=base_url,
            profile=profile,
            rate=rate,
            rate_all=rate_all,
            concurrency=concurrency,
            allow_http=allow_http,
        )
        self._door = Door(settings, patience_s, observer)

    async def _opened(self) -> Calls:
        return await self._door.open()

    async def close(self) -> None:
        """Close the connection. Calls raise ConfigError from then on."""
        await self._door.close()

    async def __aenter__(self) -> Self:
        await self._door.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"AsyncScaleClient({self._door!r})"
