"""A job keeps what it began with: how an earlier version read its folders, and the blueprint of its records."""

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
    """The options of an import, with what its job says where they say nothing. Raises NameBound.

    `describe_all` if the job reads folders like that: no record of it may be lost. The blueprint that its records got:
    a command without it would make the rest of them into other tasks.
    """
    rule = platform.blueprints
    follows = rule is not None and options.type in rule.types and options.blueprint is None
    reads = not options.describe_all and _names_a_folder(options)
    if not (follows or reads) or not settings.ledger.exists():
        return options
    target = job_target(settings.target, platform, options.project)
    spec = import_job(options, target, Template.EMPTY, Home(settings.ledger.parent))
    ledger = open_ledger(settings.ledger, note=note, to_read=True)
    try:
        found, spec = await find_import(ledger, spec, options)
    finally:
        ledger.close()
    if reads:
        options = replace(options, describe_all=spec.settings["describe_all"])
    before = found.settings.get("blueprint") if follows and found is not None else None
    if before is None:
        return options
    note(f"records that name no blueprint get {before!r}, as in the job's last run; --blueprint names another one")
    return replace(options, blueprint=before)


def _names_a_folder(options: ImportOptions) -> bool:
    folder = options.folder or os.getcwd()
    return any(os.path.isdir(placed_in(folder, source)) for source in options.sources)
