"""Guards money: a run that creates more than a thousand new tasks with a live key needs a person's yes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from scalesync.errors import ConfigError, Interrupted
from scalesync.flows.imports.plan import ImportPlan
from scalesync.flows.imports.reading.prepare import Preparer, read_all
from scalesync.flows.runtime.threads import in_daemon
from scalesync.model.targets import Mode, Target
from scalesync.ports.ledger import Ledger
from scalesync.text import count

FREE_NEW_TASKS = 1000
COUNTED_NEW_TASKS = 100_000  # takes a second or two to read; above it, the question says "more than"

Confirm = Callable[[str], bool]
"""Asks the person at the terminal in a thread of its own, and returns the answer."""


async def guard_spending(plan: ImportPlan, ledger: Ledger, target: Target, confirm: Confirm | None) -> int | None:
    """Ask before the run creates more than 1,000 new tasks with a live key.

    confirm: None if nobody can answer.

    It reads as much of the sources as it needs. Returns how many new tasks the run may create; None for any number.
    A source that can be read only once cannot be counted first. Raises ConfigError or Interrupted before any request.
    """
    options = plan.options
    if target.mode is not Mode.LIVE or options.yes:
        return None
    if options.max_new is not None and options.max_new <= FREE_NEW_TASKS:
        return None
    if any(source.mtime_ns is None and "://" not in source.name for source in plan.sources):
        return FREE_NEW_TASKS
    new = await _count_new(plan, ledger, target, FREE_NEW_TASKS if confirm is None else COUNTED_NEW_TASKS)
    new = new if options.max_new is None else min(new, options.max_new)
    if new <= FREE_NEW_TASKS:
        return None
    if confirm is None:
        raise ConfigError(
            f"this makes more than {FREE_NEW_TASKS:,} new tasks with a live key and no terminal to ask at;"
            " add --yes to continue, or --max-new to limit it"
        )
    many = f"more than {COUNTED_NEW_TASKS:,} new tasks" if new > COUNTED_NEW_TASKS else count(new, "new task")
    where = f"project {options.project}" if options.project else "the projects that the records name"
    await _ask(f"create {many} in {where} at {target}?", confirm)
    return None


async def guard_resending(number: int, target: Target, *, yes: bool, confirm: Confirm | None) -> None:
    """Ask before `number` records of the ledger are sent again with a live key."""
    if target.mode is not Mode.LIVE or yes or number <= FREE_NEW_TASKS:
        return
    if confirm is None:
        raise ConfigError(
            f"this sends {number:,} records again with a live key and no terminal to ask at; add --yes to continue"
        )
    await _ask(f"send {count(number, 'record')} again at {target}?", confirm)


async def _ask(question: str, confirm: Confirm) -> None:
    if not await in_daemon(lambda: confirm(question)):
        raise Interrupted("nothing was sent, as you answered; the same command asks again, --max-new N bounds it")


async def _count_new(plan: ImportPlan, ledger: Ledger, target: Target, most: int) -> int:
    """Count records that have no task in the ledger; stops after `most`."""
    peek = partial(ledger.peek, target)
    preparer = Preparer(plan.builder, None, plan.options.limit, look=peek)
    new = 0
    async for load in read_all(enumerate(plan.sources, start=1)):
        records = (await preparer.prepare(load)).records
        known = await peek([record.key for record in records])
        new += len(records) - len(known)
        if new > most or preparer.full:
            return new
    return new
