"""Commands: requests that the service accepted and carries out later. Each is polled to its end."""

from __future__ import annotations

from typing import Protocol

import anyio

from scalesync.engine.patience import Patience
from scalesync.errors import KeyRefused, NotAllowed, Refused, RemoteError, ScalesyncError
from scalesync.ports.platform import Commands, CommandState, CommandStatus

FIRST_S, LONGEST_S, GROWTH = 0.2, 5.0, 1.5  # between two polls, where the service names no time
KIND = "commands"  # of what a run waits for


class Engine(Protocol):
    """The part of the journeys that polling needs."""

    patience: Patience
    stopped: ScalesyncError | None

    def stop(self, reason: ScalesyncError) -> None: ...


class CommandPoller:
    """Polls commands of one platform. Several may be followed at once."""

    def __init__(self, commands: Commands, engine: Engine) -> None:
        self._commands = commands
        self._engine = engine
        self._followed = 0
        self._denied = False

    async def follow(self, command: str) -> CommandStatus | None:
        """Poll until it is done or failed; None if the run stops before that.

        A command that the service no longer knows counts as failed, and may have been carried out.
        """
        self._followed += 1
        try:
            return await self._follow(command)
        finally:
            self._followed -= 1
            if not self._followed:
                self._engine.patience.answered(KIND)

    async def _follow(self, command: str) -> CommandStatus | None:
        engine, wait_s = self._engine, FIRST_S
        while engine.stopped is None:
            await anyio.sleep(wait_s)
            wait_s = min(LONGEST_S, wait_s * GROWTH)
            try:
                status = await self._commands.poll(command)
            except NotAllowed as error:
                if self._denied:
                    engine.stop(KeyRefused(f"the platform refused the API key: {error}"))
                self._denied = True
                continue
            except Refused as error:
                return CommandStatus(CommandState.FAILED, message=f"command {command} cannot be followed: {error}")
            except RemoteError as error:
                engine.patience.trouble(str(error), KIND, asked_s=error.retry_after_s)
                wait_s = max(wait_s, error.retry_after_s or 0.0)
                continue
            self._denied = False
            if status.state is not CommandState.WAITING:
                return status
            engine.patience.pending(f"the platform still works on command {command}", KIND)
            wait_s = wait_s if status.after_s is None else status.after_s
        return None
