"""The job of a folder that was moved or copied together with its ledger."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from scalesync.home import Home
from scalesync.model.jobs import JobSpec
from scalesync.outputs.manifest import load
from scalesync.ports.ledger import Ledger


async def as_stored(ledger: Ledger, spec: JobSpec, out: Path, named: str | None) -> JobSpec:
    """The export as the job that made the folder's manifest, if it has the same place beside the ledger as then.

    A job keeps the whole path of its folder, and its name may come from that.

    named: the name that was asked for, if any.
    """
    manifest = load(out)
    if manifest is None or named not in {None, manifest.job}:
        return spec
    found = await ledger.find_job(spec.target, manifest.job)
    if found is None or found.command != spec.command:
        return spec
    if not _has_moved(str(found.identity["out"]), str(spec.identity["out"]), Home(ledger.path.parent)):
        return spec
    return replace(spec, name=found.name, identity=found.identity)


def _has_moved(was: str, now: str, home: Home) -> bool:
    """Whether a folder that was elsewhere with its ledger is at the same place in the ledger's folder now."""
    place = home.told(os.path.normpath(now))
    return os.path.isabs(home.told(was)) and not os.path.isabs(place) and was.endswith(os.path.join(os.sep, place))
