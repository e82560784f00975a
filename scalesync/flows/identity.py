"""What a job is: its identity, its derived name, and what is kept so that it can be run again."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import orjson

from scalesync.flows.options import ImportOptions
from scalesync.model import Target
from scalesync.ports import JobSpec
from scalesync.records.remote import public_name, without_credentials
from scalesync.records.template import Template

STANDARD_INPUT = "-"


def import_job(options: ImportOptions, target: Target, template: Template) -> JobSpec:
    """The job of an import: named by --job, else by a hash of what it is."""
    identity = {
        "type": options.type,
        "project": options.project,
        "batch": options.batch,
        "sources": [public_name(source) for source in options.sources],
    }
    name = options.job or derived_name("import", target, identity, public_name(options.sources[0]))
    kept = asdict(replace(options, job=name, template=None, dry_run=False, yes=False, limit=None, rescan=False))
    kept["reclaim"] = sorted(options.reclaim)
    kept["template"] = template.as_mapping()
    kept["sources"] = tuple(without_credentials(source) for source in options.sources)
    kept["folder"] = options.folder or str(Path.cwd())
    return JobSpec(name=name, command="import", target=target, identity=identity, settings=kept)


def derived_name(command: str, target: Target, identity: Mapping[str, Any], hint: str) -> str:
    """A name that the same command line gives again: readable start, then ten hex digits of its hash."""
    facts = [command, str(target), identity]
    try:
        data = orjson.dumps(facts, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # a file's name that is not UTF-8
        data = json.dumps(facts, sort_keys=True).encode()
    digest = hashlib.blake2b(data, digest_size=5).hexdigest()
    stem = re.sub(r"[^A-Za-z0-9]+", "-", Path(hint).stem).strip("-")[:32]
    return "-".join(part for part in (command, stem, digest) if part)


def stored_options(settings: Mapping[str, Any]) -> ImportOptions:
    """The options of an import as its job keeps them; relative sources are taken from the folder of then."""
    kept = dict(settings)
    for name in ("sources", "sets"):
        kept[name] = tuple(kept[name])
    kept["header"] = None if kept["header"] is None else tuple(kept["header"])
    kept["reclaim"] = frozenset(kept["reclaim"])
    return ImportOptions(**kept)
