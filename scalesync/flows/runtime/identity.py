"""The identity of a job, its derived name, and what is kept to run it again."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson

from scalesync.addresses import is_url, public_name, without_credentials
from scalesync.errors import ConfigError, NameBound
from scalesync.file_names import readable
from scalesync.flows.runtime.options import IMPORT_OPTIONS, ImportOptions
from scalesync.ledger import binding
from scalesync.mapping.template import Template
from scalesync.model.jobs import JobSpec, StoredJob
from scalesync.model.targets import Target
from scalesync.ports.ledger import Ledger
from scalesync.ports.spec import PlatformSpec
from scalesync.sources.places.remote import address

STANDARD_INPUT = "-"
_DERIVED = re.compile(r"import-(?:.*-)?[0-9a-f]{10}")


def job_target(target: Target, platform: PlatformSpec, project: str | None) -> Target:
    """Where the rows of an import belong: in its project, where a key is unique within one only.

    Raises ConfigError where that is not known.
    """
    if not platform.key.namespaced:
        return target
    if project is None:
        words = platform.vocabulary
        raise ConfigError(
            f"{platform.title} knows a {words.key} within a {words.project} only, so an import needs --project NAME"
        )
    return replace(target, namespace=project)


def import_job(options: ImportOptions, target: Target, template: Template, home: Path) -> JobSpec:
    """The job of an import: named by --job, else by a hash of its identity.

    home: the ledger's folder.
    """
    bound = {"type": options.type, "project": options.project, "batch": options.batch}
    told = [what_is(source, options.folder, home) for source in options.sources]
    identity = {**bound, "sources": told, "seen_from": "ledger"}
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
    settings = IMPORT_OPTIONS.write(kept)
    return JobSpec(name=name, command="import", target=target, identity=identity, settings=settings)


def what_is(source: str, folder: str | None, home: Path) -> str:
    """A source by what it is, however it was typed: `x`, `./x` and the full path are one.

    A path beneath the ledger's folder is relative to it, so you may move the folder with everything in it.
    """
    if source == STANDARD_INPUT:
        return source
    if is_url(source):
        return address(source)
    path = os.path.abspath(os.path.join(folder or os.getcwd(), source.removeprefix("file://")))
    beneath = os.path.join(home if home.is_absolute() else home.absolute(), "")  # absolute() takes a while
    return readable(path.removeprefix(beneath))


def sources_of(job: StoredJob, home: Path) -> frozenset[str]:
    """The sources of a stored import when its name was bound, by what they are."""
    # Older versions kept them as typed, in the folder of then.
    folder = None if "seen_from" in job.identity else job.settings.get("folder")
    return _sources(job.identity.get("sources", ()), folder, home)


def _sources(sources: Any, folder: str | None, home: Path) -> frozenset[str]:
    return frozenset(what_is(source, folder or str(home), home) for source in sources)


async def find_import(ledger: Ledger, spec: JobSpec, options: ImportOptions) -> tuple[StoredJob | None, JobSpec]:
    """The stored job of an import, None if there is none yet, and the import as that job.

    A job with a name derived from its sources as typed is found by what they are. Raises NameBound if the name belongs
    to something else.
    """
    found = await ledger.find_job(spec.target, spec.name)
    home = ledger.path.parent
    if found is None and options.job is None:
        found = await _derived_earlier(ledger, spec, options, home)
    if found is None:
        return None, spec
    if not binding.same(found.command, found.identity, spec.command, spec.identity):
        raise NameBound(binding.sentence(spec.name, found.command, found.identity, spec.command, spec.identity))
    settings = {**spec.settings, "job": found.name, "earlier": _earlier(found, spec, home)}
    return found, replace(spec, name=found.name, identity=found.identity, settings=settings)


async def _derived_earlier(ledger: Ledger, spec: JobSpec, options: ImportOptions, home: Path) -> StoredJob | None:
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


def _earlier(found: StoredJob, spec: JobSpec, home: Path) -> list[str]:
    """Sources that earlier runs of the job named and this one does not, in a form that can be opened anywhere."""
    now = set(spec.identity["sources"])
    folder = found.settings["folder"]
    typed = [*found.settings.get("earlier", ()), *(placed_in(folder, one) for one in found.settings["sources"])]
    kept = {what_is(source, folder, home): source for source in typed if source != STANDARD_INPUT}
    return [source for what, source in kept.items() if what not in now]


def placed_in(folder: str, spec: str) -> str:
    """The place of a source that was named in a folder."""
    return spec if spec == STANDARD_INPUT or "://" in spec else os.path.join(folder, spec)


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
    """The options of an import as its job keeps them, with the sources of all its runs.

    Relative sources start from the folder of that run. Of several, those that are gone are skipped.
    """
    options = IMPORT_OPTIONS.read(settings)
    earlier = tuple(settings.get("earlier", ()))
    return replace(options, sources=(*earlier, *options.sources), some=bool(earlier))
