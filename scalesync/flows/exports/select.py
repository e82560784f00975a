"""Selects the tasks of a page that an export keeps: all matches, or all with a new version."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import orjson

from scalesync.flows.exports.chains.reader import Page
from scalesync.flows.exports.folder.commit_log import PageCommit
from scalesync.flows.exports.parts import Deliveries
from scalesync.flows.exports.result_files import ResponseStore
from scalesync.model.exports import Version
from scalesync.model.selection import Selection
from scalesync.model.task_view import TaskView
from scalesync.ports.platform import Changes, Lister


class Timeless:
    """Says once that a service names no time that a filter needs: such tasks cannot match, and would miss silently."""

    def __init__(self, note: Callable[[str], None]) -> None:
        self._note = note
        self._told = False

    def look(self, page: Page, selection: Selection) -> None:
        """Look at the first task of a page. A task that is not completed has no such time anywhere."""
        wanted = [(what, words) for what, words in _EACH_HAS if any(name.startswith(what) for name in selection.bounds)]
        if self._told or not page or not wanted:
            return
        times = page[0][1].times()
        if missing := [words for what, words in wanted if not times[what]]:
            self._told = True
            self._note(
                f"the service names no time of {' and of '.join(missing)} for some tasks, and those without it match no"
                " window and no filter by that time; an export without such filters has them"
            )


_EACH_HAS = (("created", "creation"), ("updated", "change"))


class TakeMatching:
    """A full export: each matching task becomes a line."""

    def __init__(self, selection: Selection, beside: Beside, timeless: Timeless) -> None:
        self._selection = selection
        self._beside = beside
        self._timeless = timeless

    async def __call__(self, page: Page, entry: PageCommit) -> None:
        """Keep the matching tasks."""
        selection = self._selection
        self._timeless.look(page, selection)
        timed = bool(selection.bounds)
        kept = [(raw, head) for raw, head in page if selection.matches(head, head.times() if timed else {})]
        await self._beside.keep(kept, entry)


@dataclass(frozen=True, slots=True)
class Beside:
    """What an export writes beside the lines of the tasks that it keeps.

    responses: their result files.
    deliveries: their parts that were delivered apart.
    """

    responses: ResponseStore | None = None
    deliveries: Deliveries | None = None

    async def keep(self, kept: Page, entry: PageCommit) -> None:
        """Put the lines of these tasks, and what belongs to them, into the entry."""
        entry.lines["tasks"] = [raw for raw, _ in kept]
        if self.deliveries is not None:
            await self.deliveries.take(kept, entry)
        if self.responses is not None:
            entry.lines["responses"] = await self.responses.fetch([head for _, head in kept])


class Known(Protocol):
    """What is known of the versions of tasks."""

    async def versions(self, refs: Sequence[str]) -> Mapping[str, Version]:
        """The known versions of these tasks."""


class TakeNewest:
    """A full export of a list that holds each version of a task, newest first: the first one that comes is the line.

    known: what this run has met, also tasks that did not match. It outlives a kill, so a run that continues does not
        take an older version.
    """

    def __init__(self, selection: Selection, known: Known, lister: Lister, beside: Beside, timeless: Timeless) -> None:
        self._known = known
        self._lister = lister
        self._take = TakeMatching(selection, beside, timeless)
        self._selection = selection

    async def __call__(self, page: Page, entry: PageCommit) -> None:
        """Keep the matching tasks that were not met before."""
        known = await self._known.versions([head.ref for _, head in page])
        fresh = [(raw, head) for raw, head in page if head.ref not in known]
        for raw, head in fresh:
            matched = self._selection.matches(head, head.times())
            entry.versions[head.ref] = Version(self._lister.version_of(head, raw), matched)
        await self._take(fresh, entry)


class TakeNew:
    """An increment: a line for each task with a new version, a `left` line for one that no longer matches.

    done: the status of tasks that have their answer.

    A version is a task with the number that `Lister.version_of` gives it: signed URLs differ at each reading and do not
    count as a change. A version older than the newest written one is never written.
    """

    def __init__(
        self,
        selection: Selection,
        known: Known,
        lister: Lister,
        beside: Beside,
        note: Callable[[str], None] = lambda text: None,
        *,
        done: str | None = None,
    ) -> None:
        self._selection = selection
        self._known = known
        self._lister = lister
        self._beside = beside
        self._note = note
        self._done = done
        self._reported = False
        self._timeless = Timeless(note)
        self._ordered = lister.changes is not Changes.NONE

    async def __call__(self, page: Page, entry: PageCommit) -> None:
        """Keep tasks with a new version."""
        self._look_for_reviews(page)
        self._timeless.look(page, self._selection)
        known = await self._known.versions([head.ref for _, head in page])
        kept: list[tuple[bytes, TaskView]] = []
        left: list[bytes] = []
        for raw, head in page:
            before = known.get(head.ref)
            version = self._lister.version_of(head, raw)
            if before is not None and (version == before.updated_ms or (self._ordered and version < before.updated_ms)):
                continue
            why = reason(self._selection, head)
            entry.versions[head.ref] = Version(version, why is None)
            if why is None:
                kept.append((raw, head))
            elif before is not None and before.matched:
                left.append(orjson.dumps({"task_id": head.ref, "updated_at": head.updated_at, "reason": why}))
        await self._beside.keep(kept, entry)
        entry.lines["left"] = left

    def _look_for_reviews(self, page: Page) -> None:
        """Report once that the server does not send a field that a filter needs; such tasks cannot match."""
        if self._reported or not self._selection.review_status:
            return
        completed = (head for _, head in page if head.status == self._done)
        if any(head.get("review_status") is None for head in completed):
            self._reported = True
            self._note(
                "some completed tasks have no review status, and those without one count as not matching;"
                " an export without --incremental leaves the choice to the server"
            )


LOCAL = ("status", "review_status", "tags", "batch")


def reason(selection: Selection, head: TaskView) -> str | None:
    """Why a task does not belong to the selection; None if it does."""
    times = head.times()
    if selection.matches(head, times):
        return None
    for name in LOCAL:
        only = replace(NOTHING, **{name: getattr(selection, name)})
        if not only.matches(head, times):
            return f"{name} is {_shown(head, name)}"
    return "it no longer matches the filters"


NOTHING = Selection(None, None, None, frozenset(), (), frozenset(), {}, judged_here=True)


def _shown(head: TaskView, name: str) -> str:
    value = head.get(name)
    if isinstance(value, list):
        return ", ".join(value) or "empty"
    return "not set" if value is None else str(value)
