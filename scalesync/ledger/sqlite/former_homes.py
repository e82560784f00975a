"""Older versions stored whole paths of sources. This module finds the ledger's folder of then, and shortens them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from scalesync.home import Home

if TYPE_CHECKING:
    from scalesync.ledger.sqlite.tools import Database


def shorten(db: Database) -> None:
    """Store paths of sources in the ledger's folder relative to it, and store that folder."""
    here = next((str(file) for _, name, file in db.execute("PRAGMA database_list") if name == "main"), "")
    jobs = db.execute("SELECT id, identity, settings FROM jobs WHERE command='import'").fetchall()
    for number, identity, settings in jobs:
        kept = json.loads(settings)
        if "folder" not in kept:
            continue
        home = _home(json.loads(identity), kept, os.path.dirname(here))
        if home is None:
            continue
        kept["home"] = home.folder
        db.execute("UPDATE jobs SET settings=? WHERE id=?", (json.dumps(kept, sort_keys=True), number))
        _shorten(db, number, home)


def _shorten(db: Database, job: int, home: Home) -> None:
    splits = db.execute("SELECT number, name, spec FROM splits WHERE job=? AND kind='source'", (job,)).fetchall()
    for number, name, spec in splits:
        kept = json.loads(spec)
        path = str(kept.get("path", ""))
        told = home.told(path) if os.path.isabs(path) else path
        if told != path:
            kept["path"] = told
            values = (told + name.removeprefix(path), json.dumps(kept), job, number)
            db.execute("UPDATE splits SET name=?, spec=? WHERE job=? AND number=?", values)


def _home(identity: Mapping[str, Any], settings: Mapping[str, Any], here: str) -> Home | None:
    """The ledger's folder at the job's last run.

    A job names its sources relative to it, so the whole path of a source ends with such a name, and the rest is the
    folder, also if somebody moved or copied the ledger since. If no path shows it, the current folder counts.
    """
    found = sorted(_candidates(identity, settings), key=len)
    if here in found or not found:
        return Home(here) if here else None
    return Home(found[0])


def _candidates(identity: Mapping[str, Any], settings: Mapping[str, Any]) -> Iterator[str]:
    if "seen_from" not in identity:
        return  # reported as typed
    typed = [*settings.get("earlier", ()), *settings.get("sources", ())]
    for path in (os.path.abspath(os.path.join(settings.get("folder", os.sep), source)) for source in typed):
        for told in identity.get("sources", ()):
            end = os.path.join(os.sep, told)
            if end != told and path.endswith(end):
                yield path.removesuffix(end) or os.sep
