"""The event loop that a command runs its flow on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from scalesync.errors import ConfigError

T = TypeVar("T")
SWITCH_S = 0.0005
GC_OBJECTS = 20_000
LEAST_FILES = 20  # standard streams, event loop, ledger, a source, a connection and a few that come and go
MORE_FILES = "ulimit -n 256"


def run_async(flow: Callable[..., Awaitable[T]], *args: Any) -> T:
    """Run a flow to its end, on uvloop if it is installed. Raises Interrupted after SIGINT or SIGTERM.

    Raises ConfigError if the limit of open files is too low for the event loop and the ledger.
    """
    _check_files()
    import gc
    import importlib.util
    import sys

    import anyio

    from scalesync.cli.signals import heed, until_signal

    heed()
    # The ledger's and the reader's threads need the interpreter for moments only; the loop must not keep them waiting.
    sys.setswitchinterval(SWITCH_S)
    # Records leave no cycles behind: looking for some after every 700 objects would be for nothing.
    gc.freeze()
    gc.set_threshold(GC_OBJECTS, 20, 50)
    fast = importlib.util.find_spec("uvloop") is not None
    return anyio.run(until_signal, flow, args, backend_options={"use_uvloop": fast})


def _check_files() -> None:
    import sys

    if sys.platform == "win32":
        return
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < LEAST_FILES:
        raise ConfigError(f"only {soft} files may be open at once, which is too few; raise that, such as {MORE_FILES}")
