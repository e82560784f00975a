"""What is found out before the first record is sent: key, project, type, spending."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping

from scalesync.config import Settings
from scalesync.errors import ConfigError, NoSuchProject, Refused
from scalesync.events import Observer
from scalesync.flows.plan import ImportPlan
from scalesync.flows.prepare import Preparer, read_blocks
from scalesync.flows.wiring import Connection
from scalesync.ledger.store import SqliteLedger, StoredJob
from scalesync.model import Mode
from scalesync.ports import JobSpec
from scalesync.words import be, count

FREE_NEW_TASKS = 1000
_SHAPES = {"template": "the template", "sets": "--set"}  # what makes another body of the same content


async def check_target(plan: ImportPlan, connection: Connection) -> None:
    """One or two calls: does the key work, does the project exist and take this type?

    Raises KeyRefused, ConfigError, or BudgetUsed when the platform cannot be reached.
    """
    try:
        await _look(plan, connection)
    except Refused as error:
        raise ConfigError(
            f"the platform refused a first look ({error.status}): {error}; check the API address and the names"
        ) from error


async def _look(plan: ImportPlan, connection: Connection) -> None:
    platform, call = connection.platform, connection.call
    options = plan.options
    if options.project:
        project = options.project
        try:
            await call(lambda: platform.check_project(project))
        except NoSuchProject:
            # At a wrong address nothing is found: the list, which every account has, tells that from a wrong name.
            await call(lambda: platform.page({"limit": 1}, None))
            raise
    else:
        await call(lambda: platform.page({"limit": 1}, None))
    if options.batch and "{" not in options.batch:
        name = options.batch
        batch = await call(lambda: platform.batch(name))
        theirs = None if batch is None else batch.get("project")
        if theirs is not None and options.project is not None and theirs != options.project:
            raise ConfigError(f"batch {name!r} belongs to project {theirs!r}, not to {options.project!r}")


def note_changed_bodies(found: StoredJob | None, spec: JobSpec, counts: Mapping[str, int], observer: Observer) -> None:
    """Say that tasks which exist keep the body they were made with, where template or --set changed since."""
    made = counts.get("created", 0) + counts.get("adopted", 0)
    if found is None or not made:
        return
    now = json.loads(json.dumps(dict(spec.settings)))
    changed = [words for name, words in _SHAPES.items() if found.settings.get(name) != now[name]]
    if changed:
        observer.note(
            f"{' and '.join(changed)} changed since the last run: {count(made, 'task')} that {be(made)} there"
            f" {'keeps' if made == 1 else 'keep'} the body of then, new records get the new one; cancel a task and run"
            " with --reclaim canceled to have it made again"
        )


async def guard_spending(
    plan: ImportPlan, ledger: SqliteLedger, spec: JobSpec, settings: Settings, observer: Observer
) -> None:
    """A live key and nobody at a terminal: more than 1,000 new tasks want --yes.

    Reads the sources up to the 1,001st new record. Raises ConfigError; nothing was sent.
    """
    if settings.mode is not Mode.LIVE or plan.options.yes or sys.stderr.isatty():
        return
    if plan.options.max_new is not None and plan.options.max_new <= FREE_NEW_TASKS:
        return
    if "-" in plan.options.sources:
        raise ConfigError("a live key, standard input and no terminal: add --yes, or --max-new 1000 at most")
    peek = ledger.peeker(settings.target)
    preparer = Preparer(plan.builder, None, plan.options.limit, look=peek)
    new = 0
    for number, source in enumerate(plan.sources, start=1):
        async for block in read_blocks(source.blocks()):
            records = (await preparer.prepare(number, block)).records
            known = await peek([record.key for record in records])
            new += len(records) - len(known)
            if new > FREE_NEW_TASKS or preparer.full:
                break
        if new > FREE_NEW_TASKS or preparer.full:
            break
    if new > FREE_NEW_TASKS:
        raise ConfigError(
            f"this makes more than {FREE_NEW_TASKS:,} new tasks with a live key and nobody at a terminal;"
            " add --yes to go ahead, or --max-new to bound it"
        )


def guard_resending(number: int, settings: Settings, *, yes: bool) -> None:
    """The same for records that the ledger has: `number` of them may become tasks. Raises ConfigError."""
    if settings.mode is not Mode.LIVE or yes or number <= FREE_NEW_TASKS or sys.stderr.isatty():
        return
    raise ConfigError(
        f"this sends {number:,} records again with a live key and nobody at a terminal; add --yes to go ahead"
    )
