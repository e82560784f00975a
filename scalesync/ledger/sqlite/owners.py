"""Who holds a lease: a process, and the opened ledger in it; whether it may still be at work."""

from __future__ import annotations

import json
import os
import secrets
import socket
from pathlib import Path

_OPEN: set[str] = set()  # the ledgers that are open in this process


class Owner:
    """The owner of the leases that are taken through one opened ledger, until that is closed.

    A run whose last write failed, on a full disk, say, leaves its lease in the file. Its process may continue and run
    the
    job again: so a process does not show that the run is over.
    """

    def __init__(self) -> None:
        self._ledger = secrets.token_hex(4)
        _OPEN.add(self._ledger)

    def to_json(self) -> str:
        """As the ledger keeps it."""
        own = os.getpid()
        return json.dumps({"host": socket.gethostname(), "pid": own, "start": start_of(own), "ledger": self._ledger})

    def end(self) -> None:
        """The ledger is closed: what is left of its leases binds nobody in this process."""
        _OPEN.discard(self._ledger)


def start_of(pid: int) -> str:
    """When the process began, in ticks since boot, so that a reused pid is not taken for it; "" if unknown.

    "ended" for one that only waits for its parent to take note, which takes a supervisor a while, and some for ever.
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
    """Whether the run may still be alive: certain on this machine, assumed for others."""
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
    """The run in words: process and machine."""
    who = json.loads(owner)
    return f"process {who['pid']} on {who['host']}"
