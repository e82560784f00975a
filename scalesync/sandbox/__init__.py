"""A faithful emulator of Scale's v1 API: tasks, batches and projects, with faults on demand.

    core/     what every platform needs: server, faults, limits, journal, data file
    scale/    Scale's v1 API

The package imports nothing of the rest of scalesync, so that it can catch its mistakes.
"""

from scalesync.sandbox.core.faults import FaultRule, load_faults
from scalesync.sandbox.core.host import Sandbox, serve
from scalesync.sandbox.scale.config import SandboxConfig

__all__ = ["FaultRule", "Sandbox", "SandboxConfig", "load_faults", "serve"]
