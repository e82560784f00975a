"""Commands: what Toy accepts at once and carries out later, imports and exports alike."""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from scalesync.sandbox.core.wire.errors import ApiError
from tests.toy.server.config import ToyConfig

FAILED, HALFWAY, FORGOTTEN, LOST, SLOW = FATES = ("failed", "halfway", "forgotten", "lost", "slow")
SLOWER = 20  # times
Work = Callable[[int | None, float], Sequence[int]]


@dataclass(slots=True)
class Command:
    """One command. work: does it, up to a number of records where one is given, as of so many seconds ago, and returns
    the ids that it made.

    fate: "failed" does nothing and says so, "halfway" does half of it and fails, "forgotten" does it and is not known
    any more, "lost" neither does it nor is known, "slow" takes longer.
    """

    name: str
    kind: str
    size: int
    due_s: float
    work: Work
    fate: str = ""
    state: str = "working"
    ids: Sequence[int] = ()
    documents: list[bytes] = field(default_factory=list)

    @property
    def known(self) -> bool:
        """Whether polls find it."""
        return self.fate not in {FORGOTTEN, LOST}

    def carry_out(self, ago_s: float) -> None:
        """Do what the fate lets it do, as of when it was due."""
        self.state = "failed" if self.fate in {FAILED, HALFWAY} else "done"
        if self.fate not in {FAILED, LOST}:
            self.ids = self.work(self.size // 2 if self.fate == HALFWAY else None, ago_s)

    def told(self) -> dict[str, object]:
        """The command on the wire; `ids` only where all of it was done."""
        told: dict[str, object] = {"id": self.name, "kind": self.kind, "state": self.state}
        if self.state == "working":
            return told | {"again_s": 0.02}
        if self.state == "failed":
            return told | {"problem": "The worker broke down.", "made": len(self.ids)}
        if self.kind == "import":
            return told | {"ids": list(self.ids)}
        data = self.file()
        return told | {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}

    def file(self) -> bytes:
        """The file of an export, one document a line."""
        return b"".join(document + b"\n" for document in self.documents)


class Commands:
    """Those under way and those that are over. fates: of the next commands to come, an empty one for a good end."""

    def __init__(self, config: ToyConfig) -> None:
        self._config = config
        self._waiting: deque[Command] = deque()
        self._all: dict[str, Command] = {}
        self.fates: deque[str] = deque()

    def accept(self, kind: str, size: int, work: Work) -> Command:
        """Begin a command; it is carried out when it is due."""
        fate = self.fates.popleft() if self.fates else ""
        takes_s = self._config.command_s * (SLOWER if fate == SLOW else 1)
        name = f"{kind}-{len(self._all) + 1}"
        command = Command(name, kind, size, self._config.monotonic() + takes_s, work, fate)
        self._all[name] = command
        self._waiting.append(command)
        return command

    def advance(self) -> None:
        """Carry out what is due."""
        now_s = self._config.monotonic()
        for command in [command for command in self._waiting if command.due_s <= now_s]:
            self._waiting.remove(command)
            command.carry_out(now_s - command.due_s)

    def find(self, name: str, kind: str | None = None) -> Command:
        """A command by its id. Raises ApiError 404."""
        command = self._all.get(name)
        if command is None or not command.known or kind not in {None, command.kind}:
            raise ApiError(404, f"There is no command {name}.")
        return command
