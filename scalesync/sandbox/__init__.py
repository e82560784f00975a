"""A faithful emulator of Scale's v1 API: tasks, batches and projects, with faults on demand.

Layers, each importing only those after it:

    sandbox   a server with its state, in a running loop (`Sandbox`) or blocking (`serve`)
    server    HTTP, and where faults strike
    engine    key, rate limit, timers, route: one request to one reply
    routes    mutations, lists, batches, projects, results, control: one function per endpoint
    create    what a create must hold, and what the task inherits
    lifecycle annotation, attachment failures, recalls, and their timers
    store     two worlds (live and test keys) and the data file
    world     tasks, batches, projects, indexes

The package imports nothing of the rest of scalesync, so that it can catch its mistakes.
"""

from .config import SandboxConfig
from .faults import FaultRule, load_faults
from .sandbox import Sandbox, serve

__all__ = ["FaultRule", "Sandbox", "SandboxConfig", "load_faults", "serve"]
