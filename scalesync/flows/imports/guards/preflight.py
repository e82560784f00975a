"""Checks around a run: key, project and type before the first record, other bodies after the last."""

from __future__ import annotations

import json
from collections.abc import Mapping

from scalesync.errors import ConfigError, NoSuchProject, Refused
from scalesync.events import Observer
from scalesync.flows.imports.guards.blueprints import BlueprintCheck
from scalesync.flows.imports.plan import ImportPlan
from scalesync.flows.runtime.account import no_such_project, note_unknown_type, wrong_root
from scalesync.flows.runtime.wiring import Connection
from scalesync.model.jobs import JobSpec, StoredJob
from scalesync.ports.import_ledger import ImportLedger
from scalesync.sources.places.named import read_once
from scalesync.text import be, count

# Options that change the body of an unchanged record.
_SHAPES = {"template": "the template", "sets": "--set", "blueprint": "--blueprint"}


async def check_target(plan: ImportPlan, connection: Connection, observer: Observer) -> None:
    """Check with one or two calls that the key works, and that the project exists and takes this type.

    Raises KeyRefused, ConfigError, or BudgetUsed if the platform cannot be reached.
    """
    try:
        await _look(plan, connection, observer)
    except Refused as error:
        raise refused_first(error, connection) from error


def refused_first(error: Refused, connection: Connection) -> ConfigError:
    """The error for a refused first request of a run: the address or a name is wrong."""
    way_out = wrong_root(error, connection) or "check the API address and the names"
    return ConfigError(f"the platform answered {error.status} to the first request: {error}; {way_out}")


async def _look(plan: ImportPlan, connection: Connection, observer: Observer) -> None:
    platform, call = connection.platform, connection.call
    options = plan.options
    if options.project:
        project = options.project
        try:
            await call(lambda: connection.containers.check_project(project))
        except NoSuchProject:
            # At a wrong address every call finds nothing. A list works for every account, so it tests the address.
            await call(platform.lister.probe)
            raise await no_such_project(connection, project) from None
        await BlueprintCheck(plan, connection, observer.note).begin(project)
    else:
        await call(platform.lister.probe)
        if options.type:
            await note_unknown_type(connection, options.type, observer.note)
    if options.batch and "{" not in options.batch:
        name = options.batch
        batch = await call(lambda: connection.containers.batch(name))
        theirs = None if batch is None else batch.get("project")
        if theirs is not None and options.project is not None and theirs != options.project:
            raise ConfigError(f"batch {name!r} belongs to project {theirs!r}, not to {options.project!r}")


async def note_other_bodies(job: ImportLedger, plan: ImportPlan, observer: Observer) -> None:
    """Report records with tasks from another job that keep that job's body, because its template or --set differs."""
    options = plan.options
    kept = {"template": plan.template.as_mapping(), "sets": list(options.sets), "blueprint": options.blueprint}
    now = json.loads(json.dumps(kept, default=list))
    for name, settings, number in await job.jobs_beside():
        if other := [words for field, words in _SHAPES.items() if settings.get(field) != now[field]]:
            kept_by = f"{count(number, 'task')} that job {name} made {'keeps its' if number == 1 else 'keep their'}"
            observer.note(
                f"{kept_by} earlier body: {' and '.join(other)} of that job {'are' if len(other) > 1 else 'is'}"
                " different; cancel a task and run with --reclaim canceled to create it again"
            )


def note_changed_bodies(found: StoredJob | None, spec: JobSpec, counts: Mapping[str, int], observer: Observer) -> None:
    """Report what keeps its body although template or --set changed since: existing tasks, and records that failed."""
    if found is None:
        return
    now = json.loads(json.dumps(dict(spec.settings)))
    changed = " and ".join(words for name, words in _SHAPES.items() if found.settings.get(name) != now[name])
    made, failed = counts.get("created", 0) + counts.get("adopted", 0), counts.get("failed", 0)
    if changed and made:
        observer.note(
            f"{changed} changed since the last run: {count(made, 'task')} that {be(made)} there"
            f" {'keeps its' if made == 1 else 'keep their'} earlier body, new records get the new one; cancel a task"
            " and run with --reclaim canceled to create it again"
        )
    if changed and failed:
        it, them = ("its", "it") if failed == 1 else ("their", "them")
        more = f"marks {them} pending, and the same input piped into this command sends {them}"
        observer.note(
            f"{changed} changed since the last run: this command does not send {count(failed, 'record')} that failed"
            f" with {it} earlier body; scalesync retry --job {found.name}"
            f" {more if read_once(spec.settings['sources']) else f'sends {them} with the new one'}"
        )
