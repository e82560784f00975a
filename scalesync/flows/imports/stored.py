"""Reads a stored import again: its options, with the current places of its sources, and its plan."""

from __future__ import annotations

import os

from scalesync.errors import SourceError
from scalesync.flows.imports.plan import ImportPlan, make_plan
from scalesync.flows.imports.reading.opening import NOT_THERE
from scalesync.flows.runtime.identity import stored_options
from scalesync.flows.runtime.options import ImportOptions
from scalesync.home import Home
from scalesync.model.jobs import StoredJob
from scalesync.ports.ledger import Ledger
from scalesync.ports.spec import PlatformSpec


async def options_of(ledger: Ledger, job: StoredJob) -> ImportOptions:
    """The stored options of a job, with the sources of all its runs."""
    return stored_options(job.settings, Home(ledger.path.parent), await ledger.source_splits(job))


def plan_of(options: ImportOptions, platform: PlatformSpec, home: Home) -> ImportPlan:
    """`make_plan` for a job of the ledger. A missing source may have moved, so the error says what to do."""
    try:
        return make_plan(options, platform, home)
    except SourceError as error:
        reason = str(error).removeprefix(f"{error.file}: ")
        if error.line is not None or not reason.startswith(NOT_THERE):
            raise
        advice = f"{reason}; put it back, or run its import again with the new place and --job {options.job}"
        path = os.path.normpath(error.file) if os.path.isabs(error.file) else error.file
        raise SourceError(advice, path) from None
