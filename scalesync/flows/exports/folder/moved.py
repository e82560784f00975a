"""The job of a folder that was moved, or copied together with its ledger."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from scalesync.errors import ConfigError
from scalesync.flows.exports.folder.manifests import kind
from scalesync.home import Home
from scalesync.model.jobs import JobSpec
from scalesync.outputs.manifest import Manifest, load
from scalesync.ports.ledger import Ledger


async def as_stored(ledger: Ledger, spec: JobSpec, out: Path, named: str | None) -> JobSpec:
    """The export as the job that made the folder's manifest, if the folder moved: its old place is empty, or the ledger
    moved or was copied with it and it has the same place beside the ledger as then.

    A job keeps the whole path of its folder, and its name may come from that.

    named: the name that was asked for, if any.
    Raises ConfigError if the ledger does not know the job, so that only its name can continue it, or if it knows the
    job in another project.
    """
    manifest = load(out)
    if manifest is None or named not in {None, manifest.job}:
        return spec
    found = await ledger.find_job(spec.target, manifest.job)
    if found is None and spec.name != manifest.job and _is_of(manifest, spec):
        for row in await ledger.jobs():
            if (row.name, row.command, row.target.whole) == (manifest.job, spec.command, spec.target.whole):
                theirs = f"project {row.target.namespace}" if row.target.namespace else "no one project"
                raise ConfigError(f'{out}: holds the export of job "{row.name}", of {theirs}; choose another --out')
        raise ConfigError(
            f'{out}: holds the export of job "{manifest.job}", which the ledger {ledger.path} does not know;'
            f" --job {manifest.job} continues it, or choose another --out"
        )
    if found is None or found.command != spec.command:
        return spec
    if not _has_moved(str(found.identity["out"]), str(spec.identity["out"]), Home(ledger.path.parent)):
        return spec
    return replace(spec, name=found.name, identity=found.identity)


def _is_of(manifest: Manifest, spec: JobSpec) -> bool:
    """Whether the folder is from the same command and target."""
    here = (spec.command, spec.target.base_url, spec.target.mode.value)
    return (kind(manifest), manifest.target, manifest.mode) == here


def _has_moved(was: str, now: str, home: Home) -> bool:
    """Whether nothing is at the old place, or the folder is at the same place in the ledger's folder as then.

    A folder at the old place, with a manifest or without, may hold an unfinished run of the job.
    """
    if not os.path.lexists(was):
        return True
    place = home.told(os.path.normpath(now))
    return os.path.isabs(home.told(was)) and not os.path.isabs(place) and was.endswith(os.path.join(os.sep, place))
