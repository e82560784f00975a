"""The version of a service's API over which an import goes, where nobody named one and its type is of another version.

A ledger whose jobs made tasks of this type, or of another one that is of that version, over the version of the
settings keeps that: it knows their records by the keys of that version, and over another one each of them would become
a second task.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from scalesync.config.settings import Settings
from scalesync.config.versions import no_option
from scalesync.flows.runtime.ledgers import open_ledger
from scalesync.flows.runtime.options import ImportOptions
from scalesync.flows.runtime.setup.services import over, spec_of
from scalesync.model.jobs import JobRow
from scalesync.model.targets import Target


async def choose_api(options: ImportOptions, settings: Settings, note: Callable[[str], None]) -> Settings:
    """The settings of an import: those given, or the same over the version of the API that makes its type of task.

    Raises ConfigError for an option of that version where the import stays with another one.
    """
    versions = spec_of(settings.platform).api_of_types
    version = versions.get(options.type)
    if version is None or settings.api is not None:
        return settings
    chosen = over(settings, version)
    moved = {kind for kind, other in versions.items() if other == version}
    begun = [row for row in await _jobs(settings, note) if _is_alike(row, moved, options, settings)]
    if begun:
        _refuse_strangers(settings)
        note(
            f"tasks of type {options.type} stay at {settings.base_url}, as job {begun[-1].name} began; --api"
            f" {version} makes new tasks over {chosen.base_url}, also of records that have one"
        )
        return settings
    note(
        f"tasks of type {options.type} are made over API {version} at {chosen.base_url}:"
        f" {spec_of(chosen.platform).key.promise}"
    )
    return chosen


def _refuse_strangers(settings: Settings) -> None:
    spec = spec_of(settings.platform)
    for name in settings.extras:
        if name not in spec.options:
            raise no_option(name, spec, spec_of)


async def _jobs(settings: Settings, note: Callable[[str], None]) -> Sequence[JobRow]:
    if not settings.ledger.exists():
        return ()
    ledger = open_ledger(settings.ledger, note=note, to_read=True)
    try:
        return await ledger.jobs()
    finally:
        ledger.close()


def _is_alike(row: JobRow, types: Collection[str], options: ImportOptions, settings: Settings) -> bool:
    """Whether a job makes tasks of these types in this project; without a project its records may name any."""
    projects = {row.settings.get("project"), options.project}
    return (
        row.command == "import"
        and _account(row.target) == _account(settings.target)
        and row.settings.get("type") in types
        and (len(projects) == 1 or None in projects)
    )


def _account(target: Target) -> tuple[str, ...]:
    """The account behind a target, whatever version of the API its address ends in."""
    return target.platform, target.base_url.rpartition("/")[0], target.mode.value, target.account
