"""Emulators of labelling platforms, with faults on demand. Today there is one: Scale's API.

    sandbox   serves a platform, in a running loop (`Sandbox`) or blocking (`serve`)
    core/     what every platform needs: server, faults, limits, keys, journal, control plane, data file
    scale/    Scale's API: tasks, batches and projects, and version 2 for chats

`core` imports no platform, and no platform imports another one. The package imports nothing of the rest of scalesync:
shared code would hide the client's mistakes.
"""

from scalesync.sandbox.core.faults import FaultRule, load_faults
from scalesync.sandbox.sandbox import Sandbox, serve
from scalesync.sandbox.scale.config import SandboxConfig

__all__ = ["FaultRule", "Sandbox", "SandboxConfig", "load_faults", "serve"]
