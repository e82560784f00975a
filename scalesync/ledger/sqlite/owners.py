"""Owners of leases: a process, and the opened ledger in it. Says whether an owner may still be alive."""

from __future__ import annotations

import json
import os
import secrets
import socket
from pathlib import Path

_OPEN: set[str] = set()  # the ledgers that are open in this process


class Owner:
    """The owner of all leases that are taken through one opened ledger, until the ledger is closed.

    A run whose last write failed, for example on a full disk, leaves its lease in the file. Its process may live on and
    run the job again. So a live process alone does not prove that the run is alive.
    """

    def __init__(self) -> None:
        self._ledger = secrets.token_hex(4)
        _OPEN.add(self._ledger)

    def to_json(self) -> str:
        """The form in the ledger."""
        own = os.getpid()
        return json.dumps({"host": socket.gethostname(), "pid": own, "start": start_of(own), "ledger": self._ledger})

    def end(self) -> None:
        """End the owner when its ledger closes. Leases that it left bind nobody in this process."""
        _OPEN.discard(self._ledger)


def start_of(pid: int) -> str:
    """When the process began, in ticks since boot, which distinguishes it from a later process of the same id.

    "" if it is unknown. "ended" for a zombie: its parent may read its exit status late or never.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    fields = stat.rpartition(")")[2].split()
    if fields[:1] in (["Z"], ["X"]):
        return "ended"
    return fields[19] if len(fields) > 19 else ""


def owner_alive(owner: str) -> bool:
    """Whether the owner may still be alive. Certain for this machine; owners on other machines count as alive."""
    who = json.loads(owner)
    if who["host"] != socket.gethostname():
        return True
    if who["pid"] == os.getpid() and who["start"] == start_of(who["pid"]) and "ledger" in who:
        return who["ledger"] in _OPEN
    try:
        os.kill(who["pid"], 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return not who["start"] or start_of(who["pid"]) == who["start"]


def describe_owner(owner: str) -> str:
    """The owner in words: process and machine."""
    who = json.loads(owner)
    return f"process {who['pid']} on {who['host']}"
