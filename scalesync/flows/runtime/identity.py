"""The identity of a job, its derived name, and the stored options to run it again."""

from __future__ import annotations

import glob
import hashlib
import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from scalesync.addresses import is_url, public_name, without_credentials
from scalesync.errors import ConfigError, NameBound
from scalesync.flows.runtime.options import IMPORT_OPTIONS, ImportOptions
from scalesync.home import Home
from scalesync.ledger import binding
from scalesync.model.jobs import JobSpec, SourceSplit, StoredJob
from scalesync.model.targets import Target
from scalesync.ports.ledger import Ledger
from scalesync.ports.spec import PlatformSpec
from scalesync.sources.places.named import STANDARD_INPUT, path_of, placed_in, what_is

if TYPE_CHECKING:
    from scalesync.mapping.template import Template

_DERIVED = re.compile(r"import-(?:.*-)?[0-9a-f]{10}")


def job_target(target: Target, platform: PlatformSpec, project: str | None) -> Target:
    """The target of an import's rows: if keys are unique only within a project, its namespace is the project.

    Raises ConfigError if the project is needed and unknown.
    """
    if not platform.key.namespaced:
        return target
    if project is None:
        words = platform.vocabulary
        raise ConfigError(
            f"{platform.title} knows a {words.key} within a {words.project} only, so an import needs --project NAME"
        )
    return replace(target, namespace=project)


def export_target(target: Target, platform: PlatformSpec, project: str | None) -> Target:
    """The target of an export: in its project, if a key is unique within one only."""
    return replace(target, namespace=project) if platform.key.namespaced and project is not None else target


def import_job(options: ImportOptions, target: Target, template: Template, home: Home) -> JobSpec:
    """The job of an import: named by --job, else by a hash of its identity."""
    bound = {"type": options.type, "project": options.project, "batch": options.batch}
    sources = [what_is(source, options.folder, home) for source in options.sources]
    identity = {**bound, "sources": sources, "seen_from": "ledger"}
    name = options.job or derived_name("import", target, identity, public_name(options.sources[0]))
    kept = replace(
        options,
        sources=tuple(without_credentials(source) for source in options.sources),
        template=template.as_mapping(),
        folder=options.folder or str(Path.cwd()),
        job=name,
        limit=None,
        dry_run=False,
        yes=False,
        rescan=False,
        some=False,
    )
    settings = {**IMPORT_OPTIONS.write(_placed(kept, home, home)), "home": home.folder}
    return JobSpec(name=name, command="import", target=target, identity=identity, settings=settings)


def sources_of(job: StoredJob, home: Home) -> frozenset[str]:
    """The sources of a stored import when its name was bound, as `what_is` names them."""
    # Older versions stored them as typed, relative to the folder of that run.
    folder = home.folder if "seen_from" in job.identity else job.settings.get("folder", home.folder)
    return frozenset(what_is(source, folder, home) for source in job.identity.get("sources", ()))


async def find_import(ledger: Ledger, spec: JobSpec, options: ImportOptions) -> tuple[StoredJob | None, JobSpec]:
    """The stored job of an import (None if there is none yet), and the spec of the import for that job.

    Older versions derived a name from the sources as typed; such a job is found by its sources. Raises NameBound if
    the name belongs to something else.
    """
    found = await ledger.find_job(spec.target, spec.name)
    home = Home(ledger.path.parent)
    if found is None and options.job is None:
        found = await _derived_earlier(ledger, spec, options, home)
    if found is None:
        return None, spec
    if not binding.same(found.command, found.identity, spec.command, spec.identity):
        raise NameBound(binding.sentence(spec.name, found.command, found.identity, spec.command, spec.identity))
    earlier = _earlier(found, await ledger.source_splits(found), spec, home)
    describe = spec.settings["describe_all"] or IMPORT_OPTIONS.read(found.settings).describe_all  # also those of before
    settings = {**spec.settings, "job": found.name, "earlier": earlier, "describe_all": describe}
    return found, replace(spec, name=found.name, identity=found.identity, settings=settings)


