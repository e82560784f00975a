"""A job that an earlier version began keeps reading its folders as it did then: no record of it may be lost."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace

from scalesync.config.settings import Settings
from scalesync.flows.runtime.identity import find_import, import_job, job_target
from scalesync.flows.runtime.ledgers import open_ledger
from scalesync.flows.runtime.options import ImportOptions
from scalesync.home import Home
from scalesync.mapping.template import Template
from scalesync.ports.spec import PlatformSpec
from scalesync.sources.places.named import placed_in


async def as_begun(
    options: ImportOptions, settings: Settings, platform: PlatformSpec, note: Callable[[str], None]
) -> ImportOptions:
    """The options of an import, with `describe_all` if its job reads folders like that. Raises NameBound."""
    if options.describe_all or not _names_a_folder(options) or not settings.ledger.exists():
        return options
    target = job_target(settings.target, platform, options.project)
    spec = import_job(options, target, Template.EMPTY, Home(settings.ledger.parent))
    ledger = open_ledger(settings.ledger, note=note, to_read=True)
    try:
        _, spec = await find_import(ledger, spec, options)
    finally:
        ledger.close()
    return replace(options, describe_all=spec.settings["describe_all"])


def _names_a_folder(options: ImportOptions) -> bool:
    folder = options.folder or os.getcwd()
    return any(os.path.isdir(placed_in(folder, source)) for source in options.sources)
