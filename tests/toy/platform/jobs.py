"""What Toy does later: commands, and exports as files."""

from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.parse import quote

from scalesync.platforms.plugin import (
    CommandState,
    CommandStatus,
    ConfigError,
    RequestClass,
    Selection,
    Transport,
)
from tests.toy.platform import wire

STATES = {"working": CommandState.WAITING, "done": CommandState.DONE, "failed": CommandState.FAILED}


class ToyCommands:
    """Polls imports."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def poll(self, command: str) -> CommandStatus:
        """GET /commands/{id}."""
        reply = await self._transport.call(RequestClass.LIST, "GET", "/commands/" + quote(command, safe=""))
        wire.check(reply, "poll command")
        state = STATES[wire.member(reply, "state", "poll command")]
        if state is CommandState.WAITING:
            return CommandStatus(state, after_s=wire.member(reply, "again_s", "poll command"))
        if state is CommandState.FAILED:
            made = wire.member(reply, "made", "poll command")
            return CommandStatus(state, message=wire.problem(reply), nothing_done=made == 0)
        refs = wire.member(reply, "ids", "poll command") if command.startswith("import") else ()
        return CommandStatus(state, refs=[str(ref) for ref in refs])


class ToyExports:
    """Has exports made and reads their files."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._commands = ToyCommands(transport)

    async def submit(self, selection: Selection) -> str:
        """POST /exports."""
        if selection.project is None:
            raise ConfigError("Toy exports the items of one project; add --project")
        asked = f'{{"project":"{selection.project}"}}'.encode()
        reply = await self._transport.call(RequestClass.LIST, "POST", "/exports", body=asked)
        return str(wire.member(wire.check(reply, "begin export"), "command", "begin export"))

    async def status(self, command: str) -> CommandStatus:
        """GET /commands/{id}."""
        return await self._commands.poll(command)

    async def documents(self, command: str) -> AsyncIterator[bytes]:
        """GET /exports/{id}/file, line by line."""
        path = f"/exports/{quote(command, safe='')}/file"
        reply = await self._transport.call(RequestClass.FILES, "GET", path)
        for line in wire.check(reply, "read export").body.splitlines():
            yield line