async def _derived_earlier(ledger: Ledger, spec: JobSpec, options: ImportOptions, home: Home) -> StoredJob | None:
    wanted = frozenset(spec.identity["sources"])
    same = [
        job
        for job in await ledger.jobs_of(spec.target, "import")
        if _DERIVED.fullmatch(job.name)
        and binding.same(job.command, job.identity, spec.command, spec.identity)
        and sources_of(job, home) == wanted
    ]
    typed = {name: spec.identity[name] for name in ("type", "project", "batch")}
    typed["sources"] = [public_name(source) for source in options.sources]
    then = derived_name("import", spec.target, typed, public_name(options.sources[0]))
    return next((job for job in same if job.name == then), same[0] if same else None)


def _earlier(found: StoredJob, splits: Sequence[SourceSplit], spec: JobSpec, home: Home) -> list[str]:
    """Sources that earlier runs of the job named and this one does not, in a form that can be opened anywhere."""
    now = set(spec.identity["sources"])
    before = stored_options(found.settings, home, splits)
    folder = before.folder or home.folder
    kept = {what_is(source, folder, home): source for source in before.sources if source != STANDARD_INPUT}
    return [placed_in(folder, source) for what, source in kept.items() if what not in now]


def derived_name(command: str, target: Target, identity: Mapping[str, Any], hint: str) -> str:
    """The name that a command line always gives: a readable start, then ten hex digits of its hash."""
    facts = [command, str(target), identity]
    try:
        data = orjson.dumps(facts, option=orjson.OPT_SORT_KEYS)
    except TypeError:  # a file's name that is not UTF-8
        data = json.dumps(facts, sort_keys=True).encode()
    digest = hashlib.blake2b(data, digest_size=5).hexdigest()
    stem = re.sub(r"[^A-Za-z0-9]+", "-", Path(hint).stem).strip("-")[:32]
    return "-".join(part for part in (command, stem, digest) if part)


def home_of(settings: Mapping[str, Any], home: Home) -> Home:
    """The folder of the ledger when a job was given these settings; `home` where they do not say."""
    return Home(settings["home"]) if "home" in settings else home


def stored_options(settings: Mapping[str, Any], home: Home, splits: Sequence[SourceSplit]) -> ImportOptions:
    """The options of an import as its job keeps them, with the sources of all its runs.

    Those beneath the ledger's folder are where that is now, even if the folder of then is still there: somebody copied
    it. Relative sources start from the folder of that run. Of several, those that are gone are skipped; one that a
    later run replaced, by its splits, is none of them.
    """
    options, then = IMPORT_OPTIONS.read(settings), home_of(settings, home)
    folder = options.folder or then.folder
    replaced = _replaced(splits)
    earlier = [
        source
        for source in settings.get("earlier", ())
        if what_is(source, folder, then) not in replaced or _is_there(_now(source, folder, then, home))
    ]
    options = replace(options, sources=(*earlier, *options.sources), some=bool(earlier))
    return options if then.folder == home.folder else _placed(options, then, home)


def _replaced(splits: Sequence[SourceSplit]) -> set[Any]:
    """Names without a source that is left."""
    left = {split.spec.get("under") for split in splits if not split.is_gone}
    return {split.spec.get("under") for split in splits} - left - {None}


def _is_there(source: str) -> bool:
    if is_url(source):
        return True
    return os.path.lexists(source) or next(glob.iglob(source, recursive=True), None) is not None


def _placed(options: ImportOptions, then: Home, home: Home) -> ImportOptions:
    """The options with folder and sources where they are now, those in the ledger's folder behind no link to it."""
    before = options.folder or then.folder
    folder = home.place(then.told(before))
    places = [(source, _now(source, before, then, home)) for source in options.sources]
    # What is found as it was typed keeps the name that people know.
    kept = (source if place == source or path_of(source, folder) == place else place for source, place in places)
    return replace(options, folder=folder, sources=tuple(kept))


def _now(source: str, folder: str, then: Home, home: Home) -> str:
    """The place of a source that was named in a folder while the ledger was in `then`."""
    if source == STANDARD_INPUT or is_url(source):
        return source
    return home.place(then.told(path_of(source, folder)))
