"""Changes in the sources of a job: since it was complete, since they were named, while they were read."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence

from scalesync.flows.imports.plan import LATER, SHAPING, ImportPlan, few_names
from scalesync.flows.runtime.identity import sources_of
from scalesync.model.jobs import JobSpec, SourceSplit, StoredJob
from scalesync.model.records import JsonObject
from scalesync.ports.ledger import Ledger


async def nothing_left(ledger: Ledger, found: StoredJob, spec: JobSpec, plan: ImportPlan) -> Mapping[str, int] | None:
    """The counts of a complete job if nothing has changed that could give it work; else None."""
    options = plan.options
    if not found.complete or options.rescan or options.finalize:
        return None
    now = json.loads(json.dumps(dict(spec.settings)))
    if any(found.settings.get(name, LATER.get(name)) != now[name] for name in SHAPING):
        return None
    if not same_sources(await ledger.source_splits(found), plan, sources_of(found, plan.home)):
        return None
    counts = await ledger.counts(found)
    # A pending record in a complete job: another job took its row over and has not ended, or will send it again.
    return None if counts["pending"] or (plan.recheck and counts["conflicts"]) else counts


def same_sources(splits: Sequence[SourceSplit], plan: ImportPlan, bound: frozenset[str]) -> bool:
    """Whether each source was read whole in its current form, and each that was read for the current names still
    exists.

    bound: the sources to which the job's name was bound.
    """
    met = dict(plan.splits())
    if vanished(splits, met, plan.named, bound):
        return False
    then = {split.name: split for split in splits if split.state == "read"}
    return all(
        facts["size"] is not None and name in then and _as_then(then[name], facts, plan.shaping)
        for name, facts in met.items()
    )


def _as_then(split: SourceSplit, facts: JsonObject, shaping: str) -> bool:
    if "digest" in facts and "under" not in split.spec:
        return False  # versions without `under` read too little of a folder whose files hold lines
    told = {"name": "", "under": ""}
    return {**split.spec, **told} == {**facts, **told} and split.shaping in {None, shaping}


def vanished(
    splits: Sequence[SourceSplit], met: Collection[str], named: frozenset[str], bound: frozenset[str]
) -> list[SourceSplit]:
    """The sources that were read for the current names and are gone. Sources of other names stay.

    A split of an older ledger does not hold the name for which it was read; it counts as one of the bound names.
    """
    missed = (split for split in splits if split.name not in met and not split.is_gone)
    return [split for split in missed if _is_named(split, named, bound)]


def _is_named(split: SourceSplit, named: frozenset[str], bound: frozenset[str]) -> bool:
    under = split.spec.get("under")
    return bound <= named if under is None else under in named


def changed_meanwhile(names: Sequence[str]) -> str:
    """The sentence about sources that changed since the run opened them."""
    it, now = ("it", "it is") if len(names) == 1 else ("them", "they are")
    return f"{few_names(names)}: changed while this run read {it}; run the same command again to read {it} as {now} now"
