"""What Toy does later: commands, and exports as files."""

from __future__ import annotations

from urllib.parse import quote

from scalesync.platforms.plugin import (
    Changes,
    CommandState,
    CommandStatus,
    ConfigError,
    ExportFile,
    JsonObject,
    Refused,
    RequestClass,
    Selection,
    TaskView,
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
    """Has exports made as files; they hold a whole project, and the export leaves out what was not asked for."""

    changes = Changes.NONE
    filters = frozenset({"project"})

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

    async def status(self, command: str) -> CommandStatus | None:
        """GET /commands/{id}."""
        try:
            return await self._commands.poll(command)
        except Refused as error:
            if error.status == 404:
                return None
            raise

    async def file(self, command: str) -> ExportFile:
        """GET /exports/{id}/file."""
        path = f"/exports/{quote(command, safe='')}/file"
        return ExportFile(self._transport.base_url + path, self._transport.credential_headers())

    def version_of(self, task: TaskView, document: bytes) -> int:
        """When it was touched last."""
        return task.updated_ms()

    async def cursor(self) -> JsonObject | None:
        """None."""
        return None
