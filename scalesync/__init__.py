"""Bulk import of labelling tasks and export of annotations: async, rate-limited, resumable.

The names below are the public interface, with the command line; everything else may change between releases.
They are imported on first use, because `scalesync --help` should not wait for an HTTP client.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scalesync.api import export_tasks, import_tasks, job_status, list_failures, retry_failed
    from scalesync.config.settings import Settings
    from scalesync.errors import ConfigError, ScalesyncError, StopRun
    from scalesync.events import Observer, Progress
    from scalesync.flows.runtime.options import FailureGroup, JobStatus
    from scalesync.flows.runtime.setup.services import resolve_settings
    from scalesync.model.summaries import ExportSummary, ImportSummary

__version__ = "0.1.0"

__all__ = [
    "ConfigError",
    "ExportSummary",
    "FailureGroup",
    "ImportSummary",
    "JobStatus",
    "Observer",
    "Progress",
    "ScalesyncError",
    "Settings",
    "StopRun",
    "export_tasks",
    "import_tasks",
    "job_status",
    "list_failures",
    "resolve_settings",
    "retry_failed",
]

_HOMES = {
    "scalesync.api": ("export_tasks", "import_tasks", "job_status", "list_failures", "retry_failed"),
    "scalesync.config.settings": ("Settings",),
    "scalesync.errors": ("ConfigError", "ScalesyncError", "StopRun"),
    "scalesync.events": ("Observer", "Progress"),
    "scalesync.flows.runtime.options": ("FailureGroup", "JobStatus"),
    "scalesync.flows.runtime.setup.services": ("resolve_settings",),
    "scalesync.model.summaries": ("ExportSummary", "ImportSummary"),
}


def __getattr__(name: str) -> object:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(home), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
