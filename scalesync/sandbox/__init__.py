"""Faithful emulators of labelling platforms, with faults on demand. Today one: Scale's v1 API.

    sandbox   which platform is served: in a running loop (`Sandbox`) or blocking (`serve`)
    core/     what every platform needs: server, faults, limits, keys, journal, control plane, data file
    scale/    Scale's v1 API: tasks, batches and projects

`core` imports no platform, and no platform another one. The package imports nothing of the rest of scalesync, so that
it can catch its mistakes.
"""

from scalesync.sandbox.core.faults import FaultRule, load_faults
from scalesync.sandbox.sandbox import Sandbox, serve
from scalesync.sandbox.scale.config import SandboxConfig

__all__ = ["FaultRule", "Sandbox", "SandboxConfig", "load_faults", "serve"]
